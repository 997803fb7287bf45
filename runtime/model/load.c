/* SPDX-License-Identifier: MIT */
/* load.c - from the file into the memory that the kernels read.
 *
 * Weights are read once, verified and packed on the way. They are not mapped: a file that another
 * process cuts short would end the robot's by a signal. Large pages make the copy worth it: a step
 * streams through all of it, and with small pages spends a third of that time on finding them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/base/threads/jobs.h"
#include "runtime/base/threads/threads.h"
#include "runtime/model/bind.h"
#include "runtime/model/model.h"

enum {
    LARGE_PAGE = 2 << 20,
    SMALL_PAGE = 4096,
    PIECE = 1 << 20, /* bytes read at once: still in the cache when they are packed */
    PANEL = 16,      /* rows of a panel */
    EXTRA = 2        /* work beside the copies */
};

/* ---------------------------------------------------------------- arena -------------------- */

static size_t whole(size_t bytes, size_t page)
{
    return (bytes + page - 1) / page * page;
}

size_t model_arena_bytes(size_t bytes)
{
    return whole(bytes, bytes >= 4 * (size_t)LARGE_PAGE ? LARGE_PAGE : SMALL_PAGE);
}

static deer_status make_arena(deer_model *model, size_t bytes, deer_error *err)
{
    size_t own = model_arena_bytes(bytes), large = own / LARGE_PAGE * LARGE_PAGE;
    size_t page = large ? LARGE_PAGE : SMALL_PAGE, room = whole(own, page);

    model->arena_bytes = own;
    model->arena = aligned_alloc(page, room); /* nothing behind `own` is touched */
    if (!model->arena)
        return deer_fail(err, "out of memory for %s: its weights need %zu MB", model->file.path,
                         bytes >> 20);
    /* Wishes: where steps come now and then, looking pages up takes a good part of them. */
    if (large)
        madvise(model->arena, large, MADV_HUGEPAGE);
    if (room > large)
        madvise((char *)model->arena + large, room - large, MADV_NOHUGEPAGE);
    return DEER_OK;
}

void model_unload(deer_model *model)
{
    free(model->arena);
    model->arena = NULL;
    model->arena_bytes = 0;
}

/* ---------------------------------------------------------------- pieces ------------------- */

/* What a thread reads into, and the checksum of the tensor it is at. */
typedef struct {
    const safetensors *file;
    char *piece; /* [size] */
    size_t size;
    checksum *sum; /* NULL where the file keeps none */
} reader;

static deer_status reader_open(const safetensors *file, size_t size, reader *r, deer_error *err)
{
    *r = (reader){.file = file, .piece = malloc(size), .size = size};
    if (safetensors_has_sums(file))
        r->sum = checksum_new();
    return r->piece && (r->sum || !safetensors_has_sums(file))
               ? DEER_OK
               : deer_fail(err, "out of memory opening %s", file->path);
}

static void reader_close(reader *r)
{
    checksum_free(r->sum);
    free(r->piece);
}

/* The next bytes of a tensor; begin with `at` at its begin. */
static deer_status read_on(reader *r, const safetensor *t, size_t at, void *to, size_t size,
                           deer_error *err)
{
    if (safetensors_read(r->file, at, to, size, err))
        return DEER_FAILED;
    if (r->sum && at == t->begin)
        checksum_begin(r->sum);
    if (r->sum)
        checksum_add(r->sum, to, size);
    return DEER_OK;
}

/* The tensor has been read whole. */
static deer_status verify(const reader *r, const safetensor *t, deer_error *err)
{
    char sum[CHECKSUM_DIGITS + 1];

    if (!r->sum)
        return DEER_OK;
    checksum_end(r->sum, sum);
    return safetensors_verify(r->file, t, sum, err);
}

/* ---------------------------------------------------------------- copies ------------------- */

static deer_status not_finite(const reader *r, const safetensor *t, deer_error *err)
{
    return deer_fail(err, "%s: tensor %s holds values that are not finite", r->file->path, t->name);
}

