/* SPDX-License-Identifier: MIT */
/* kernels.h - the shaders, by number: what each binds, writes and is told.
 *
 *   const gpu_kernel_form *form = &gpu_kernels[GPU_POOL];
 */
#ifndef RUNTIME_GPU_KERNELS_H
#define RUNTIME_GPU_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum { GPU_CONSTANTS = 5, GPU_VIEWS = 7, GPU_PUSH = 13, GPU_PIPELINES = 64 };

typedef enum {
    GPU_LINEAR_FEW,  /* constants: type, rows, slices */
    GPU_LINEAR_MANY, /* type */
    GPU_QUANTISE,    /* lanes */
    GPU_LAYERNORM,   /* lanes */
    GPU_ATTENTION,   /* values of a head, queries and keys of a tile, lanes */
    GPU_PATCHES,
    GPU_TOKENS,
    GPU_REPEAT,
    GPU_POOL,
    GPU_LSTM_CELL,
    GPU_DECIDE,
    GPU_KERNELS,
    GPU_COPY = GPU_KERNELS, /* no shader: view 0 becomes view 1 */
    GPU_ZERO,               /* view 0 becomes the first word pushed: zeros */
} gpu_kernel;

/* What a product is made with: the plain kernel's arithmetic, products of 4 bytes in one
 * instruction, matrix units. Constants of those: type, invocations, rows, outputs and inputs of a
 * multiply-add. */
typedef enum { GPU_PLAIN, GPU_DOTS, GPU_MATRIX_BF16, GPU_MATRIX_Q8, GPU_WAYS } gpu_way;

typedef struct {
    const uint32_t *words;
    const size_t *bytes;
} gpu_code;

typedef struct {
    const char *name;
    gpu_code code[GPU_WAYS]; /* words NULL: it has no such way */
    int views;               /* bindings behind binding 0, which is the orders' */
    uint32_t write;          /* of which, as bits, are written; bit 31: the orders are */
    int push;                /* words */
    int constants;
    int weights; /* from this view on views are of weights; how much later than what could be bound
                    they begin is in the last word pushed, a byte for each. 0: there are none */
} gpu_kernel_form;

extern const gpu_kernel_form gpu_kernels[GPU_KERNELS];

#define GPU_WRITES_ORDERS 0x80000000u

#endif
