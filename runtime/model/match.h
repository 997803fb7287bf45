/* SPDX-License-Identifier: MIT */
/* match.h - the tensors that a configuration asks for, found among those of a file.
 *
 *   match m;
 *   if (!match_tensors(&file, &config, layers, &m, &err) && !match_verdict(&m, &err))
 *       use(m.tensor[0].is, m.tensor[0].want.role);
 *   match_free(&m);
 */
#ifndef RUNTIME_MATCH_H
#define RUNTIME_MATCH_H

#include "runtime/model/arch.h"
#include "runtime/model/safetensors.h"

typedef struct {
    arch_tensor want;        /* its name: the file's, while that is open */
    const safetensor *is;    /* NULL: missing */
    const safetensor *scale; /* of an 8-bit matrix; else NULL */
    weight_dtype type;       /* of a matrix or a table */
} matched_tensor;

typedef struct {
    const safetensors *file;
    matched_tensor *tensor; /* [count] in order of execution */
    size_t count, room;
    bool no_memory;
    deer_status status; /* not DEER_OK: something is wrong */
    deer_error said;    /* all that is, as far as there is room */
    int unsaid;         /* problems there was none for */
} match;

/* Looks for every tensor up to decoder layer layers - 1 and checks its type and shape. Fails when
 * out of memory; what else is wrong is for match_verdict, so that all of it can be said at once.
 * Free it in either case. */
deer_status match_tensors(const safetensors *file, const deer_config *config, int layers, match *m,
                          deer_error *err);
void match_free(match *m);

/* Notes one more thing that is wrong with tensor `name`. */
void match_complain(match *m, const char *name, const char *problem);

/* Fails with everything that is wrong in one message. */
deer_status match_verdict(const match *m, deer_error *err);

/* Where the data of what is needed up to decoder layer layers - 1 ends in the file. */
size_t match_end(const match *m, int layers);

#endif
