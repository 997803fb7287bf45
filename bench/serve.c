/* SPDX-License-Identifier: MIT */
/* serve.c - what asking a policy server adds to a step.
 *
 *   serve PORT MODEL EXIT STEPS HZ SIDE
 *
 * asks the deer-run serve of this machine that serves MODEL at EXIT, HZ times a second (0: as soon
 * as it has answered), with two images of SIDE x SIDE, and does the same steps itself in between.
 * The client is a socket that blocks and a request made before the clock starts, so that next to
 * nothing of what is measured is its own. bench/serve.sh starts both. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "budgets/measure/statistics.h"
#include "runtime/base/clock.h"
#include "runtime/base/random.h"
#include "runtime/serve/protocol.h"

enum { MOST_SIDE = 1024, MOST_ANSWER = 1 << 16, WARM_UP = 50 };

static deer_error error;

static void die(const char *what)
{
    fprintf(stderr, "serve: %s\n", what);
    exit(1);
}

static void need(deer_status status)
{
    if (status)
        die(error.message);
}

/* ---------------------------------------------------------------- sockets ------------------ */

static void send_all(int fd, const uint8_t *data, size_t size)
{
    for (ssize_t sent; size > 0; data += sent, size -= (size_t)sent)
        if ((sent = send(fd, data, size, MSG_NOSIGNAL)) <= 0)
            die("the connection ended");
}

static void receive_all(int fd, uint8_t *data, size_t size)
{
    for (ssize_t came; size > 0; data += came, size -= (size_t)came)
        if ((came = recv(fd, data, size, 0)) <= 0)
            die("the connection ended");
}

static int connect_to(int port)
{
    const struct sockaddr_in at = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof at) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one))
        die("cannot connect");
    return fd;
}

/* ---------------------------------------------------------------- websocket ---------------- */

/* A whole message of the server's, in a buffer of MOST_ANSWER bytes. */
static size_t receive_message(int fd, uint8_t *message)
{
    uint8_t head[10];
    size_t size;

    receive_all(fd, head, 2);
    size = head[1] & 127;
    if (size >= 126) {
        size_t more = size == 126 ? 2 : 8;
        receive_all(fd, head, more);
        size = 0;
        for (size_t i = 0; i < more; i++)
            size = size << 8 | head[i];
    }
    if (size >= MOST_ANSWER)
        die("the answer is too long");
    receive_all(fd, message, size);
    return size;
}

static int open_websocket(int port)
{
    static const char hello[] = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    uint8_t message[MOST_ANSWER], last[4] = {0};
    int fd = connect_to(port);

    send_all(fd, (const uint8_t *)hello, sizeof hello - 1);
    while (memcmp(last, "\r\n\r\n", 4) != 0) {
        memmove(last, last + 1, 3);
        receive_all(fd, last + 3, 1);
    }
    receive_message(fd, message); /* what the server says of itself */
    return fd;
}

/* A request as one frame, masked as a client must. */
static void make_frame(msgpack_buffer *frame, const protocol_request *request)
{
    static const uint8_t head[14] = {0x82, 0x80 | 127, [10] = 1, 2, 3, 4};

    frame->size = 0;
    msgpack_put_raw(frame, head, sizeof head);
    protocol_write_request(frame, &PROTOCOL_KEYS, request);
    if (frame->failed)
        die("out of memory");
    for (size_t i = 0, size = frame->size - sizeof head; i < 8; i++)
        frame->data[9 - i] = (uint8_t)(size >> 8 * i);
    for (size_t i = sizeof head; i < frame->size; i++)
        frame->data[i] ^= head[10 + (i - sizeof head) % 4];
}

/* ---------------------------------------------------------------- echo --------------------- */

/* What the machine takes for the same bytes there and back, with nothing in between. */
typedef struct {
    int listening;
    size_t there, back;
} echo;

static void *run_echo(void *context)
{
    const echo *e = context;
    uint8_t *data = malloc(e->there + e->back);
    int fd = accept(e->listening, NULL, NULL), one = 1;

    if (fd < 0 || !data || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one))
        die("no echo");
    for (;;) {
        ssize_t came = recv(fd, data, 1, MSG_PEEK);
        if (came <= 0)
            break;
        receive_all(fd, data, e->there);
        send_all(fd, data, e->back);
    }
    close(fd);
    free(data);
    return NULL;
}

static int open_echo(echo *e)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    pthread_t thread;

    e->listening = socket(AF_INET, SOCK_STREAM, 0);
    if (e->listening < 0 || bind(e->listening, (const struct sockaddr *)&at, sizeof at) ||
        listen(e->listening, 1) || getsockname(e->listening, (struct sockaddr *)&at, &size) ||
        pthread_create(&thread, NULL, run_echo, e))
        die("no echo");
    return connect_to(ntohs(at.sin_port));
}

/* ---------------------------------------------------------------- measuring ---------------- */

enum { HERE, THERE, ADDED, INSIDE, ECHO, ROWS };

typedef struct {
    double *ms[ROWS];
    size_t n;
} measured;

static void wait_until(double moment)
{
    double left = moment - clock_seconds();

    if (left > 0)
        usleep((useconds_t)(1e6 * left));
}

