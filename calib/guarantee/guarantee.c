/* SPDX-License-Identifier: MIT */
/* guarantee.c - splitting, testing in sequence, choosing. */
#include "calib/guarantee/guarantee.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calib/solve/frontier.h"
#include "runtime/base/random.h"
#include "runtime/base/tau.h"

enum { COARSE = 8, FINE = 40, CANDIDATES = COARSE + FINE };

/* ---------------------------------------------------------------- splitting ---------------- */

typedef struct {
    uint64_t kind, key; /* drawn for its kind, and for itself */
    int episode;
} ticket;

static int by_kind_and_key(const void *a, const void *b)
{
    const ticket *x = a, *y = b;

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return (x->key > y->key) - (x->key < y->key);
}

static ticket draw_ticket(const guarantee_spec *spec, int episode, uint64_t *state)
{
    uint64_t of_kind = spec->seed ^ (spec->stratum ? (uint64_t)spec->stratum[episode] << 32 : 0);

    return (ticket){random_next(&of_kind), random_next(state), episode};
}

/* Episodes stand in line, those of a kind together, in an order drawn for kinds and within them.
 * From a place drawn at random every so-many-th one is for solving: each is as likely as any other,
 * and each kind, and all together, are shared as evenly as whole episodes allow. */
deer_status guarantee_split(const guarantee_spec *spec, int episodes, bool *for_solving,
                            deer_error *err)
{
    ticket *line = malloc((size_t)episodes * sizeof *line + 1);
    uint64_t state = spec->seed;
    double due = random_unit(&state);

    if (!line)
        return deer_fail(err, "out of memory for %d episodes", episodes);
    for (int e = 0; e < episodes; e++)
        line[e] = draw_ticket(spec, e, &state);
    qsort(line, (size_t)episodes, sizeof *line, by_kind_and_key);
    for (int i = 0; i < episodes; i++) {
        due += spec->share;
        for_solving[line[i].episode] = due >= 1;
        due -= due >= 1;
    }
    free(line);
    if (episodes < 4)
        return deer_fail_with(DEER_INFEASIBLE, err,
                              "%d episodes are too few to promise anything about others", episodes);
    return DEER_OK;
}

void guarantee_sum(const steps *s, const float *tau, int max_exit, episode_sums *sums)
{
    memset(sums, 0, (size_t)s->episodes * sizeof *sums);
    for (int64_t i = 0; i < s->n; i++) {
        episode_sums *e = &sums[s->episode[i]];
        int k = tau_exit(s->delta + i, s->n, tau, max_exit);
        float loss = s->loss[k * s->n + i];

        e->cost += s->cost[s->group[i] * s->exits + k];
        e->loss += (double)loss;
        e->largest_loss = fmaxf(e->largest_loss, loss);
        e->steps++;
    }
}

/* ---------------------------------------------------------------- evidence ----------------- */

/* One limit: per step on cost or on loss. */
typedef struct {
    double limit, largest; /* of a step */
    bool on_loss;
} promise;

/* The mean and spread over episodes of Z, and what they say. */
typedef struct {
    double mean, spread;
    double p;
} evidence;

/* Everything one choice works with. */
typedef struct {
    const guarantee_spec *spec;
    int episodes, max_exit;
    const bool *for_solving;
    guarantee_judge judge;
    void *context;
    promise promises[2];
    int n_promises;
    int longest, tested;
    double *z;          /* [episodes] scratch */
    episode_sums *sums; /* [episodes] scratch */
} job;

/* Judges tau into j->sums. The bounds hold for what is possible, so what is seen must be. */
static deer_status look_at(job *j, const float *tau, deer_error *err)
{
    if (j->judge(j->context, tau, j->sums, err))
        return DEER_FAILED;
    for (int e = 0; e < j->episodes && isfinite(j->spec->deviation); e++)
        if (j->sums[e].largest_loss > (float)j->spec->largest_loss)
            return deer_fail_with(DEER_USAGE, err,
                                  "a step loses %g, more than the largest loss possible (%g); "
                                  "raise --largest-loss to what any step can lose",
                                  (double)j->sums[e].largest_loss, j->spec->largest_loss);
    return DEER_OK;
}

static double z_of(const promise *p, const episode_sums *e)
{
    return (p->on_loss ? e->loss : e->cost) - e->steps * p->limit;
}

/* Collects Z of one part into j->z; returns how many. */
static int collect(job *j, const promise *p, bool solving_part)
{
    int n = 0;

    for (int e = 0; e < j->episodes; e++)
        if (j->for_solving[e] == solving_part && j->sums[e].steps)
            j->z[n++] = z_of(p, &j->sums[e]);
    return n;
}

static evidence describe(const double *z, int n)
{
    evidence e = {0, 0, 1};

    for (int i = 0; i < n; i++)
        e.mean += z[i] / n;
    for (int i = 0; i < n; i++)
        e.spread += (z[i] - e.mean) * (z[i] - e.mean);
    e.spread = n > 1 ? sqrt(e.spread / (n - 1)) : 0;
    return e;
}

