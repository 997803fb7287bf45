// SPDX-License-Identifier: MIT
// linear_few.comp - a product of few rows, as fast as its weights come from memory: a workgroup
// does one panel and up to ROWS rows. Four invocations side by side read the panel's 16 outputs of a
// word, 16 bytes each; SLICES of them take words of k beside each other. Inputs go through shared
// memory, where all outputs read them.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "linear.glsl"

layout(constant_id = 1) const uint ROWS = 16;
layout(constant_id = 2) const uint SLICES = 32;
layout(local_size_x = 4, local_size_y_id = 2) in;

const uint TILE = 128; // inputs, or words of bytes, of a row at a time
const uint PER = TYPE == 1 ? 2 : 1; // of those to a word of weights
const uint LONG = TILE / PER / SLICES; // words that an invocation takes of a tile
const uint CHUNK = 512; // words with a scale of their own
const uint PASS = ROWS < 4 ? ROWS : 4; // rows added up at a time
const uint ROOM = ROWS * TILE > SLICES * PASS * 16 ? ROWS * TILE : SLICES * PASS * 16;

shared uint tile[ROOM];

void main()
{
    uint quad = gl_LocalInvocationID.x, slice = gl_LocalInvocationID.y;
    uint lane = gl_LocalInvocationIndex, lanes = 4 * SLICES, panel = gl_WorkGroupID.x;
    uint first = live[rows_at], end = first + live[rows_at + 1];
    vec4 sum[ROWS];
    ivec4 whole[ROWS];

    first += gl_WorkGroupID.y * ROWS;
    if (called_off() || first >= end)
        return;
    for (uint r = 0; r < ROWS; r++)
        sum[r] = vec4(0), whole[r] = ivec4(0);
    uint units = TYPE == 2 ? words : k, chunks = (words + CHUNK - 1) / CHUNK;
    for (uint from = 0; from < units; from += TILE) {
        uvec4 word[LONG];
        for (uint i = 0; i < LONG; i++) {
            uint at = from / PER + i * SLICES + slice;
            word[i] = at < words ? w[late(0) / 4 + (panel * words + at) * 4 + quad] : uvec4(0);
        }
        for (uint i = lane; i < ROWS * TILE; i += lanes)
            tile[i] = input_of(min(first + i / TILE, end - 1), from + i % TILE, units);
        barrier();
        for (uint i = 0; i < LONG; i++) {
            uint at = (i * SLICES + slice) * PER;
            if (TYPE == 0) {
                vec4 v = uintBitsToFloat(word[i]);
                for (uint r = 0; r < ROWS; r++)
                    sum[r] += v * uintBitsToFloat(tile[r * TILE + at]);
            } else if (TYPE == 1) {
                vec4 low = uintBitsToFloat(word[i] << 16);
                vec4 high = uintBitsToFloat(word[i] & 0xffff0000u);
                for (uint r = 0; r < ROWS; r++) {
                    sum[r] += low * uintBitsToFloat(tile[r * TILE + at]);
                    sum[r] += high * uintBitsToFloat(tile[r * TILE + at + 1]);
                }
            } else {
                for (uint r = 0; r < ROWS; r++) {
                    uint in_of = tile[r * TILE + at];
                    whole[r] += ivec4(dot_bytes(in_of, word[i].x), dot_bytes(in_of, word[i].y),
                                      dot_bytes(in_of, word[i].z), dot_bytes(in_of, word[i].w));
                }
            }
        }
        if (TYPE == 2 && ((from + TILE) % CHUNK == 0 || from + TILE >= units))
            for (uint r = 0; r < ROWS; r++) {
                uint row = min(first + r, end - 1);
                sum[r] += vec4(whole[r]) * x_scale[row * chunks + from / CHUNK];
                whole[r] = ivec4(0);
            }
        barrier();
    }
    for (uint pass = 0; pass < ROWS; pass += PASS) {
        for (uint r = 0; r < PASS; r++)
            for (uint c = 0; c < 4; c++)
                tile[(slice * PASS + r) * 16 + 4 * quad + c] = floatBitsToUint(sum[pass + r][c]);
        barrier();
        for (uint i = lane; i < PASS * 16; i += lanes) {
            uint row = first + pass + i / 16, column = panel * 16 + i % 16;
            float total = 0.0;
            for (uint s = 0; s < SLICES; s++)
                total += uintBitsToFloat(tile[s * PASS * 16 + i]);
            if (row < end && column < n)
                put(row, column, TYPE == 2 ? total * scale[late(1) + column] : total);
        }
        barrier();
    }
}
