/* SPDX-License-Identifier: MIT */
/* kernels.c - the table of shaders; the build makes their code (shaders.c) from shaders/. */
#include "runtime/gpu/kernels.h"

#define SHADERS(X)                                                                                 \
    X(linear_few)                                                                                  \
    X(linear_many)                                                                                 \
    X(quantise)                                                                                    \
    X(layernorm) X(attention) X(patches) X(tokens) X(repeat) X(pool) X(lstm_cell) X(decide)
#define DECLARE(name)                                                                              \
    extern const uint32_t gpu_code_##name[];                                                       \
    extern const size_t gpu_size_##name;
SHADERS(DECLARE)

#define KERNEL(name) #name, gpu_code_##name, &gpu_size_##name

const gpu_kernel_form gpu_kernels[GPU_KERNELS] = {
    [GPU_LINEAR_FEW] = {KERNEL(linear_few), 7, 1, 12, 3, 3},
    [GPU_LINEAR_MANY] = {KERNEL(linear_many), 7, 1, 12, 1, 3},
    [GPU_QUANTISE] = {KERNEL(quantise), 3, 3, 5, 1, 0},
    [GPU_LAYERNORM] = {KERNEL(layernorm), 5, 1, 13, 1, 2},
    [GPU_ATTENTION] = {KERNEL(attention), 4, 1, 12, 4, 0},
    [GPU_PATCHES] = {KERNEL(patches), 2, 1, 3, 0, 0},
    [GPU_TOKENS] = {KERNEL(tokens), 4, 1, 4, 0, 2},
    [GPU_REPEAT] = {KERNEL(repeat), 2, 1, 4, 0, 1},
    [GPU_POOL] = {KERNEL(pool), 2, 1, 4, 0, 0},
    [GPU_LSTM_CELL] = {KERNEL(lstm_cell), 7, 7, 5, 0, 6},
    [GPU_DECIDE] = {KERNEL(decide), 3, 3 | GPU_WRITES_ORDERS, 4, 0, 0},
};
