// SPDX-License-Identifier: MIT
// linear_many.comp - a product of many rows, as fast as the arithmetic: a workgroup does 64 rows and
// 64 outputs (4 panels), each of its 256 invocations 4 by 4 of them, from tiles in shared memory.
#version 450
#extension GL_GOOGLE_include_directive : require
#ifdef DOTS
#extension GL_EXT_spirv_intrinsics : require
#endif
#include "common.glsl"
#include "linear.glsl"

layout(local_size_x = 256) in;

const uint STEP = 16; // inputs, or words of bytes, at a time
const uint PER = TYPE == 1 ? 2 : 1; // of those to a word of weights
const uint WORDS = STEP / PER;
const uint CHUNK = 512; // words with a scale of their own
const uint SIDE = 64, WIDE = SIDE + 4; // the rest keeps memory banks apart

shared uint a_tile[STEP * WIDE]; // [input][row]
shared uint b_tile[STEP * WIDE]; // [input][output]

void put_row(uint row, uint end, uint column, vec4 v)
{
    for (uint c = 0; c < 4 && row < end; c++, column++)
        if (column < n)
            put(row, column, TYPE == 2 ? v[c] * scale[late(1) + column] : v[c]);
}

void main()
{
    uint lane = gl_LocalInvocationIndex, tx = lane % 16, ty = lane / 16;
    uint panel = gl_WorkGroupID.x * 4, panels = (n + 15) / 16;
    uint first = live[rows_at], end = first + live[rows_at + 1];
    vec4 sum[4];
    ivec4 whole[4];

    first += gl_WorkGroupID.y * SIDE;
    if (called_off() || first >= end)
        return;
    for (uint r = 0; r < 4; r++)
        sum[r] = vec4(0), whole[r] = ivec4(0);
    uint units = TYPE == 2 ? words : k, chunks = (words + CHUNK - 1) / CHUNK;
    for (uint from = 0; from < units; from += STEP) {
        for (uint i = lane; i < SIDE * STEP; i += 256)
            a_tile[i % STEP * WIDE + i / STEP] =
                input_of(min(first + i / STEP, end - 1), from + i % STEP, units);
        for (uint i = lane; i < 16 * WORDS; i += 256) { // 4 outputs of a word each
            uint p = i / (4 * WORDS), at = i / 4 % WORDS, quad = i % 4;
            bool there = panel + p < panels && from / PER + at < words;
            uint place = ((panel + p) * words + from / PER + at) * 4 + quad;
            uvec4 word = there ? w[late(0) / 4 + place] : uvec4(0);
            for (uint c = 0; c < 4; c++) {
                uint to = at * PER * WIDE + p * 16 + quad * 4 + c;
                b_tile[to] = TYPE == 1 ? word[c] << 16 : word[c];
                if (TYPE == 1)
                    b_tile[to + WIDE] = word[c] & 0xffff0000u;
            }
        }
        barrier();
        for (uint i = 0; i < STEP; i++) {
            uint a = i * WIDE + ty * 4, c = i * WIDE + tx * 4;
            uvec4 v = uvec4(b_tile[c], b_tile[c + 1], b_tile[c + 2], b_tile[c + 3]);
            for (uint r = 0; r < 4; r++) {
                uint in_of = a_tile[a + r];
                if (TYPE == 2)
                    whole[r] += ivec4(dot_bytes(in_of, v.x), dot_bytes(in_of, v.y),
                                      dot_bytes(in_of, v.z), dot_bytes(in_of, v.w));
                else
                    sum[r] += uintBitsToFloat(v) * uintBitsToFloat(in_of);
            }
        }
        if (TYPE == 2 && ((from + STEP) % CHUNK == 0 || from + STEP >= units))
            for (uint r = 0; r < 4; r++) {
                uint row = min(first + ty * 4 + r, end - 1);
                sum[r] += vec4(whole[r]) * x_scale[row * chunks + from / CHUNK];
                whole[r] = ivec4(0);
            }
        barrier();
    }
    put_row(first + ty * 4, end, panel * 16 + tx * 4, sum[0]);
    put_row(first + ty * 4 + 1, end, panel * 16 + tx * 4, sum[1]);
    put_row(first + ty * 4 + 2, end, panel * 16 + tx * 4, sum[2]);
    put_row(first + ty * 4 + 3, end, panel * 16 + tx * 4, sum[3]);
}
