// SPDX-License-Identifier: MIT
// repeat.comp - every `per` rows of to[.., width] become from[per, width]: latents, for each image.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 64) in;
layout(binding = 1, std430) writeonly buffer To { float to[]; };
layout(binding = 2, std430) readonly buffer From { float from[]; };
layout(push_constant) uniform Push { uint rows_at, width, per, rest; };

void main()
{
    uint row = live[rows_at] + gl_WorkGroupID.x;

    if (called_off() || gl_WorkGroupID.x >= live[rows_at + 1])
        return;
    for (uint j = gl_LocalInvocationID.x; j < width; j += 64)
        to[row * width + j] = from[(rest & 255u) * 16 + row % per * width + j];
}
