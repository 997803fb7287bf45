// SPDX-License-Identifier: MIT
// linear.glsl - y[m, n] (+)= then(x[m, k] w^T + b): what both products share. Weights lie in the
// panels that the processor's kernels read (matrix in runtime/kernels/kernels.h): [n / 16][words of
// k][16 outputs], a word 1 float32, 2 bfloat16 or 4 bytes. Inputs of bfloat16 weights are rounded to
// bfloat16; those of bytes are words of 4 signed bytes with a scale for every 2,048 (quantise.comp).
layout(constant_id = 0) const uint TYPE = 0; // float32, bfloat16, 8 bits

layout(binding = 1, std430) buffer Y { float y[]; };
layout(binding = 2, std430) readonly buffer X { uint x[]; };
layout(binding = 3, std430) readonly buffer XScale { float x_scale[]; };
layout(binding = 4, std430) readonly buffer W { uvec4 w[]; };
layout(binding = 5, std430) readonly buffer Scale { float scale[]; };
layout(binding = 6, std430) readonly buffer B { float b[]; };
layout(binding = 7, std430) readonly buffer Gate { float gated[]; };
layout(push_constant) uniform Push
{
    uint rows_at, n, k, words, x_stride, x_from, y_stride, y_from, then, add, bias, rest;
};

// The views of weights begin at what a device can bind; what is wanted lies `rest` 64 bytes later:
// 8 bits each for w, scale, b, gate.
uint late(uint which)
{
    return (rest >> (8 * which) & 255u) * 16;
}

// Integers of a word of inputs and of a word of weights, whose bytes are 128 too high. With DOTS four
// products are one instruction, OpSDotKHR, which glslang 12 knows by its number only.
#ifdef DOTS
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019], id = 4450)
int signed_dot(uint a, uint b, spirv_literal int packed);

int dot_bytes(uint inputs, uint weights)
{
    return signed_dot(inputs, weights ^ 0x80808080u, 0);
}
#else
int dot_bytes(uint inputs, uint weights)
{
    ivec4 a = ivec4(int(inputs << 24) >> 24, int(inputs << 16) >> 24, int(inputs << 8) >> 24,
                    int(inputs) >> 24);
    ivec4 u = ivec4(weights & 255u, weights >> 8 & 255u, weights >> 16 & 255u, weights >> 24) - 128;
    return a.x * u.x + a.y * u.y + a.z * u.z + a.w * u.w;
}
#endif

// Input `at` of row `row` as it is multiplied: a float's bits, or a word of bytes.
uint input_of(uint row, uint at, uint end)
{
    if (at >= end)
        return 0;
    uint bits = x[x_from + row * x_stride + at];
    return TYPE == 1 ? floatBitsToUint(rounded(uintBitsToFloat(bits))) : bits;
}

void put(uint row, uint column, float sum)
{
    uint at = y_from + row * y_stride + column;
    if (bias == 1)
        sum += b[late(2) + column];
    if (then == 1)
        sum = gelu(sum);
    else if (then == 2)
        sum = quick_gelu(sum);
    else if (then == 3)
        sum = sum < 0.0 ? 0.0 : sum; // keeps a NaN
    if (add == 1)
        sum += y[at];
    else if (add == 2)
        sum = y[at] + tanh_of(gated[late(3)]) * sum;
    y[at] = sum;
}
