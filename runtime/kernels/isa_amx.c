/* SPDX-License-Identifier: MIT */
/* isa_amx.c - products in tiles of Intel's AMX: an instruction multiplies 16 rows of activations,
 * 16 words each, by 16 words of a panel.
 *
 * Sixteen words of a panel lie in memory as a tile has them, and so do activations of one subword:
 * nothing is packed again. Four panels at a time have sums that do not wait for each other. The
 * configuration says how many rows there are; a thread loads it with the first tile of a product
 * and lets go of it behind the last, so that the system need not keep tiles for it in between. */
#include "runtime/kernels/isa_amx.h"

#if defined(__AMX_TILE__) || defined(__AMXTILE__) /* as GCC and as Clang say it */
#include <immintrin.h>

#define LANES 16
#define BF16_SUBWORDS 1
#define Q8_SUBWORDS 1
#include "runtime/kernels/isa_vectors.h"

#include "runtime/kernels/isa_operands.h"

enum {
    STEP = 16, /* words of a row of activations in a tile, and of a panel */
    LINE = 64, /* bytes: of those, and of a word of a panel */
    TILE_WORDS = STEP * ISA_PANEL,
    STRIDE = ISA_WORDS + ISA_SPARE,
    AHEAD = 768, /* words of a panel, as in isa_body.h */
};

/* Tiles 0 to 3 hold sums of a panel each, 4 activations, 5 to 7 weights in turns. They have to be
 * literal numbers. */
typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} configuration;
_Static_assert(sizeof(configuration) == 64, "as the processor reads it");

/* ---------------------------------------------------------------- configuration ------------ */

#define CONFIGURATION(t, p, n)                                                                     \
    [n] = {.palette = 1,                                                                           \
           .row_bytes = {LINE, LINE, LINE, LINE, LINE, LINE, LINE, LINE},                          \
           .rows = {n, n, n, n, n, STEP, STEP, STEP}},
static const configuration of_rows[ISA_ROWS + 1] = {UP_TO_16(CONFIGURATION, , )};

static _Thread_local int configured; /* rows; 0: nothing is loaded */

static void configure(int rows)
{
    if (configured == rows)
        return;
    _tile_loadconfig(&of_rows[rows]);
    configured = rows;
}

static void leave(void)
{
    if (configured)
        _tile_release();
    configured = 0;
}

/* ---------------------------------------------------------------- sums --------------------- */

/* GCC's tile instructions do not say which memory they read: what lies here is written by now. */
#define WRITTEN(at) __asm__ volatile("" : : "r"(at) : "memory")

/* A panel's words come closer that are some steps ahead. The address is one that GCC knows nothing
 * of: it would keep a register for each line of each panel. */
INLINE const uint32_t *fetch_ahead(const uint32_t *w)
{
    __asm__("" : "+r"(w));
    UNROLL for (int i = 0; i < TILE_WORDS; i += ISA_PANEL)
        __builtin_prefetch(w + AHEAD + i, 0, 2); /* into L2: L1 holds the activations */
    return w;
}

#define ADD_PANEL(type, sum, weights, w)                                                           \
    do {                                                                                           \
        const uint32_t *from = fetch_ahead(w);                                                     \
        _tile_loadd(weights, from, LINE);                                                          \
        if ((type) == WEIGHT_BF16)                                                                 \
            _tile_dpbf16ps(sum, 4, weights);                                                       \
        else                                                                                       \
            _tile_dpbsud(sum, 4, weights); /* activations have signs, stored weights have none */  \
    } while (0)

/* The sums += x's next words times as many of each panel, which lie `panel` words apart. */
INLINE void add_step(weight_dtype type, const uint32_t *x, const uint32_t *w, long panel,
                     int panels)
{
    _tile_loadd(4, x, STRIDE * 4);
    ADD_PANEL(type, 0, 5, w);
    if (panels > 1)
        ADD_PANEL(type, 1, 6, w + panel);
    if (panels > 2)
        ADD_PANEL(type, 2, 7, w + 2 * panel);
    if (panels > 3)
        ADD_PANEL(type, 3, 5, w + 3 * panel);
}

/* Behind the last whole step the activations are zero; a panel may end there, and its words are
 * copied. */
INLINE void add_rest(weight_dtype type, const uint32_t *x, const uint32_t *w, long panel, int count,
                     int panels)
{
    _Alignas(64) uint32_t rest[ISA_PANELS][TILE_WORDS];

    for (int p = 0; p < panels; p++) {
        memcpy(rest[p], w + p * panel, (size_t)count * LINE);
        memset(rest[p] + count * ISA_PANEL, 0, (size_t)(STEP - count) * LINE);
    }
    WRITTEN(rest);
    add_step(type, x, rest[0], TILE_WORDS, panels);
}

INLINE void sum_up(weight_dtype type, const uint32_t *x, const uint32_t *w, long panel, int count,
                   int panels, int rows)
{
    configure(rows);
    WRITTEN(x);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (; count >= STEP; count -= STEP, x += STEP, w += TILE_WORDS)
        add_step(type, x, w, panel, panels);
    if (count)
        add_rest(type, x, w, panel, count, panels);
}

