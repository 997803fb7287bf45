/* linear.c - products of activations with weights.
 *
 * With few rows a product is as fast as its weights come from memory, so each thread takes some of
 * the panels and reads them once, a chunk of the inputs at a time: small enough that the rows'
 * operand stays in its cache. With many rows the arithmetic decides, and each thread takes some of
 * the rows, so that it prepares the operand of no others. */
#include <string.h>

#include "runtime/threads.h"
#include "runtime/tiles.h"

enum {
    CHUNK = 512,        /* words of inputs at a time; fixed, since 8-bit rows are scaled by chunk */
    BLOCK = 140,        /* most rows of an operand: 10 tiles, 280 KB */
    ROWS_TO_SPLIT = 64, /* a thread's, from where on rows are split and not panels */
    WORTH_SHARING = 1 << 18, /* multiply-adds */
};

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* ---------------------------------------------------------------- packing ------------------ */

static bool is_finite_word(weight_dtype type, uint32_t word)
{
    if (type == WEIGHT_F32)
        return (word & 0x7f800000) != 0x7f800000;
    return (word & 0x7f800000) != 0x7f800000 && (word & 0x7f80) != 0x7f80;
}

/* Sixteen rows of words, a stretch of which stays in the cache, to one panel. */
static void pack_panel(uint32_t *panel, const char *const row[ISA_PANEL], size_t row_bytes)
{
    enum { STRETCH = 16 };
    uint32_t words[ISA_PANEL][STRETCH];

    for (size_t at = 0; at < row_bytes; at += sizeof *words) {
        size_t bytes = row_bytes - at < sizeof *words ? row_bytes - at : sizeof *words;
        for (int r = 0; r < ISA_PANEL; r++) {
            if (!row[r] || bytes < sizeof *words)
                memset(words[r], 0, sizeof *words);
            if (row[r])
                memcpy(words[r], row[r] + at, bytes);
        }
        for (size_t i = 0; i < (bytes + 3) / 4; i++)
            for (int r = 0; r < ISA_PANEL; r++)
                *panel++ = words[r][i];
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
                  long stride, int words, const float *scale, int panel, int panels)
{
    isa_tile *tile = set->tile[type][panels - 1][rows];
    int column = panel * ISA_PANEL, columns = smaller(n - column, panels * ISA_PANEL);
    const float *scales = scale ? scale + column : NULL;
    float edge[ISA_ROWS][2 * ISA_PANEL];

    if (columns == panels * ISA_PANEL) {
        tile(y + column, y_stride, operand, w + panel * stride, stride, words, row, scales);
        return;
    }
    memset(edge, 0, sizeof edge);
    tile(edge[0], 2 * ISA_PANEL, operand, w + panel * stride, stride, words, row, scales);
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < columns; j++)
            y[r * y_stride + column + j] += edge[r][j];
}

/* ---------------------------------------------------------------- one part ----------------- */

/* What one thread does: some rows, some panels. */
typedef struct {
    const isa *set;
    const linear_job *job;
    int first_row, end_row, first_panel, end_panel;
    uint32_t *operand; /* of a block of rows and a chunk of inputs */
    isa_row *scales;   /* [BLOCK] of its rows */
    int block;         /* rows that have room */
} linear_part;

/* The rows of a block are dealt to as few tiles as possible, evenly. */
static int tiles_of(const linear_part *p, int rows)
{
    int most = p->set->rows[p->job->layer->w.type];

    return (rows + most - 1) / most;
}

static void make_operands(const linear_part *p, int row, int rows, int from, int inputs)
{
    const linear_job *job = p->job;
    weight_dtype type = job->layer->w.type;
    long words = (long)matrix_words(type, inputs) * p->set->subwords[type];
    int tiles = tiles_of(p, rows);

    for (int t = 0; t < tiles; t++) {
        int begin = rows * t / tiles, end = rows * (t + 1) / tiles;
        p->set->operand[type](p->operand + begin * words, p->scales + begin,
                              job->x + (row + begin) * job->x_stride + from, job->x_stride,
                              end - begin, inputs);
    }
}

