/* exit_policy.c - when two exits agree. */
#include "runtime/exit_policy.h"

#include <math.h>

const char *deer_criterion_name(deer_criterion criterion)
{
    static const char *const names[] = {"l2", "mean", "max", "cosine"};

    return names[criterion];
}

static float cosine_distance(const float *p, const float *q)
{
    float dot = 0, pp = 0, qq = 0;

    for (int i = 0; i < DEER_POSE; i++) {
        dot += p[i] * q[i];
        pp += p[i] * p[i];
        qq += q[i] * q[i];
    }
    return 1 - dot / (fmaxf(sqrtf(pp), 1e-8f) * fmaxf(sqrtf(qq), 1e-8f));
}

float deer_criterion_delta(deer_criterion criterion, const float p[DEER_POSE],
                           const float q[DEER_POSE])
{
    float squares = 0, sum = 0, largest = 0;

    if (criterion == DEER_CRITERION_COSINE)
        return cosine_distance(p, q);
    for (int i = 0; i < DEER_POSE; i++) {
        float d = fabsf(p[i] - q[i]);
        squares += d * d;
        sum += d;
        largest = isnan(d) || d > largest ? d : largest; /* keeps a NaN */
    }
    return criterion == DEER_CRITERION_L2     ? sqrtf(squares / DEER_POSE)
           : criterion == DEER_CRITERION_MEAN ? sum / DEER_POSE
                                              : largest;
}

bool exit_policy_stop(const deer_thresholds *thresholds, int exit, float delta)
{
    return exit >= thresholds->max_exit || delta <= thresholds->tau[exit];
}
