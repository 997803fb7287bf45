/* SPDX-License-Identifier: MIT */
/* program.c - the architecture as dispatches: the same products in the same order as
 * runtime/processor/vision.c, decoder.c and head.c. */
#include "runtime/gpu/program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/model/arch.h"

enum {
    MOST_GROUPS = 65535, /* that every device takes */
    SHARED = 16384,      /* bytes of shared memory, likewise */
    MORE = 256,
};

/* What was touched since the last barrier of the unit. */
typedef struct {
    gpu_slice slice;
    size_t begin, end;
    bool write;
} touch;

typedef struct {
    gpu_program *p;
    const deer_config *c;
    gpu_taste taste;
    touch *touched; /* [room] */
    int touches, touches_room;
    bool fresh; /* the next dispatch is the first of its unit */
    int unit;   /* whose dispatches are being added */
} builder;

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static uint32_t number(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* ---------------------------------------------------------------- the list ----------------- */

static gpu_view all(const builder *b, gpu_slice slice)
{
    return (gpu_view){.slice = slice, .words = b->p->size[slice]};
}

static gpu_view part(gpu_slice slice, size_t offset, size_t words)
{
    return (gpu_view){.slice = slice, .offset = offset, .words = words};
}

/* The same, of which only so many words from `at` on are touched. */
static gpu_view touching(gpu_view v, size_t at, size_t words)
{
    v.touched_at = at;
    v.touched = words;
    return v;
}

static gpu_view weight(const builder *b, const void *at, size_t words)
{
    return at ? (gpu_view){.weight = at, .words = words} : all(b, SLICE_NOTHING);
}

static bool clashes(const builder *b, const touch *t)
{
    for (int i = 0; i < b->touches; i++) {
        const touch *o = &b->touched[i];
        if (o->slice == t->slice && o->begin < t->end && t->begin < o->end &&
            (o->write || t->write))
            return true;
    }
    return false;
}

static touch touch_of(const gpu_view *v, bool write)
{
    size_t begin = v->offset + v->touched_at;

    return (touch){v->slice, begin, begin + (v->touched ? v->touched : v->words), write};
}

/* The touches of a dispatch; returns how many. */
static int touches_of(const gpu_dispatch *d, touch *t)
{
    bool copies = d->kernel >= GPU_KERNELS;
    int views = d->kernel == GPU_ZERO ? 1 : copies ? 2 : gpu_kernels[d->kernel].views, n = 0;
    uint32_t write = copies ? 1 : gpu_kernels[d->kernel].write;

    for (int i = 0; i < views; i++)
        if (!d->view[i].weight)
            t[n++] = touch_of(&d->view[i], write >> i & 1);
    if (!copies)
        t[n++] = (touch){SLICE_LIVE, 0, SIZE_MAX, write & GPU_WRITES_ORDERS};
    return n;
}

static void note_touches(builder *b, gpu_dispatch *d)
{
    touch t[GPU_VIEWS + 1];
    int n = touches_of(d, t);

    d->barrier = b->fresh;
    for (int i = 0; i < n; i++)
        d->barrier = d->barrier || clashes(b, &t[i]);
    if (d->barrier)
        b->touches = 0;
    b->fresh = false;
    if (b->touches + n > b->touches_room) {
        int room = 2 * b->touches_room + MORE;
        touch *more = realloc(b->touched, (size_t)room * sizeof *more);
        if (!more) {
            b->p->trouble = "out of memory";
            return;
        }
        b->touched = more;
        b->touches_room = room;
    }
    memcpy(b->touched + b->touches, t, (size_t)n * sizeof *t);
    b->touches += n;
}

static void add(builder *b, gpu_dispatch d)
{
    gpu_program *p = b->p;

    for (int i = 0; i < 3; i++)
        if (d.groups[i] > MOST_GROUPS)
            p->trouble = "it is too large for one dispatch; use fewer observations at a time";
    note_touches(b, &d);
    if (p->count == p->room) {
        gpu_dispatch *more = realloc(p->list, (size_t)(2 * p->room + MORE) * sizeof *more);
        if (!more) {
            p->trouble = "out of memory";
            return;
        }
        p->list = more;
        p->room = 2 * p->room + MORE;
    }
    p->list[p->count++] = d;
    p->unit[b->unit].end = p->count;
}

static void begin_unit(builder *b, int unit)
{
    b->p->unit[unit].first = b->p->count;
    b->unit = unit;
    b->touches = 0;
    b->fresh = true;
}

static void copy(builder *b, gpu_view to, gpu_view from)
{
    add(b, (gpu_dispatch){.kernel = GPU_COPY, .view = {to, from}});
}

static void zero(builder *b, gpu_slice slice)
{
    add(b, (gpu_dispatch){.kernel = GPU_ZERO, .view = {all(b, slice)}});
}

/* ---------------------------------------------------------------- kernels ------------------ */

/* Rows that take part: where the orders have their pair, and how many there can be. */
typedef struct {
    int at;
    size_t most;
} rows_of;

typedef enum { THEN_NOTHING, THEN_GELU, THEN_QUICK_GELU, THEN_RELU } then_what;
typedef enum { PUT, ADD, ADD_GATED } how;

typedef struct {
    gpu_view to, from;
    rows_of rows;
    size_t from_at, from_stride, to_at, to_stride; /* words; strides 0: as wide as the matrix */
    then_what then;
    how add;
    const float *gate; /* of ADD_GATED */
    bool biasless;     /* the bias is added elsewhere */
} product;

static gpu_view matrix_view(const builder *b, const matrix *m)
{
    return weight(b, m->panels, matrix_panel_words(m->type, m->n, m->k));
}

/* Makes bytes of the inputs; they lie in rows of whole words then. */
static void quantise(builder *b, const matrix *m, product *of)
{
    size_t words = (size_t)matrix_words(m->type, m->k), chunks = ((size_t)m->k + 2047) / 2048;
    size_t *size = b->p->size, stride = of->from_stride ? of->from_stride : (size_t)m->k;

    size[SLICE_BYTES] = larger(size[SLICE_BYTES], of->rows.most * words);
    size[SLICE_BYTE_SCALES] = larger(size[SLICE_BYTE_SCALES], of->rows.most * chunks);
    add(b, (gpu_dispatch){.kernel = GPU_QUANTISE,
                          .constants = {b->taste.lanes},
                          .view = {all(b, SLICE_BYTES), all(b, SLICE_BYTE_SCALES), of->from},
                          .push = {(uint32_t)of->rows.at, (uint32_t)m->k, (uint32_t)words,
                                   (uint32_t)stride, (uint32_t)of->from_at},
                          .groups = {(uint32_t)chunks, (uint32_t)of->rows.most, 1}});
    of->from = all(b, SLICE_BYTES);
    of->from_at = 0;
    of->from_stride = words;
}

/* Of a single row the rest of both slices is left alone. */
static void touch_one_row(const matrix *m, product *of)
{
    of->from = touching(of->from, of->from_at, (size_t)m->k);
    of->to = touching(of->to, of->to_at, (size_t)m->n);
}

static void multiply(builder *b, const linear_layer *l, product of)
{
    const matrix *m = &l->w;
    bool few = of.rows.most <= b->taste.few, bias = l->b && !of.biasless;
    uint32_t rows = of.rows.most <= 2 ? 2 : 16, panels = ((uint32_t)m->n + 15) / 16;
    uint32_t high = (uint32_t)of.rows.most;

    if (high == 1)
        touch_one_row(m, &of);
    if (m->type == WEIGHT_Q8)
        quantise(b, m, &of);
    add(b,
        (gpu_dispatch){
            .kernel = few ? GPU_LINEAR_FEW : GPU_LINEAR_MANY,
            .constants = {(uint32_t)m->type, rows, b->taste.slices},
            .view = {of.to, of.from,
                     m->type == WEIGHT_Q8 ? all(b, SLICE_BYTE_SCALES) : all(b, SLICE_NOTHING),
                     matrix_view(b, m), weight(b, m->scale, (size_t)m->n),
                     weight(b, bias ? l->b : NULL, (size_t)m->n),
                     weight(b, of.add == ADD_GATED ? of.gate : NULL, 1)},
            .push = {(uint32_t)of.rows.at, (uint32_t)m->n, (uint32_t)m->k,
                     (uint32_t)matrix_words(m->type, m->k),
                     (uint32_t)(of.from_stride ? of.from_stride : (size_t)m->k),
                     (uint32_t)of.from_at, (uint32_t)(of.to_stride ? of.to_stride : (size_t)m->n),
                     (uint32_t)of.to_at, of.then, of.add, bias},
            .groups = {few ? panels : (panels + 3) / 4,
                       few ? (high + rows - 1) / rows : (high + 63) / 64, 1}});
}

/* Rows in groups of `per`, which lie `group` words apart. */
typedef struct {
    size_t at, group, stride;
} rows_at;

static void norm_groups(builder *b, const norm_layer *l, gpu_view to, rows_at to_at, gpu_view from,
                        rows_at from_at, rows_of rows, size_t per, size_t n, bool relu)
{
    add(b, (gpu_dispatch){
               .kernel = GPU_LAYERNORM,
               .constants = {b->taste.lanes},
               .view = {to, from, weight(b, l->w, n), weight(b, l->b, n), all(b, SLICE_NOTHING)},
               .push = {(uint32_t)rows.at, (uint32_t)n, (uint32_t)per, (uint32_t)from_at.at,
                        (uint32_t)from_at.group, (uint32_t)from_at.stride, (uint32_t)to_at.at,
                        (uint32_t)to_at.group, (uint32_t)to_at.stride, 0, l->b != NULL, relu},
               .groups = {(uint32_t)rows.most, 1, 1}});
}

static void norm(builder *b, const norm_layer *l, gpu_view to, gpu_view from, rows_of rows,
                 size_t n)
{
    norm_groups(b, l, to, (rows_at){0, n, n}, from, (rows_at){0, n, n}, rows, 1, n, false);
}

typedef struct {
    gpu_view to, q, kv;
    size_t q_at, k_at, v_at, q_stride, kv_stride;
    int rows, table; /* of sequences */
    int heads, dim;
    size_t sequences, most_q;
    bool causal, round;
    int visible;
} look;

/* Queries and keys of a tile, and invocations, so that a tile fits in shared memory. */
static bool tiles_for(uint32_t dim, uint32_t most_lanes, uint32_t tile[3])
{
    static const uint32_t sizes[][3] = {{16, 32, 64}, {8, 16, 64}, {4, 16, 64},
                                        {4, 32, 8},   {4, 8, 8},   {1, 4, 4}};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint32_t q = sizes[i][0], k = sizes[i][1], lanes = sizes[i][2];
        memcpy(tile, sizes[i], sizeof sizes[i]);
        if (lanes <= most_lanes && 4 * ((q + k) * (dim + 1) + q * k + 2 * lanes) <= SHARED)
            return true;
    }
    return false;
}