static void multiply(const linear_part *p, int row, int rows, int from, int inputs)
{
    const linear_job *job = p->job;
    const matrix *w = &job->layer->w;
    long stride = (long)matrix_words(w->type, w->k) * ISA_PANEL;
    int words = matrix_words(w->type, inputs), tiles = tiles_of(p, rows), step = p->set->panels;
    const uint32_t *at = w->panels + (long)(from / matrix_inputs(w->type)) * ISA_PANEL;
    long operand = (long)words * p->set->subwords[w->type];

    for (int panel = p->first_panel; panel < p->end_panel; panel += step)
        for (int t = 0; t < tiles; t++) {
            int begin = rows * t / tiles, end = rows * (t + 1) / tiles;
            tile_product(p->set, w->type, job->y + (long)(row + begin) * w->n, w->n, w->n,
                         p->operand + begin * operand, p->scales + begin, end - begin, at, stride,
                         words, w->scale, panel, smaller(step, p->end_panel - panel));
        }
}

static void begin_rows(const linear_job *job, int row, int rows, int first, int end)
{
    const float *b = job->layer->b;

    for (int r = row; r < row + rows; r++) {
        float *y = job->y + (long)r * job->layer->w.n;
        if (!job->add && !b)
            memset(y + first, 0, (size_t)(end - first) * sizeof *y);
        else if (!job->add)
            memcpy(y + first, b + first, (size_t)(end - first) * sizeof *y);
        else if (b)
            for (int j = first; j < end; j++)
                y[j] += b[j];
    }
}

static void end_rows(const linear_part *p, int row, int rows, int first, int end)
{
    const linear_job *job = p->job;
    void (*then)(float *, int) = job->then == ACTIVATION_GELU ? p->set->gelu : p->set->quick_gelu;

    for (int r = row; job->then != ACTIVATION_NONE && r < row + rows; r++)
        then(job->y + (long)r * job->layer->w.n + first, end - first);
}

static void run_part(const linear_part *p)
{
    const matrix *w = &p->job->layer->w;
    int first = p->first_panel * ISA_PANEL, end = smaller(p->end_panel * ISA_PANEL, w->n);
    int chunk = CHUNK * matrix_inputs(w->type);

    for (int row = p->first_row; row < p->end_row; row += p->block) {
        int rows = smaller(p->block, p->end_row - row);
        begin_rows(p->job, row, rows, first, end);
        for (int from = 0; from < w->k; from += chunk) {
            int inputs = smaller(chunk, w->k - from);
            make_operands(p, row, rows, from, inputs);
            multiply(p, row, rows, from, inputs);
        }
        end_rows(p, row, rows, first, end);
    }
}

/* ---------------------------------------------------------------- all parts ---------------- */

/* Words of a row's operand of one chunk, at most. */
static size_t operand_words(int k, int subwords)
{
    size_t inputs = ((size_t)k + 3) / 4 * 4, most = (size_t)CHUNK * (size_t)subwords;

    return inputs < most ? inputs : most;
}

/* Room for a whole block where a word is a subword, and for one tile at least where it is not. */
size_t workspace_linear(int rows, int k)
{
    size_t block = (size_t)smaller(rows, BLOCK) * operand_words(k, 1);
    size_t tile = (size_t)ISA_ROWS * operand_words(k, ISA_SUBWORDS);

    return BLOCK * sizeof(isa_row) + (block > tile ? block : tile) * sizeof(uint32_t);
}

typedef struct {
    const workspace *ws;
    const linear_job *job;
} linear_share;

static void share(void *context, int part, int parts)
{
    const linear_share *s = context;
    const matrix *w = &s->job->layer->w;
    char *room = s->ws->base + (size_t)part * s->ws->bytes;
    linear_part p = {.set = isa_now(), .job = s->job, .scales = (isa_row *)(void *)room};
    size_t words = (s->ws->bytes - BLOCK * sizeof(isa_row)) / sizeof(uint32_t);
    int panels = (w->n + ISA_PANEL - 1) / ISA_PANEL, pairs = (panels + 1) / 2;

    p.operand = (uint32_t *)(void *)(room + BLOCK * sizeof(isa_row));
    words /= operand_words(w->k, p.set->subwords[w->type]);
    p.block = words < BLOCK ? (int)words : BLOCK;
    p.end_row = s->job->m;
    p.end_panel = panels;
    if (s->job->m >= ROWS_TO_SPLIT * parts) {
        p.first_row = s->job->m * part / parts;
        p.end_row = s->job->m * (part + 1) / parts;
    } else {
        p.first_panel = pairs * part / parts * 2;
        p.end_panel = smaller(panels, pairs * (part + 1) / parts * 2);
    }
    run_part(&p);
}

void linear_run(const workspace *ws, const linear_job *job)
{
    linear_share s = {ws, job};
    bool worth = (double)job->m * job->layer->w.n * job->layer->w.k >= WORTH_SHARING;

    threads_run(share, &s, worth ? ws->parts : 1);
}