/* The sums of each panel to rows of `to`, which lie `stride` bytes apart. */
INLINE void store(float *to, long stride, int panels)
{
    _tile_stored(0, to, stride);
    if (panels > 1)
        _tile_stored(1, to + ISA_PANEL, stride);
    if (panels > 2)
        _tile_stored(2, to + 2 * ISA_PANEL, stride);
    if (panels > 3)
        _tile_stored(3, to + 3 * ISA_PANEL, stride);
    WRITTEN(to);
}

/* ---------------------------------------------------------------- tiles -------------------- */

typedef struct {
    _Alignas(64) float row[ISA_ROWS][ISA_PANELS * ISA_PANEL];
} sums;
enum { SUMS_STRIDE = ISA_PANELS * ISA_PANEL * sizeof(float) };

static __attribute__((noinline)) void tile_bf16(TILE_ARGUMENTS, int panels, int rows)
{
    sums sum;

    (void)row, (void)scale, (void)first;
    sum_up(WEIGHT_BF16, x, w, panel, count, panels, rows);
    if (!start && !add) {
        store(y, y_stride * (long)sizeof *y, panels);
        return;
    }
    store(sum.row[0], SUMS_STRIDE, panels);
    for (int r = 0; r < rows; r++)
        for (int p = 0; p < panels; p++)
            put_sum(y + r * y_stride + p * LANES, *(const floats *)(sum.row[r] + p * LANES), start,
                    p, add);
}

static __attribute__((noinline)) void tile_q8(TILE_ARGUMENTS, int panels, int rows)
{
    sums sum;

    (void)first;
    sum_up(WEIGHT_Q8, x, w, panel, count, panels, rows);
    store(sum.row[0], SUMS_STRIDE, panels);
    for (int r = 0; r < rows; r++)
        for (int p = 0; p < panels; p++) {
            const void *sum_of = sum.row[r] + p * LANES;
            put_scaled(y + r * y_stride + p * LANES, *(const integers *)sum_of, &row[r], scale,
                       start, p, add);
        }
}

#define TILE(type, panels, rows)                                                                   \
    static void type##_##panels##x##rows(TILE_ARGUMENTS)                                           \
    {                                                                                              \
        tile_##type(y, y_stride, x, w, panel, count, row, scale, start, add, first, panels, rows); \
    }
#define ENTRY(type, panels, rows) type##_##panels##x##rows,
#define EACH(M, type)                                                                              \
    UP_TO_16(M, type, 1) UP_TO_16(M, type, 2) UP_TO_16(M, type, 3) UP_TO_16(M, type, 4)
#define TABLE(type)                                                                                \
    {                                                                                              \
        {NULL, UP_TO_16(ENTRY, type, 1)}, {NULL, UP_TO_16(ENTRY, type, 2)},                        \
            {NULL, UP_TO_16(ENTRY, type, 3)}, {NULL, UP_TO_16(ENTRY, type, 4)},                    \
    }

EACH(TILE, bf16)
EACH(TILE, q8)
static isa_tile *const tiles_bf16[ISA_PANELS][ISA_ROWS + 1] = TABLE(bf16);
static isa_tile *const tiles_q8[ISA_PANELS][ISA_ROWS + 1] = TABLE(q8);

/* ---------------------------------------------------------------- operands ----------------- */

/* Zeros behind a row's words, up to a whole step. */
static void fill_up(uint32_t *to, int rows, int count)
{
    for (int r = 0; r < rows; r++)
        for (int i = count; i % STEP; i++)
            to[r * STRIDE + i] = 0;
}

static void whole_bf16(uint32_t *to, isa_row *row, const float *x, long x_stride, int rows, int k)
{
    operand_bf16(to, row, x, x_stride, rows, k);
    fill_up(to, rows, matrix_words(WEIGHT_BF16, k));
}

static void whole_q8(uint32_t *to, isa_row *row, const float *x, long x_stride, int rows, int k)
{
    operand_q8(to, row, x, x_stride, rows, k);
    fill_up(to, rows, matrix_words(WEIGHT_Q8, k));
}

/* ---------------------------------------------------------------- the set ------------------ */

static void take(isa *set, weight_dtype type, isa_tile *const (*tile)[ISA_ROWS + 1],
                 isa_operand *operand)
{
    set->panels[type] = ISA_PANELS;
    set->rows[type] = ISA_ROWS;
    set->subwords[type] = 1;
    set->tile[type] = tile;
    set->operand[type] = operand;
}

void isa_amx_over(isa *set, const isa *base)
{
    *set = *base;
    set->name = "amx";
    take(set, WEIGHT_BF16, tiles_bf16, whole_bf16);
    take(set, WEIGHT_Q8, tiles_q8, whole_q8);
    set->own_sums[WEIGHT_BF16] = true;
    set->bf16_words = bf16_words;
    set->bf16_words_across = bf16_words_across;
    set->leave = leave;
}
#endif
