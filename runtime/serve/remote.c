/* SPDX-License-Identifier: MIT */
/* remote.c - asking a policy server. */
#include "runtime/serve/remote.h"

#include <libwebsockets.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATIENCE = 60,          /* seconds that an answer may take */
    MOST_ANSWER = 16 << 20, /* bytes */
    RECEIVE = 64 << 10,
};

struct remote {
    char url[512], key[512]; /* key: the header's value, or "" */
    struct lws_context *context;
    struct lws *wsi; /* NULL: not connected, or no longer */
    lws_sorted_usec_list_t patience;
    msgpack_buffer request; /* behind LWS_PRE bytes */
    bool wants;             /* to send it */
    uint8_t *answer;
    size_t size, room;
    bool whole, is_text; /* the answer */
    bool over;
    deer_error why; /* it is over */
};

/* ---------------------------------------------------------------- events ------------------- */

static void end(remote *r, const char *what, const char *why)
{
    if (!r->over)
        deer_fail(&r->why, "%s: %s%s%s", r->url, what, why ? ": " : "", why ? why : "");
    r->over = true;
}

static void lose_patience(lws_sorted_usec_list_t *patience)
{
    end(lws_container_of(patience, remote, patience), "no answer for a minute", NULL);
}

static void receive(remote *r, const void *data, size_t size)
{
    uint8_t *answer;

    if (size > MOST_ANSWER - r->size) {
        end(r, "the answer is too long", NULL);
        return;
    }
    if (r->size + size > r->room) {
        answer = realloc(r->answer, 2 * (r->size + size));
        if (!answer) {
            end(r, "out of memory for the answer", NULL);
            return;
        }
        r->answer = answer;
        r->room = 2 * (r->size + size);
    }
    if (size)
        memcpy(r->answer + r->size, data, size);
    r->size += size;
    r->is_text = !lws_frame_is_binary(r->wsi);
    r->whole = lws_is_final_fragment(r->wsi);
}

static int send_request(remote *r)
{
    size_t size = r->request.size - LWS_PRE;

    if (!r->wants)
        return 0;
    r->wants = false;
    return lws_write(r->wsi, r->request.data + LWS_PRE, size, LWS_WRITE_BINARY) < (int)size ? -1
                                                                                            : 0;
}

static int add_key(const remote *r, struct lws *wsi, uint8_t **at, size_t room)
{
    if (!*r->key)
        return 0;
    return lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, (const uint8_t *)r->key,
                                        (int)strlen(r->key), at, *at + room);
}

static int event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                 size_t size)
{
    remote *r = lws_context_user(lws_get_context(wsi));

    (void)user;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        return add_key(r, wsi, in, size);
    case LWS_CALLBACK_CLIENT_RECEIVE:
        receive(r, in, size);
        return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return send_request(r);
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        r->wsi = NULL;
        end(r, "cannot connect", in ? in : "no answer");
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
        r->wsi = NULL;
        end(r, "the server closed the connection", NULL);
        return 0;
    default:
        return 0;
    }
}

/* ---------------------------------------------------------------- waiting ------------------ */

/* Until a whole message is there, or all is over. */
static deer_status await(remote *r, deer_error *err)
{
    lws_sul_schedule(r->context, 0, &r->patience, lose_patience, PATIENCE * LWS_US_PER_SEC);
    while (!r->over && !r->whole && lws_service(r->context, 0) >= 0)
        ;
    lws_sul_cancel(&r->patience);
    if (!r->whole)
        return deer_fail(err, "%s", r->over ? r->why.message : "libwebsockets gave up");
    if (r->is_text) {
        char *text = calloc(1, r->size + 1);
        if (text)
            memcpy(text, r->answer, r->size);
        protocol_tidy(text ? text : r->url);
        deer_fail(err, "%s says: %s", r->url, text ? text : "?");
        free(text);
        return DEER_FAILED;
    }
    return DEER_OK;
}

static deer_status connect_to(remote *r, deer_error *err)
{
    char url[sizeof r->url], path[sizeof r->url + 1], host[sizeof r->url + 16];
    const char *scheme, *address, *rest;
    struct lws_client_connect_info info = {.context = r->context, .pwsi = &r->wsi};

    strcpy(url, r->url);
    if (lws_parse_uri(url, &scheme, &address, &info.port, &rest) || strcmp(scheme, "ws") != 0 ||
        !*address || info.port < 1 || info.port > 65535)
        return deer_fail_with(DEER_USAGE, err,
                              "%s is no address of a policy server: give "
                              "ws://HOST:PORT",
                              r->url);
    snprintf(path, sizeof path, "/%s", rest);
    snprintf(host, sizeof host, "%s:%d", address, info.port);
    info.address = address;
    info.path = path;
    info.host = host;
    if (!lws_client_connect_via_info(&info) && !r->over)
        return deer_fail(err, "%s: cannot connect", r->url);
    return await(r, err);
}

/* ---------------------------------------------------------------- life --------------------- */

deer_status remote_open(const char *url, const char *key, remote **out, deer_error *err)
{
    static const struct lws_protocols protocols[] = {{"deer", event, 0, RECEIVE, 0, NULL, 0},
                                                     {NULL, NULL, 0, 0, 0, NULL, 0}};
    struct lws_context_creation_info info = {.port = CONTEXT_PORT_NO_LISTEN,
                                             .protocols = protocols,
                                             .pt_serv_buf_size = RECEIVE,
                                             .fd_limit_per_thread = 16,
                                             .connect_timeout_secs = 10,
                                             .timeout_secs = 10};
    deer_status status;
    remote *r;

    *out = NULL;
    if (strlen(url) >= sizeof r->url || (key && strlen(key) + 9 > sizeof r->key))
        return deer_fail_with(DEER_USAGE, err, "the address of the policy server is too long");
    r = calloc(1, sizeof *r);
    if (!r)
        return deer_fail(err, "out of memory for a connection to %s", url);
    strcpy(r->url, url);
    if (key)
        snprintf(r->key, sizeof r->key, "Api-Key %s", key);
    lws_set_log_level(0, NULL);
    info.user = r;
    r->context = lws_create_context(&info);
    status = r->context ? connect_to(r, err) : deer_fail(err, "libwebsockets cannot be started");
    if (status)
        remote_close(r);
    else
        *out = r;
    return status;
}

void remote_close(remote *r)
{
    if (!r)
        return;
    r->over = true;
    if (r->context)
        lws_context_destroy(r->context);
    msgpack_free(&r->request);
    free(r->answer);
    free(r);
}

deer_status remote_ask(remote *r, const protocol_request *request, protocol_answer *answer,
                       deer_error *err)
{
    static const uint8_t head[LWS_PRE];

    if (!r->wsi)
        return deer_fail(err, "%s", r->why.message);
    r->request.size = 0;
    msgpack_put_raw(&r->request, head, sizeof head);
    protocol_write_request(&r->request, &PROTOCOL_KEYS, request);
    if (r->request.failed)
        return deer_fail(err, "out of memory for a request to %s", r->url);
    r->size = 0;
    r->whole = false;
    r->wants = true;
    lws_callback_on_writable(r->wsi);
    return await(r, err) ? DEER_FAILED : protocol_read_answer(r->answer, r->size, answer, err);
}