static void attend(builder *b, const look *a)
{
    uint32_t tile[3], dim = (uint32_t)a->dim;

    if (!tiles_for(dim, b->taste.lanes, tile))
        b->p->trouble = "its attention heads are too wide";
    add(b,
        (gpu_dispatch){.kernel = GPU_ATTENTION,
                       .constants = {dim, tile[0], tile[1], tile[2]},
                       .view = {a->to, a->q, a->kv, all(b, SLICE_SLOPES)},
                       .push = {(uint32_t)a->rows, (uint32_t)a->table, (uint32_t)a->q_stride,
                                (uint32_t)a->kv_stride, (uint32_t)(a->heads * a->dim),
                                (uint32_t)a->q_at, (uint32_t)a->k_at, (uint32_t)a->v_at, a->causal,
                                a->round, (uint32_t)a->visible, number(1 / sqrtf((float)a->dim))},
                       .groups = {((uint32_t)a->most_q + tile[0] - 1) / tile[0], (uint32_t)a->heads,
                                  (uint32_t)a->sequences}});
}

/* ---------------------------------------------------------------- images ------------------- */

/* Of one image. */
static size_t patches_of(const deer_config *c)
{
    size_t grid = (size_t)(c->image_size / c->patch_size);

    return grid * grid;
}

