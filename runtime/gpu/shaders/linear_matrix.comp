// SPDX-License-Identifier: MIT
// linear_matrix.comp - a product of many rows on matrix units: like linear_many.comp a workgroup does
// 64 rows and 64 outputs from tiles in shared memory; each of its four subgroups does 32 by 32 of them,
// in cooperative matrices of the shape that the device offers. Of 8-bit weights, or with HALVES of
// bfloat16; sums are of 32 bits.
//
// What is compiled from this has the operations of GL_NV_cooperative_matrix, which glslang 12 knows;
// matrix_code.py makes those of VK_KHR_cooperative_matrix of them. With EMULATED the same walk goes
// over plain integers and floats, for devices without matrix units (tests).
#version 450
#extension GL_GOOGLE_include_directive : require
#ifdef DOTS
#extension GL_EXT_spirv_intrinsics : require
#endif
#ifndef EMULATED
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
#extension GL_NV_cooperative_matrix : require
#extension GL_NV_integer_cooperative_matrix : require
#endif
#include "common.glsl"
#include "linear.glsl"

layout(constant_id = 1) const uint LANES = 128; // four subgroups
layout(constant_id = 2) const uint M = 16; // of a multiply-add: rows,
layout(constant_id = 3) const uint N = 16; // outputs,
layout(constant_id = 4) const uint K = 32; // inputs
layout(local_size_x_id = 1) in;

#ifdef HALVES
const uint PER = 2; // inputs to a word
#else
const uint PER = 4;
#endif
const uint SIDE = 64, PART = 32; // of a workgroup, of a subgroup
const uint STEP = 16; // words at a time
const uint PITCH = STEP + 4; // of a row of a tile: multiples of 16 bytes, banks apart
const uint CHUNK = 512; // words of bytes with a scale of their own
const uint B_TILE = SIDE * PITCH;
const uint HIGH = PART / M, WIDE = PART / N;

// Words of inputs [row][PITCH], then of weights [output][PITCH]; or sums [row][SIDE].
shared uint tile[SIDE * SIDE];

#ifdef EMULATED
// An operand is where it lies, and an accumulator's elements are dealt to the lanes of the subgroup.
struct accumulator {
#ifdef HALVES
    float of[4 * M * N / LANES];
#else
    int of[4 * M * N / LANES];
#endif
};
#define LEFT uint
#define RIGHT uint
#define ACCUMULATOR accumulator
#define LOAD(m, at, by_columns) m = at
#define SUBGROUP (gl_LocalInvocationIndex / (LANES / 4))

uint element(uint i)
{
    return i * (LANES / 4) + gl_LocalInvocationIndex % (LANES / 4);
}

#ifdef HALVES
float times(uint a, uint b)
{
    return uintBitsToFloat(a << 16) * uintBitsToFloat(b << 16) +
           uintBitsToFloat(a & 0xffff0000u) * uintBitsToFloat(b & 0xffff0000u);
}
#else
int times(uint a, uint b)
{
    return dot_bytes(a, b ^ 0x80808080u);
}
#endif

void clear(out accumulator c)
{
    for (uint i = 0; i < 4 * M * N / LANES; i++)
        c.of[i] = 0;
}

void multiply_add(inout accumulator c, uint a, uint b)
{
    for (uint i = 0; i < 4 * M * N / LANES; i++)
        for (uint word = 0; word < K / PER; word++)
            c.of[i] += times(tile[a + element(i) / N * PITCH + word],
                             tile[b + element(i) % N * PITCH + word]);
}

void store(accumulator c, uint at)
{
    for (uint i = 0; i < 4 * M * N / LANES; i++)
#ifdef HALVES
        tile[at + element(i) / N * SIDE + element(i) % N] = floatBitsToUint(c.of[i]);
#else
        tile[at + element(i) / N * SIDE + element(i) % N] = uint(c.of[i]);
#endif
}

