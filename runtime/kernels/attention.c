/* SPDX-License-Identifier: MIT */
/* attention.c - multi-head attention on the same tiles as the products, one head at a time.
 *
 * A head's keys and values are packed like weights; its queries go through in tiles of a few rows,
 * so that the scores of a tile never leave the cache. Heads and sequences are shared between
 * threads. Sums and the softmax are float32; the products may be bfloat16's. */
#include <string.h>

#include "runtime/base/threads/threads.h"
#include "runtime/kernels/tiles.h"

enum { WORTH_SHARING = 1 << 20 }; /* multiply-adds */

static size_t panels_of(int n)
{
    return ((size_t)n + ISA_PANEL - 1) / ISA_PANEL;
}

/* One thread's memory, for float32; bfloat16 needs half as much for keys and values. */
typedef struct {
    uint32_t *keys;    /* panels over keys: [tk / 16][dim][16] */
    uint32_t *values;  /* panels over the values' components: [dim / 16][tk][16] */
    uint32_t *operand; /* of up to ISA_WORDS words, which have one subword or, in bfloat16, two */
    float *scores;     /* [rows][tk rounded up to 16] */
} attention_room;

static size_t lay_out(int tk, int dim, attention_room *room, char *base)
{
    size_t keys = panels_of(tk) * ISA_PANEL * (size_t)dim;
    size_t values = panels_of(dim) * ISA_PANEL * (size_t)tk;
    size_t operand = ISA_ROWS * (size_t)isa_row_stride(2);
    size_t scores = ISA_ROWS * panels_of(tk) * ISA_PANEL, at = 0;

    if (room)
        room->keys = (uint32_t *)(void *)(base + at);
    at += keys * 4;
    if (room)
        room->values = (uint32_t *)(void *)(base + at);
    at += values * 4;
    if (room)
        room->operand = (uint32_t *)(void *)(base + at);
    at += (operand + 15) / 16 * 64;
    if (room)
        room->scores = (float *)(void *)(base + at);
    return at + scores * 4;
}

size_t workspace_attention(int tk, int dim)
{
    return lay_out(tk, dim, NULL, NULL);
}

/* A panel of up to 16 rows of x, as float32 or as bfloat16. */
static void pack_f32(uint32_t *to, const float *x, long stride, int rows, int columns)
{
    const char *row[ISA_PANEL] = {NULL};

    for (int r = 0; r < rows; r++)
        row[r] = (const char *)(x + r * stride);
    pack_panel(to, row, (size_t)columns * sizeof *x);
}
static void pack_bf16(const isa *set, uint32_t *to, const float *x, long stride, int rows,
                      int columns)
{
    enum { STRETCH = 32 };
    uint32_t words[ISA_PANEL][STRETCH / 2];
    const char *row[ISA_PANEL] = {NULL};

    for (int r = 0; r < rows; r++)
        row[r] = (const char *)words[r];
    for (int c = 0; c < columns; c += STRETCH, to += sizeof words / sizeof *to) {
        int n = smaller(columns - c, STRETCH);
        for (int r = 0; r < rows; r++)
            set->bf16_words(words[r], x + r * stride + c, n);
        pack_panel(to, row, (size_t)matrix_words(WEIGHT_BF16, n) * sizeof *to);
    }
}

/* Panels of x [rows, columns] over its rows, as weights [rows, columns] have them. */
static void pack_rows(const isa *set, weight_dtype type, uint32_t *to, const float *x, long stride,
                      int rows, int columns)
{
    for (int p = 0; p < rows; p += ISA_PANEL, x += ISA_PANEL * stride) {
        int some = smaller(rows - p, ISA_PANEL);
        if (type == WEIGHT_F32)
            pack_f32(to, x, stride, some, columns);
        else
            pack_bf16(set, to, x, stride, some, columns);
        to += (long)matrix_words(type, columns) * ISA_PANEL;
    }
}

