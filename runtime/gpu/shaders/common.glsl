// SPDX-License-Identifier: MIT
// common.glsl - what every shader begins with: the orders of a step, and functions that GLSL lacks
// or that drivers may round too freely. The C side of the layout is runtime/gpu/orders.h.

// Words of the step's orders. live[0]: the step has stopped. Pairs (first, count) say which rows take
// part, tables where sequences begin.
layout(binding = 0, std430) buffer Live { uint live[]; };

// Whether what was submitted ahead has been called off: it must not touch anything.
bool called_off()
{
    return live[0] != 0;
}

// A driver may assume that there are no NaNs; bits it has to look at.
bool is_nan(float x)
{
    return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u;
}

bool is_finite(float x)
{
    return (floatBitsToUint(x) & 0x7fffffffu) < 0x7f800000u;
}

// Rounded to the nearest bfloat16, ties to even; a NaN stays one.
float rounded(float x)
{
    uint bits = floatBitsToUint(x);
    return is_nan(x) ? uintBitsToFloat(0x7fc00000u)
                     : uintBitsToFloat((bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u);
}

// e^x for x <= 88 to 2 units in the last place, 0 below -87, as runtime/kernels has it.
float exponential(float x)
{
    precise float shifted = x * 1.44269504 + 12582912.0;
    precise float n = shifted - 12582912.0;
    precise float r = (x - n * 0.693145752) - n * 1.42860677e-06;
    uint power = (floatBitsToUint(shifted) - (0x4b400000u - 127u)) << 23;
    float s = 1.0 / 720.0 + r * (1.0 / 5040.0);
    s = 1.0 / 120.0 + r * s;
    s = 1.0 / 24.0 + r * s;
    s = 1.0 / 6.0 + r * s;
    s = 0.5 + r * s;
    s = 1.0 + r * (1.0 + r * s);
    return is_nan(x) ? x : x < -87.0 ? 0.0 : s * uintBitsToFloat(power);
}

float sigmoid_of(float x)
{
    float small = exponential(-abs(x));
    return (x > 0.0 ? 1.0 : small) / (1.0 + small);
}

float tanh_of(float x)
{
    float small = exponential(-2.0 * abs(x)), size = (1.0 - small) / (1.0 + small);
    return x < 0.0 ? -size : size;
}

// erfc(t) e^(t^2) / 2 as a polynomial in 1 / (1 + 0.4 t).
float scaled_half_erfc(float u)
{
    float p = -2.224187735e-01 + u * 4.194263694e-02;
    p = 3.987846201e-01 + u * p;
    p = -2.582802749e-01 + u * p;
    p = 2.592806669e-01 + u * p;
    p = 4.344775681e-02 + u * p;
    p = 1.259351080e-01 + u * p;
    p = 1.112216089e-01 + u * p;
    return 8.664842637e-05 + u * p;
}

float gelu(float x)
{
    float u = 1.0 / (1.0 + 0.4 * 0.707106781 * abs(x));
    float tail = exponential(-0.5 * x * x) * scaled_half_erfc(u);
    return x * (x > 0.0 ? 1.0 - tail : tail);
}

float quick_gelu(float x)
{
    return x * sigmoid_of(1.702 * x);
}
