/* SPDX-License-Identifier: MIT */
/* isa_proof.c - whether an instruction set multiplies rightly here, shown on a small product.
 *
 * Inputs and weights are small integers, which every type holds exactly and whose sums float32
 * holds exactly in any order: results are equal or wrong. */
#include <stdlib.h>
#include <string.h>

#include "runtime/kernels/tiles.h"

enum {
    INPUTS = 149, /* no whole number of words, nor those of a multiple of 16 */
    OUTPUTS = ISA_PANELS * ISA_PANEL,
    LARGEST = 127, /* of every row's inputs: 8-bit integers are then the inputs themselves */
};

typedef struct {
    float x[ISA_ROWS * INPUTS], w[OUTPUTS * INPUTS], start[OUTPUTS], scale[OUTPUTS];
    uint32_t rows[OUTPUTS * INPUTS]; /* w as a file has it, of any type */
    uint32_t panels[OUTPUTS * INPUTS], operand[ISA_ROWS * (ISA_WORDS * ISA_SUBWORDS + ISA_SPARE)];
    isa_row row[ISA_ROWS];
    float y[ISA_ROWS * OUTPUTS], right[ISA_ROWS * OUTPUTS];
} proof;

/* -3 to 3, without a pattern that a tile could share. */
static float small(int i)
{
    return (float)((int)((uint32_t)i * 2654435761u >> 16) % 7 - 3);
}

static void put_weight(proof *p, weight_dtype type, int at)
{
    uint32_t bits;

    memcpy(&bits, &p->w[at], sizeof bits);
    if (type == WEIGHT_F32)
        p->rows[at] = bits;
    else if (type == WEIGHT_BF16)
        memcpy((char *)p->rows + 2 * at, (char *)&bits + 2, 2); /* the upper half */
    else
        ((unsigned char *)p->rows)[at] = (unsigned char)(128 + (int)p->w[at]);
}

static bool fill(proof *p, weight_dtype type)
{
    for (int i = 0; i < ISA_ROWS * INPUTS; i++)
        p->x[i] = i % INPUTS == INPUTS / 2 ? LARGEST : small(i);
    for (int i = 0; i < OUTPUTS * INPUTS; i++) {
        p->w[i] = small(i + 1);
        put_weight(p, type, i);
    }
    for (int i = 0; i < OUTPUTS; i++)
        p->start[i] = small(i), p->scale[i] = 1;
    return matrix_pack(p->panels, p->rows, type, OUTPUTS, INPUTS, 0, ISA_PANELS);
}

/* Without anything before it, then added to that and the start. */
static bool is_right_for(proof *p, const isa *set, weight_dtype type, int rows, int panels)
{
    int n = panels * ISA_PANEL, words = matrix_words(type, INPUTS);
    size_t size = (size_t)(rows * n) * sizeof *p->y;

    set->operand[type](p->operand, p->row, p->x, INPUTS, rows, INPUTS);
    reference_linear(p->right, p->x, p->w, NULL, rows, n, INPUTS);
    for (int twice = 0; twice < 2; twice++) {
        tile_product(set, type, p->y, n, n, p->operand, p->row, rows, p->panels,
                     (long)words * ISA_PANEL, words, p->scale, twice ? p->start : NULL, twice, 0,
                     panels);
        for (int i = 0; twice && i < rows * n; i++)
            p->right[i] = 2 * p->right[i] + p->start[i % n];
        if (memcmp(p->y, p->right, size))
            return false;
    }
    return true;
}

bool isa_is_right(const isa *set, weight_dtype type)
{
    const int most = set->rows[type], rows[] = {1, most / 2 + 1, most};
    proof *p = calloc(1, sizeof *p);
    bool right = p && fill(p, type);

    for (int i = 0; right && i < 3; i++)
        for (int panels = 1; right && panels <= set->panels[type]; panels++)
            right = is_right_for(p, set, type, rows[i], panels);
    if (set->leave)
        set->leave();
    free(p);
    return right;
}
