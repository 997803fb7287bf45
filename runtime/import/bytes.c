/* SPDX-License-Identifier: MIT */
/* bytes.c - reading pieces of a file, and the numbers in them. */
#include "runtime/import/bytes.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/machine_failure.h"

enum { WINDOW = 1 << 16, AHEAD = 4096, MOST_RANK = 16 };

deer_status bytes_open(const char *path, byte_source *b, deer_error *err)
{
    *b = (byte_source){.path = path, .fd = -1};
    if (file_open(path, &b->fd, &b->opened, err))
        return DEER_FAILED;
    b->size = (size_t)b->opened.st_size;
    if (b->size)
        return DEER_OK;
    bytes_close(b);
    return deer_fail(err, "%s is empty", path);
}

void bytes_close(byte_source *b)
{
    if (b->fd >= 0)
        close(b->fd);
    b->fd = -1;
}

byte_source bytes_of(const char *path, const void *memory, size_t size)
{
    return (byte_source){.path = path, .size = size, .memory = memory, .fd = -1};
}

deer_status bytes_read(const byte_source *b, size_t at, void *to, size_t size, deer_error *err)
{
    if (!b->memory)
        return file_read_at(b->fd, b->path, at, to, size, err);
    if (size)
        memcpy(to, b->memory + at, size);
    return DEER_OK;
}

uint8_t *bytes_copy(const byte_source *b, size_t at, size_t size, deer_error *err)
{
    uint8_t *copy = malloc(size + 1);

    if (!copy) {
        machine_fail(err, "out of memory reading %s", b->path);
        return NULL;
    }
    copy[size] = 0;
    if (!bytes_read(b, at, copy, size, err))
        return copy;
    free(copy);
    return NULL;
}

deer_status bytes_unchanged(const byte_source *b, deer_error *err)
{
    return b->memory ? DEER_OK : file_unchanged(b->fd, b->path, &b->opened, err);
}

/* ---------------------------------------------------------------- numbers ------------------ */

deer_status bytes_numbers(const byte_source *b, size_t at, number_type type, size_t n, float *out,
                          deer_error *err)
{
    uint8_t window[WINDOW];
    size_t size = number_size(type), most = WINDOW / size;

    while (n) {
        size_t some = n < most ? n : most;

        if (bytes_read(b, at, window, some * size, err))
            return DEER_FAILED;
        number_to_float(type, window, 1, some, out);
        at += some * size;
        out += some;
        n -= some;
    }
    return DEER_OK;
}

/* What a view is read through: dimensions by falling stride, so that reading goes forward. */
typedef struct {
    const byte_source *from;
    const bytes_view *view;
    size_t size; /* of a number */
    int rank;
    int64_t count[MOST_RANK], in[MOST_RANK],
        out[MOST_RANK]; /* strides in the file, in the result */
    float *result;
    size_t at, held; /* bytes of the view that are in byte */
    uint8_t byte[WINDOW];
} gathering;

/* n bytes from byte `at` of the view on, which are looked at together with some behind them. */
static const uint8_t *look(gathering *g, size_t at, size_t n, deer_error *err)
{
    size_t ahead = n > AHEAD ? n : AHEAD, left = g->view->size - at;

    if (at > g->view->size || n > left) {
        deer_fail(err, "%s has a tensor that reaches beyond its storage", g->from->path);
        return NULL;
    }
    if (at >= g->at && at + n <= g->at + g->held)
        return g->byte + (at - g->at);
    g->at = at;
    g->held = ahead < left ? ahead : left;
    if (!bytes_read(g->from, g->view->begin + at, g->byte, g->held, err))
        return g->byte;
    g->held = 0;
    return NULL;
}

/* The numbers of the innermost dimension, from number `at` of the view, to `to` of the result. */
static deer_status gather_run(gathering *g, int64_t at, int64_t to, deer_error *err)
{
    int last = g->rank - 1;
    int64_t step = g->in[last], most = WINDOW / (int64_t)g->size;

    most = step > 1 ? (most - 1) / step + 1 : most;
    for (int64_t done = 0; done < g->count[last];) {
        int64_t left = g->count[last] - done, some = left < most ? left : most;
        size_t span = (size_t)((some - 1) * step + 1) * g->size;
        const uint8_t *p = look(g, (size_t)(at + done * step) * g->size, span, err);

        if (!p)
            return DEER_FAILED;
        for (int64_t i = 0; i < some; i++, done++, p += (size_t)step * g->size)
            number_to_float(g->view->type, p, 1, 1, g->result + to + done * g->out[last]);
    }
    return DEER_OK;
}

static deer_status gather_from(gathering *g, int d, int64_t at, int64_t to, deer_error *err)
{
    deer_status status = DEER_OK;

    if (d == g->rank - 1)
        return gather_run(g, at, to, err);
    for (int64_t i = 0; i < g->count[d] && !status; i++)
        status = gather_from(g, d + 1, at + i * g->in[d], to + i * g->out[d], err);
    return status;
}

/* Puts dimension d, of n, where its stride belongs. */
static void insert(gathering *g, int64_t n, int64_t in, int64_t out)
{
    int i = g->rank++;

    for (; i > 0 && g->in[i - 1] < in; i--) {
        g->count[i] = g->count[i - 1];
        g->in[i] = g->in[i - 1];
        g->out[i] = g->out[i - 1];
    }
    g->count[i] = n;
    g->in[i] = in;
    g->out[i] = out;
}

deer_status bytes_gather(const byte_source *b, const bytes_view *view, size_t first, size_t rows,
                         float *out, deer_error *err)
{
    gathering g = {.from = b, .view = view, .size = number_size(view->type), .result = out};
    int64_t step = 1;

    if (view->rank < 1 || view->rank > MOST_RANK)
        return deer_fail(err, "%s: a tensor of %d dimensions", b->path, view->rank);
    for (int d = view->rank - 1; d >= 0; d--) {
        int64_t n = d ? view->shape[d] : (int64_t)rows;

        if (!n)
            return DEER_OK;
        insert(&g, n, view->stride[d], step);
        step *= n;
    }
    return gather_from(&g, 0, view->offset + (int64_t)first * view->stride[0], 0, err);
}