static size_t images_of(const builder *b)
{
    return (size_t)ARCH_VIEWS * (size_t)b->p->frames;
}

static rows_of rows(const builder *b, arch_rows kind)
{
    size_t n = images_of(b), p = patches_of(b->c), l = (size_t)b->c->resampler_latents;

    switch (kind) {
    case ARCH_PATCHES:
        return (rows_of){ORDERS_PATCHES, n * p};
    case ARCH_TOKENS:
        return (rows_of){ORDERS_TOKENS, n * (p + 1)};
    case ARCH_LATENTS:
        return (rows_of){ORDERS_LATENTS, n * l};
    case ARCH_SEEN:
        return (rows_of){ORDERS_SEEN, n * (p + l)};
    default:
        return (rows_of){ORDERS_TEXT, (size_t)b->p->frames * (size_t)b->c->max_text};
    }
}

/* Attention is float32 where the weights beside it are. */
static bool rounds(const linear_layer *l)
{
    return l->w.type != WEIGHT_F32;
}

static void embed_patches(builder *b)
{
    const deer_config *c = b->c;
    const vision_weights *v = &b->p->model->weights.vision;
    size_t w = (size_t)c->vision_width, p = patches_of(c);
    rows_of patches = rows(b, ARCH_PATCHES), tokens = rows(b, ARCH_TOKENS);

    add(b, (gpu_dispatch){
               .kernel = GPU_PATCHES,
               .view = {all(b, SLICE_PATCHES), all(b, SLICE_PIXELS)},
               .push = {(uint32_t)patches.at, (uint32_t)c->image_size, (uint32_t)c->patch_size},
               .groups = {(uint32_t)patches.most, 1, 1}});
    multiply(b, &v->conv1,
             (product){.to = all(b, SLICE_MIXED), .from = all(b, SLICE_PATCHES), .rows = patches});
    add(b, (gpu_dispatch){.kernel = GPU_TOKENS,
                          .view = {all(b, SLICE_TOKENS), all(b, SLICE_MIXED),
                                   weight(b, v->class_embedding, w),
                                   weight(b, v->positional_embedding, (p + 1) * w)},
                          .push = {(uint32_t)tokens.at, (uint32_t)w, (uint32_t)p},
                          .groups = {(uint32_t)tokens.most, 1, 1}});
    norm(b, &v->ln_pre, all(b, SLICE_TOKENS), all(b, SLICE_TOKENS), tokens, w);
}

