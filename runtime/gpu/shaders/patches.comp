// SPDX-License-Identifier: MIT
// patches.comp - pixels [images, 3, side, side] -> patches in raster order, each as (channel, row,
// column): the convolution becomes a product. One workgroup a patch.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 64) in;
layout(binding = 1, std430) writeonly buffer To { float to[]; };
layout(binding = 2, std430) readonly buffer Pixels { float pixels[]; };
layout(push_constant) uniform Push { uint rows_at, side, patch_side; };

void main()
{
    uint row = live[rows_at] + gl_WorkGroupID.x, grid = side / patch_side;
    uint image = row / (grid * grid), gy = row / grid % grid, gx = row % grid;
    uint size = patch_side * patch_side;

    if (called_off() || gl_WorkGroupID.x >= live[rows_at + 1])
        return;
    for (uint i = gl_LocalInvocationID.x; i < 3 * size; i += 64) {
        uint channel = i / size, v = gy * patch_side + i % size / patch_side, u = gx * patch_side + i % patch_side;
        to[row * 3 * size + i] = pixels[((image * 3 + channel) * side + v) * side + u];
    }
}
