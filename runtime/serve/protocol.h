/* SPDX-License-Identifier: MIT */
/* protocol.h - openpi's policy-server protocol: what goes over the websocket, without the socket.
 *
 *   server -> client   metadata, once
 *   client -> server   an observation: a map of arrays and a prompt
 *   server -> client   an answer: a map with "actions" [1, 7]; or, as a text, what was wrong
 *
 * Each message is one MessagePack map. Source: openpi's websocket_policy_server and
 * websocket_client_policy. docs/serve.md has every key. */
#ifndef SERVE_PROTOCOL_H
#define SERVE_PROTOCOL_H

#include "runtime/serve/array.h"

enum { PROTOCOL_TEXT = 1024 }; /* bytes of a prompt or a task's name and a zero */

/* What an observation's parts are called. */
typedef struct {
    const char *image, *wrist_image, *prompt;
} protocol_keys;

#define PROTOCOL_KEYS ((protocol_keys){"observation/image", "observation/wrist_image", "prompt"})

/* What a client asks. Pixels lie in the message or in the stores. */
typedef struct {
    deer_camera static_view, gripper_view;
    deer_observation seen;
    char prompt[PROTOCOL_TEXT];
    char task[PROTOCOL_TEXT]; /* "deer/task": what calibration called the task, or "" */
    bool reset;               /* "deer/reset": begin anew with the same prompt */
} protocol_request;

/* Reads an observation. DEER_USAGE, and a line for whoever sent it, where it is none; DEER_FAILED
 * when out of memory. Keys that are not asked for are passed over. */
deer_status protocol_read_request(const uint8_t *message, size_t size, const protocol_keys *keys,
                                  image_store store[2], protocol_request *request, deer_error *err);

/* The other way: images [height, width, 3] of bytes, each as its camera's. */
void protocol_write_request(msgpack_buffer *out, const protocol_keys *keys,
                            const protocol_request *request);

typedef struct {
    float command[DEER_COMMAND];
    int32_t exit;
    double delta;  /* at that exit; NaN: not compared */
    double gflops; /* of the step, everything counted */
    bool late;
    double infer_ms, queue_ms;
    double prev_total_ms;  /* of the answer before; NaN: there was none */
    deer_governor account; /* of the connection; horizon 0: nothing is governed. Not read again */
} protocol_answer;

void protocol_write_answer(msgpack_buffer *out, const protocol_answer *answer);

/* Reads an answer; DEER_FAILED where it is none. What a server of another kind leaves out: exit -1,
 * NaN, false. Of more than one action the first one counts. */
deer_status protocol_read_answer(const uint8_t *message, size_t size, protocol_answer *answer,
                                 deer_error *err);

/* What the server says of itself and its policy. */
void protocol_write_metadata(msgpack_buffer *out, const protocol_keys *keys,
                             const deer_model *model, const deer_thresholds *thresholds,
                             double rate);

/* Makes a message one line of printable ASCII, so that it is a valid text frame whatever names were
 * in it. */
void protocol_tidy(char *text);

#endif