static void vision_layer(builder *b, const vision_block *l)
{
    const deer_config *c = b->c;
    size_t w = (size_t)c->vision_width;
    rows_of tokens = rows(b, ARCH_TOKENS);
    gpu_view stream = all(b, SLICE_TOKENS), normed = all(b, SLICE_NORMED);
    gpu_view wide = all(b, SLICE_WIDE), mixed = all(b, SLICE_MIXED);

    norm(b, &l->ln_1, normed, stream, tokens, w);
    multiply(b, &l->in_proj, (product){.to = wide, .from = normed, .rows = tokens});
    attend(b, &(look){.to = mixed,
                      .q = wide,
                      .kv = wide,
                      .k_at = w,
                      .v_at = 2 * w,
                      .q_stride = 3 * w,
                      .kv_stride = 3 * w,
                      .rows = ORDERS_IMAGES,
                      .table = b->p->at.vision,
                      .heads = c->vision_heads,
                      .dim = c->vision_width / c->vision_heads,
                      .sequences = images_of(b),
                      .most_q = patches_of(c) + 1,
                      .round = rounds(&l->in_proj)});
    multiply(b, &l->out_proj, (product){.to = stream, .from = mixed, .rows = tokens, .add = ADD});
    norm(b, &l->ln_2, normed, stream, tokens, w);
    multiply(b, &l->c_fc,
             (product){.to = wide, .from = normed, .rows = tokens, .then = THEN_QUICK_GELU});
    multiply(b, &l->c_proj, (product){.to = stream, .from = wide, .rows = tokens, .add = ADD});
}

static void vision(builder *b)
{
    begin_unit(b, UNIT_VISION);
    copy(b, part(SLICE_LIVE, 0, ORDERS_TEXT_PART), all(b, SLICE_SEE_IN));
    copy(b, all(b, SLICE_PIXELS), all(b, SLICE_PIXELS_IN));
    embed_patches(b);
    for (int i = 0; i < b->c->vision_layers; i++)
        vision_layer(b, &b->p->model->weights.vision.block[i]);
}

/* Keys and values come from an image's patches and, behind them, from its latents. */
static void resample_layer(builder *b, const resampler_layer *r)
{
    const deer_config *c = b->c;
    size_t w = (size_t)c->vision_width, p = patches_of(c), l = (size_t)c->resampler_latents;
    size_t inner = (size_t)c->resampler_heads * (size_t)c->resampler_head_dim;
    rows_of latents = rows(b, ARCH_LATENTS), patches = rows(b, ARCH_PATCHES);
    gpu_view media = all(b, SLICE_MEDIA), normed = all(b, SLICE_NORMED);
    gpu_view wide = all(b, SLICE_WIDE), mixed = all(b, SLICE_MIXED), q = all(b, SLICE_Q);

    norm(b, &r->norm_latents, all(b, SLICE_OWN), media, latents, w);
    norm_groups(b, &r->norm_media, normed, (rows_at){0, (p + l) * w, w}, all(b, SLICE_TOKENS),
                (rows_at){w, (p + 1) * w, w}, patches, p, w, false);
    norm_groups(b, &r->norm_latents, normed, (rows_at){p * w, (p + l) * w, w}, media,
                (rows_at){0, l * w, w}, latents, l, w, false);
    multiply(b, &r->to_q, (product){.to = q, .from = all(b, SLICE_OWN), .rows = latents});
    multiply(b, &r->to_kv, (product){.to = wide, .from = normed, .rows = rows(b, ARCH_SEEN)});
    attend(b, &(look){.to = mixed,
                      .q = q,
                      .kv = wide,
                      .v_at = inner,
                      .q_stride = inner,
                      .kv_stride = 2 * inner,
                      .rows = ORDERS_IMAGES,
                      .table = b->p->at.resampler,
                      .heads = c->resampler_heads,
                      .dim = c->resampler_head_dim,
                      .sequences = images_of(b),
                      .most_q = l,
                      .round = rounds(&r->to_q)});
    multiply(b, &r->to_out, (product){.to = media, .from = mixed, .rows = latents, .add = ADD});
    norm(b, &r->ff_norm, normed, media, latents, w);
    multiply(b, &r->ff_up,
             (product){.to = wide, .from = normed, .rows = latents, .then = THEN_GELU});
    multiply(b, &r->ff_down, (product){.to = media, .from = wide, .rows = latents, .add = ADD});
}

