/* exit_policy.c - when two exits agree. */
#include "runtime/exit_policy.h"

#include <math.h>
#include <string.h>

const char *deer_criterion_name(deer_criterion criterion)
{
    static const char *const names[] = {"l2", "mean", "max", "cosine", "combined"};

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

bool exit_policy_stop(const deer_thresholds *thresholds, int exit, float value)
{
    return exit >= thresholds->max_exit || value <= thresholds->tau[exit];
}

/* ---------------------------------------------------------------- combined ----------------- */

const char *deer_signal_name(deer_signal signal)
{
    static const char *const names[] = {"delta", "delta_before", "margin",   "stride",
                                        "turn",  "last_delta",   "last_exit"};

    return names[signal];
}

/* Root mean square of p - q. */
static double distance(const float *p, const float *q, int n)
{
    double squares = 0;

    for (int i = 0; i < n; i++) {
        double d = (double)p[i] - (double)q[i];
        squares += d * d;
    }
    return sqrt(squares / n);
}

static void take_signals(exit_trial *t, const float pose[DEER_POSE], float gripper, float before)
{
    static const float rest[DEER_POSE];
    const exit_memory *m = &t->before;

    t->signal[DEER_SIGNAL_DELTA] = (double)t->last;
    t->signal[DEER_SIGNAL_DELTA_BEFORE] = (double)before;
    t->signal[DEER_SIGNAL_MARGIN] = fabs((double)gripper - 0.5);
    t->signal[DEER_SIGNAL_STRIDE] = distance(pose, rest, 3);
    t->signal[DEER_SIGNAL_TURN] = distance(pose, m->pose, DEER_POSE);
    t->signal[DEER_SIGNAL_LAST_DELTA] = (double)(m->any ? m->delta : t->first);
    t->signal[DEER_SIGNAL_LAST_EXIT] = m->any ? 1 + m->exit : 1;
}

double exit_signal_level(double signal)
{
    return log(signal < 1e-6 ? 1e-6 : signal); /* keeps a NaN */
}

float exit_score(const deer_score *score, const double signal[DEER_SIGNALS])
{
    double sum = (double)score->constant;

    for (int j = 0; j < DEER_SIGNALS; j++) {
        if (!isfinite(signal[j]))
            return NAN;
        sum += (double)score->weight[j] * exit_signal_level(signal[j]);
    }
    return (float)exp(sum);
}

/* ---------------------------------------------------------------- a step ------------------- */

void exit_memory_keep(exit_memory *m, const float pose[DEER_POSE], int exit, float delta)
{
    memcpy(m->pose, pose, sizeof m->pose);
    m->any = true;
    m->exit = exit;
    m->delta = delta;
}

void exit_trial_begin(exit_trial *t, deer_criterion criterion, const deer_score *score,
                      const exit_memory *before, const float pseudo[DEER_POSE])
{
    *t = (exit_trial){.criterion = criterion, .score = score, .before = *before};
    memcpy(t->previous, pseudo, sizeof t->previous);
}

float exit_trial_next(exit_trial *t, const float pose[DEER_POSE], float gripper)
{
    bool combined = t->criterion == DEER_CRITERION_COMBINED;
    float l2 = deer_criterion_delta(DEER_CRITERION_L2, pose, t->previous);
    float before = t->exit ? t->last : l2;
    float value = combined ? NAN : deer_criterion_delta(t->criterion, pose, t->previous);

    t->first = t->exit ? t->first : l2;
    t->last = l2;
    if (combined) {
        take_signals(t, pose, gripper, before);
        value = t->score ? exit_score(&t->score[t->exit], t->signal) : l2;
    }
    memcpy(t->previous, pose, sizeof t->previous);
    t->exit++;
    return value;
}
