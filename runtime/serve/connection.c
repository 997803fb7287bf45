/* SPDX-License-Identifier: MIT */
/* connection.c - what happens on a socket: HTTP first, then a robot's messages, one at a time. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/serve/server_inside.h"

enum {
    CLOSE_AWAY = 1001,  /* websocket's numbers */
    CLOSE_ERROR = 1011, /* what openpi's server closes with, whatever was wrong */
    LINGER = 5,         /* seconds that a connection has to take its last message and go */
};

/* ---------------------------------------------------------------- life --------------------- */

static connection *connection_new(server *s, struct lws *wsi)
{
    connection *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->item.by = robot_new(s->options->robots, ++s->robots);
    if (!c->item.by) {
        free(c);
        return NULL;
    }
    c->at = s;
    c->wsi = wsi;
    c->item.owner = c;
    c->item.request.prev_total_ms = NAN;
    c->next = s->first;
    if (s->first)
        s->first->before = c;
    s->first = c;
    s->open++;
    metrics_count_open(s->options->robots->counts, 1);
    return c;
}

static void connection_free(connection *c)
{
    server *s = c->at;

    if (c->before)
        c->before->next = c->next;
    else
        s->first = c->next;
    if (c->next)
        c->next->before = c->before;
    s->open--;
    metrics_count_open(s->options->robots->counts, -1);
    robot_free(c->item.by);
    msgpack_free(&c->item.answer);
    free(c->message);
    free(c);
}

void connection_free_all(server *s)
{
    while (s->first)
        connection_free(s->first);
}

/* ---------------------------------------------------------------- ending ------------------- */

static void end_saying(connection *c, int code, const char *why)
{
    if (c->ends)
        return;
    c->ends = true;
    c->code = code;
    c->told = !why;
    snprintf(c->why, sizeof c->why, "%s", why ? why : "");
    protocol_tidy(c->why);
    if (why)
        metrics_count_failure(c->at->options->robots->counts);
    if (!c->wsi)
        return;
    lws_rx_flow_control(c->wsi, 1); /* what still comes is dropped, so that the socket can close */
    lws_set_timeout(c->wsi, PENDING_TIMEOUT_CLOSE_SEND, LINGER);
    lws_callback_on_writable(c->wsi);
}

void connection_end_all(server *s)
{
    for (connection *c = s->first; c; c = c->next)
        if (!c->works && !c->answered)
            end_saying(c, CLOSE_AWAY, NULL);
}

/* ---------------------------------------------------------------- reading ------------------ */

static void watch_idleness(connection *c)
{
    lws_set_timer_usecs(c->wsi, (lws_usec_t)(c->at->options->idle * 1e6));
}

/* Room grows with what has come, not with what was announced. */
static bool append(connection *c, const void *data, size_t size)
{
    size_t limit = c->at->options->message, room = c->room ? c->room : 4096;
    uint8_t *message;
    char why[128];

    if (size > limit - c->size) {
        snprintf(why, sizeof why, "the message is longer than %zu bytes", limit);
        end_saying(c, CLOSE_ERROR, why);
        return false;
    }
    while (room < c->size + size)
        room *= 2;
    message = room > c->room ? realloc(c->message, room) : c->message;
    if (!message) {
        end_saying(c, CLOSE_ERROR, "the server has no room for this message");
        return false;
    }
    c->message = message;
    c->room = room;
    if (size)
        memcpy(c->message + c->size, data, size);
    c->size += size;
    return true;
}

/* The message is whole: nothing more is read until it is answered. */
static void hand_over(connection *c)
{
    c->works = true;
    c->item.request.message = c->message;
    c->item.request.size = c->size;
    c->item.request.arrived = clock_seconds();
    c->size = 0;
    lws_rx_flow_control(c->wsi, 0);
    work_put(c->at->work, &c->item);
}