static void resampler(builder *b)
{
    const resampler_weights *r = &b->p->model->weights.resampler;
    size_t w = (size_t)b->c->vision_width, l = (size_t)b->c->resampler_latents;
    rows_of latents = rows(b, ARCH_LATENTS);
    gpu_view media = all(b, SLICE_MEDIA);

    begin_unit(b, UNIT_RESAMPLER);
    add(b, (gpu_dispatch){.kernel = GPU_REPEAT,
                          .view = {media, weight(b, r->latents, l * w)},
                          .push = {(uint32_t)latents.at, (uint32_t)w, (uint32_t)l},
                          .groups = {(uint32_t)latents.most, 1, 1}});
    for (int i = 0; i < b->c->resampler_layers; i++)
        resample_layer(b, &r->layer[i]);
    norm(b, &r->norm, media, media, latents, w);
}

/* ---------------------------------------------------------------- text --------------------- */

static void tell(builder *b)
{
    size_t words = (size_t)b->p->at.words - ORDERS_TEXT_PART;

    begin_unit(b, UNIT_TELL);
    copy(b, part(SLICE_LIVE, 0, 1), part(SLICE_TELL_IN, 0, 1));
    copy(b, part(SLICE_LIVE, ORDERS_TEXT_PART, words),
         part(SLICE_TELL_IN, ORDERS_TEXT_PART, words));
    copy(b, all(b, SLICE_HIDDEN), all(b, SLICE_EMBEDDED_IN));
}

/* Words of a cross-attention's keys and values, so many that each can be bound. */
static size_t kv_size(const builder *b)
{
    size_t inner = (size_t)b->c->cross_heads * (size_t)b->c->cross_head_dim;

    return (images_of(b) * (size_t)b->c->resampler_latents * 2 * inner + 63) / 64 * 64;
}

/* number: which of the layers that have it, from 0. Its keys and values are of the media that the
 * orders say are due. */
static void cross_attention(builder *b, const cross_weights *x, int number)
{
    const deer_config *c = b->c;
    size_t d = (size_t)c->d_model, inner = (size_t)c->cross_heads * (size_t)c->cross_head_dim;
    size_t media = images_of(b) * (size_t)c->resampler_latents;
    rows_of text = rows(b, ARCH_TEXT), due = {ORDERS_MEDIA + 2 * number, media};
    gpu_view hidden = all(b, SLICE_HIDDEN), normed = all(b, SLICE_NORMED);
    gpu_view wide = all(b, SLICE_WIDE), mixed = all(b, SLICE_MIXED), q = all(b, SLICE_Q);
    gpu_view kv = part(SLICE_KV, b->p->head_rows ? (size_t)number * kv_size(b) : 0, kv_size(b));

    norm(b, &x->norm, normed, hidden, text, d);
    multiply(b, &x->to_kv, (product){.to = kv, .from = all(b, SLICE_MEDIA), .rows = due});
    multiply(b, &x->to_q, (product){.to = q, .from = normed, .rows = text});
    attend(b, &(look){.to = mixed,
                      .q = q,
                      .kv = kv,
                      .v_at = inner,
                      .q_stride = inner,
                      .kv_stride = 2 * inner,
                      .rows = ORDERS_FRAMES,
                      .table = b->p->at.cross,
                      .heads = c->cross_heads,
                      .dim = c->cross_head_dim,
                      .sequences = (size_t)b->p->frames,
                      .most_q = (size_t)c->max_text,
                      .visible = b->p->at.visible});
    multiply(
        b, &x->to_out,
        (product){
            .to = hidden, .from = mixed, .rows = text, .add = ADD_GATED, .gate = x->attn_gate});
    norm(b, &x->ff_norm, normed, hidden, text, d);
    multiply(b, &x->ff_up, (product){.to = wide, .from = normed, .rows = text, .then = THEN_GELU});
    multiply(
        b, &x->ff_down,
        (product){.to = hidden, .from = wide, .rows = text, .add = ADD_GATED, .gate = x->ff_gate});
}

/* LayerNorm of q and k over the whole width, before the heads are split. */
static void normalise_qk(builder *b, const decoder_weights *l, size_t d)
{
    rows_of text = rows(b, ARCH_TEXT);
    gpu_view wide = all(b, SLICE_WIDE);

    add(b, (gpu_dispatch){.kernel = GPU_LAYERNORM,
                          .constants = {b->taste.lanes},
                          .view = {wide, wide, weight(b, l->q_ln.w, d), all(b, SLICE_NOTHING),
                                   weight(b, l->k_ln.w, d)},
                          .push = {(uint32_t)text.at, (uint32_t)d, 1, 0, 3 * (uint32_t)d, 0, 0,
                                   3 * (uint32_t)d, 0, (uint32_t)d, 0, 0},
                          .groups = {(uint32_t)text.most, 2, 1}});
}

