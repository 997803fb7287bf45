// SPDX-License-Identifier: MIT
// linear_few.comp - a product of few rows, as fast as its weights come from memory: a workgroup
// does one panel and up to ROWS rows. Four invocations side by side read the panel's 16 outputs of a
// word, 16 bytes each; SLICES of them take words of k beside each other. Inputs go through shared
// memory, where all outputs read them.
#version 450
#extension GL_GOOGLE_include_directive : require
#ifdef DOTS
#extension GL_EXT_spirv_intrinsics : require
#endif
#include "common.glsl"
#include "linear.glsl"

layout(constant_id = 1) const uint ROWS = 16;
layout(constant_id = 2) const uint SLICES = 32;
layout(local_size_x = 4, local_size_y_id = 2) in;

const uint TILE = 128; // inputs, or words of bytes, of a row at a time
const uint PER = TYPE == 1 ? 2 : 1; // of those to a word of weights
const uint CHUNK = 512; // words with a scale of their own
const uint PASS = ROWS < 4 ? ROWS : 4; // rows added up at a time
const uint ROOM = ROWS * TILE > SLICES * PASS * 16 ? ROWS * TILE : SLICES * PASS * 16;

shared uint tile[ROOM];

// Of each row: a variable of its own, since arrays that a driver does not unroll leave registers.
#define EACH_ROW(M)                                                                                \
    M(0, s0, i0) M(1, s1, i1) M(2, s2, i2) M(3, s3, i3) M(4, s4, i4) M(5, s5, i5) M(6, s6, i6)     \
    M(7, s7, i7) M(8, s8, i8) M(9, s9, i9) M(10, s10, i10) M(11, s11, i11) M(12, s12, i12)         \
    M(13, s13, i13) M(14, s14, i14) M(15, s15, i15)
#define DECLARE(r, s, i)                                                                           \
    vec4 s = vec4(0);                                                                              \
    ivec4 i = ivec4(0);
EACH_ROW(DECLARE)

uvec4 word_of(uint panel, uint at, uint quad)
{
    return at < words ? w[late(0) / 4 + (panel * words + at) * 4 + quad] : uvec4(0);
}

// A word of four outputs with all rows' inputs from `at` of the tile on.
#define TIMES_FLOAT(r, s, i)                                                                       \
    if (r < ROWS)                                                                                  \
        s += v * uintBitsToFloat(tile[r * TILE + at]);
#define TIMES_HALVES(r, s, i)                                                                      \
    if (r < ROWS)                                                                                  \
        s += low * uintBitsToFloat(tile[r * TILE + at]) +                                          \
             high * uintBitsToFloat(tile[r * TILE + at + 1]);
#define TIMES_BYTES(r, s, i)                                                                       \
    if (r < ROWS)                                                                                  \
        i += dots(tile[r * TILE + at], word);

ivec4 dots(uint inputs, uvec4 word)
{
    return ivec4(dot_bytes(inputs, word.x), dot_bytes(inputs, word.y), dot_bytes(inputs, word.z),
                 dot_bytes(inputs, word.w));
}

void multiply(uvec4 word, uint at)
{
    if (TYPE == 0) {
        vec4 v = uintBitsToFloat(word);
        EACH_ROW(TIMES_FLOAT)
    } else if (TYPE == 1) {
        vec4 low = uintBitsToFloat(word << 16), high = uintBitsToFloat(word & 0xffff0000u);
        EACH_ROW(TIMES_HALVES)
    } else {
        EACH_ROW(TIMES_BYTES)
    }
}

// The integers of a chunk are whole.
#define FOLD(r, s, i)                                                                              \
    if (r < ROWS) {                                                                                \
        s += vec4(i) * x_scale[min(first + r, end - 1) * chunks + chunk];                          \
        i = ivec4(0);                                                                              \
    }

void fold(uint first, uint end, uint chunks, uint chunk)
{
    EACH_ROW(FOLD)
}

// What all slices have of a few rows, added up and put where it belongs.
void add_up(uint first, uint end, uint panel)
{
    uint lane = gl_LocalInvocationIndex, lanes = 4 * SLICES;

    barrier();
    for (uint i = lane; i < PASS * 16; i += lanes) {
        uint row = first + i / 16, column = panel * 16 + i % 16;
        float total = 0.0;
        for (uint s = 0; s < SLICES; s++)
            total += uintBitsToFloat(tile[s * PASS * 16 + i]);
        if (row < end && column < n)
            put(row, column, TYPE == 2 ? total * scale[late(1) + column] : total);
    }
    barrier();
}

void show(uint r, vec4 v)
{
    uint at = (gl_LocalInvocationID.y * PASS + r) * 16 + 4 * gl_LocalInvocationID.x;
    uvec4 bits = floatBitsToUint(v);
    tile[at] = bits.x;
    tile[at + 1] = bits.y;
    tile[at + 2] = bits.z;
    tile[at + 3] = bits.w;
}

#define ADD_UP(r, s, t, u, v)                                                                      \
    if (r < ROWS) {                                                                                \
        show(0, s);                                                                                \
        if (PASS > 1)                                                                              \
            show(1, t);                                                                            \
        if (PASS > 2) {                                                                            \
            show(2, u);                                                                            \
            show(3, v);                                                                            \
        }                                                                                          \
        add_up(first + r, end, panel);                                                             \
    }

void main()
{
    uint quad = gl_LocalInvocationID.x, slice = gl_LocalInvocationID.y;
    uint lane = gl_LocalInvocationIndex, lanes = 4 * SLICES, panel = gl_WorkGroupID.x;
    uint first = live[rows_at], end = first + live[rows_at + 1];

    first += gl_WorkGroupID.y * ROWS;
    if (called_off() || first >= end)
        return;
    uint units = TYPE == 2 ? words : k, chunks = (words + CHUNK - 1) / CHUNK;
    for (uint from = 0; from < units; from += TILE) {
        uint at = from / PER + slice, some = min(TILE, units - from);
        uvec4 w0 = word_of(panel, at, quad), w1 = word_of(panel, at + SLICES, quad);
        for (uint i = lane; i < min(ROWS, end - first) * TILE; i += lanes)
            if (i % TILE < some + 1) // one more: the last word of bfloat16 may be half
                tile[i] = input_of(min(first + i / TILE, end - 1), from + i % TILE, units);
        barrier();
        for (uint i = slice; i * PER < some; i += 2 * SLICES) { // two words while the next come
            uvec4 n0 = word_of(panel, from / PER + i + 2 * SLICES, quad);
            uvec4 n1 = word_of(panel, from / PER + i + 3 * SLICES, quad);
            multiply(w0, i * PER);
            if ((i + SLICES) * PER < some)
                multiply(w1, (i + SLICES) * PER);
            w0 = n0;
            w1 = n1;
        }
        if (TYPE == 2 && ((from + TILE) % CHUNK == 0 || from + TILE >= units))
            fold(first, end, chunks, from / CHUNK);
        barrier();
    }
    ADD_UP(0, s0, s1, s2, s3)
    ADD_UP(4, s4, s5, s6, s7)
    ADD_UP(8, s8, s9, s10, s11)
    ADD_UP(12, s12, s13, s14, s15)
}
