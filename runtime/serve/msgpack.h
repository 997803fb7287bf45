/* SPDX-License-Identifier: MIT */
/* msgpack.h - MessagePack, read where it lies and written into a growing buffer.
 *
 *   msgpack_reader in = {message, message + size};
 *   msgpack_value value;
 *   if (msgpack_check(message, size, &err))       // once: the message is whole, and not too deep
 *       return DEER_USAGE;
 *   msgpack_next(&in, &value);                    // value.type == MSGPACK_MAP
 *   for (uint32_t i = 0; i < value.count; i++)
 *       msgpack_next(&in, &key), msgpack_skip(&in);
 *
 * Nothing is allocated to read: a message that claims to hold four thousand million elements costs
 * no more than its bytes. Source: the MessagePack specification,
 * https://github.com/msgpack/msgpack/blob/master/spec.md. */
#ifndef SERVE_MSGPACK_H
#define SERVE_MSGPACK_H

#include "runtime/deer.h"

enum {
    MSGPACK_DEPTH = 16,          /* lists and maps inside each other */
    MSGPACK_MOST_VALUES = 65536, /* of a message, all depths together */
};

typedef enum {
    MSGPACK_NIL,
    MSGPACK_BOOLEAN,
    MSGPACK_INTEGER,
    MSGPACK_REAL,
    MSGPACK_TEXT,
    MSGPACK_BYTES,
    MSGPACK_LIST,
    MSGPACK_MAP,
    MSGPACK_EXTENSION,
} msgpack_type;

typedef struct {
    msgpack_type type;
    bool boolean;
    int64_t integer;      /* those above INT64_MAX are INT64_MAX */
    double real;          /* of an integer, too */
    const uint8_t *bytes; /* of a text, bytes or an extension: in the message */
    size_t size;
    uint32_t count; /* elements of a list, pairs of a map: they follow */
} msgpack_value;

typedef struct {
    const uint8_t *at, *end;
} msgpack_reader;

/* Whether [size] bytes are one MessagePack value, whole, with nothing behind it, within the limits
 * above. DEER_USAGE, and why, otherwise. */
deer_status msgpack_check(const uint8_t *message, size_t size, deer_error *err);

/* Reads a value; of a list or map only the head. False where the bytes end before the value does,
 * or begin none: never in a message that was checked. */
bool msgpack_next(msgpack_reader *in, msgpack_value *value);

/* The same, passing over all that is inside the value. */
bool msgpack_skip(msgpack_reader *in);

/* Of a map in a checked message, the next pair: its key, and the head of its value. The reader is
 * behind the pair then, and `at` in front of the value. Keys may be of any kind. */
void msgpack_pair(msgpack_reader *in, msgpack_value *key, msgpack_reader *at, msgpack_value *value);

/* Whether a value is this text, as a text or as bytes. */
bool msgpack_is(const msgpack_value *value, const char *text);

/* ---------------------------------------------------------------- writing ------------------ */

/* Bytes that grow. Where memory ends, `failed` is set and the rest is dropped. Zero is an empty
 * one; freed by msgpack_free. */
typedef struct {
    uint8_t *data;
    size_t size, room;
    bool failed;
} msgpack_buffer;

void msgpack_free(msgpack_buffer *out);

void msgpack_put_nil(msgpack_buffer *out);
void msgpack_put_boolean(msgpack_buffer *out, bool value);
void msgpack_put_integer(msgpack_buffer *out, int64_t value);
void msgpack_put_real(msgpack_buffer *out, double value); /* NaN becomes nil */
void msgpack_put_text(msgpack_buffer *out, const char *text);
void msgpack_put_bytes(msgpack_buffer *out, const void *bytes, size_t size);
void msgpack_put_list(msgpack_buffer *out, uint32_t count); /* its elements are to follow */
void msgpack_put_map(msgpack_buffer *out, uint32_t count);  /* its keys and values, in turn */
void msgpack_put_raw(msgpack_buffer *out, const void *bytes, size_t size); /* as they are */

#endif