static void self_block(builder *b, const decoder_weights *l)
{
    const deer_config *c = b->c;
    size_t d = (size_t)c->d_model;
    rows_of text = rows(b, ARCH_TEXT);
    gpu_view hidden = all(b, SLICE_HIDDEN), normed = all(b, SLICE_NORMED);
    gpu_view wide = all(b, SLICE_WIDE), mixed = all(b, SLICE_MIXED);

    norm(b, &l->norm_1, normed, hidden, text, d);
    multiply(b, &l->qkv, (product){.to = wide, .from = normed, .rows = text});
    if (l->q_ln.w)
        normalise_qk(b, l, d);
    attend(b, &(look){.to = mixed,
                      .q = wide,
                      .kv = wide,
                      .k_at = d,
                      .v_at = 2 * d,
                      .q_stride = 3 * d,
                      .kv_stride = 3 * d,
                      .rows = ORDERS_FRAMES,
                      .table = b->p->at.text,
                      .heads = c->heads,
                      .dim = c->d_model / c->heads,
                      .sequences = (size_t)b->p->frames,
                      .most_q = (size_t)c->max_text,
                      .causal = true});
    multiply(b, &l->out_proj, (product){.to = hidden, .from = mixed, .rows = text, .add = ADD});
    norm(b, &l->norm_2, normed, hidden, text, d);
    multiply(b, &l->up, (product){.to = wide, .from = normed, .rows = text, .then = THEN_GELU});
    multiply(b, &l->down, (product){.to = hidden, .from = wide, .rows = text, .add = ADD});
}

static void layers(builder *b)
{
    for (int i = 0; i < b->p->layers; i++) {
        const decoder_weights *l = &b->p->model->weights.decoder[i];

        begin_unit(b, UNIT_LAYERS + i);
        if (l->has_cross)
            cross_attention(b, &l->cross, i / b->c->cross_every);
        self_block(b, l);
    }
}

/* ---------------------------------------------------------------- head --------------------- */

/* Of every frame, from word `at` of the pooled rows on. */
static void pool(builder *b, size_t at)
{
    uint32_t d = (uint32_t)b->c->d_model;

    add(b, (gpu_dispatch){.kernel = GPU_POOL,
                          .view = {all(b, SLICE_POOLED), all(b, SLICE_HIDDEN)},
                          .push = {ORDERS_FRAMES, (uint32_t)b->p->at.text, d, (uint32_t)at},
                          .groups = {(d + 63) / 64, (uint32_t)b->p->frames, 1}});
}

static void begin(builder *b)
{
    size_t h = (size_t)b->c->lstm_hidden;

    begin_unit(b, UNIT_BEGIN);
    for (int l = 0; l < b->c->lstm_layers; l++)
        multiply(b, &b->p->model->weights.head.lstm[l].hh,
                 (product){.to = all(b, SLICE_RECURRENT),
                           .from = all(b, SLICE_H),
                           .rows = {ORDERS_ONE, 1},
                           .from_at = (size_t)l * h,
                           .to_at = (size_t)l * 4 * h});
}

static void lstm_layer(builder *b, int l, rows_of rows)
{
    const lstm_weights *w = &b->p->model->weights.head.lstm[l];
    uint32_t n = (uint32_t)b->c->lstm_hidden;

    multiply(b, &w->ih,
             (product){.to = all(b, SLICE_GATES),
                       .from = all(b, l ? SLICE_OUT : SLICE_POOLED),
                       .rows = rows,
                       .biasless = true});
    add(b, (gpu_dispatch){.kernel = GPU_LSTM_CELL,
                          .view = {all(b, SLICE_OUT), all(b, SLICE_H_NEXT), all(b, SLICE_C_NEXT),
                                   all(b, SLICE_GATES), all(b, SLICE_RECURRENT), all(b, SLICE_C),
                                   weight(b, w->ih.b, 4 * (size_t)n)},
                          .push = {(uint32_t)rows.at, n, (uint32_t)b->c->lstm_layers, (uint32_t)l},
                          .groups = {(n + 63) / 64, (uint32_t)rows.most, 1}});
    if (w->norm.w)
        norm(b, &w->norm, all(b, SLICE_OUT), all(b, SLICE_OUT), rows, n);
}

/* ReLU follows every hidden layer; where there are LayerNorms it follows them. */
static void mlp(builder *b, const mlp_weights *m, rows_of rows, size_t to)
{
    const deer_config *c = b->c;
    gpu_view in = all(b, SLICE_OUT);

    for (int i = 0; i < c->head_mlp_layers; i++) {
        gpu_view out = all(b, i & 1 ? SLICE_MLP_1 : SLICE_MLP_0);
        size_t n = (size_t)c->head_mlp[i];

        multiply(b, &m->linear[i],
                 (product){.to = out,
                           .from = in,
                           .rows = rows,
                           .then = c->head_mlp_layernorm ? THEN_NOTHING : THEN_RELU});
        if (c->head_mlp_layernorm)
            norm_groups(b, &m->norm[i], out, (rows_at){0, n, n}, out, (rows_at){0, n, n}, rows, 1,
                        n, true);
        in = out;
    }
    multiply(
        b, &m->linear[c->head_mlp_layers],
        (product){.to = all(b, SLICE_RAW), .from = in, .rows = rows, .to_at = to, .to_stride = 8});
}

