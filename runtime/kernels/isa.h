/* SPDX-License-Identifier: MIT */
/* isa.h - what is compiled once for each instruction set: tiles of matrix products, and the
 * elementwise functions. isa_body.h is the source of all; isa_<name>.c
 * compiles it (isa_amx.c has but tiles).
 *
 * A tile is the innermost product: up to `rows` rows of activations with some panels of weights,
 * 16 outputs each, all sums in registers. Weights lie in panels (matrix in kernels.h),
 * activations in an operand: for every word of a panel its counterpart, in one to four subwords:
 * what one instruction takes. An operand holds ISA_WORDS words of inputs at most,
 * x[rows][words][subwords], its rows a fixed number of subwords apart, so that a tile needs one
 * pointer for all of them.
 *
 * Every sum runs through the inputs in order. With float32 weights and fused multiply-add a result
 * is therefore the same, bit for bit, on every instruction set, for every number of rows and of
 * threads. */
#ifndef RUNTIME_ISA_H
#define RUNTIME_ISA_H

#include <stdint.h>

#include "runtime/deer.h"
#include "runtime/kernels/kernels.h"

enum {
    ISA_PANEL = 16,   /* outputs of a panel */
    ISA_PANELS = 4,   /* most panels of a tile, any instruction set */
    ISA_ROWS = 16,    /* most rows, likewise */
    ISA_SUBWORDS = 4, /* most subwords, likewise */
    ISA_WORDS = 512,  /* most words of an operand */
    ISA_SPARE = 16,   /* between rows of an operand: they fall into different sets of a cache */
    ISA_MOST = 8,     /* most sets that a processor can have */

    ISA_FILTER_BITS = 22, /* behind the point, of an image filter's weights */
};

/* Subwords from row to row of an operand. */
static inline long isa_row_stride(int subwords)
{
    return (long)ISA_WORDS * subwords + ISA_SPARE;
}

/* Of an operand's row, where its type is 8-bit: x = scale * integer. The sum of products of
 * integers is offset too high, because stored weights are 128 too high. */
typedef struct {
    float scale;
    int32_t offset;
} isa_row;

/* y[rows][panels * 16] (+)= start + x w^T over `words` words; rows of y lie y_stride floats, panels
 * of w `panel` words apart. start [panels * 16] is the same for all rows, NULL for zeros; add: to
 * what y holds. row [rows] and scale [panels * 16] are for 8-bit weights only. first: no rows of
 * this thread's have met these panels before, so words that lie behind them, which are needed next,
 * are asked for from memory. */
typedef void isa_tile(float *y, long y_stride, const uint32_t *x, const uint32_t *w, long panel,
                      int words, const isa_row *row, const float *scale, const float *start,
                      bool add, bool first);

/* x [rows, k] (rows x_stride apart), at most ISA_WORDS words -> operand; padded with zeros to whole
 * words. */
typedef void isa_operand(uint32_t *to, isa_row *row, const float *x, long x_stride, int rows,
                         int k);

typedef struct {
    const char *name;
    int panels[WEIGHT_DTYPES], rows[WEIGHT_DTYPES]; /* most of a tile */
    int few_rows[WEIGHT_DTYPES]; /* with up to so many rows a tile may have ISA_PANELS panels */
    int subwords[WEIGHT_DTYPES]; /* of a word */
    isa_tile *const (*tile[WEIGHT_DTYPES])[ISA_ROWS + 1]; /* [panels - 1][rows] */
    void (*leave)(void); /* a thread's last tile of a product is done; NULL: nothing to do */
    isa_operand *operand[WEIGHT_DTYPES];
    bool own_sums[WEIGHT_DTYPES]; /* other than those of fused multiply-adds, one input at a time */
    /* x [n] -> bfloat16 words of weights: of consecutive values (the last one filled up with zero),
     * and of values that lie in two rows: [n]. */
    void (*bf16_words)(uint32_t *to, const float *x, int n);
    void (*bf16_words_across)(uint32_t *to, const float *first, const float *second, int n);
    /* Rows of x and y lie stride floats apart. */
    void (*layer_norm)(float *y, const float *x, long stride, const float *w, const float *b, int m,
                       int n);
    void (*quick_gelu)(float *x, int n);
    void (*gelu)(float *x, int n);
    void (*softmax)(float *x, long stride, int rows, const softmax_form *form);
    void (*lstm_cell)(const float *gates, const float *c, float *c_next, float *h_next, int n);
    /* to[i] = the sum of weight[t] * from[t * stride + i] over the taps, rounded and clipped, for n
     * bytes, a multiple of 16. */
    void (*filter_rows)(uint8_t *to, const uint8_t *from, long stride, const int *weight, int taps,
                        int n);
} isa;

/* The one in use for products of this type of weights; for everything else, that for float32.
 * Before there is a choice it is the first of the list. */
const isa *isa_of(weight_dtype type);
const isa *isa_now(void);

/* Those compiled in that this processor can run, in the order in which they are expected to be
 * fast; returns how many. */
int isa_list(const isa *list[ISA_MOST]);

/* What trying every set has shown, once in a process: the shortest time of the same product. */
typedef struct {
    const isa *set;
    double seconds[WEIGHT_DTYPES]; /* infinite where nothing was tried: there is but one set */
} isa_time;
const isa_time *isa_times(int *count);

/* Chooses, unless there is a choice already: what the environment's DEER_ISA names, or for each
 * type the first set unless another is clearly faster. Fails where DEER_ISA names none of this
 * processor. */
deer_status isa_choose(deer_error *err);
bool isa_is_chosen(void);

/* Whether it is the one in plain C, for processors that no tiles are made for. */
bool isa_is_generic(const isa *set);

/* Whether a small product of this type is what plain loops make of it: for a set that has not been
 * run on every processor that says to have it. */
bool isa_is_right(const isa *set, weight_dtype type);

/* For one type, or for all: for tests. Not while a step runs. */
void isa_use_for(weight_dtype type, const isa *chosen);
void isa_use(const isa *chosen);

#endif
