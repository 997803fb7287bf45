/* SPDX-License-Identifier: MIT */
/* exit_policy.c - when two exits agree. */
#include "runtime/policy/exit_policy.h"
#include "runtime/base/tau.h"

#include <math.h>
#include <string.h>

const char *deer_criterion_name(deer_criterion criterion)
{
    static const char *const names[] = {"l2", "mean", "max", "cosine", "combined"};

    return (unsigned)criterion < sizeof names / sizeof *names ? names[criterion] : "unknown";
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

    if (!p || !q || (unsigned)criterion >= DEER_CRITERION_COMBINED)
        return NAN;
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

bool exit_policy_stop(const deer_thresholds *thresholds, int exit, float value)
{
    return exit >= thresholds->max_exit || tau_stops(value, thresholds->tau[exit]);
}

/* ---------------------------------------------------------------- combined ----------------- */

const char *deer_signal_name(deer_signal signal)
{
    static const char *const names[] = {"delta", "turn", "margin"};

    return (unsigned)signal < DEER_SIGNALS ? names[signal] : "unknown";
}

double deer_signal_level(double signal)
{
    return log(signal < 1e-6 ? 1e-6 : signal); /* keeps a NaN */
}

float exit_score(const deer_score *score, const double signal[DEER_SIGNALS])
{
    double sum = (double)score->constant;

    for (int j = 0; j < DEER_SIGNALS; j++) {
        if (!isfinite(signal[j]))
            return NAN;
        sum += (double)score->weight[j] * deer_signal_level(signal[j]);
    }
    return (float)exp(sum);
}

/* ---------------------------------------------------------------- a step ------------------- */

deer_status deer_exit_trial_begin(deer_exit_trial *t, deer_criterion criterion,
                                  const deer_score *score, const float done[DEER_POSE],
                                  const float pseudo[DEER_POSE])
{
    if (!t || !done || !pseudo || (unsigned)criterion > DEER_CRITERION_COMBINED)
        return DEER_USAGE;
    *t = (deer_exit_trial){.criterion = criterion, .score = score};
    memcpy(t->done, done, sizeof t->done);
    memcpy(t->previous, pseudo, sizeof t->previous);
    return DEER_OK;
}

float deer_exit_trial_next(deer_exit_trial *t, const float pose[DEER_POSE], float gripper)
{
    bool combined;
    float value;

    if (!t || !pose || t->exit < 0 || t->exit >= DEER_MAX_EXITS)
        return NAN;
    combined = t->criterion == DEER_CRITERION_COMBINED;
    value = deer_criterion_delta(combined ? DEER_CRITERION_L2 : t->criterion, pose, t->previous);
    if (combined) {
        t->signal[DEER_SIGNAL_DELTA] = (double)value;
        t->signal[DEER_SIGNAL_TURN] =
            (double)deer_criterion_delta(DEER_CRITERION_L2, pose, t->done);
        t->signal[DEER_SIGNAL_MARGIN] = fabs((double)gripper - 0.5);
    }
    if (combined && t->score)
        value = exit_score(&t->score[t->exit], t->signal);
    memcpy(t->previous, pose, sizeof t->previous);
    t->exit++;
    return value;
}
