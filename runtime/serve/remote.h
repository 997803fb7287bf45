/* SPDX-License-Identifier: MIT */
/* remote.h - a policy at the other end of a websocket: the client of protocol.h. Needs
 * libwebsockets.
 *
 *   remote *policy;
 *   remote_open("ws://127.0.0.1:8000", NULL, &policy, &err);
 *   remote_ask(policy, &request, &answer, &err);        // waits for the answer
 *   remote_close(policy);
 *
 * For one thread, and for the process that opened it. */
#ifndef SERVE_REMOTE_H
#define SERVE_REMOTE_H

#include "runtime/serve/protocol.h"

typedef struct remote remote;

/* Connects, and waits until the server has said what it serves. url: "ws://HOST:PORT"; key: its
 * Api-Key, or NULL. */
deer_status remote_open(const char *url, const char *key, remote **out, deer_error *err);

/* Asks for an action. Fails with the server's own words where it sends any, and is of no use then.
 */
deer_status remote_ask(remote *r, const protocol_request *request, protocol_answer *answer,
                       deer_error *err);

void remote_close(remote *r);

#endif
