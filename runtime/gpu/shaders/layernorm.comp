// SPDX-License-Identifier: MIT
// layernorm.comp - rows of y[m, n] = (x - mean) / sqrt(variance + 1e-5) * w + b, one workgroup a row;
// the variance of centred values. y may be x. Rows come in groups of `per`, which lie apart on
// either side. gl_WorkGroupID.y 1: another stretch of the row with weights of its own (q and k).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 0) const uint LANES = 64;
layout(local_size_x_id = 0) in;
layout(binding = 1, std430) buffer Y { float y[]; };
layout(binding = 2, std430) buffer X { float x[]; };
layout(binding = 3, std430) readonly buffer W { float w[]; };
layout(binding = 4, std430) readonly buffer B { float b[]; };
layout(binding = 5, std430) readonly buffer W2 { float w2[]; };
layout(push_constant) uniform Push
{
    uint rows_at, n, per, x_from, x_group, x_stride, y_from, y_group, y_stride, second, bias,
        relu, rest;
};

shared float part[LANES];

float total(float mine)
{
    uint lane = gl_LocalInvocationID.x;
    part[lane] = mine;
    barrier();
    for (uint others = LANES / 2; others > 0; others /= 2) {
        if (lane < others)
            part[lane] += part[lane + others];
        barrier();
    }
    float sum = part[0];
    barrier();
    return sum;
}

void main()
{
    uint lane = gl_LocalInvocationID.x, row = live[rows_at] + gl_WorkGroupID.x;
    bool other = gl_WorkGroupID.y == 1;
    uint from = x_from + row / per * x_group + row % per * x_stride + (other ? second : 0);
    uint to = y_from + row / per * y_group + row % per * y_stride + (other ? second : 0);
    uint w_late = (rest & 255u) * 16, b_late = (rest >> 8 & 255u) * 16;
    uint w2_late = (rest >> 16 & 255u) * 16;
    float sum = 0.0, squares = 0.0;

    if (called_off() || gl_WorkGroupID.x >= live[rows_at + 1])
        return;
    for (uint j = lane; j < n; j += LANES)
        sum += x[from + j];
    float mean = total(sum) / float(n);
    for (uint j = lane; j < n; j += LANES) {
        float d = x[from + j] - mean;
        squares += d * d;
    }
    float factor = 1.0 / sqrt(total(squares) / float(n) + 1e-5);
    for (uint j = lane; j < n; j += LANES) {
        float v = (x[from + j] - mean) * factor * (other ? w2[w2_late + j] : w[w_late + j]);
        v = bias == 1 ? v + b[b_late + j] : v;
        y[to + j] = relu == 1 && v < 0.0 ? 0.0 : v; // keeps a NaN
    }
}
