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
layout(constant_id = 2) const uint TK = 16;
const uint LANES = 64;
layout(local_size_x = 64) in;

layout(binding = 1, std430) writeonly buffer O { float o[]; };
layout(binding = 2, std430) readonly buffer Q { float q[]; };
layout(binding = 3, std430) readonly buffer KV { float kv[]; };
layout(binding = 4, std430) readonly buffer Slope { float slope[]; };
// causal: query i sees keys up to i. round: q, k, v and the softmax to bfloat16. visible: where the
// flags of tokens are, 0: none (1: sees its media, 0: nothing, 2: every key alike)
layout(push_constant) uniform Push
{
    uint rows_at, table, q_stride, kv_stride, o_stride, q_from, k_from, v_from, causal, round_to,
        visible;
    float scale;
};

const uint WIDE = DIM + 1;
const uint OWN = (TQ * DIM + LANES - 1) / LANES; // results of an invocation

shared float queries[TQ * WIDE];
shared float keys[TK * WIDE];
shared float score[TQ * TK];
shared float best[TQ];
shared float sums[TQ];

float as_multiplied(float v)
{
    return round_to == 1 ? rounded(v) : v;
}

void load(uint from, uint first, uint end, uint head)
{
    for (uint i = gl_LocalInvocationID.x; i < TK * DIM; i += LANES) {
        uint j = i / DIM, c = i % DIM;
        keys[j * WIDE + c] =
            j < end ? as_multiplied(kv[from + (first + j) * kv_stride + head * DIM + c]) : 0.0;
    }
}

// score of TK keys from `from` on; used: how many keys the last query sees
void score_tile(uint from, uint tile_q, uint tk, uint head)
{
    for (uint p = gl_LocalInvocationID.x; p < TQ * TK; p += LANES) {
        uint i = p / TK, j = p % TK, used = causal == 1 ? min(tile_q + i + 1, tk) : tk;
        float sum = 0.0;
        for (uint c = 0; c < DIM; c++)
            sum += queries[i * WIDE + c] * keys[j * WIDE + c];
        sum *= scale;
        if (causal == 1)
            sum += slope[head] * (float(from + j) - float(tk - 1));
        score[p] = from + j < used ? sum : uintBitsToFloat(0xff800000u);
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
    float mixed[OWN];
    for (uint i = 0; i < OWN; i++)
        mixed[i] = 0.0;
    for (uint i = lane; i < TQ * DIM; i += LANES) {
        uint row = q_first + min(tile_q + i / DIM, tq - 1);
        queries[i / DIM * WIDE + i % DIM] = as_multiplied(q[q_from + row * q_stride + head * DIM + i % DIM]);
    }
    if (lane < TQ)
        best[lane] = -3.4e38, sums[lane] = 0.0;
    uint keys_seen = causal == 1 ? min(tile_q + TQ, tk) : tk;
    for (uint from = 0; from < keys_seen; from += TK) {
        load(k_from, k_first + from, tk - from, head);
        barrier();
        score_tile(from, tile_q, tk, head);
        barrier();
        if (lane < TQ) {
            float top = best[lane], sum = 0.0;
            for (uint j = 0; j < TK; j++)
                top = score[lane * TK + j] > top ? score[lane * TK + j] : top;
            for (uint j = 0; j < TK; j++)
                sum += exponential(score[lane * TK + j] - top);
            sums[lane] = sums[lane] * exponential(best[lane] - top) + sum;
            best[lane] = top;
        }
        barrier();
    }
    for (uint from = 0; from < keys_seen; from += TK) {
        load(k_from, k_first + from, tk - from, head);
        barrier();
        score_tile(from, tile_q, tk, head);
        barrier();
        for (uint p = lane; p < TQ * TK; p += LANES) {
            uint i = p / TK, sees = visible == 0 ? 1 : live[visible + q_first + min(tile_q + i, tq - 1)];
            float share = exponential(score[p] - best[i]) * (1.0 / sums[i]);
            if (sees != 1)
                share = sees == 2 && from + p % TK < tk ? 1.0 / float(tk) : 0.0;
            score[p] = as_multiplied(share);
        }
        load(v_from, k_first + from, tk - from, head);
        barrier();
        for (uint own = 0; own < OWN; own++) {
            uint i = (own * LANES + lane) / DIM, c = (own * LANES + lane) % DIM;
            if (i < TQ)
                for (uint j = 0; j < TK; j++)
                    mixed[own] += score[i * TK + j] * keys[j * WIDE + c];
        }
        barrier();
    }
    for (uint own = 0; own < OWN; own++) {
        uint i = (own * LANES + lane) / DIM, c = (own * LANES + lane) % DIM;
        if (i < TQ && tile_q + i < tq)
            o[(q_first + tile_q + i) * o_stride + head * DIM + c] = mixed[own];
    }
}