/* Z lies between an episode that costs nothing and the longest at the highest cost. */
static double lowest_z(const job *j, const promise *p)
{
    return -(double)j->longest * p->limit;
}

static double highest_z(const job *j, const promise *p)
{
    return (double)j->longest * fmax(p->largest - p->limit, 0);
}

/* Tests one promise on the tested part; the other part sets the size of the bets. */
static double p_value(job *j, const promise *p)
{
    evidence seen = describe(j->z, collect(j, p, true));
    int n = collect(j, p, false);

    return bound_p_value(j->spec->bound, j->z, n, 0, lowest_z(j, p), highest_z(j, p), seen.spread,
                         1 - j->spec->confidence);
}

/* How sure the solved part makes a promise: its mean's distance below the limit in standard errors
 * of the tested part. */
static double sureness(job *j, const promise *p)
{
    evidence seen = describe(j->z, collect(j, p, true));

    return -seen.mean /
           (seen.spread / sqrt((double)j->tested) + 1e-12 * fabs(highest_z(j, p)) + 1e-300);
}

/* ---------------------------------------------------------------- candidates --------------- */

typedef struct {
    frontier_point at;
    double sureness; /* of its least sure promise */
} entry;

static int surest_first(const void *a, const void *b)
{
    const entry *x = a, *y = b;

    return (x->sureness < y->sureness) - (x->sureness > y->sureness);
}

/* Budgets along which to look: coarsely over all costs, finely around the cost of tau, as far as
 * the tested part can tell costs apart. Ascending. */
static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void choose_budgets(job *j, const steps *solving, const float *tau,
                           double budgets[CANDIDATES])
{
    promise cost = {.limit = 0};
    evaluation here;
    double low = steps_fixed_cost(solving, 0), high = steps_fixed_cost(solving, j->max_exit), blur;
    double steps_per_episode = (double)solving->n / solving->episodes;

    steps_evaluate(solving, tau, j->max_exit, &here);
    cost.limit = here.cost;
    blur = describe(j->z, collect(j, &cost, true)).spread / steps_per_episode /
           sqrt((double)j->tested);
    blur = fmax(blur, 1e-4 * (high - low));
    for (int i = 0; i < COARSE; i++)
        budgets[i] = low + (high - low) * (i + 0.5) / COARSE;
    for (int i = 0; i < FINE; i++)
        budgets[COARSE + i] = fmax(low, here.cost + blur * (-5 + 6.0 * i / (FINE - 1)));
    qsort(budgets, CANDIDATES, sizeof *budgets, by_value);
}

static deer_status make_candidates(job *j, const steps *solving, const float *tau, entry *list,
                                   deer_error *err)
{
    double budgets[CANDIDATES];
    frontier_point path[CANDIDATES];
    deer_status status = look_at(j, tau, err);

    if (status)
        return status;
    choose_budgets(j, solving, tau, budgets);
    if (frontier_path(solving, j->max_exit, tau, budgets, CANDIDATES, path, err))
        return DEER_FAILED;
    for (int i = 0; i < CANDIDATES; i++) {
        list[i] = (entry){path[i], INFINITY};
        status = look_at(j, path[i].tau, err);
        if (status)
            return status;
        for (int p = 0; p < j->n_promises; p++)
            list[i].sureness = fmin(list[i].sureness, sureness(j, &j->promises[p]));
    }
    qsort(list, CANDIDATES, sizeof *list, surest_first);
    return DEER_OK;
}

/* ---------------------------------------------------------------- choosing ----------------- */

/* The cheapest when a deviation is promised, else the one that loses least. */
static bool preferable(const guarantee_spec *spec, const frontier_point *x,
                       const frontier_point *than)
{
    return isfinite(spec->deviation) ? x->cost < than->cost : x->loss < than->loss;
}

static void record(job *j, const entry *x, const double p[2], guarantee *g)
{
    double cost = 0, loss = 0, steps_tested = 0;

    for (int e = 0; e < j->episodes; e++)
        if (!j->for_solving[e]) {
            cost += j->sums[e].cost;
            loss += j->sums[e].loss;
            steps_tested += j->sums[e].steps;
        }
    memcpy(g->tau, x->at.tau, sizeof g->tau);
    for (int i = 0; i < j->n_promises; i++)
        *(j->promises[i].on_loss ? &g->p_deviation : &g->p_budget) = p[i];
    g->tested_cost = cost / steps_tested;
    g->tested_loss = loss / steps_tested;
    g->given = true;
}

/* Tests in order until one fails. */
static deer_status test_in_order(job *j, const entry *list, guarantee *g, deer_error *err)
{
    const entry *best = NULL;

    for (g->accepted = 0; g->accepted < CANDIDATES; g->accepted++) {
        const entry *x = &list[g->accepted];
        double p[2] = {0, 0};
        bool rejected = true;
        deer_status status = look_at(j, x->at.tau, err);

        if (status)
            return status;
        for (int i = 0; i < j->n_promises; i++) {
            p[i] = p_value(j, &j->promises[i]);
            rejected &= p[i] <= 1 - j->spec->confidence;
        }
        if (!rejected)
            return DEER_OK;
        if (!best || preferable(j->spec, &x->at, &best->at)) {
            best = x;
            record(j, x, p, g);
        }
    }
    return DEER_OK;
}