#define CLEAR(c) clear(c)
#define MULTIPLY_ADD(c, a, b) multiply_add(c, a, b)
#define STORE(c, at) store(c, at)
#else
#ifdef HALVES
#define LEFT fcoopmatNV<16, gl_ScopeSubgroup, M, K>
#define RIGHT fcoopmatNV<16, gl_ScopeSubgroup, K, N>
#define ACCUMULATOR fcoopmatNV<32, gl_ScopeSubgroup, M, N>
#define CLEAR(c) c = ACCUMULATOR(0.0)
#else
#define LEFT icoopmatNV<8, gl_ScopeSubgroup, M, K>
#define RIGHT icoopmatNV<8, gl_ScopeSubgroup, K, N>
#define ACCUMULATOR icoopmatNV<32, gl_ScopeSubgroup, M, N>
#define CLEAR(c) c = ACCUMULATOR(0)
#endif
#define SUBGROUP gl_SubgroupID
#define LOAD(m, at, by_columns) coopMatLoadNV(m, tile, at, PITCH, by_columns)
#define MULTIPLY_ADD(c, a, b) c = coopMatMulAddNV(a, b, c)
#define STORE(c, at) coopMatStoreNV(c, tile, at, SIDE, false)
#endif

// A word of inputs: 4 bytes as they lie, or 2 floats as bfloat16.
uint inputs_of(uint row, uint word)
{
#ifdef HALVES
    return input_of(row, 2 * word, k) >> 16 | input_of(row, 2 * word + 1, k);
#else
    return input_of(row, word, words);
#endif
}

void fill_tiles(uint first, uint end, uint panel, uint from)
{
    uint panels = (n + 15) / 16;

    for (uint i = gl_LocalInvocationIndex; i < SIDE * STEP; i += LANES)
        tile[i / STEP * PITCH + i % STEP] =
            inputs_of(min(first + i / STEP, end - 1), from + i % STEP);
    for (uint i = gl_LocalInvocationIndex; i < SIDE / 4 * STEP; i += LANES) { // 4 outputs of a word
        uint p = i / (4 * STEP), at = i / 4 % STEP, quad = i % 4;
        bool there = panel + p < panels && from + at < words;
        uvec4 word = there ? w[late(0) / 4 + ((panel + p) * words + from + at) * 4 + quad] : uvec4(0);
        for (uint c = 0; c < 4; c++)
            tile[B_TILE + (p * 16 + quad * 4 + c) * PITCH + at] =
                TYPE == 2 ? word[c] ^ 0x80808080u : word[c];
    }
}

void main()
{
    uint lane = gl_LocalInvocationIndex, panel = gl_WorkGroupID.x * 4;
    uint first = live[rows_at], end = first + live[rows_at + 1];
    uint down = SUBGROUP / 2 * PART, across = SUBGROUP % 2 * PART; // where the subgroup's part begins
    float sum[SIDE * SIDE / LANES];
    ACCUMULATOR c[HIGH * WIDE];

    first += gl_WorkGroupID.y * SIDE;
    if (called_off() || first >= end)
        return;
    for (uint i = 0; i < SIDE * SIDE / LANES; i++)
        sum[i] = 0.0;
    for (uint i = 0; i < HIGH * WIDE; i++)
        CLEAR(c[i]);
    uint chunks = (words + CHUNK - 1) / CHUNK;
    for (uint from = 0; from < words; from += STEP) {
        fill_tiles(first, end, panel, from);
        barrier();
        for (uint at = 0; at < STEP; at += K / PER) {
            RIGHT b[WIDE];
            for (uint j = 0; j < WIDE; j++)
                LOAD(b[j], B_TILE + (across + j * N) * PITCH + at, true);
            for (uint i = 0; i < HIGH; i++) {
                LEFT a;
                LOAD(a, (down + i * M) * PITCH + at, false);
                for (uint j = 0; j < WIDE; j++)
                    MULTIPLY_ADD(c[i * WIDE + j], a, b[j]);
            }
        }
        barrier();
        bool last = from + STEP >= words;
        if (!last && (TYPE != 2 || (from + STEP) % CHUNK != 0))
            continue;
        for (uint i = 0; i < HIGH * WIDE; i++) {
            STORE(c[i], (down + i / WIDE * M) * SIDE + across + i % WIDE * N);
            CLEAR(c[i]);
        }
        barrier();
        for (uint i = 0; i < SIDE * SIDE / LANES; i++) {
            uint bits = tile[i * LANES + lane];
            uint row = min(first + (i * LANES + lane) / SIDE, end - 1);
            if (TYPE == 2)
                sum[i] += float(int(bits)) * x_scale[row * chunks + from / CHUNK];
            else
                sum[i] = uintBitsToFloat(bits);
        }
        barrier();
    }
    for (uint i = 0; i < SIDE * SIDE / LANES; i++) {
        uint row = first + (i * LANES + lane) / SIDE, column = panel * 16 + (i * LANES + lane) % SIDE;
        if (row < end && column < n)
            put(row, column, TYPE == 2 ? sum[i] * scale[late(1) + column] : sum[i]);
    }
}
