/* SPDX-License-Identifier: MIT */
/* blas.h - large float32 products by OpenBLAS, where no tiles of ours are made for the processor.
 *
 *   if (blas_takes(set, job))
 *       blas_rows(job, first_row, end_row, first_panel, end_panel, room);
 */
#ifndef RUNTIME_BLAS_H
#define RUNTIME_BLAS_H

#include "runtime/kernels/isa.h"

enum {
    BLAS_OUTPUTS = 4 * ISA_PANEL, /* of a block of weights that is unpacked */
    BLAS_ROWS = 64,               /* fewer are left to plain C */
};

/* Whether there is an OpenBLAS to call. The first call loads it, if the library was built for it
 * (BLAS=none: not), and tells it to leave threads to us. */
bool blas_ready(void);

/* Whether an OpenBLAS that describes itself so (openblas_get_config) counts by ints, as we call it,
 * and not by 64 bits, as some are built under the same name. */
bool blas_has_ints(const char *config);

/* Not to be used, or to be used again, because it has been measured. */
void blas_use(bool use);

/* Whether it is to do this product: of many rows, float32, and the set is plain C. */
bool blas_takes(const isa *set, const linear_job *job);

/* These rows and panels of a product, without its activation. room [ISA_WORDS][BLAS_OUTPUTS]. */
void blas_rows(const linear_job *job, int first_row, int end_row, int first_panel, int end_panel,
               float *room);

#endif
