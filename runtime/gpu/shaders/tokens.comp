// SPDX-License-Identifier: MIT
// tokens.comp - of each image the class token, then its patches, all with their positions. One
// workgroup a token.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 64) in;
layout(binding = 1, std430) writeonly buffer To { float to[]; };
layout(binding = 2, std430) readonly buffer Patches { float patches[]; };
layout(binding = 3, std430) readonly buffer Class { float class_token[]; };
layout(binding = 4, std430) readonly buffer Position { float position[]; };
layout(push_constant) uniform Push { uint rows_at, width, per, rest; };

void main()
{
    uint row = live[rows_at] + gl_WorkGroupID.x, image = row / (per + 1), i = row % (per + 1);
    uint c_late = (rest & 255u) * 16, p_late = (rest >> 8 & 255u) * 16;

    if (called_off() || gl_WorkGroupID.x >= live[rows_at + 1])
        return;
    for (uint j = gl_LocalInvocationID.x; j < width; j += 64) {
        float v = i == 0 ? class_token[c_late + j] : patches[(image * per + i - 1) * width + j];
        to[row * width + j] = v + position[p_late + i * width + j];
    }
}
