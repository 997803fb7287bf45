// SPDX-License-Identifier: MIT
// quantise.comp - rows of x -> words of 4 signed bytes, with a scale for every 2,048 inputs of a row:
// what the processor's kernels make of the inputs of 8-bit weights. What is not finite gets a scale
// that is not either, and zeros. One workgroup a row and chunk.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 0) const uint LANES = 64;
layout(local_size_x_id = 0) in;
layout(binding = 1, std430) writeonly buffer Q { uint q[]; };
layout(binding = 2, std430) writeonly buffer Scale { float scale[]; };
layout(binding = 3, std430) readonly buffer X { float x[]; };
layout(push_constant) uniform Push { uint rows_at, k, words, x_stride, x_from; };

shared uint part[LANES];

void main()
{
    uint lane = gl_LocalInvocationID.x, chunk = gl_WorkGroupID.x;
    uint row = live[rows_at] + gl_WorkGroupID.y;
    uint from = chunk * 2048, end = min(from + 2048, k), at = x_from + row * x_stride, top = 0;

    if (called_off() || gl_WorkGroupID.y >= live[rows_at + 1])
        return;
    for (uint j = from + lane; j < end; j += LANES)
        top = max(top, floatBitsToUint(x[at + j]) & 0x7fffffffu); // ordered like their bits
    part[lane] = top;
    barrier();
    for (uint l = 0; l < LANES; l++)
        top = max(top, part[l]);
    bool finite = top < 0x7f800000u;
    float largest = uintBitsToFloat(top), inverse = largest > 1e-30 ? 127.0 / largest : 0.0;
    for (uint i = from / 4 + lane; i < (end + 3) / 4; i += LANES) {
        uint word = 0;
        for (uint c = 0; c < 4; c++)
            if (4 * i + c < k && finite) {
                precise float near = fma(x[at + 4 * i + c], inverse, 12582912.0);
                word |= (floatBitsToUint(near) - 0x4b400000u & 255u) << (8 * c);
            }
        q[row * words + i] = word;
    }
    if (lane == 0)
        scale[row * ((k + 2047) / 2048) + chunk] =
            finite ? largest / 127.0 : uintBitsToFloat(0x7fc00000u);
}
