// SPDX-License-Identifier: MIT
// lstm_cell.comp - new cell and hidden state from the gates (i, f, g, o): W_ih x, what the state
// before gives (W_hh h + b_hh, the same for all rows), and b_ih.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 64) in;
layout(binding = 1, std430) writeonly buffer Out { float out_of[]; };     // [rows, n]
layout(binding = 2, std430) writeonly buffer HNext { float h_next[]; };   // [rows, layers, n]
layout(binding = 3, std430) writeonly buffer CNext { float c_next[]; };   // [rows, layers, n]
layout(binding = 4, std430) readonly buffer Gates { float gates[]; };     // [rows, 4 n]
layout(binding = 5, std430) readonly buffer Recurrent { float recurrent[]; }; // [layers, 4 n]
layout(binding = 6, std430) readonly buffer C { float c[]; };             // [layers, n]
layout(binding = 7, std430) readonly buffer B { float b[]; };             // [4 n]
layout(push_constant) uniform Push { uint rows_at, n, layers, layer, rest; };

float gate_of(uint which, uint row, uint j)
{
    uint at = which * n + j;
    return gates[row * 4 * n + at] + (recurrent[layer * 4 * n + at] + b[(rest & 255u) * 16 + at]);
}

void main()
{
    uint j = gl_GlobalInvocationID.x, row = gl_WorkGroupID.y;

    if (called_off() || row >= live[rows_at + 1] || j >= n)
        return;
    float taken_in = sigmoid_of(gate_of(0, row, j)), forget = sigmoid_of(gate_of(1, row, j));
    float candidate = tanh_of(gate_of(2, row, j)), shown = sigmoid_of(gate_of(3, row, j));
    float cell = forget * c[layer * n + j] + taken_in * candidate, h = shown * tanh_of(cell);
    uint at = (row * layers + layer) * n + j;
    c_next[at] = cell;
    h_next[at] = h;
    out_of[row * n + j] = h;
}
