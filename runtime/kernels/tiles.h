/* SPDX-License-Identifier: MIT */
/* tiles.h - a tile's worth of a product, whatever its shape: between isa.h and the products. */
#ifndef RUNTIME_TILES_H
#define RUNTIME_TILES_H

#include "runtime/kernels/isa.h"

static inline int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* Most panels of a tile of so many rows: a sum waits for the one before it, so that few rows need
 * more panels to keep the processor busy. */
static inline int tile_panels(const isa *set, weight_dtype type, int rows)
{
    return rows <= set->few_rows[type] ? ISA_PANELS : set->panels[type];
}

/* y[rows, n] (+)= start + operand w^T for the columns of `panels` panels from `panel` on, the last
 * of which may reach beyond column n. operand, row and scale are as isa.h says; w is the
 * first word of panel 0 among the words that the operand has, and panels lie `stride` words apart.
 * start [n] or NULL; add: to what y holds; first: as isa.h says. */
void tile_product(const isa *set, weight_dtype type, float *y, long y_stride, int n,
                  const uint32_t *operand, const isa_row *row, int rows, const uint32_t *w,
                  long stride, int words, const float *scale, const float *start, bool add,
                  bool first, int panel, int panels);

/* Sixteen rows of row_bytes bytes (NULL: zeros) -> one panel of as many words, the last one filled
 * up with zeros. */
void pack_panel(uint32_t *panel, const char *const row[ISA_PANEL], size_t row_bytes);

#endif