/* The head on the first n pooled rows, and what becomes of its actions: a decision at exit `exit`,
 * or, behind the last one, none. */
static void head(builder *b, int n, int exit)
{
    const head_weights *w = &b->p->model->weights.head;
    rows_of rows = {n == 1 ? ORDERS_ONE : ORDERS_TWO, (size_t)n};

    for (int l = 0; l < b->c->lstm_layers; l++)
        lstm_layer(b, l, rows);
    mlp(b, &w->pose, rows, 0);
    mlp(b, &w->gripper, rows, DEER_POSE);
    add(b,
        (gpu_dispatch){.kernel = GPU_DECIDE,
                       .view = {all(b, SLICE_RESULT), all(b, SLICE_TRIAL), all(b, SLICE_RAW)},
                       .push = {(uint32_t)exit, (uint32_t)n, exit == DEER_MAX_EXITS, ORDERS_DECIDE},
                       .groups = {1, 1, 1}});
}

static void keep(builder *b, size_t row)
{
    size_t state = b->p->size[SLICE_H];

    begin_unit(b, UNIT_KEEP + (int)row);
    copy(b, all(b, SLICE_H), part(SLICE_H_NEXT, row * state, state));
    copy(b, all(b, SLICE_C), part(SLICE_C_NEXT, row * state, state));
    copy(b, part(SLICE_STATE_OUT, 0, state), part(SLICE_H_NEXT, row * state, state));
    copy(b, part(SLICE_STATE_OUT, state, state), part(SLICE_C_NEXT, row * state, state));
}

static void reset(builder *b)
{
    begin_unit(b, UNIT_RESET);
    zero(b, SLICE_H);
    zero(b, SLICE_C);
    zero(b, SLICE_STATE_OUT);
}

static void give(builder *b, size_t image)
{
    size_t one = (size_t)b->c->resampler_latents * (size_t)b->c->vision_width;

    begin_unit(b, UNIT_GIVE + (int)image);
    copy(b, part(SLICE_MEDIA, image * one, one), part(SLICE_MEDIA_IN, image * one, one));
}

/* What a session has besides a batch. */
static void robot(builder *b)
{
    begin(b);
    reset(b);
    for (int i = 0; i < 2; i++) {
        keep(b, (size_t)i);
        give(b, (size_t)i);
        begin_unit(b, UNIT_POOL + i);
        pool(b, (size_t)i * (size_t)b->c->d_model);
        begin_unit(b, UNIT_ACT + i);
        head(b, i + 1, DEER_MAX_EXITS);
    }
    layers(b);
    for (int k = 0; k <= b->p->model->max_exit; k++) {
        begin_unit(b, program_exit(b->p, k));
        pool(b, k == 0 ? (size_t)b->c->d_model : 0);
        head(b, k == 0 ? 2 : 1, k);
    }
}

/* ---------------------------------------------------------------- memory ------------------- */

static void size_images(builder *b, size_t *size)
{
    const deer_config *c = b->c;
    size_t n = images_of(b), p = patches_of(c), w = (size_t)c->vision_width;
    size_t l = (size_t)c->resampler_latents, side = (size_t)c->image_size;
    size_t inner = (size_t)c->resampler_heads * (size_t)c->resampler_head_dim;
    size_t tower = (p + 1) * larger(3 * w, (size_t)c->vision_mlp);

    size[SLICE_PIXELS] = size[SLICE_PIXELS_IN] = n * 3 * side * side;
    size[SLICE_PATCHES] = n * p * 3 * (size_t)c->patch_size * (size_t)c->patch_size;
    size[SLICE_TOKENS] = n * (p + 1) * w;
    size[SLICE_MEDIA] = size[SLICE_MEDIA_OUT] = size[SLICE_OWN] = n * l * w;
    size[SLICE_MEDIA_IN] = n * l * w;
    size[SLICE_NORMED] = n * (p + l) * w;
    size[SLICE_WIDE] = n * larger(tower, larger((p + l) * 2 * inner, l * (size_t)c->resampler_mlp));
    size[SLICE_Q] = n * l * inner;
    size[SLICE_MIXED] = n * larger((p + 1) * w, l * inner);
}

