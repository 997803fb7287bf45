/* SPDX-License-Identifier: MIT */
/* linear.c - products of activations with weights.
 *
 * With few rows a product is as fast as its weights come from memory: each thread takes some of the
 * panels and reads them once, and all threads make the operand of the rows together before. With
 * many rows the arithmetic decides: each thread takes some of the rows, and makes the operand of no
 * others. Either way the inputs go through in chunks, so that operands stay in the cache. */
#include <string.h>

#include "runtime/base/threads/threads.h"
#include "runtime/kernels/blas.h"
#include "runtime/kernels/tiles.h"

enum {
    BLOCK = 70,              /* most rows of an operand: 5 tiles, 148 KB */
    ROWS_TO_SPLIT = 64,      /* a thread's, from where on rows are split and not panels */
    WORTH_SHARING = 1 << 20, /* multiply-adds: some microseconds' worth */
};

/* ---------------------------------------------------------------- packing ------------------ */

static bool is_finite_word(weight_dtype type, uint32_t word)
{
    if (type == WEIGHT_F32)
        return (word & 0x7f800000) != 0x7f800000;
    return (word & 0x7f800000) != 0x7f800000 && (word & 0x7f80) != 0x7f80;
}

/* Four words of four rows each -> of each column, a panel's outputs apart. */
static void turn_four(uint32_t *to, const char *const row[4], int word)
{
    typedef uint32_t four __attribute__((vector_size(16), aligned(1), may_alias));
    size_t at = (size_t)word * sizeof *to;
    four a = *(const four *)(row[0] + at), b = *(const four *)(row[1] + at);
    four c = *(const four *)(row[2] + at), d = *(const four *)(row[3] + at);
    four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5); /* a0 b0 a1 b1 */
    four ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    four cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);

    to += word * ISA_PANEL;
    *(four *)to = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    *(four *)(to + ISA_PANEL) = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    *(four *)(to + 2 * ISA_PANEL) = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    *(four *)(to + 3 * ISA_PANEL) = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

enum { STRETCH = 16 }; /* words of a row that are packed at once */

static void turn(uint32_t *to, const char *const row[ISA_PANEL])
{
    for (int r = 0; r < ISA_PANEL; r += 4)
        for (int word = 0; word < STRETCH; word += 4)
            turn_four(to + r, row + r, word);
}

/* The last stretch of rows, `bytes` of it. */
static void turn_rest(uint32_t *panel, const char *const row[ISA_PANEL], size_t bytes)
{
    uint32_t words[ISA_PANEL][STRETCH] = {{0}}, turned[STRETCH * ISA_PANEL];
    const char *whole[ISA_PANEL];

    for (int r = 0; r < ISA_PANEL; r++) {
        memcpy(words[r], row[r], bytes);
        whole[r] = (const char *)words[r];
    }
    turn(turned, whole);
    memcpy(panel, turned, (bytes + 3) / 4 * ISA_PANEL * sizeof *panel);
}

void pack_panel(uint32_t *panel, const char *const row[ISA_PANEL], size_t row_bytes)
{
    static const uint32_t zeros[STRETCH];
    const size_t size = sizeof zeros;

    for (size_t at = 0; at < row_bytes; at += size, panel += STRETCH * ISA_PANEL) {
        const char *from[ISA_PANEL];

        for (int r = 0; r < ISA_PANEL; r++)
            from[r] = row[r] ? row[r] + at : (const char *)zeros;
        if (row_bytes - at >= size)
            turn(panel, from);
        else
            turn_rest(panel, from, row_bytes - at);
    }
}

bool matrix_pack(uint32_t *panels, const void *rows, weight_dtype type, int n, int k, int first,
                 int end)
{
    size_t row_bytes = (size_t)k * (type == WEIGHT_F32 ? 4 : type == WEIGHT_BF16 ? 2 : 1);
    size_t size = (size_t)matrix_words(type, k) * ISA_PANEL;
    uint32_t bad = 0;

    for (int p = first; p < end; p++) {
        const char *row[ISA_PANEL];
        uint32_t *panel = panels + (size_t)p * size;

        for (int r = 0; r < ISA_PANEL; r++) {
            int at = p * ISA_PANEL + r;
            row[r] = at < n ? (const char *)rows + (size_t)at * row_bytes : NULL;
        }
        pack_panel(panel, row, row_bytes);
        for (size_t i = 0; type != WEIGHT_Q8 && i < size; i++)
            bad |= !is_finite_word(type, panel[i]);
    }
    return !bad;
}

/* ---------------------------------------------------------------- tiles -------------------- */

