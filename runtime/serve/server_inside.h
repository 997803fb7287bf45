/* SPDX-License-Identifier: MIT */
/* server_inside.h - what the files of the policy server share: all of it belongs to the thread that
 * waits for sockets. */
#ifndef SERVE_SERVER_INSIDE_H
#define SERVE_SERVER_INSIDE_H

#include <libwebsockets.h>

#include "runtime/serve/server.h"
#include "runtime/serve/work.h"

typedef struct server server;

/* A robot's connection. It lives as long as its socket, and as its request is with the workers. */
typedef struct connection {
    struct connection *next, *before;
    server *at;
    struct lws *wsi; /* NULL: the socket is closed */
    uint8_t *message;
    size_t size, room;
    work_item item;
    bool greeted;
    bool works;    /* its request is with the workers */
    bool answered; /* an answer is to be sent */
    bool ends;     /* nothing is read any more: what was wrong is sent, and then it is closed */
    bool told;     /* that was sent, or there is nothing to say */
    int code;      /* to close with */
    char why[512];
} connection;

struct server {
    const server_options *options;
    void (*file_ready)(server *s, struct lws *file); /* somebody connects, or there is a signal */
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct lws *listener; /* NULL: no longer */
    int listening;        /* its socket */
    int signals;
    lws_sorted_usec_list_t patience; /* how long to wait for the last answers */
    work *work;
    msgpack_buffer metadata;
    connection *first; /* all of them */
    int open, sockets; /* robots; all that is connected */
    uint64_t robots;   /* ever: their numbers */
    bool drains, over;
};

/* What libwebsockets calls for every event of a socket, for which it keeps a connection *. */
int connection_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                     size_t size);

/* Ends all connections, each once it has been answered. */
void connection_end_all(server *s);

/* When there are no sockets and no workers any more: those whose requests were not answered. */
void connection_free_all(server *s);

/* ---------------------------------------------------------------- listening ---------------- */

/* A socket that listens. DEER_USAGE where others could connect to it and may not. */
deer_status listen_open(const server_options *options, int *fd, deer_error *err);

/* "ws://127.0.0.1:8000" of a listening socket. */
void listen_url(int fd, char *url, size_t size);

/* Takes the connections that wait; those above the limit are closed. */
void listen_accept(server *s);

#endif
