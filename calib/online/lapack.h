/* SPDX-License-Identifier: MIT */
/* lapack.h - LAPACK for those who factor: opened by name then, and linked by nobody.
 *
 *   if (lapack_open(&err)) ...
 *   if (lapack.potrf(LAPACK_ROW_MAJOR, 'L', n, a, n)) ...
 *
 * On Debian LAPACK is OpenBLAS, which starts a thread for every core as soon as it is in memory:
 * only a search by trial pays for it, and not with threads, for its matrices are small.
 */
#ifndef CALIB_LAPACK_H
#define CALIB_LAPACK_H

#include <lapacke.h>

#include "runtime/deer.h"

/* Those of LAPACKE's functions that are used, by the names of LAPACK without the type. */
typedef struct {
    __typeof__(LAPACKE_dpotrf) *potrf;
    __typeof__(LAPACKE_dpotrs) *potrs;
    __typeof__(LAPACKE_dtrtrs) *trtrs;
} lapack_functions;

extern lapack_functions lapack; /* valid once lapack_open has succeeded */

/* From any thread, as often as one likes; a library that is not there is an error. */
deer_status lapack_open(deer_error *err);

#endif