static void draw(uint8_t *rgb, size_t size, uint64_t *random)
{
    for (size_t i = 0; i < size; i++)
        rgb[i] = (uint8_t)(random_next(random) >> 56);
}

static deer_session *open_session(const char *model_file, int exit, deer_camera camera)
{
    static const deer_pool_options alone = {.size = sizeof alone, .threads = 1};
    deer_session_options options = {
        .size = sizeof options, .static_view = camera, .gripper_view = camera};
    deer_model *model;
    deer_thresholds *thresholds;
    deer_session *session;

    need(deer_pool_new(&alone, &options.pool, &error));
    need(deer_model_open(model_file, exit, &model, &error));
    need(deer_thresholds_fixed(model, exit, &thresholds, &error));
    need(deer_session_new(model, thresholds, &options, &session, &error));
    need(deer_session_set_instruction(session, "lift the red block", &error));
    return session;
}

typedef struct {
    int server, echo; /* sockets */
    echo bytes;
    deer_session *session;
    deer_camera camera;
    double period; /* seconds between two steps, 0: none */
} bench;

/* A step, its round trip and the same bytes' echo; `infer_ms` of the step before is in and out.
 * What a step took inside the server its answer says, and the answer behind it how long the server
 * had it. */
static void measure_once(bench *b, protocol_request *request, double *infer_ms, double ms[ROWS])
{
    static uint8_t message[MOST_ANSWER];
    static msgpack_buffer frame;
    double began = clock_seconds();
    deer_action action;
    protocol_answer answer;

    need(deer_step(b->session, &request->seen, &action, &error));
    ms[HERE] = 1e3 * (clock_seconds() - began);
    make_frame(&frame, request);
    wait_until(began + b->period / 2);
    began = clock_seconds();
    send_all(b->server, frame.data, frame.size);
    need(protocol_read_answer(message, receive_message(b->server, message), &answer, &error));
    ms[THERE] = 1e3 * (clock_seconds() - began);
    ms[ADDED] = ms[THERE] - answer.infer_ms;
    ms[INSIDE] = answer.prev_total_ms - *infer_ms;
    *infer_ms = answer.infer_ms;
    if (memcmp(answer.command, action.command, sizeof answer.command) != 0)
        die("the server's action is another one");
    began = clock_seconds();
    send_all(b->echo, frame.data, b->bytes.there);
    receive_all(b->echo, message, b->bytes.back);
    ms[ECHO] = 1e3 * (clock_seconds() - began);
}

static void measure(bench *b, measured *m)
{
    size_t size = (size_t)b->camera.width * (size_t)b->camera.height * 3;
    uint8_t *rgb = malloc(2 * size);
    protocol_request request = {.static_view = b->camera,
                                .gripper_view = b->camera,
                                .prompt = "lift the red block",
                                .seen = {{rgb, size}, {rgb + size, size}}};
    uint64_t random = 1;
    double ms[ROWS], infer_ms = 0;

    if (!rgb)
        die("out of memory");
    for (size_t i = 0; i < WARM_UP + m->n; i++) {
        double began = clock_seconds();
        draw(rgb, 2 * size, &random);
        measure_once(b, &request, &infer_ms, ms);
        wait_until(began + b->period);
        for (int row = 0; i >= WARM_UP && row < ROWS; row++)
            m->ms[row][i - WARM_UP] = ms[row];
    }
    free(rgb);
}

static void print(measured *m)
{
    static const char *const names[ROWS] = {"deer_step in this process", "round trip",
                                            "round trip less its deer_step",
                                            "  of that in the server", "the same bytes, echoed"};
    static const double at[] = {0.5, 0.9, 0.99, 0.999};

    printf("%-30s %8s %8s %8s %8s\n", "ms", "median", "p90", "p99", "p99.9");
    for (int row = 0; row < ROWS; row++) {
        sort_numbers(m->ms[row], m->n);
        printf("%-30s", names[row]);
        for (size_t i = 0; i < sizeof at / sizeof *at; i++)
            printf(" %8.3f", quantile(m->ms[row], m->n, at[i]));
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    measured m = {.n = argc == 7 ? strtoul(argv[4], NULL, 10) : 0};
    double rate = argc == 7 ? strtod(argv[5], NULL) : 0;
    int side = argc == 7 ? atoi(argv[6]) : 0;
    bench b = {.camera = {.width = side, .height = side}, .period = rate > 0 ? 1 / rate : 0};

    if (m.n < 1 || m.n > 1000000 || side < 1 || side > MOST_SIDE)
        die("usage: serve PORT MODEL EXIT STEPS HZ SIDE");
    for (int row = 0; row < ROWS; row++)
        if (!(m.ms[row] = calloc(m.n, sizeof *m.ms[row])))
            die("out of memory");
    b.bytes = (echo){.there = 2 * 3 * (size_t)side * (size_t)side, .back = 256};
    b.session = open_session(argv[2], atoi(argv[3]), b.camera);
    b.server = open_websocket(atoi(argv[1]));
    b.echo = open_echo(&b.bytes);
    measure(&b, &m);
    print(&m);
    return 0;
}