/* Panels over its columns, as weights [columns, rows] have them. */
static void pack_columns(const isa *set, weight_dtype type, uint32_t *to, const float *x,
                         long stride, int rows, int columns)
{
    const float zeros[ISA_PANEL] = {0};

    for (int p = 0; p < columns; p += ISA_PANEL) {
        int some = smaller(columns - p, ISA_PANEL);
        for (int r = 0; r < rows; r += matrix_inputs(type), to += ISA_PANEL) {
            const float *first = x + r * stride + p;
            if (some < ISA_PANEL)
                memset(to, 0, ISA_PANEL * sizeof *to);
            if (type == WEIGHT_F32 && some == ISA_PANEL)
                memcpy(to, first, ISA_PANEL * sizeof *to); /* a constant size needs no call */
            else if (type == WEIGHT_F32)
                memcpy(to, first, (size_t)some * sizeof *to);
            else
                set->bf16_words_across(to, first, r + 1 < rows ? first + stride : zeros, some);
        }
    }
}

/* y[rows, n] = x[rows, k] w^T, w in panels. */
static void product(const isa *set, weight_dtype type, float *y, long y_stride, int n,
                    const float *x, long x_stride, int rows, const uint32_t *w, int k,
                    uint32_t *operand)
{
    int panels = (int)panels_of(n), most = tile_panels(set, type, rows);
    int chunk = ISA_WORDS * matrix_inputs(type);
    long size = (long)matrix_words(type, k) * ISA_PANEL;

    for (int from = 0; from < k; from += chunk, w += (long)ISA_WORDS * ISA_PANEL) {
        int some = smaller(k - from, chunk);
        set->operand[type](operand, NULL, x + from, x_stride, rows, some);
        for (int p = 0; p < panels; p += most)
            tile_product(set, type, y, y_stride, n, operand, NULL, rows, w, size,
                         matrix_words(type, some), NULL, NULL, from > 0, false, p,
                         smaller(panels - p, most));
    }
}

/* A few queries of a head, from `first` on. */
static void attend(const isa *set, const attention_job *a, const attention_room *room,
                   const float *q, float *out, int head, int first, int rows)
{
    long width = (long)a->heads * a->dim, stride = (long)panels_of(a->tk) * ISA_PANEL;
    softmax_form form = {.n = a->tk, .used = a->tk, .scale = a->scale};

    /* Keys that fill the last panel up score zero, which the softmax leaves out. */
    product(set, a->type, room->scores, stride, (int)stride, q + first * a->q_stride, a->q_stride,
            rows, room->keys, a->dim, room->operand);
    if (a->slopes)
        form.used = first + 1, form.more = 1, form.slope = a->slopes[head];
    set->softmax(room->scores, stride, rows, &form);
    product(set, a->type, out + first * width, width, a->dim, room->scores, stride, rows,
            room->values, a->tk, room->operand);
}

static void attend_head(const isa *set, const attention_job *a, const attention_room *room,
                        int sequence, int head)
{
    long at = (long)head * a->dim, width = (long)a->heads * a->dim;
    long queries = (long)sequence * a->tq, keys = (long)sequence * a->tk;
    int most = set->rows[a->type], tiles = (a->tq + most - 1) / most;

    pack_rows(set, a->type, room->keys, a->k + keys * a->kv_stride + at, a->kv_stride, a->tk,
              a->dim);
    pack_columns(set, a->type, room->values, a->v + keys * a->kv_stride + at, a->kv_stride, a->tk,
                 a->dim);
    for (int t = 0; t < tiles; t++) {
        int first = a->tq * t / tiles, end = a->tq * (t + 1) / tiles;
        attend(set, a, room, a->q + queries * a->q_stride + at, a->out + queries * width + at, head,
               first, end - first);
    }
}

typedef struct {
    const workspace *ws;
    const attention_job *job;
} attention_share;

static void share(void *context, int part, int parts)
{
    const attention_share *s = context;
    const attention_job *a = s->job;
    const isa *set = isa_of(a->type);
    int heads = a->sequences * a->heads;
    attention_room room;

    lay_out(a->tk, a->dim, &room, s->ws->base + (size_t)part * s->ws->bytes);
    for (int i = heads * part / parts; i < heads * (part + 1) / parts; i++)
        attend_head(set, a, &room, i / a->heads, i % a->heads);
    if (set->leave)
        set->leave();
}

void attention_run(const workspace *ws, const attention_job *job)
{
    attention_share s = {ws, job};
    double macs = 2.0 * job->sequences * job->heads * job->tq * job->tk * job->dim;

    threads_run(share, &s, macs >= WORTH_SHARING ? ws->parts : 1);
}