static void receive(connection *c, const void *data, size_t size)
{
    bool first = lws_is_first_fragment(c->wsi) && !c->size;

    if (c->ends)
        return;
    if (c->works || c->answered)
        end_saying(c, CLOSE_ERROR, "a message came before the one before it was answered");
    else if (first && !lws_frame_is_binary(c->wsi))
        end_saying(c, CLOSE_ERROR, "a text came: observations are binary messages");
    else if (append(c, data, size) && lws_is_final_fragment(c->wsi))
        hand_over(c);
}

/* ---------------------------------------------------------------- writing ------------------ */

/* Sends a whole message. */
static bool send_message(connection *c, const void *data, size_t size, enum lws_write_protocol how)
{
    uint8_t *copy = malloc(LWS_PRE + size); /* with room for the frame's head in front */
    bool sent;

    if (!copy)
        return false;
    memcpy(copy + LWS_PRE, data, size);
    sent = lws_write(c->wsi, copy + LWS_PRE, size, how) >= (int)size;
    free(copy);
    return sent;
}

static bool send_answer(connection *c)
{
    work_item *item = &c->item;

    c->answered = false;
    if (!send_message(c, item->answer.data, item->answer.size, LWS_WRITE_BINARY))
        return false;
    item->request.prev_total_ms = 1e3 * (clock_seconds() - item->request.arrived);
    watch_idleness(c);
    if (c->at->drains)
        end_saying(c, CLOSE_AWAY, NULL);
    else
        lws_rx_flow_control(c->wsi, 1);
    return true;
}

/* One message at a time: libwebsockets says when there is room for the next. Nonzero closes. */
static int send_next(connection *c)
{
    const server *s = c->at;

    if (!c->greeted) {
        c->greeted = true;
        if (!send_message(c, s->metadata.data, s->metadata.size, LWS_WRITE_BINARY))
            return -1;
    } else if (c->answered) {
        if (!send_answer(c))
            return -1;
    } else if (c->ends && !c->told) {
        c->told = true;
        if (!send_message(c, c->why, strlen(c->why), LWS_WRITE_TEXT))
            return -1;
    } else if (c->ends) {
        lws_close_reason(c->wsi, (enum lws_close_status)c->code, (uint8_t *)c->why, 0);
        return -1;
    }
    if (c->answered || c->ends)
        lws_callback_on_writable(c->wsi);
    return 0;
}

/* Answers are there. */
static void collect(server *s)
{
    for (work_item *item; (item = work_done(s->work));) {
        connection *c = item->owner;

        c->works = false;
        if (!c->wsi) {
            connection_free(c);
            continue;
        }
        c->answered = !item->status;
        if (item->status)
            end_saying(c, CLOSE_ERROR, item->err.message);
        lws_callback_on_writable(c->wsi);
    }
}

/* ---------------------------------------------------------------- who may ------------------ */

/* Takes the same time wherever they differ. */
static bool is_same(const char *a, const char *b, size_t n)
{
    unsigned differs = 0;

    for (size_t i = 0; i < n; i++)
        differs |= (unsigned)(a[i] ^ b[i]);
    return !differs;
}

/* Authorization: Api-Key <the key>. */
static bool has_key(struct lws *wsi, const char *key)
{
    static const char scheme[] = "Api-Key ";
    size_t skip = sizeof scheme - 1, length = strlen(key);
    char said[512];

    if (!key[0] || lws_hdr_copy(wsi, said, sizeof said, WSI_TOKEN_HTTP_AUTHORIZATION) < 0)
        return false;
    return strlen(said) == skip + length && !strncasecmp(said, scheme, skip) &&
           is_same(said + skip, key, length);
}

/* Answers a request with a page and closes the connection: libwebsockets 4.1 mistakes what comes
 * behind a first request on a connection (CVE-2025-11677), and says HTTP/1.0 where it refuses. */