/* Nothing could be promised: says what stands in the way. */
static deer_status refuse(job *j, const entry *surest, deer_error *err)
{
    double needed = 0;
    deer_status status = look_at(j, surest->at.tau, err);

    if (status)
        return status;
    for (int i = 0; i < j->n_promises; i++) {
        const promise *p = &j->promises[i];
        evidence seen = describe(j->z, collect(j, p, true));

        needed = fmax(needed, bound_draws_needed(-seen.mean, seen.spread, highest_z(j, p),
                                                 1 - j->spec->confidence));
    }
    if (!isfinite(needed))
        return deer_fail_with(
            DEER_INFEASIBLE, err,
            "no thresholds seem to keep what is asked, on average, whatever the number "
            "of episodes; ask for less");
    return deer_fail_with(
        DEER_INFEASIBLE, err,
        "%d episodes are too few to promise this with confidence %g; about %.0f would "
        "be needed%s",
        j->episodes, j->spec->confidence,
        ceil(fmax(needed / (1 - j->spec->share), j->episodes + 1.0)),
        isfinite(j->spec->deviation) ? " (fewer, if no step can lose so much)" : "");
}

static void state(const job *j, guarantee *g)
{
    char what[160] = "", range[48] = "";

    if (isfinite(g->budget))
        snprintf(what, sizeof what, "an average cost of at most %.6g%s a step", g->budget,
                 j->spec->unit ? j->spec->unit : "");
    if (isfinite(g->deviation))
        snprintf(what + strlen(what), sizeof what - strlen(what),
                 "%san average loss of at most %.6g a step", *what ? " and " : "", g->deviation);
    if (isfinite(g->deviation))
        snprintf(range, sizeof range, " that lose at most %g each", g->largest_loss);
    snprintf(
        g->statement, sizeof g->statement,
        "%s on unseen episodes like these (up to %d steps%s), wrong with probability at most %g%s: "
        "%s bound on %d held-out episodes, after solving on %d others",
        what, g->longest, range, 1 - g->confidence, g->bound == BOUND_T ? " approximately" : "",
        bound_name(g->bound), g->tested_on, g->solved_on);
}

/* ---------------------------------------------------------------- entry -------------------- */

static void set_promises(job *j, const steps *solving)
{
    const guarantee_spec *spec = j->spec;

    if (isfinite(spec->budget))
        j->promises[j->n_promises++] =
            (promise){spec->budget, steps_peak(solving, j->max_exit), false};
    if (isfinite(spec->deviation)) /* losses of steps are float32 */
        j->promises[j->n_promises++] =
            (promise){spec->deviation, (double)(float)spec->largest_loss, true};
}

static deer_status prepare(job *j, const steps *solving, const float *tau, deer_error *err)
{
    deer_status status;

    j->z = malloc((size_t)j->episodes * sizeof *j->z);
    j->sums = malloc((size_t)j->episodes * sizeof *j->sums);
    if (!j->z || !j->sums)
        return deer_fail(err, "out of memory for %d episodes", j->episodes);
    status = look_at(j, tau, err);
    if (status)
        return status;
    for (int e = 0; e < j->episodes; e++) {
        j->longest = j->sums[e].steps > j->longest ? j->sums[e].steps : j->longest;
        j->tested += !j->for_solving[e];
    }
    if (j->spec->longest && j->spec->longest < j->longest)
        return deer_fail_with(DEER_USAGE, err,
                              "an episode has %d steps, more than the longest possible (%d); raise "
                              "--longest-episode",
                              j->longest, j->spec->longest);
    j->longest = j->spec->longest ? j->spec->longest : j->longest + (j->longest + 3) / 4;
    set_promises(j, solving);
    return DEER_OK;
}

deer_status guarantee_choose(const guarantee_spec *spec, const steps *solving, const float *tau,
                             int max_exit, int episodes, const bool *for_solving,
                             guarantee_judge judge, void *context, guarantee *g, deer_error *err)
{
    job j = {.spec = spec,
             .episodes = episodes,
             .max_exit = max_exit,
             .for_solving = for_solving,
             .judge = judge,
             .context = context};
    entry list[CANDIDATES];
    deer_status status = prepare(&j, solving, tau, err);

    *g = (guarantee){.confidence = spec->confidence,
                     .budget = spec->budget,
                     .deviation = spec->deviation,
                     .bound = spec->bound,
                     .candidates = CANDIDATES,
                     .longest = j.longest,
                     .tested_on = j.tested,
                     .solved_on = episodes - j.tested,
                     .largest_cost = steps_peak(solving, max_exit),
                     .largest_loss = spec->largest_loss};
    if (!status)
        status = make_candidates(&j, solving, tau, list, err);
    if (!status)
        status = test_in_order(&j, list, g, err);
    if (!status && !g->given)
        status = refuse(&j, &list[0], err);
    if (!status)
        state(&j, g);
    free(j.z);
    free(j.sums);
    return status;
}
