/* SPDX-License-Identifier: MIT */
/* statement.c - what is promised, of what, how surely, and what is not. */
#include "calib/guarantee/statement.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROOM = 400 };

static void say_limits(const job *j, const guarantee *g, char *text, size_t room)
{
    if (isfinite(g->budget))
        snprintf(text, room, "an average cost of at most %.6g%s a step", g->budget,
                 j->spec->unit ? j->spec->unit : "");
    if (isfinite(g->deviation))
        snprintf(text + strlen(text), room - strlen(text),
                 "%san average loss of at most %.6g a step", *text ? " and " : "", g->deviation);
}

/* " on unseen episodes drawn like these (..)": what is assumed of them. */
static void say_episodes(const job *j, bool on_loss, char *text, size_t room)
{
    char range[48] = "", kinds[96] = "";

    if (on_loss)
        snprintf(range, sizeof range, " that lose at most %g each", j->spec->largest_loss);
    if (j->spec->per_kind)
        snprintf(kinds, sizeof kinds, " of each of the %d tasks", j->kinds);
    if (j->spec->mix)
        snprintf(kinds, sizeof kinds, " with the tasks mixed as in %.24s",
                 j->spec->mix_name ? j->spec->mix_name : "the mix");
    snprintf(text, room, " on unseen episodes drawn like these%s (of up to %d steps%s%s)", kinds,
             j->longest, j->longest_assumed ? ", which is assumed" : "", range);
}

/* How sure it is, and of which episodes and seed. */
static void say_test(const job *j, char *text, size_t room)
{
    const guarantee_spec *spec = j->spec;
    char sure[112], together[48] = "";

    if (j->together > 1)
        snprintf(together, sizeof together, " for any of %d budgets", j->together);

    if (spec->bound == BOUND_CRC)
        snprintf(sure, sizeof sure, "on average over repetitions of this calibration, not in each");
    else
        snprintf(sure, sizeof sure, "wrong%s with probability at most %g%s", together,
                 1 - spec->confidence, spec->bound == BOUND_T ? " approximately" : "");
    snprintf(text, room,
             ", %s: %s bound on %d held-out episodes, chosen with seed %llu, after solving on %d "
             "others; keeping the best of several seeds voids it",
             sure, bound_name(spec->bound), j->tested, (unsigned long long)spec->seed,
             j->episodes - j->tested);
}

void statement_write(const job *j, const guarantee *g, char *text)
{
    size_t used;

    say_limits(j, g, text, ROOM);
    used = strlen(text);
    if (g->certain) {
        snprintf(text + used, ROOM - used,
                 " on all episodes, for certain: no exit that a step can take %s more, which needs "
                 "no test",
                 isfinite(g->deviation) ? "loses or costs" : "costs");
        return;
    }
    say_episodes(j, isfinite(g->deviation), text + used, ROOM - used);
    used = strlen(text);
    say_test(j, text + used, ROOM - used);
}

/* ---------------------------------------------------------------- refusals ----------------- */

/* Episodes for testing that a trial's promises need, at most, about. */
static double episodes_needed(job *j, const trial *t)
{
    double needed = 0;

    for (int p = 0; p < j->n_promises; p++)
        if (!trial_certain(j, t, &j->promises[p])) {
            double gap;
            bound_case c = trial_case(j, t, &j->promises[p], &gap);
            int of_kind = trial_collect(j, t, &j->promises[p], false);

            needed = fmax(needed, bound_draws_needed(j->spec->bound, gap, &c) * j->tested /
                                      fmax(of_kind, 1));
        }
    return needed;
}

deer_status statement_refuse(job *j, deer_error *err)
{
    double needed = INFINITY;

    for (int i = 0; i < j->n; i++)
        needed = fmin(needed, episodes_needed(j, &j->trials[i]));
    if (!isfinite(needed))
        return deer_fail_with(DEER_INFEASIBLE, err,
                              "no thresholds and no fixed exit seem to keep what is asked, on "
                              "average, whatever the number of episodes; ask for less");
    if (j->spec->bound == BOUND_CRC)
        return deer_fail_with(DEER_INFEASIBLE, err,
                              "%d episodes are too few to promise this; about %.0f would be needed",
                              j->episodes,
                              ceil(fmax(needed / (1 - j->spec->share), j->episodes + 1.0)));
    return deer_fail_with(
        DEER_INFEASIBLE, err,
        "%d episodes are too few to promise this with confidence %g; about %.0f would "
        "be needed%s",
        j->episodes, j->spec->confidence,
        ceil(fmax(needed / (1 - j->spec->share), j->episodes + 1.0)),
        isfinite(j->spec->deviation) ? " (fewer, if no step can lose so much)" : "");
}
