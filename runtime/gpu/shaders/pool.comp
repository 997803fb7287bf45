// SPDX-License-Identifier: MIT
// pool.comp - the largest of each column over the rows of a sequence; hands a NaN on.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 64) in;
layout(binding = 1, std430) writeonly buffer To { float to[]; };
layout(binding = 2, std430) readonly buffer X { float x[]; };
layout(push_constant) uniform Push { uint rows_at, table, n, to_from; };

void main()
{
    uint j = gl_GlobalInvocationID.x, frame = gl_WorkGroupID.y;

    if (called_off() || frame >= live[rows_at + 1] || j >= n)
        return;
    uint first = live[table + 4 * frame], count = live[table + 4 * frame + 1];
    float top = x[first * n + j];
    for (uint i = 1; i < count; i++) {
        float v = x[(first + i) * n + j];
        top = is_nan(top) ? top : is_nan(v) || v > top ? v : top;
    }
    to[to_from + frame * n + j] = top;
}
