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
    uint32_t panels[OUTPUTS * INPUTS], operand[ISA_ROWS * (ISA_WORDS * ISA_SUBWORDS + ISA_SPARE)];
    isa_row row[ISA_ROWS];
    float y[ISA_ROWS * OUTPUTS], right[ISA_ROWS * OUTPUTS];
} proof;

/* -3 to 3, without a pattern that a tile could share. */
static float small(int i)
{
    return (float)((int)((uint32_t)i * 2654435761u >> 16) % 7 - 3);
}

/* Where weights lie in panels: kernels.h. */
static void put_weight(proof *p, weight_dtype type, int output, int input, float value)
{
    int of_word = matrix_inputs(type), word = input / of_word, words = matrix_words(type, INPUTS);
    long at = ((long)(output / ISA_PANEL) * words + word) * ISA_PANEL + output % ISA_PANEL;
    char *to = (char *)(p->panels + at) + input % of_word * (4 / of_word);
    unsigned char byte = (unsigned char)(128 + (int)value);

    p->w[output * INPUTS + input] = value;
    if (type == WEIGHT_F32)
        memcpy(to, &value, 4);
    else if (type == WEIGHT_BF16)
        memcpy(to, (char *)&value + 2, 2); /* the upper half */
    else
        memcpy(to, &byte, 1);
}

static void fill(proof *p, weight_dtype type)
{
    for (int i = 0; i < ISA_ROWS * INPUTS; i++)
        p->x[i] = i % INPUTS == INPUTS / 2 ? LARGEST : small(i);
    for (int i = 0; i < OUTPUTS * INPUTS; i++)
        put_weight(p, type, i / INPUTS, i % INPUTS, small(i + 1));
    for (int i = 0; i < OUTPUTS; i++)
        p->start[i] = small(i), p->scale[i] = 1;
}

/* Without anything before it, then added to that and the start. */
static bool is_right_for(proof *p, const isa *set, weight_dtype type, int rows, int panels)
{
    int n = panels * ISA_PANEL, words = matrix_words(type, INPUTS);
    size_t size = (size_t)(rows * n) * sizeof *p->y;

    set->operand[type](p->operand, p->row, p->x, INPUTS, rows, INPUTS);
    reference_linear(p->right, p->x, p->w, NULL, rows, n, INPUTS);
    for (int twice = 0; twice < 2; twice++) {
        set->tile[type][panels - 1][rows](p->y, n, p->operand, p->panels, (long)words * ISA_PANEL,
                                          words, p->row, p->scale, twice ? p->start : NULL, twice,
                                          !twice);
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
    bool right = p != NULL;

    if (p)
        fill(p, type);
    for (int i = 0; right && i < 3; i++)
        for (int panels = 1; right && panels <= tile_panels(set, type, rows[i]); panels++)
            right = is_right_for(p, set, type, rows[i], panels);
    if (set->leave)
        set->leave();
    free(p);
    return right;
}