static void size_text(builder *b, size_t *size)
{
    const deer_config *c = b->c;
    size_t t = (size_t)b->p->frames * (size_t)c->max_text, d = (size_t)c->d_model;
    size_t inner = (size_t)c->cross_heads * (size_t)c->cross_head_dim;
    size_t mlp_width = larger((size_t)c->mlp, (size_t)c->cross_mlp);

    size[SLICE_HIDDEN] = size[SLICE_EMBEDDED_IN] = size[SLICE_HIDDEN_OUT] = t * d;
    size[SLICE_NORMED] = larger(size[SLICE_NORMED], t * d);
    size[SLICE_WIDE] = larger(size[SLICE_WIDE], t * larger(3 * d, mlp_width));
    size[SLICE_Q] = larger(size[SLICE_Q], t * inner);
    size[SLICE_MIXED] = larger(size[SLICE_MIXED], t * larger(d, inner));
    size[SLICE_KV] = kv_size(b) * (b->p->head_rows ? (size_t)orders_crosses(c) : 1);
    size[SLICE_SLOPES] = size[SLICE_SLOPES_IN] = (size_t)c->heads;
    size[SLICE_LIVE] = size[SLICE_TELL_IN] = (size_t)b->p->at.words;
    size[SLICE_SEE_IN] = ORDERS_TEXT_PART;
    if (!b->p->head_rows)
        size[SLICE_POOLED] = size[SLICE_FEATURES_OUT] = (size_t)b->p->frames * d;
}

static void size_head(const deer_config *c, size_t *size)
{
    size_t h = (size_t)c->lstm_hidden, n = (size_t)c->lstm_layers, widest = 8;

    for (int i = 0; i < c->head_mlp_layers; i++)
        widest = larger(widest, (size_t)c->head_mlp[i]);
    size[SLICE_POOLED] = 2 * (size_t)c->d_model;
    size[SLICE_H] = size[SLICE_C] = n * h;
    size[SLICE_H_NEXT] = size[SLICE_C_NEXT] = size[SLICE_STATE_OUT] = 2 * n * h;
    size[SLICE_RECURRENT] = 4 * n * h;
    size[SLICE_GATES] = 8 * h;
    size[SLICE_OUT] = 2 * h;
    size[SLICE_MLP_0] = size[SLICE_MLP_1] = 2 * widest;
    size[SLICE_RAW] = 16;
    size[SLICE_TRIAL] = 8;
    size[SLICE_RESULT] = (DEER_MAX_EXITS + 1) * RESULT_SLOT;
}

static void size_slices(builder *b)
{
    size_images(b, b->p->size);
    size_text(b, b->p->size);
    if (b->p->head_rows)
        size_head(b->c, b->p->size);
    for (int i = 0; i < SLICES; i++)
        b->p->size[i] = larger(b->p->size[i], 1);
}

/* ---------------------------------------------------------------- whole -------------------- */

static void build(builder *b)
{
    begin_unit(b, UNIT_OPEN);
    copy(b, all(b, SLICE_SLOPES), all(b, SLICE_SLOPES_IN));
    copy(b, all(b, SLICE_LIVE), all(b, SLICE_TELL_IN));
    vision(b);
    resampler(b);
    tell(b);
    begin_unit(b, UNIT_HIDDEN);
    copy(b, all(b, SLICE_HIDDEN_OUT), all(b, SLICE_HIDDEN));
    begin_unit(b, UNIT_TAKE);
    copy(b, all(b, SLICE_MEDIA_OUT), all(b, SLICE_MEDIA));
    begin_unit(b, UNIT_FEATURES);
    if (b->p->head_rows) {
        robot(b);
        return;
    }
    pool(b, 0);
    copy(b, all(b, SLICE_FEATURES_OUT), all(b, SLICE_POOLED));
    begin_unit(b, UNIT_GIVE);
    copy(b, all(b, SLICE_MEDIA), all(b, SLICE_MEDIA_IN));
    layers(b);
}

/* Views of quantised inputs were made before their size was known. */
static void widen_views(gpu_program *p)
{
    for (int i = 0; i < p->count; i++)
        for (int v = 0; v < GPU_VIEWS; v++) {
            gpu_view *view = &p->list[i].view[v];
            if (!view->weight && (view->slice == SLICE_BYTES || view->slice == SLICE_BYTE_SCALES))
                view->words = p->size[view->slice];
        }
}

deer_status program_make(const deer_model *model, int frames, int head_rows, gpu_taste taste,
                         gpu_program *p, deer_error *err)
{
    builder b = {.p = p, .c = &model->config, .taste = taste};

    *p = (gpu_program){.model = model,
                       .frames = frames,
                       .head_rows = head_rows,
                       .layers = arch_layers(&model->config, model->max_exit)};
    p->units = program_exit(p, head_rows ? model->max_exit + 1 : 0);
    p->unit = calloc((size_t)p->units, sizeof *p->unit);
    if (!p->unit)
        return deer_fail(err, "out of memory for a program of %s", model->config.name);
    orders_lay_out(&model->config, frames, &p->at);
    size_slices(&b);
    build(&b);
    widen_views(p);
    free(b.touched);
    return p->trouble ? deer_fail(err, "the GPU cannot run %s: %s", model->config.name, p->trouble)
                      : DEER_OK;
}

void program_free(gpu_program *p)
{
    free(p->list);
    free(p->unit);
    *p = (gpu_program){0};
}
