// SPDX-License-Identifier: MIT
// decide.comp - the end of an exit: its action from raw[row, 8] (pose, gripper), its distance from
// the exit before by the criterion, and whether to stop; who stops says so to all that follows, and whatever was
// submitted ahead touches nothing. What is not finite never stops. Formulas and the order of sums are
// runtime/thresholds/criterion.c's, all in float32.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 1) in;
layout(binding = 1, std430) buffer Result { uint result[]; }; // [exits + 1][SLOT]
layout(binding = 2, std430) buffer Trial { float previous[]; };
layout(binding = 3, std430) readonly buffer Raw { float raw[]; };
// shows: no decision; the actions of all rows into slot `exit_of`
layout(push_constant) uniform Push { uint exit_of, rows, shows, orders; };

const uint SLOT = 24, POSE = 6;
const uint CRITERION = 0, LAST = 1, DONE = 2, TAU = 8, SCORE = 40; // of the orders

float number(uint at)
{
    return uintBitsToFloat(live[orders + at]);
}

float distance_of(uint criterion, float p[6], float q[6])
{
    float sum = 0.0, top = 0.0, dot_of = 0.0, pp = 0.0, qq = 0.0;

    for (uint i = 0; i < POSE; i++) {
        float d = p[i] - q[i];
        if (is_nan(d))
            return uintBitsToFloat(0x7fc00000u);
        sum += criterion == 1 ? abs(d) : d * d;
        top = max(top, abs(d));
        dot_of += p[i] * q[i];
        pp += p[i] * p[i];
        qq += q[i] * q[i];
    }
    if (criterion == 1)
        return sum / 6.0;
    if (criterion == 2)
        return top;
    if (criterion == 3)
        return 1.0 - dot_of / (max(sqrt(pp), 1e-8) * max(sqrt(qq), 1e-8));
    return sqrt(sum / 6.0);
}

// What stopping is expected to lose.
float score_of(float delta, float p[6], float gripper)
{
    float done[6], signal[3], sum = number(SCORE + 4 * exit_of);

    for (uint i = 0; i < POSE; i++)
        done[i] = number(DONE + i);
    signal[0] = delta;
    signal[1] = distance_of(0, p, done);
    signal[2] = abs(gripper - 0.5);
    for (uint j = 0; j < 3; j++) {
        if (!is_finite(signal[j]))
            return uintBitsToFloat(0x7fc00000u);
        sum += number(SCORE + 4 * exit_of + 1 + j) * log(max(signal[j], 1e-6));
    }
    return exp(sum);
}

void action_of(uint row, out float pose[6], out float gripper)
{
    for (uint i = 0; i < POSE; i++)
        pose[i] = tanh_of(raw[row * 8 + i]);
    gripper = sigmoid_of(raw[row * 8 + 6]);
}

void put(uint at, float pose[6], float gripper)
{
    for (uint i = 0; i < POSE; i++)
        result[at + i] = floatBitsToUint(pose[i]);
    result[at + POSE] = floatBitsToUint(gripper);
}

void main()
{
    uint slot = exit_of * SLOT, criterion = live[orders + CRITERION];
    float pose[6], before[6], gripper, value;

    if (called_off())
        return;
    if (shows == 1) {
        for (uint row = 0; row < rows; row++) {
            action_of(row, pose, gripper);
            put(slot + 8 * row, pose, gripper);
        }
        return;
    }
    for (uint i = 0; i < POSE; i++)
        before[i] = previous[i];
    if (exit_of == 0)
        action_of(0, before, gripper); // the pseudo exit's
    action_of(rows - 1, pose, gripper);
    value = distance_of(criterion, pose, before);
    if (criterion == 4)
        value = score_of(value, pose, gripper);
    bool stops = exit_of >= live[orders + LAST] ||
                 (is_finite(value) && value <= number(TAU + exit_of));
    for (uint i = 0; i < POSE; i++)
        previous[i] = pose[i];
    put(slot, pose, gripper);
    result[slot + 7] = floatBitsToUint(value);
    result[slot + 8] = stops ? 1 : 0;
    if (stops)
        live[0] = 1;
}
