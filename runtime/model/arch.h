/* SPDX-License-Identifier: MIT */
/* arch.h - which tensors a model consists of: the one place that knows.
 *
 *   static void take(void *context, const arch_tensor *t) { ... }
 *   arch_visit(config, layers, &(arch_visitor){.tensor = take, .context = &sums});
 *
 * Everything that has to know the architecture is a visitor: finding a file's tensors (match.h),
 * where each belongs in memory (bind.h), writing a file, how many bytes and multiply-adds a stage
 * takes (budgets/cost), how much room products and attentions need (processor/backend_cpu.c). Names
 * are the official ones; docs/model-file.md has the table for people. Source: the official model
 * classes, instantiated with the official configuration. */
#ifndef RUNTIME_ARCH_H
#define RUNTIME_ARCH_H

#include <stddef.h>

#include "runtime/base/dtype.h"
#include "runtime/deer.h"

enum { ARCH_RANK = 4, ARCH_VIEWS = 2 /* images of an observation: static and wrist camera */ };

/* What runs together. */
typedef enum {
    ARCH_VISION,
    ARCH_RESAMPLER,
    ARCH_EMBEDDING, /* of token ids */
    ARCH_HEAD,
    ARCH_CROSS,   /* a decoder layer's cross-attention */
    ARCH_DECODER, /* a decoder layer without it */
    ARCH_PARTS
} arch_part;

/* What is done with a tensor, and so what it may be kept as. */
typedef enum {
    ARCH_MATRIX, /* vectors are multiplied by it: any type */
    ARCH_TABLE,  /* looked up by token, or multiplied by pixels: 16 bits at least */
    ARCH_ADDED,  /* biases, norms, gates, positions, latents: float32 */
} arch_role;

/* Vectors that go through a matrix together, or are the queries or keys of an attention. */
typedef enum {
    ARCH_PATCHES, /* of an image */
    ARCH_TOKENS,  /* its patches and the class token */
    ARCH_LATENTS, /* of an image */
    ARCH_SEEN,    /* its patches and the latents */
    ARCH_MEDIA,   /* the latents of all images of an observation */
    ARCH_TEXT,    /* tokens of the instruction */
    ARCH_EXITS,   /* features of exits, in the head */
    ARCH_STEP,    /* one a step, whatever the exits */
} arch_rows;

/* How much goes through a model at a time. */
typedef struct {
    int images;
    int tokens;  /* of the instruction */
    int exits;   /* whose features the head takes together */
    int cameras; /* of an observation; 0: the ARCH_VIEWS there are */
} arch_load;

typedef struct {
    const char *name; /* whole; valid during the visit. NULL where names are not wanted */
    arch_part part;
    int layer; /* of its part, or of the decoder; -1: around the layers */
    arch_role role;
    int rank;
    int64_t shape[ARCH_RANK];
    size_t field;     /* its place in the part's struct (parts.h) */
    arch_rows rows;   /* that go through it; matrices and the patch embedding only */
    const char *what; /* of the same: what the product is, for people */
} arch_tensor;

/* Between matrices: softmax(q k^T) v. */
typedef struct {
    arch_part part;
    int layer;
    arch_rows queries, keys;
    int heads, width; /* width: of all heads together */
    bool causal;
} arch_attention;

typedef struct {
    /* Every tensor, in order of execution. */
    void (*tensor)(void *context, const arch_tensor *tensor);
    /* Every attention, behind the matrix that its keys come from; may be NULL. */
    void (*attention)(void *context, const arch_attention *attention);
    /* The MLPs of the head are Sequentials, and dropout decides where in them layers lie: the index
     * from `at` on of the next one in the file at hand, whose weight has this rank; a name is the
     * prefix, the index and ".weight". NULL: as without dropout. */
    int (*index)(void *context, const char *prefix, int rank, int at);
    void *context;
    bool nameless; /* sums need no names, and making them takes most of the time */
} arch_visitor;

/* Decoder layers that run for this exit. */
int arch_layers(const deer_config *config, int exit);

/* Whether decoder layer i, from 0, has cross-attention. */
bool arch_has_cross(const deer_config *config, int layer);

/* All parts, with decoder layers 0 .. layers - 1. */
void arch_visit(const deer_config *config, int layers, const arch_visitor *visitor);

/* One part; of the decoder's, layer `layer`. */
void arch_visit_part(const deer_config *config, arch_part part, int layer,
                     const arch_visitor *visitor);

/* Vectors of a kind at such a load; of ARCH_MEDIA, one observation's. */
size_t arch_vectors(const deer_config *config, arch_rows rows, const arch_load *load);

/* What a file whose matrices are `dtype` keeps a tensor of that role as. */
weight_dtype arch_kept_as(arch_role role, weight_dtype dtype);

/* Rows and columns of a tensor as a matrix: its first dimension, and all others together. */
size_t arch_matrix_rows(const arch_tensor *tensor);
size_t arch_matrix_columns(const arch_tensor *tensor);

#endif
