/* SPDX-License-Identifier: MIT */
/* bind.h - where each weight of a file belongs in memory.
 *
 *   size_t bytes = bind_bytes(&matched);
 *   ... an arena of so many bytes, 64 at a time ...
 *   count = bind_weights(&matched, arena, &weights, copies);     // [2 * matched.count]
 *   for (i = 0; i < count; i++)
 *       copy(copies[i].from, copies[i].to);
 */
#ifndef RUNTIME_BIND_H
#define RUNTIME_BIND_H

#include "runtime/model/match.h"
#include "runtime/model/parts.h"

/* A tensor to copy into the arena. */
typedef struct {
    const safetensor *from;
    void *to;    /* a vector's floats or a matrix's panels */
    int n, k;    /* of a matrix; n 0: a vector */
    int columns; /* a vector's length */
} model_copy;

/* What the matched tensors need in memory; the token embedding stays in the file. */
size_t bind_bytes(const match *m);

/* Points the weights into the arena, in order of execution, and lists what belongs there. Returns
 * how many copies there are. */
size_t bind_weights(const match *m, char *arena, model_weights *weights, model_copy *copies);

#endif
