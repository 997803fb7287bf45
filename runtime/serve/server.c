/* SPDX-License-Identifier: MIT */
/* server.c - the policy server's life: from listening to the last answer. */
#include "runtime/serve/server.h"

#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/serve/server_inside.h"

enum {
    PATIENCE = 10, /* seconds for the last answers */
    HEADERS = 8,   /* seconds that a request's HTTP headers may take */
    RECEIVE = 64 << 10,
};

/* ---------------------------------------------------------------- key ---------------------- */

deer_status server_key_read(const char *path, char **key, deer_error *err)
{
    enum { MOST = 400 };
    char *text, *at;
    size_t size, length;

    *key = NULL;
    if (file_read(path, 64 << 10, &text, &size, err))
        return DEER_FAILED;
    for (at = text; isspace((unsigned char)*at); at++)
        ;
    for (length = 0; at[length] > ' ' && at[length] <= '~'; length++)
        ;
    if (length < 1 || length > MOST || at[length + strspn(at + length, " \t\r\n")]) {
        free(text);
        return deer_fail(err, "%s holds no key: one line of 1 to %d letters, digits and signs",
                         path, MOST);
    }
    at[length] = 0;
    memmove(text, at, length + 1);
    *key = text;
    return DEER_OK;
}

/* ---------------------------------------------------------------- events ------------------- */

/* From a worker: the event loop is to look. */
static void wake(void *context)
{
    server *s = context;

    lws_cancel_service(s->context);
}

static void lose_patience(lws_sorted_usec_list_t *patience)
{
    server *s = lws_container_of(patience, server, patience);

    s->over = true;
}

static void take_signals(server *s)
{
    struct signalfd_siginfo info;

    if (read(s->signals, &info, sizeof info) != sizeof info)
        return;
    s->over = s->drains; /* the second one */
    if (s->drains)
        return;
    s->drains = true;
    lws_set_timeout(s->listener, PENDING_TIMEOUT_KILLED_BY_PARENT, LWS_TO_KILL_ASYNC);
    s->listener = NULL;
    close(s->listening);
    s->listening = -1;
    lws_sul_schedule(s->context, 0, &s->patience, lose_patience, PATIENCE * LWS_US_PER_SEC);
    connection_end_all(s);
}

static void file_ready(server *s, struct lws *file)
{
    if (file == s->listener)
        listen_accept(s);
    else
        take_signals(s);
}

/* ---------------------------------------------------------------- life --------------------- */

/* Files for every socket there may be, and those the process has besides. */
static deer_status make_room(const server_options *o, unsigned *files, deer_error *err)
{
    struct rlimit limit;

    *files = 2 * (unsigned)o->connections + 16 + 64;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= *files)
        return DEER_OK;
    limit.rlim_cur = *files;
    return limit.rlim_max < *files || setrlimit(RLIMIT_NOFILE, &limit)
               ? deer_fail(err,
                           "%d connections need %u open files, and only %llu are allowed (ulimit "
                           "-n)",
                           o->connections, *files, (unsigned long long)limit.rlim_max)
               : DEER_OK;
}

/* Signals are read like any other file: this thread's and all that it starts do not see them. */
static deer_status block_signals(int *fd, sigset_t *before, deer_error *err)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, before);
    sigdelset(&set, SIGPIPE);
    *fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return *fd >= 0 ? DEER_OK : deer_fail(err, "cannot wait for signals");
}

static deer_status make_context(server *s, unsigned files, deer_error *err)
{
    static const struct lws_protocols protocols[] = {
        {"deer", connection_event, sizeof(connection *), RECEIVE, 0, NULL, 0},
        {NULL, NULL, 0, 0, 0, NULL, 0}};
    const struct lws_context_creation_info info = {.port = CONTEXT_PORT_NO_LISTEN_SERVER,
                                                   .protocols = protocols,
                                                   .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
                                                   .user = s,
                                                   .server_string = "deer",
                                                   .pt_serv_buf_size = RECEIVE,
                                                   .max_http_header_pool2 = files,
                                                   .fd_limit_per_thread = files,
                                                   .timeout_secs = HEADERS,
                                                   .timeout_secs_ah_idle = HEADERS};

    lws_set_log_level(0, NULL);
    s->context = lws_create_context(&info);
    if (s->context)
        s->vhost = lws_create_vhost(s->context, &info);
    return s->vhost ? DEER_OK : deer_fail(err, "libwebsockets cannot be started");
}

/* The event loop is to say when a file can be read. It closes what it is given: a duplicate. */
static struct lws *watch(server *s, int fd)
{
    lws_sock_file_fd_type copy = {.filefd = fcntl(fd, F_DUPFD_CLOEXEC, 0)};

    return copy.filefd < 0
               ? NULL
               : lws_adopt_descriptor_vhost(s->vhost, LWS_ADOPT_RAW_FILE_DESC, copy, "deer", NULL);
}

static deer_status serve(server *s, deer_error *err)
{
    char url[128];

    listen_url(s->listening, url, sizeof url);
    if (s->options->ready)
        s->options->ready(url);
    while (!s->over && !(s->drains && !s->first))
        if (lws_service(s->context, 0) < 0)
            return deer_fail(err, "libwebsockets gave up waiting for sockets");
    return DEER_OK;
}

static deer_status run(server *s, unsigned files, deer_error *err)
{
    const server_options *o = s->options;
    deer_status status = make_context(s, files, err);

    if (!status)
        status = work_start(o->workers, o->threads, o->robots->counts, wake, s, &s->work, err);
    if (!status && (!watch(s, s->signals) || !(s->listener = watch(s, s->listening))))
        status = deer_fail(err, "libwebsockets does not take the socket");
    if (!status)
        status = serve(s, err);
    work_end(s->work);
    if (s->context)
        lws_context_destroy(s->context);
    connection_free_all(s);
    return status;
}

deer_status server_run(const server_options *o, deer_error *err)
{
    server s = {.options = o, .file_ready = file_ready, .listening = -1, .signals = -1};
    sigset_t before;
    unsigned files;
    deer_status status = make_room(o, &files, err);

    if (status)
        return status;
    status = block_signals(&s.signals, &before, err);
    protocol_write_metadata(&s.metadata, &o->robots->keys, o->robots->model, o->robots->thresholds,
                            o->robots->rate);
    if (!status && s.metadata.failed)
        status = deer_fail(err, "out of memory for a server");
    if (!status)
        status = listen_open(o, &s.listening, err);
    if (!status)
        status = run(&s, files, err);
    if (s.listening >= 0)
        close(s.listening);
    if (s.signals >= 0)
        close(s.signals);
    msgpack_free(&s.metadata);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}
