/* SPDX-License-Identifier: MIT */
/* server.h - the policy server: sockets, connections, limits. Needs libwebsockets.
 *
 *   status = server_run(&options, &err);     // until SIGTERM or SIGINT, then finishes what it has
 *
 * One thread waits for sockets and never computes; requests go to workers (work.h). */
#ifndef SERVE_SERVER_H
#define SERVE_SERVER_H

#include "runtime/serve/robot.h"

typedef struct {
    const char *host; /* a name or an address; where it is not this machine's alone, there must be a
                         key, or insecure */
    int port;         /* 0: any that is free */
    bool insecure;
    const char *key; /* what clients must say, or NULL */
    int connections; /* robots at once, at most */
    size_t message;  /* bytes, at most */
    double idle;     /* seconds without a whole message before a connection is closed */
    int workers, threads;

    fleet *robots;
    void (*ready)(const char *url); /* called when it listens; or NULL */
} server_options;

/* Serves until a signal ends it: then it takes no new connections, answers what it was asked, and
 * closes. A second signal ends it at once. */
deer_status server_run(const server_options *options, deer_error *err);

/* Reads a key file: its first line, without white space around it. The caller frees it. */
deer_status server_key_read(const char *path, char **key, deer_error *err);

#endif