static deer_status copy_vector(reader *r, const model_copy *copy, deer_error *err)
{
    float *to = copy->to;
    size_t n = (size_t)copy->columns, room = (n + 15) / 16 * 16;
    int bad = 0;

    if (read_on(r, copy->from, copy->from->begin, to, n * sizeof *to, err) ||
        verify(r, copy->from, err))
        return DEER_FAILED;
    memset(to + n, 0, (room - n) * sizeof *to);
    for (size_t i = 0; i < n; i++)
        bad |= !isfinite(to[i]);
    return bad ? not_finite(r, copy->from, err) : DEER_OK;
}

/* Rows of a matrix that are read at once: whole panels. */
static int rows_at_once(size_t row)
{
    size_t rows = PIECE / row / PANEL * PANEL;

    return rows ? (int)rows : PANEL;
}

static deer_status copy_matrix(reader *r, const model_copy *copy, deer_error *err)
{
    const safetensor *t = copy->from;
    size_t row = (size_t)copy->k * number_size(t->type);
    int step = rows_at_once(row);
    weight_dtype type;
    bool good = weight_dtype_from_number(t->type, &type);

    for (int i = 0; i < copy->n && good; i += step) {
        int rows = copy->n - i < step ? copy->n - i : step;
        uint32_t *panels = (uint32_t *)copy->to + matrix_panel_words(type, i, copy->k);

        if (read_on(r, t, t->begin + (size_t)i * row, r->piece, (size_t)rows * row, err))
            return DEER_FAILED;
        good = matrix_pack(panels, r->piece, type, rows, copy->k, 0, (rows + PANEL - 1) / PANEL);
    }
    return good ? verify(r, t, err) : not_finite(r, t, err);
}

/* A tensor that stays in the file: an instruction reads a few of its rows. */
static deer_status look_through(reader *r, const safetensor *t, deer_error *err)
{
    for (size_t at = t->begin; r->sum && at < t->end; at += r->size) {
        size_t n = t->end - at < r->size ? t->end - at : r->size;

        if (read_on(r, t, at, r->piece, n, err))
            return DEER_FAILED;
    }
    return verify(r, t, err);
}

/* ---------------------------------------------------------------- loading ------------------ */

typedef struct {
    deer_model *model;
    size_t first_exit_end, piece; /* piece: bytes that a thread reads at once */
    const model_copy *copy;
} loading;

/* What may take longest comes first: work 0 is the fingerprint, 1 the embedding, then the copies.
 */
static deer_status load_one(const loading *l, int i, reader *r, deer_error *err)
{
    const model_copy *copy = &l->copy[i < EXTRA ? 0 : i - EXTRA];

    if (i == 0)
        return model_fingerprint(&l->model->file, l->first_exit_end, l->model->fingerprint, err);
    if (i == 1)
        return look_through(r, l->model->embedding, err);
    return (copy->n ? copy_matrix : copy_vector)(r, copy, err);
}

static deer_status load_some(jobs *all, void *context, deer_error *err)
{
    const loading *l = context;
    reader r;
    deer_status status = reader_open(&l->model->file, l->piece, &r, err);

    for (int i; !status && (i = jobs_next(all)) >= 0;)
        status = load_one(l, i, &r, err);
    reader_close(&r);
    return status;
}

/* Room for a piece of the matrix with the longest rows. */
static size_t largest_piece(const model_copy *copy, size_t count)
{
    size_t largest = PIECE;

    for (size_t i = 0; i < count; i++) {
        size_t row = (size_t)copy[i].k * number_size(copy[i].from->type);

        if (copy[i].n && row * PANEL > largest)
            largest = row * PANEL;
    }
    return largest;
}

deer_status model_load(deer_model *model, const match *m, size_t first_exit_end, deer_error *err)
{
    loading l = {.model = model, .first_exit_end = first_exit_end};
    model_copy *copies = calloc(2 * m->count + 1, sizeof *copies); /* a matrix may have scales */
    deer_status status;

    if (!copies)
        return deer_fail(err, "out of memory opening %s", model->file.path);
    status = make_arena(model, bind_bytes(m), err);
    if (!status) {
        size_t count = bind_weights(m, model->arena, &model->weights, copies);

        l.copy = copies;
        l.piece = largest_piece(copies, count);
        status = jobs_run((int)count + EXTRA, threads_count(), load_some, &l, err);
    }
    free(copies);
    return status;
}