void tile_product(const isa *set, weight_dtype type, float *y, long y_stride, int n,
                  const uint32_t *operand, const isa_row *row, int rows, const uint32_t *w,
                  long stride, int words, const float *scale, const float *start, bool add,
                  bool first, int panel, int panels)
{
    isa_tile *tile = set->tile[type][panels - 1][rows];
    int column = panel * ISA_PANEL, columns = smaller(n - column, panels * ISA_PANEL);
    const float *scales = scale ? scale + column : NULL, *from = start ? start + column : NULL;
    float edge[ISA_ROWS][ISA_PANELS * ISA_PANEL];

    if (columns == panels * ISA_PANEL) {
        tile(y + column, y_stride, operand, w + panel * stride, stride, words, row, scales, from,
             add, first);
        return;
    }
    tile(edge[0], ISA_PANELS * ISA_PANEL, operand, w + panel * stride, stride, words, row, scales,
         NULL, false, first);
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < columns; j++)
            y[r * y_stride + column + j] =
                ((add ? y[r * y_stride + column + j] : 0) + (from ? from[j] : 0)) + edge[r][j];
}

/* ---------------------------------------------------------------- one part ----------------- */

/* What one thread does. Operands of `rows` rows and `chunks` chunks have room at a time: a stage.
 * They are its own, or all threads share them and wait for each other. */
typedef struct {
    const isa *set;
    const linear_job *job;
    int part, parts; /* of those that share operands; parts 1: nobody does */
    int first_row, end_row, first_panel, end_panel;
    int rows, chunks;
    uint32_t *operand; /* [chunks][rows][stride] */
    isa_row *scales;   /* [chunks][rows] */
    long stride;
} linear_part;

/* Inputs of a chunk, and how many chunk `c` really has. */
static int chunk_inputs(const linear_part *p)
{
    return ISA_WORDS * matrix_inputs(p->job->layer->w.type);
}
static int inputs_of(const linear_part *p, int c)
{
    return smaller(chunk_inputs(p), p->job->layer->w.k - c * chunk_inputs(p));
}

/* This thread's share of the operands of a stage: some rows of some chunks. */
static void make_operands(const linear_part *p, int row, int rows, int first_chunk, int end_chunk)
{
    const linear_job *job = p->job;
    int all = (end_chunk - first_chunk) * rows, end = all * (p->part + 1) / p->parts;

    for (int i = all * p->part / p->parts, some; i < end; i += some) {
        int c = first_chunk + i / rows, r = i % rows;
        long at = (long)(c - first_chunk) * p->rows + r;
        some = smaller(rows - r, end - i);
        p->set->operand[job->layer->w.type](p->operand + at * p->stride, p->scales + at,
                                            job->x + (row + r) * job->x_stride +
                                                (long)c * chunk_inputs(p),
                                            job->x_stride, some, inputs_of(p, c));
    }
}

/* Rows of a block, from `row` on, in tiles: as few tiles as possible, rows dealt evenly: the first
 * `more` tiles have one more than `each`. */
typedef struct {
    int row, tiles, each, more;
} row_tiles;

static row_tiles deal_rows(const linear_part *p, int row, int rows)
{
    int most = p->set->rows[p->job->layer->w.type], tiles = (rows + most - 1) / most;

    return (row_tiles){row, tiles, rows / tiles, rows % tiles};
}

/* y of some panels and a block of rows += what one chunk, the c-th, gives; its operand has room
 * `slot` of the stage. */
static void multiply(const linear_part *p, const row_tiles *b, int c, int slot, int panel,
                     int panels)
{
    const linear_job *job = p->job;
    const matrix *w = &job->layer->w;
    const uint32_t *words = w->panels + (long)c * ISA_WORDS * ISA_PANEL;
    long stride = (long)matrix_words(w->type, w->k) * ISA_PANEL, at = (long)slot * p->rows;
    int count = matrix_words(w->type, inputs_of(p, c));
    float *y = job->y + (long)b->row * w->n;

    for (int t = 0; t < b->tiles; t++) {
        int rows = b->each + (t < b->more);
        tile_product(p->set, w->type, y, w->n, w->n, p->operand + at * p->stride, p->scales + at,
                     rows, words, stride, count, w->scale, c ? NULL : job->layer->b,
                     c > 0 || job->add, t == 0 && b->row == p->first_row, panel, panels);
        y += (long)rows * w->n;
        at += rows;
    }
}

static void end_rows(const linear_part *p, int row, int rows, int first, int end)
{
    const linear_job *job = p->job;
    void (*then)(float *, int) = job->then == ACTIVATION_GELU ? p->set->gelu : p->set->quick_gelu;

    for (int r = row; job->then != ACTIVATION_NONE && r < row + rows; r++)
        then(job->y + (long)r * job->layer->w.n + first, end - first);
}

/* Some panels at a time, so that y is summed and ended while it is in the cache. */
static void run_stage(const linear_part *p, int row, int rows, int first_chunk, int end_chunk,
                      int chunks)
{
    int n = p->job->layer->w.n, step = tile_panels(p->set, p->job->layer->w.type, rows);
    row_tiles block = deal_rows(p, row, rows);

    for (int panel = p->first_panel; panel < p->end_panel; panel += step) {
        int first = panel * ISA_PANEL, panels = smaller(step, p->end_panel - panel);
        int end = smaller(first + panels * ISA_PANEL, n);
        for (int c = first_chunk; c < end_chunk; c++)
            multiply(p, &block, c, c - first_chunk, panel, panels);
        if (end_chunk == chunks)
            end_rows(p, row, rows, first, end);
    }
}

