/* SPDX-License-Identifier: MIT */
/* kernels.c - the table of shaders; the build makes their code (shaders.c) from shaders/. */
#include "runtime/gpu/kernels.h"

#define SHADERS(X)                                                                                 \
    X(linear_few)                                                                                  \
    X(linear_many)                                                                                 \
    X(linear_few_dots)                                                                             \
    X(linear_many_dots)                                                                            \
    X(linear_matrix_bf16)                                                                          \
    X(linear_matrix_q8)                                                                            \
    X(quantise)                                                                                    \
    X(layernorm) X(attention) X(patches) X(tokens) X(repeat) X(pool) X(lstm_cell) X(decide)
#define DECLARE(name)                                                                              \
    extern const uint32_t gpu_code_##name[];                                                       \
    extern const size_t gpu_size_##name;
SHADERS(DECLARE)

#define CODE(name) gpu_code_##name, &gpu_size_##name

const gpu_kernel_form gpu_kernels[GPU_KERNELS] = {
    [GPU_LINEAR_FEW] =
        {"linear_few", {{CODE(linear_few)}, {CODE(linear_few_dots)}}, 7, 1, 12, 3, 3},
    [GPU_LINEAR_MANY] = {.name = "linear_many",
                         .code = {{CODE(linear_many)},
                                  {CODE(linear_many_dots)},
                                  {CODE(linear_matrix_bf16)},
                                  {CODE(linear_matrix_q8)}},
                         .views = 7,
                         .write = 1,
                         .push = 12,
                         .constants = 1,
                         .weights = 3},
    [GPU_QUANTISE] = {"quantise", {{CODE(quantise)}}, 3, 3, 5, 1, 0},
    [GPU_LAYERNORM] = {"layernorm", {{CODE(layernorm)}}, 5, 1, 13, 1, 2},
    [GPU_ATTENTION] = {"attention", {{CODE(attention)}}, 4, 1, 12, 4, 0},
    [GPU_PATCHES] = {"patches", {{CODE(patches)}}, 2, 1, 3, 0, 0},
    [GPU_TOKENS] = {"tokens", {{CODE(tokens)}}, 4, 1, 4, 0, 2},
    [GPU_REPEAT] = {"repeat", {{CODE(repeat)}}, 2, 1, 4, 0, 1},
    [GPU_POOL] = {"pool", {{CODE(pool)}}, 2, 1, 4, 0, 0},
    [GPU_LSTM_CELL] = {"lstm_cell", {{CODE(lstm_cell)}}, 7, 7, 5, 0, 6},
    [GPU_DECIDE] = {"decide", {{CODE(decide)}}, 3, 3 | GPU_WRITES_ORDERS, 4, 0, 0},
};
