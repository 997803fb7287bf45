/* SPDX-License-Identifier: MIT */
/* listen.c - the listening socket of the policy server. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/serve/server_inside.h"

enum { BACKLOG = 128, AT_A_TIME = 16 };

/* Only programs of this machine can connect to it. */
static bool is_loopback(const struct sockaddr *a)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)a;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)a;

    if (a->sa_family == AF_INET)
        return ntohl(four->sin_addr.s_addr) >> 24 == 127;
    return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

static deer_status open_at(const struct addrinfo *at, const server_options *o, int *fd,
                           deer_error *err)
{
    int one = 1;

    *fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd >= 0 && !setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) &&
        !bind(*fd, at->ai_addr, at->ai_addrlen) && !listen(*fd, BACKLOG))
        return DEER_OK;
    deer_fail(err, "cannot listen on %s port %d: %s%s", o->host, o->port, strerror(errno),
              errno == EADDRINUSE ? "; choose another --port" : "");
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return DEER_FAILED;
}

deer_status listen_open(const server_options *o, int *fd, deer_error *err)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char port[16];
    deer_status status;
    int wrong;

    *fd = -1;
    snprintf(port, sizeof port, "%d", o->port);
    wrong = getaddrinfo(o->host, port, &hints, &found);
    if (wrong)
        return deer_fail(err, "there is no address %s to listen on: %s", o->host,
                         gai_strerror(wrong));
    if (!is_loopback(found->ai_addr) && !o->key && !o->insecure)
        status = deer_fail_with(DEER_USAGE, err,
                                "other machines could move the robot through %s: give --key-file, "
                                "or say --insecure",
                                o->host);
    else
        status = open_at(found, o, fd, err);
    freeaddrinfo(found);
    return status;
}

void listen_url(int fd, char *url, size_t size)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char host[64] = "?", port[16] = "?";

    if (!getsockname(fd, (struct sockaddr *)&address, &length))
        getnameinfo((struct sockaddr *)&address, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(url, size, strchr(host, ':') ? "ws://[%s]:%s" : "ws://%s:%s", host, port);
}

/* Those that only ask for metrics, or have not said yet what they want, have some room besides. */
static bool is_full(const server *s)
{
    return s->sockets >= 2 * s->options->connections + 16;
}

void listen_accept(server *s)
{
    int one = 1, fd;
    struct lws *wsi;

    for (int i = 0; i < AT_A_TIME; i++) {
        fd = accept4(s->listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        if (is_full(s)) {
            close(fd);
            metrics_count_refused(s->options->robots->counts);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        wsi = lws_adopt_socket_vhost(s->vhost, fd); /* closes what it does not take */
        if (wsi) {
            lws_set_opaque_user_data(wsi, s);
            s->sockets++;
        }
    }
}