static void run_part(const linear_part *p)
{
    int size = chunk_inputs(p), chunks = (p->job->layer->w.k + size - 1) / size;

    for (int row = p->first_row; row < p->end_row; row += p->rows) {
        int rows = smaller(p->rows, p->end_row - row);
        for (int c = 0; c < chunks; c += p->chunks) {
            int end = smaller(c + p->chunks, chunks);
            make_operands(p, row, rows, c, end);
            threads_meet(p->parts);
            run_stage(p, row, rows, c, end, chunks);
            if (end < chunks || row + rows < p->end_row)
                threads_meet(p->parts); /* before the next stage's operands take the place */
        }
    }
    if (p->set->leave)
        p->set->leave();
}

/* ---------------------------------------------------------------- all parts ---------------- */

static size_t row_bytes(int subwords)
{
    return sizeof(isa_row) + (size_t)isa_row_stride(subwords) * sizeof(uint32_t);
}

/* A block where a word is a subword, and a few rows at least where it is not. */
size_t workspace_linear(int rows)
{
    size_t block = (size_t)smaller(rows, BLOCK) * row_bytes(1);
    size_t few = (size_t)smaller(rows, 4) * row_bytes(ISA_SUBWORDS);
    _Static_assert(BLAS_ROWS * ISA_WORDS >= ISA_WORDS * BLAS_OUTPUTS, "room for blas_rows");

    return 64 + (block > few ? block : few);
}

typedef struct {
    const workspace *ws;
    const linear_job *job;
} linear_share;

/* Room for operands of some rows: a block of them, and of as many chunks as fit. */
static void take_room(linear_part *p, char *room, size_t bytes)
{
    int subwords = p->set->subwords[p->job->layer->w.type], most = p->end_row - p->first_row;
    int size = chunk_inputs(p), chunks = (p->job->layer->w.k + size - 1) / size;
    size_t fit = (bytes - 64) / row_bytes(subwords);

    p->rows = smaller(smaller(most, BLOCK), fit < BLOCK ? (int)fit : BLOCK);
    p->chunks = smaller(chunks, (int)(fit / (size_t)p->rows));
    p->stride = isa_row_stride(subwords);
    p->operand = (uint32_t *)(void *)room;
    p->scales =
        (isa_row *)(void *)(p->operand + (size_t)p->chunks * (size_t)p->rows * (size_t)p->stride);
}

/* All by OpenBLAS, rows dealt to the threads. */
static void share_blas(void *context, int part, int parts)
{
    const linear_share *s = context;
    const linear_job *job = s->job;
    linear_part p = {.set = isa_of(job->layer->w.type), .job = job, .parts = 1};
    int first = job->m * part / parts, end = job->m * (part + 1) / parts, n = job->layer->w.n;

    blas_rows(job, first, end, 0, (n + ISA_PANEL - 1) / ISA_PANEL,
              (float *)(void *)(s->ws->base + (size_t)part * s->ws->bytes));
    for (int r = first; r < end; r++)
        end_rows(&p, r, 1, 0, n);
}

static void share(void *context, int part, int parts)
{
    const linear_share *s = context;
    const linear_job *job = s->job;
    linear_part p = {.set = isa_of(job->layer->w.type), .job = job, .parts = 1, .end_row = job->m};
    int panels = (job->layer->w.n + ISA_PANEL - 1) / ISA_PANEL, pairs = (panels + 1) / 2;

    p.end_panel = panels;
    if (job->m >= ROWS_TO_SPLIT * parts) {
        p.first_row = job->m * part / parts;
        p.end_row = job->m * (part + 1) / parts;
        take_room(&p, s->ws->base + (size_t)part * s->ws->bytes, s->ws->bytes);
    } else {
        p.part = part, p.parts = parts;
        p.first_panel = pairs * part / parts * 2;
        p.end_panel = smaller(panels, pairs * (part + 1) / parts * 2);
        take_room(&p, s->ws->base, (size_t)parts * s->ws->bytes);
    }
    run_part(&p);
}

void linear_run(const workspace *ws, const linear_job *job)
{
    linear_share s = {ws, job};
    bool worth = (double)job->m * job->layer->w.n * job->layer->w.k >= WORTH_SHARING;

    if (blas_takes(isa_of(job->layer->w.type), job))
        threads_run(share_blas, &s, worth ? ws->parts : 1);
    else if (!worth)
        share(&s, 0, 1);
    else if (job->m >= ROWS_TO_SPLIT * ws->parts)
        threads_run(share, &s, ws->parts);
    else
        threads_run_together(share, &s, ws->parts);
}
