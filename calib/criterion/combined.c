/* SPDX-License-Identifier: MIT */
/* combined.c - one regression an exit. */
#include "calib/criterion/combined.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/criterion/regression.h"
#include "calib/replay/history.h"
#include "runtime/deer_replay.h"

#define LOOK_AT 20000

/* The steps looked at. */
typedef struct {
    const combined_spec *spec;
    int64_t every, seen, n, room;
    double *level; /* [exits, DEER_SIGNALS, room] */
    float *loss;   /* [exits, room] */
} sample;

static void take(void *context, const calibration_step *step)
{
    sample *x = context;
    int exits = x->spec->problem.max_exit;

    if ((x->spec->episodes && !x->spec->episodes[step->episode]) || x->seen++ % x->every)
        return;
    for (int k = 0; k < exits; k++) {
        x->loss[k * x->room + x->n] = step->loss[k];
        for (int j = 0; j < DEER_SIGNALS; j++)
            x->level[((int64_t)k * DEER_SIGNALS + j) * x->room + x->n] =
                deer_signal_level(step->signal[k][j]);
    }
    x->n++;
}

/* The score of exit k. term [n, 1 + DEER_SIGNALS] is scratch. Signals are brought to one size for
 * the regression; the score takes them as they are. */
static void fit_exit(const sample *x, int k, double *term, deer_score *score)
{
    double mean[DEER_SIGNALS], spread[DEER_SIGNALS], weight[1 + DEER_SIGNALS], constant;
    int used[DEER_SIGNALS], m = 1;

    *score = (deer_score){0};
    for (int j = 0; j < DEER_SIGNALS; j++) {
        const double *level = x->level + ((int64_t)k * DEER_SIGNALS + j) * x->room;

        if (x->spec->signals != COMBINED_ALL && !(x->spec->signals >> j & 1))
            continue;
        regression_spread(level, x->n, &mean[m - 1], &spread[m - 1]);
        used[m++ - 1] = j;
    }
    for (int64_t i = 0; i < x->n; i++) {
        term[i * m] = 1;
        for (int a = 1; a < m; a++)
            term[i * m + a] =
                (x->level[((int64_t)k * DEER_SIGNALS + used[a - 1]) * x->room + i] - mean[a - 1]) /
                spread[a - 1];
    }
    regression_fit(term, x->loss + k * x->room, x->n, m, weight);
    constant = weight[0];
    for (int a = 1; a < m; a++) {
        score->weight[used[a - 1]] = (float)(weight[a] / spread[a - 1]);
        constant -= weight[a] / spread[a - 1] * mean[a - 1];
    }
    score->constant = (float)constant;
}

static deer_status fit_all(const cache *c, const combined_spec *spec, const calibration_actions *a,
                           deer_score *score, deer_error *err)
{
    size_t exits = (size_t)spec->problem.max_exit;
    sample x = {.spec = spec, .every = 1 + c->steps / LOOK_AT};
    double *term;

    x.room = c->steps / x.every + 1;
    x.level = malloc(exits * DEER_SIGNALS * (size_t)x.room * sizeof *x.level + 1);
    x.loss = malloc(exits * (size_t)x.room * sizeof *x.loss + 1);
    term = malloc((1 + DEER_SIGNALS) * (size_t)x.room * sizeof *term);
    if (x.level && x.loss && term) {
        calibration_walk(c, &spec->problem, a, take, &x);
        for (int k = 0; k < spec->problem.max_exit && x.n; k++)
            fit_exit(&x, k, term, &score[k]);
    }
    free(term);
    free(x.loss);
    free(x.level);
    return x.level && x.loss && term ? DEER_OK
                                     : deer_fail(err, "out of memory fitting a criterion");
}

deer_status combined_fit(cache *c, const deer_model *model, const combined_spec *spec,
                         deer_score *score, deer_error *err)
{
    history_rule rule = {.kind = HISTORY_MIXED,
                         .max_exit = spec->problem.max_exit,
                         .seed = spec->seed,
                         .episodes = spec->episodes};
    calibration_actions a = {0};
    deer_status status;

    memset(score, 0, DEER_MAX_EXITS * sizeof *score);
    if (!model)
        return fit_all(c, spec, NULL, score, err);
    if (history_replay(c, model, &rule, spec->threads, &a, err))
        return DEER_FAILED;
    status = fit_all(c, spec, &a, score, err);
    calibration_actions_free(&a);
    return status;
}
