/* bench_signals.c - deer-calib bench --what signals: would another signal than delta decide better?
 *
 * Thresholds on delta against thresholds on a loss fitted (calib/score.h) to delta and one thing
 * more that the runtime has anyway, and to all of them. The history is the cache's, the deepest
 * exit at every step. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calib/calibration.h"
#include "calib/commands/bench_signals.h"
#include "calib/score.h"
#include "runtime/half.h"

enum {
    DELTA,
    DELTA_BEFORE, /* of the exit before */
    MARGIN,       /* how sure the gripper is: |p - 1/2| */
    FEATURE,      /* change of the pooled feature since the exit before, relative */
    STEP_SIZE,    /* length of the translation commanded */
    TURN,         /* change of the pose since the step before */
    LAST_FIRST,   /* the step before: its delta at the first exit .. */
    LAST_SECOND,  /* .. and at the second: what its exit was taken for */
    SIGNALS
};

static const char *const names[SIGNALS] = {
    "delta",     "delta before",   "gripper margin",      "feature change",
    "step size", "change in time", "last step's delta 1", "last step's delta 2"};

static double distance(const float *a, const float *b, int n)
{
    double square = 0;

    for (int i = 0; i < n; i++)
        square += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(square);
}

static double feature_change(const uint16_t *now, const uint16_t *before, int width)
{
    double square = 0, size = 0;

    for (int i = 0; i < width; i++) {
        double a = (double)half_to_float(now[i]), b = (double)half_to_float(before[i]);

        square += (a - b) * (a - b);
        size += a * a;
    }
    return sqrt(square / (size + 1e-12));
}

/* Signals of one step at exit k; `last` is the row of the step before in its episode, or its own.
 */
static void step_signals(const cache *c, const steps *s, const uint16_t *features, int64_t row,
                         int64_t last, int k, float *out)
{
    static const float origin[3];
    size_t stride = (size_t)(1 + c->exits) * CACHE_ACTION;
    const float *action = c->action + (size_t)row * stride + (k + 1) * CACHE_ACTION;
    const float *done = c->action + (size_t)last * stride + c->exits * CACHE_ACTION;
    const uint16_t *now = features + (k + 1) * c->width;

    out[DELTA] = s->delta[k * s->n + row];
    out[DELTA_BEFORE] = s->delta[(k ? k - 1 : 0) * s->n + row];
    out[MARGIN] = fabsf(action[DEER_POSE] - 0.5f);
    out[FEATURE] = (float)feature_change(now, now - c->width, c->width);
    out[STEP_SIZE] = (float)distance(action, origin, 3);
    out[TURN] = (float)distance(action, done, DEER_POSE);
    out[LAST_FIRST] = s->delta[last];
    out[LAST_SECOND] = s->delta[(s->exits > 1 ? 1 : 0) * s->n + last];
}

static void fill_signals(const cache *c, const steps *s, float *signal)
{
    float out[SIGNALS];

    for (int e = 0; e < c->about.episodes; e++) {
        int64_t first = c->episode[e].first;
        const uint16_t *features = cache_features(c, e);

        for (int64_t row = first; row < first + c->episode[e].steps; row++)
            for (int k = 0; k < s->exits; k++) {
                step_signals(c, s, features + (row - first) * (1 + c->exits) * c->width, row,
                             row > first ? row - 1 : row, k, out);
                for (int j = 0; j < SIGNALS; j++)
                    signal[((int64_t)j * s->exits + k) * s->n + row] = out[j];
            }
    }
}

/* ---------------------------------------------------------------- comparison --------------- */

enum { BUDGETS = 6 };
static const double shares[BUDGETS] = {0.2, 0.25, 0.3, 0.4, 0.5, 0.6};

static deer_status print_rule(const steps *s, const char *name, const float *signal, int count,
                              deer_error *err)
{
    printf("%-28s", name);
    for (int b = 0; b < BUDGETS; b++) {
        score_verdict v;
        double budget = shares[b] * steps_fixed_cost(s, s->exits - 1);

        if (score_judge(s, signal, count, s->exits - 1, budget, &v, err))
            return DEER_FAILED;
        printf(" %6.1f%%", 100 * (count ? v.score : v.delta));
    }
    printf("\n");
    fflush(stdout);
    return DEER_OK;
}

static deer_status compare(const steps *s, float *signal, float *pair, deer_error *err)
{
    size_t column = (size_t)s->exits * (size_t)s->n;
    char name[64];
    deer_status status;

    printf("%lld steps of %d episodes: gap from the best official heuristic to the oracle that\n"
           "thresholds close on episodes not solved on, by budget (share of the LLM's cost)\n\n"
           "%-28s",
           (long long)s->n, s->episodes, "thresholds on");
    for (int b = 0; b < BUDGETS; b++)
        printf(" %7.2f", shares[b]);
    printf("\n");
    status = print_rule(s, "delta", NULL, 0, err);
    memcpy(pair, signal, column * sizeof *pair);
    for (int j = 1; j < SIGNALS && !status; j++) {
        memcpy(pair + column, signal + (size_t)j * column, column * sizeof *pair);
        snprintf(name, sizeof name, "delta, %s", names[j]);
        status = print_rule(s, name, pair, 2, err);
    }
    return status ? status : print_rule(s, "all of them", signal, SIGNALS, err);
}

deer_status bench_signals(const char *dir, deer_error *err)
{
    calibration_spec spec = {.criterion = DEER_CRITERION_L2,
                             .loss = LOSS_DEEPEST,
                             .gripper_weight = LOSS_GRIPPER_WEIGHT,
                             .scope_llm = true};
    calibration p = {0};
    float *signal = NULL, *pair = NULL;
    size_t column;
    cache *c;
    deer_status status;

    if (cache_open(dir, &c, err))
        return DEER_FAILED;
    spec.max_exit = c->exits - 1;
    column = (size_t)c->exits * (size_t)c->steps;
    status = calibration_make(c, &spec, NULL, &p, err);
    if (!status)
        status = cache_load_features(c, 0, c->about.shards, err);
    if (!status) {
        signal = malloc(SIGNALS * column * sizeof *signal);
        pair = malloc(2 * column * sizeof *pair);
        status = signal && pair ? DEER_OK
                                : deer_fail(err, "out of memory for %lld steps", (long long)p.s.n);
    }
    if (!status) {
        fill_signals(c, &p.s, signal);
        status = compare(&p.s, signal, pair, err);
    }
    free(pair);
    free(signal);
    calibration_free(&p);
    cache_close(c);
    return status;
}
