// SPDX-License-Identifier: MIT
// attention.comp - softmax(scale q k^T + slope (j - (tk - 1))) v, tile by tile: a workgroup does TQ
// queries of one head of one sequence and goes through the keys twice, TK at a time: for the largest
// score and the sum of exponentials, then for what is mixed, so that what the softmax gives can be
// rounded as the processor rounds it. Scores never leave shared memory.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 0) const uint DIM = 64;
layout(constant_id = 1) const uint TQ = 16;
layout(constant_id = 2) const uint TK = 32;
layout(constant_id = 3) const uint LANES = 64;
layout(local_size_x_id = 3) in;

layout(binding = 1, std430) writeonly buffer O { float o[]; };
layout(binding = 2, std430) readonly buffer Q { float q[]; };
layout(binding = 3, std430) readonly buffer KV { float kv[]; };
layout(binding = 4, std430) readonly buffer Slope { float slope[]; };
// causal: query i sees keys up to i. round_to: q, k, v and the softmax to bfloat16. visible: where
// the flags of tokens are, 0: none (1: sees its media, 0: nothing, 2: every key alike)
layout(push_constant) uniform Push
{
    uint rows_at, table, q_stride, kv_stride, o_stride, q_from, k_from, v_from, causal, round_to,
        visible;
    float scale;
};

// An invocation does a block: some queries with every ACROSS-th key or value.
const uint ACROSS = LANES < 16 ? LANES : 16;
const uint GROUPS = LANES / ACROSS;
const uint OWN_Q = TQ / GROUPS;
const uint OWN_K = TK / ACROSS;
const uint OWN_C = (DIM + ACROSS - 1) / ACROSS;
const uint SHARES = LANES / TQ; // invocations that share a query's softmax
const uint WIDE = DIM + 1;

shared float queries[TQ * WIDE];
shared float keys[TK * WIDE];
shared float score[TQ * TK];
shared float best[LANES];
shared float sums[LANES];

float as_multiplied(float v)
{
    return round_to == 1 ? rounded(v) : v;
}

void load(uint from, uint first, uint some, uint head)
{
    for (uint i = gl_LocalInvocationID.x; i < TK * DIM; i += LANES) {
        uint j = i / DIM, c = i % DIM;
        keys[j * WIDE + c] =
            j < some ? as_multiplied(kv[from + (first + j) * kv_stride + head * DIM + c]) : 0.0;
    }
}

// score of TK keys from `from` on
void score_tile(uint from, uint tile_q, uint tk, uint head)
{
    uint across = gl_LocalInvocationID.x % ACROSS, i = gl_LocalInvocationID.x / ACROSS * OWN_Q;
    float sum[OWN_Q * OWN_K];

    for (uint p = 0; p < OWN_Q * OWN_K; p++)
        sum[p] = 0.0;
    for (uint c = 0; c < DIM; c++) {
        float key[OWN_K];
        for (uint m = 0; m < OWN_K; m++)
            key[m] = keys[(across + m * ACROSS) * WIDE + c];
        for (uint n = 0; n < OWN_Q; n++) {
            float query = queries[(i + n) * WIDE + c];
            for (uint m = 0; m < OWN_K; m++)
                sum[n * OWN_K + m] += query * key[m];
        }
    }
    for (uint n = 0; n < OWN_Q; n++)
        for (uint m = 0; m < OWN_K; m++) {
            uint j = across + m * ACROSS, used = causal == 1 ? min(tile_q + i + n + 1, tk) : tk;
            float v = sum[n * OWN_K + m] * scale;
            if (causal == 1)
                v += slope[head] * (float(from + j) - float(tk - 1));
            score[(i + n) * TK + j] = from + j < used ? v : uintBitsToFloat(0xff800000u);
        }
}

void main()
{
    uint lane = gl_LocalInvocationID.x, head = gl_WorkGroupID.y;
    uint sequence = live[rows_at] + gl_WorkGroupID.z, tile_q = gl_WorkGroupID.x * TQ;

    if (called_off() || gl_WorkGroupID.z >= live[rows_at + 1])
        return;
    uint q_first = live[table + 4 * sequence], tq = live[table + 4 * sequence + 1];
    uint k_first = live[table + 4 * sequence + 2], tk = live[table + 4 * sequence + 3];
    if (tile_q >= tq)
        return;
    for (uint i = lane; i < TQ * DIM; i += LANES) {
        uint row = q_first + min(tile_q + i / DIM, tq - 1);
        queries[i / DIM * WIDE + i % DIM] =
            as_multiplied(q[q_from + row * q_stride + head * DIM + i % DIM]);
    }
    uint keys_seen = causal == 1 ? min(tile_q + TQ, tk) : tk;
    float top = -3.4e38, total = 0.0;
    for (uint from = 0; from < keys_seen; from += TK) {
        load(k_from, k_first + from, tk - from, head);
        barrier();
        score_tile(from, tile_q, tk, head);
        barrier();
        for (uint j = lane % SHARES; j < TK; j += SHARES) {
            float s = score[lane / SHARES * TK + j], before = top;
            top = s > top ? s : top;
            total = total * exponential(before - top) + exponential(s - top);
        }
    }
    best[lane] = top;
    sums[lane] = total;
    barrier();
    uint mine = lane / SHARES * SHARES; // the shares of its query
    for (uint l = mine; l < mine + SHARES; l++)
        top = best[l] > top ? best[l] : top;
    total = 0.0;
    for (uint l = mine; l < mine + SHARES; l++)
        total += sums[l] * exponential(best[l] - top);
    float one = 1.0 / total;
    uint row = q_first + min(tile_q + lane / SHARES, tq - 1);
    uint sees = visible == 0 ? 1 : live[visible + row];

    uint across = lane % ACROSS, i = lane / ACROSS * OWN_Q;
    float mixed[OWN_Q * OWN_C];
    for (uint p = 0; p < OWN_Q * OWN_C; p++)
        mixed[p] = 0.0;
    for (uint from = 0; from < keys_seen; from += TK) {
        barrier();
        load(k_from, k_first + from, tk - from, head);
        barrier();
        score_tile(from, tile_q, tk, head);
        barrier();
        for (uint j = lane % SHARES; j < TK; j += SHARES) {
            float share = exponential(score[lane / SHARES * TK + j] - top) * one;
            if (sees != 1)
                share = sees == 2 && from + j < tk ? 1.0 / float(tk) : 0.0;
            score[lane / SHARES * TK + j] = as_multiplied(share);
        }
        load(v_from, k_first + from, tk - from, head);
        barrier();
        for (uint j = 0; j < min(TK, keys_seen - from); j++) {
            float value[OWN_C];
            for (uint m = 0; m < OWN_C; m++)
                value[m] = keys[j * WIDE + min(across + m * ACROSS, DIM - 1)];
            for (uint n = 0; n < OWN_Q; n++) {
                float share = score[(i + n) * TK + j];
                for (uint m = 0; m < OWN_C; m++)
                    mixed[n * OWN_C + m] += share * value[m];
            }
        }
    }
    for (uint n = 0; n < OWN_Q; n++)
        for (uint m = 0; m < OWN_C; m++) {
            uint c = across + m * ACROSS;
            if (c < DIM && tile_q + i + n < tq)
                o[(q_first + tile_q + i + n) * o_stride + head * DIM + c] = mixed[n * OWN_C + m];
        }
}
