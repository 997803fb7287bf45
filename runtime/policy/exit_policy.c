/* SPDX-License-Identifier: MIT */
/* exit_policy.c - when two exits agree. */
#include "runtime/policy/exit_policy.h"

#include <math.h>
#include <string.h>

#include "runtime/base/tau.h"
#include "runtime/thresholds/criterion.h"

bool exit_policy_stop(const deer_thresholds *thresholds, int exit, float value)
{
    return exit >= thresholds->max_exit || tau_stops(value, thresholds->tau[exit]);
}

/* ---------------------------------------------------------------- scores ------------------- */

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
    if (!t || !done || !pseudo || !exit_criterion_of(criterion))
        return DEER_USAGE;
    *t = (deer_exit_trial){.criterion = criterion, .score = score};
    memcpy(t->done, done, sizeof t->done);
    memcpy(t->previous, pseudo, sizeof t->previous);
    return DEER_OK;
}

/* Fills the signals of an exit that is `delta` away from the one before it. */
static void see_signals(deer_exit_trial *t, float delta, const float pose[DEER_POSE], float gripper)
{
    t->signal[DEER_SIGNAL_DELTA] = (double)delta;
    t->signal[DEER_SIGNAL_TURN] = (double)deer_criterion_delta(DEER_CRITERION_L2, pose, t->done);
    t->signal[DEER_SIGNAL_MARGIN] = fabs((double)gripper - 0.5);
}

float deer_exit_trial_next(deer_exit_trial *t, const float pose[DEER_POSE], float gripper)
{
    const exit_criterion *how = t ? exit_criterion_of(t->criterion) : NULL;
    float value;

    if (!how || !pose || t->exit < 0 || t->exit >= DEER_MAX_EXITS)
        return NAN;
    value = how->evaluate(pose, t->previous);
    if (how->needs & CRITERION_NEEDS_SCORE) {
        see_signals(t, value, pose, gripper);
        value = t->score ? exit_score(&t->score[t->exit], t->signal) : value;
    }
    memcpy(t->previous, pose, sizeof t->previous);
    t->exit++;
    return value;
}