static int say_page(struct lws *wsi, const char *status, const char *text)
{
    size_t size = strlen(text) + 512;
    uint8_t *page = malloc(LWS_PRE + size);
    int length;

    if (!page)
        return -1;
    length = snprintf((char *)page + LWS_PRE, size,
                      "HTTP/1.1 %s\r\nServer: deer\r\nConnection: close\r\nContent-Length: %zu\r\n"
                      "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n\r\n%s",
                      status, strlen(text), text);
    lws_write(wsi, page + LWS_PRE, (size_t)length, LWS_WRITE_HTTP);
    free(page);
    return -1;
}

static int refuse(const server *s, struct lws *wsi, const char *status, const char *why)
{
    metrics_count_refused(s->options->robots->counts);
    return say_page(wsi, status, why);
}

/* A page that is open in somebody's browser says its origin: without a key it could move the robot.
 */
static int may_upgrade(const server *s, struct lws *wsi, const char *to)
{
    if (!to || strcasecmp(to, "websocket"))
        return -1;
    if (s->options->key && !has_key(wsi, s->options->key))
        return refuse(s, wsi, "401 Unauthorized", "an Api-Key is needed\n");
    if (!s->options->key && lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) > 0)
        return refuse(s, wsi, "403 Forbidden", "browsers may connect only with a key\n");
    if (s->drains || s->open >= s->options->connections)
        return refuse(s, wsi, "503 Service Unavailable", "too many robots\n");
    return 0;
}

static int show_page(const server *s, struct lws *wsi, const char *path)
{
    char *text;

    if (!lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI))
        return say_page(wsi, "405 Method Not Allowed", "");
    if (!strcmp(path, "/healthz"))
        return say_page(wsi, "200 OK", "OK\n");
    if (strcmp(path, "/metrics") != 0)
        return say_page(wsi, "404 Not Found", "");
    if (s->options->key && !has_key(wsi, s->options->key))
        return refuse(s, wsi, "401 Unauthorized", "an Api-Key is needed\n");
    text = metrics_text(s->options->robots->counts);
    say_page(wsi, text ? "200 OK" : "500 Internal Server Error", text ? text : "");
    free(text);
    return -1;
}

/* ---------------------------------------------------------------- events ------------------- */

/* Of the robot's websocket. */
static int robot_event(server *s, struct lws *wsi, enum lws_callback_reasons reason,
                       connection **here, const void *in, size_t size)
{
    connection *c = *here;

    if (reason == LWS_CALLBACK_ESTABLISHED) {
        c = *here = connection_new(s, wsi);
        if (!c)
            return -1;
        watch_idleness(c);
        lws_callback_on_writable(wsi);
        return 0;
    }
    if (!c)
        return 0;
    if (reason == LWS_CALLBACK_RECEIVE) {
        receive(c, in, size);
        return 0;
    }
    if (reason == LWS_CALLBACK_SERVER_WRITEABLE)
        return send_next(c);
    if (reason == LWS_CALLBACK_TIMER) {
        if (c->works)
            watch_idleness(c);
        else
            end_saying(c, CLOSE_ERROR, "no message has come for too long");
        return 0;
    }
    *here = NULL; /* closed */
    c->wsi = NULL;
    if (!c->works)
        connection_free(c);
    return 0;
}

int connection_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                     size_t size)
{
    server *s = lws_context_user(lws_get_context(wsi));

    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
    case LWS_CALLBACK_RECEIVE:
    case LWS_CALLBACK_SERVER_WRITEABLE:
    case LWS_CALLBACK_TIMER:
    case LWS_CALLBACK_CLOSED:
        return robot_event(s, wsi, reason, user, in, size);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return may_upgrade(s, wsi, in);
    case LWS_CALLBACK_HTTP:
        return show_page(s, wsi, in);
    case LWS_CALLBACK_WSI_DESTROY:
        s->sockets -= lws_get_opaque_user_data(wsi) == s;
        return 0;
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
        collect(s);
        return 0;
    case LWS_CALLBACK_RAW_RX_FILE:
        s->file_ready(s, wsi);
        return 0;
    default:
        return 0;
    }
}
