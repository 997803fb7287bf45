/* SPDX-License-Identifier: MIT */
/* kernels.c - the table of shaders; the build makes their code (shaders.c) from shaders/. */
#include "runtime/gpu/kernels.h"

#define SHADERS(X)                                                                                 \
    X(linear_few)                                                                                  \
    X(linear_many)                                                                                 \
    X(linear_few_dots)                                                                             \
    X(linear_many_dots)                                                                            \
    X(quantise)                                                                                    \
    X(layernorm) X(attention) X(patches) X(tokens) X(repeat) X(pool) X(lstm_cell) X(decide)
#define DECLARE(name)                                                                              \
    extern const uint32_t gpu_code_##name[];                                                       \
    extern const size_t gpu_size_##name;
SHADERS(DECLARE)

#define KERNEL(name) #name, gpu_code_##name, &gpu_size_##name
#define DOTS(name) gpu_code_##name##_dots, &gpu_size_##name##_dots

const gpu_kernel_form gpu_kernels[GPU_KERNELS] = {
    [GPU_LINEAR_FEW] = {KERNEL(linear_few), 7, 1, 12, 3, 3, DOTS(linear_few)},
    [GPU_LINEAR_MANY] = {KERNEL(linear_many), 7, 1, 12, 1, 3, DOTS(linear_many)},
    [GPU_QUANTISE] = {KERNEL(quantise), 3, 3, 5, 1, 0, NULL, NULL},
    [GPU_LAYERNORM] = {KERNEL(layernorm), 5, 1, 13, 1, 2, NULL, NULL},
    [GPU_ATTENTION] = {KERNEL(attention), 4, 1, 12, 4, 0, NULL, NULL},
    [GPU_PATCHES] = {KERNEL(patches), 2, 1, 3, 0, 0, NULL, NULL},
    [GPU_TOKENS] = {KERNEL(tokens), 4, 1, 4, 0, 2, NULL, NULL},
    [GPU_REPEAT] = {KERNEL(repeat), 2, 1, 4, 0, 1, NULL, NULL},
    [GPU_POOL] = {KERNEL(pool), 2, 1, 4, 0, 0, NULL, NULL},
    [GPU_LSTM_CELL] = {KERNEL(lstm_cell), 7, 7, 5, 0, 6, NULL, NULL},
    [GPU_DECIDE] = {KERNEL(decide), 3, 3 | GPU_WRITES_ORDERS, 4, 0, 0, NULL, NULL},
};
