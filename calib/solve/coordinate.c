/* SPDX-License-Identifier: MIT */
/* coordinate.c - exact coordinate search: prefix sums over ranks, bisection on the price of cost.
 */
#include "calib/solve/coordinate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cluster/cluster.h"
#include "calib/problem/blocks.h"

enum { RUNGS = 8 };

/* A budget, and the best that was seen within it. */
typedef struct {
    double budget;
    candidate best;
} rung;

struct coordinate {
    const grid *g;
    rung rung[RUNGS]; /* evenly over the range of costs: the same ones whatever is asked */
    uint16_t *reach;  /* [n], exit taken under the cuts at the start of a sweep */
    uint16_t *next;   /* [n], exit taken by going on behind the exit looked at */
    float *after;     /* [n], loss there */
    double *change;   /* [levels, 3] by level: of loss, and of both parts of cost */
    long passes;
};

deer_status coordinate_new(const grid *g, coordinate **out, deer_error *err)
{
    coordinate *c = calloc(1, sizeof *c);

    *out = NULL;
    if (c) {
        c->g = g;
        c->reach = malloc((size_t)g->n * sizeof *c->reach + 1);
        c->next = malloc((size_t)g->n * sizeof *c->next + 1);
        c->after = malloc((size_t)g->n * sizeof *c->after + 1);
        c->change = malloc(((size_t)GRID_LEVELS + 1) * 3 * sizeof *c->change);
    }
    if (!c || !c->reach || !c->next || !c->after || !c->change) {
        coordinate_free(c);
        return deer_fail(err, "out of memory searching %lld steps", (long long)g->n);
    }
    *out = c;
    return DEER_OK;
}

void coordinate_free(coordinate *c)
{
    if (!c)
        return;
    free(c->reach);
    free(c->next);
    free(c->after);
    free(c->change);
    free(c);
}

long coordinate_passes(const coordinate *c)
{
    return c->passes;
}

/* Leaves the exits taken in c->reach. */
static void evaluate(coordinate *c, candidate *x)
{
    grid_exits(c->g, x->cut, c->reach);
    grid_sum(c->g, c->reach, &x->loss, &x->cost);
    c->passes++;
}

/* ---------------------------------------------------------------- attempts ----------------- */

/* Makes something of a candidate; i: which of all attempts. */
typedef void attempt(coordinate *c, const void *context, int i, candidate *x);

/* A candidate, and how many passes it took. */
typedef struct {
    candidate x;
    long passes;
} attempted;

/* Attempts 0 .. n - 1, which do not depend on each other; each begins with what all[i].x is. Ranks
 * that search alike make a part each, and tell each other. */
static void attempt_all(coordinate *c, attempt *one, const void *context, int n, attempted *all)
{
    int ranks = c->g->alike ? cluster_size() : 1, rank = c->g->alike ? cluster_rank() : 0;
    int from = n * rank / ranks, to = n * (rank + 1) / ranks;
    long before = c->passes;

    for (int i = from; i < to; i++) {
        c->passes = 0;
        one(c, context, i, &all[i].x);
        all[i].passes = c->passes;
    }
    c->passes = before;
    if (ranks > 1)
        cluster_place(all, sizeof *all, from, to - from);
}

/* ---------------------------------------------------------------- going back --------------- */

/* Behind the last exit with a threshold: where going back over the exits begins. */
static void start_back(coordinate *c)
{
    const grid *g = c->g;
    uint16_t *restrict next = c->next;

    for (int64_t i = 0; i < g->n; i++)
        next[i] = (uint16_t)(g->exits - 1);
    memcpy(c->after, g->loss + (g->exits - 1) * g->n, (size_t)g->n * sizeof *c->after);
}

/* Lets steps below the cut of exit k leave there. */
static void leave_at(coordinate *c, int k, int cut)
{
    const uint16_t *restrict level = c->g->level + k * c->g->n;
    const float *restrict here = c->g->loss + k * c->g->n;
    uint16_t *restrict next = c->next, below = (uint16_t)cut, exit = (uint16_t)k;
    float *restrict after = c->after;
    int64_t n = cut ? c->g->n : 0;

    for (int64_t i = 0; i < n; i++)
        next[i] = level[i] < below ? exit : next[i];
    for (int64_t i = 0; i < n; i++)
        after[i] = level[i] < below ? here[i] : after[i];
}

/* After going back to the first exit: what was next is taken from now on. */
static void take_next(coordinate *c)
{
    uint16_t *taken = c->next;

    c->next = c->reach;
    c->reach = taken;
}

/* ---------------------------------------------------------------- one exit ----------------- */

/* What changes when the steps of level l that reach the exit looked at leave there instead of going
 * on. */
static double gain(const coordinate *c, int l)
{
    return c->change[3 * l];
}

static double spend(const coordinate *c, int l)
{
    return c->change[3 * l + 1] + c->change[3 * l + 2];
}

enum { AHEAD = 16 };

/* Which of m steps from `from` on reach exit k and may leave there; without a branch, which would
 * often be guessed wrong. Returns how many. */
static int reaching(const coordinate *c, int k, int64_t from, int m, uint16_t *restrict which)
{
    const uint16_t *restrict reach = c->reach + from;
    const uint16_t *restrict level = c->g->level + k * c->g->n + from;
    int n = 0;

    for (int i = 0; i < m; i++) {
        which[n] = (uint16_t)i;
        n += (reach[i] >= k) & (level[i] != GRID_LEVELS);
    }
    return n;
}

/* Adds what changes with m steps from `from` on. Sums are all over memory, so they are asked for
 * some steps ahead. */
static void add_changes(coordinate *c, int k, int64_t from, int m)
{
    const grid *g = c->g;
    const uint16_t *level = g->level + k * g->n + from, *group = g->group + from;
    const uint16_t *next = c->next + from;
    const float *here = g->loss + k * g->n + from, *after = c->after + from;
    double *change = c->change;
    uint16_t which[BLOCK];
    int n = reaching(c, k, from, m, which);

    for (int j = 0; j < n; j++) {
        int i = which[j];
        const double *part = g->part + 2 * group[i] * g->exits, *then = part + 2 * next[i];
        double *sum = change + 3 * level[i];

        if (j + AHEAD < n)
            __builtin_prefetch(change + 3 * level[which[j + AHEAD]], 1);
        sum[0] += (double)here[i] - (double)after[i];
        sum[1] += part[2 * k] - then[0];
        sum[2] += part[2 * k + 1] - then[1];
    }
}

/* The changes of exit k. Steps reach k when, under the sweep's first cuts, they leave at k or
 * later.
 */
static void level_changes(coordinate *c, int k)
{
    const grid *g = c->g;

    memset(c->change, 0, 3 * (size_t)g->levels[k] * sizeof *c->change);
    for (int64_t from = 0; from < g->n; from += BLOCK)
        add_changes(c, k, from, (int)(g->n - from < BLOCK ? g->n - from : BLOCK));
    if (g->spread) /* of all ranks' steps */
        cluster_sum(c->change, 3 * (int64_t)g->levels[k]);
    c->passes++;
}

/* ---------------------------------------------------------------- sweeps ------------------- */

/* Cut of the least prefix sum of gain + lambda * spend; stays at `now` unless really better. */
static int best_cut(const coordinate *c, int k, double lambda, int now)
{
    double sum = 0, least = 0, at_now = 0;
    int best = 0;

    for (int l = 0; l < c->g->levels[k]; l++) {
        sum += gain(c, l) + lambda * spend(c, l);
        if (l + 1 == now)
            at_now = sum;
        if (sum < least) {
            least = sum;
            best = l + 1;
        }
    }
    return least < at_now - 1e-12 * fabs(at_now) ? best : now;
}

void coordinate_descend(coordinate *c, double lambda, int sweeps, candidate *x)
{
    const grid *g = c->g;
    bool moved = true;

    grid_exits(g, x->cut, c->reach);
    for (int sweep = 0; sweep < sweeps && moved; sweep++) {
        moved = false;
        start_back(c);
        for (int k = g->exits - 2; k >= 0; k--) {
            int cut;

            level_changes(c, k);
            cut = best_cut(c, k, lambda, x->cut[k]);
            moved |= cut != x->cut[k];
            x->cut[k] = cut;
            leave_at(c, k, cut);
        }
        take_next(c);
    }
    grid_sum(g, c->reach, &x->loss, &x->cost);
    c->passes++;
}

/* Best cut of exit k with total cost <= budget. loss and cost: sums as they are at cut 0; updated
 * to the sums at the returned cut. `now` is returned when nothing is better. */
static int best_affordable(const coordinate *c, int k, double budget, int now, double *loss,
                           double *cost)
{
    double l = *loss, s = *cost, best_loss = INFINITY, best_cost = INFINITY;
    int best = now;

    for (int cut = 0;; cut++) {
        bool better = l < best_loss - 1e-13 * fabs(best_loss) || (l <= best_loss && s < best_cost);

        if (s <= budget && (better || (cut == now && l <= best_loss))) {
            best_loss = l;
            best_cost = s;
            best = cut;
        }
        if (cut == c->g->levels[k])
            break;
        l += gain(c, cut);
        s += spend(c, cut);
    }
    if (isfinite(best_loss)) {
        *loss = best_loss;
        *cost = best_cost;
    }
    return best;
}

/* Takes the steps that the exit looked at holds under its present cut out of the sums. */
static void sums_without(const coordinate *c, int now, double *loss, double *cost)
{
    for (int l = 0; l < now; l++) {
        *loss -= gain(c, l);
        *cost -= spend(c, l);
    }
}

/* Gives every exit, from the deepest on, its best affordable cut; whether any moved. c->reach: the
 * exits under x, before and after. */
static bool sweep_affordable(coordinate *c, double budget, candidate *x)
{
    const grid *g = c->g;
    double n = (double)g->all, limit = budget * n * (1 + 1e-15), loss = x->loss * n,
           cost = x->cost * n;
    bool moved = false;

    start_back(c);
    for (int k = g->exits - 2; k >= 0; k--) {
        int now = x->cut[k];

        level_changes(c, k);
        sums_without(c, now, &loss, &cost);
        x->cut[k] = best_affordable(c, k, limit, now, &loss, &cost);
        moved |= x->cut[k] != now;
        leave_at(c, k, x->cut[k]);
    }
    take_next(c);
    grid_sum(g, c->reach, &x->loss, &x->cost);
    c->passes++;
    return moved;
}

void coordinate_fill(coordinate *c, double budget, int sweeps, candidate *x)
{
    bool moved = true;

    evaluate(c, x);
    for (int sweep = 0; sweep < sweeps && moved; sweep++) {
        candidate before = *x;

        moved = sweep_affordable(c, budget, x);
        if (x->cost > budget || x->loss > before.loss) { /* rounding of the sums */
            *x = before;
            return;
        }
    }
}

/* ---------------------------------------------------------------- two exits ---------------- */

/* Back to what lies behind exit k. */
static void go_back_to(coordinate *c, int k, const int *cut)
{
    start_back(c);
    for (int e = c->g->exits - 2; e > k; e--)
        leave_at(c, e, cut[e]);
}

/* With another's cut already changed in x, answers with the best affordable cut of exit k, to which
 * c has gone back. */
static void answer(coordinate *c, int k, double budget, candidate *x)
{
    double n = (double)c->g->all, loss, cost;

    evaluate(c, x);
    loss = x->loss * n;
    cost = x->cost * n;
    c->passes += 2;
    level_changes(c, k);
    sums_without(c, x->cut[k], &loss, &cost);
    x->cut[k] = best_affordable(c, k, budget * n, x->cut[k], &loss, &cost);
    evaluate(c, x);
}

static bool is_better(const candidate *x, const candidate *than, double budget)
{
    return x->cost <= budget &&
           (x->loss < than->loss || (x->loss == than->loss && x->cost < than->cost));
}

static void keep(const candidate *x, double budget, candidate *best)
{
    if (is_better(x, best, budget))
        *best = *x;
}

enum { TRY_ALL = 256 };

/* Cuts of exit j worth trying from where it is: all when they are few, else those at distances 1,
 * 2, 4, .. levels both ways. Returns how many; cuts has room for TRY_ALL + 1. */
static int cuts_to_try(const grid *g, int j, int now, int *cuts)
{
    int n = 0;

    for (int cut = 0; g->levels[j] <= TRY_ALL && cut <= g->levels[j]; cut++)
        cuts[n++] = cut;
    for (int distance = 1; g->levels[j] > TRY_ALL && distance <= g->levels[j]; distance *= 2) {
        if (now >= distance)
            cuts[n++] = now - distance;
        if (now + distance <= g->levels[j])
            cuts[n++] = now + distance;
    }
    return n;
}

typedef struct {
    int j, k;
    double budget;
    int cut[TRY_ALL + 1]; /* of exit j */
} pair;

static void try_cut(coordinate *c, const void *context, int i, candidate *x)
{
    const pair *p = context;

    x->cut[p->j] = p->cut[i];
    if (p->j > p->k)
        go_back_to(c, p->k, x->cut);
    answer(c, p->k, p->budget, x);
}

/* Tries cuts of exit j, each answered by exit k. */
static bool improve_pair(coordinate *c, int j, int k, double budget, candidate *x)
{
    pair p = {.j = j, .k = k, .budget = budget};
    int n = cuts_to_try(c->g, j, x->cut[j], p.cut);
    attempted all[TRY_ALL + 1];
    candidate best = *x;

    go_back_to(c, k, x->cut);
    for (int i = 0; i < n; i++)
        all[i].x = *x;
    attempt_all(c, try_cut, &p, n, all);
    for (int i = 0; i < n; i++) {
        c->passes += all[i].passes;
        keep(&all[i].x, budget, &best);
    }
    if (!is_better(&best, x, budget))
        return false;
    *x = best;
    return true;
}

/* One round over all pairs `apart` exits apart, while there is work left. */
static bool improve_pairs_apart(coordinate *c, int apart, double budget, long last_pass,
                                candidate *x)
{
    bool improved = false;

    for (int j = 0; j + apart < c->g->exits - 1 && c->passes < last_pass; j++) {
        improved |= improve_pair(c, j, j + apart, budget, x);
        improved |= improve_pair(c, j + apart, j, budget, x);
    }
    return improved;
}

void coordinate_pairs(coordinate *c, double budget, double work, candidate *x)
{
    double pass = (double)c->g->all * c->g->exits;
    long last_pass = c->passes + (long)fmin(work / pass, 1e9);
    bool improved = true;

    while (improved && c->passes < last_pass) {
        improved = false;
        for (int apart = 1; apart < c->g->exits - 1; apart++)
            improved |= improve_pairs_apart(c, apart, budget, last_pass, x);
    }
}

/* ---------------------------------------------------------------- smaller budgets ---------- */

enum { SWEEPS = 12, CLIMB_SWEEPS = 2, KICK_SWEEPS = 4 };

static void place_rungs(coordinate *c)
{
    candidate cheapest, dearest = {.loss = 0};

    memcpy(cheapest.cut, c->g->levels, sizeof cheapest.cut);
    evaluate(c, &cheapest);
    evaluate(c, &dearest);
    for (int j = 0; j < RUNGS; j++)
        c->rung[j] = (rung){cheapest.cost + (dearest.cost - cheapest.cost) * (j + 1) / (RUNGS + 1),
                            cheapest};
}

static void note(coordinate *c, const candidate *x)
{
    for (int j = 0; j < RUNGS; j++)
        keep(x, c->rung[j].budget, &c->rung[j].best);
}

/* From the smallest budget up: the answer for one is where the next begins. */
static void climb(coordinate *c, double budget, candidate *best)
{
    candidate x = c->rung[0].best;

    if (x.cost > budget)
        return;
    for (int j = 0; j < RUNGS && c->rung[j].budget < budget; j++) {
        keep(&c->rung[j].best, c->rung[j].budget, &x);
        coordinate_fill(c, c->rung[j].budget, CLIMB_SWEEPS, &x);
    }
    coordinate_fill(c, budget, SWEEPS, &x);
    keep(&x, budget, best);
}

/* ---------------------------------------------------------------- kicks -------------------- */

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0..1 */
static double uniform(uint64_t *random)
{
    return (double)(next_random(random) >> 11) / 9007199254740992.0;
}

/* What moves one cut: drawn before it is known where from. */
typedef struct {
    int exit;
    double kind, far, near; /* 0..1, -1..1, 0..1 */
} move;

typedef struct {
    int moves;
    move move[3];
} kick;

static move draw_move(int exits, uint64_t *random)
{
    move m = {.exit = (int)(next_random(random) % (uint64_t)exits)};

    m.kind = uniform(random);
    m.far = 2 * uniform(random) - 1;
    if (m.kind >= 0.6)
        m.near = uniform(random);
    return m;
}

static kick draw_kick(int exits, uint64_t *random)
{
    kick x = {.moves = 1 + (int)(next_random(random) % 3)};

    for (int i = 0; i < x.moves; i++)
        x.move[i] = draw_move(exits, random);
    return x;
}

/* Another cut: none or all of the steps, any, or one nearby, at all scales alike. */
static int moved_cut(const move *m, int levels, int cut)
{
    double far = m->far * levels;

    if (m->kind < 0.15)
        return 0;
    if (m->kind < 0.25)
        return levels;
    if (m->kind < 0.6)
        return (int)(fabs(far) + 0.5);
    cut += (int)(far * exp(-7 * m->near));
    return cut < 0 ? 0 : cut > levels ? levels : cut;
}

enum { KICKS_AT_ONCE = 64 };

typedef struct {
    double budget;
    kick kick[KICKS_AT_ONCE];
} kicking;

static void try_kick(coordinate *c, const void *context, int i, candidate *x)
{
    const kicking *all = context;
    const kick *this = &all->kick[i];

    for (int m = 0; m < this->moves; m++) {
        int k = this->move[m].exit;
        x->cut[k] = moved_cut(&this->move[m], c->g->levels[k], x->cut[k]);
    }
    evaluate(c, x);
    for (int sweep = 0; sweep < KICK_SWEEPS && sweep_affordable(c, all->budget, x); sweep++)
        ;
}

/* As many kicks at once as there are ranks that search alike, from the same cuts; those behind one
 * that is better are thrown away, for they would have begun there. Returns how many count. */
static int kick_at_once(coordinate *c, const kicking *all, int n, candidate *best)
{
    attempted tried[KICKS_AT_ONCE];

    for (int i = 0; i < n; i++)
        tried[i].x = *best;
    attempt_all(c, try_kick, all, n, tried);
    for (int i = 0; i < n; i++) {
        c->passes += tried[i].passes;
        if (!is_better(&tried[i].x, best, all->budget))
            continue;
        *best = tried[i].x;
        return i + 1;
    }
    return n;
}

void coordinate_kicks(coordinate *c, double budget, uint64_t seed, int kicks, candidate *best)
{
    int exits = c->g->exits - 1, ranks = c->g->alike ? cluster_size() : 1;
    int most = ranks < KICKS_AT_ONCE ? ranks : KICKS_AT_ONCE, drawn = 0;
    kicking all = {.budget = budget};
    uint64_t random = seed;

    for (int done = 0; done < kicks && exits > 0;) {
        int n = kicks - done < most ? kicks - done : most, used;

        for (; drawn < n; drawn++)
            all.kick[drawn] = draw_kick(exits, &random);
        used = kick_at_once(c, &all, n, best);
        done += used;
        drawn -= used;
        memmove(all.kick, all.kick + used, (size_t)drawn * sizeof *all.kick);
    }
}

/* ---------------------------------------------------------------- the search --------------- */

enum { PRICES = 40, PRICES_WITHOUT_NEED = 8 };

static void try_start(coordinate *c, const void *context, int i, candidate *x)
{
    const double *lambda = context;

    (void)i;
    coordinate_descend(c, *lambda, SWEEPS, x);
}

/* Descends from every start at one price and keeps what fits the budget. Returns the cheapest sum
 * loss + lambda * cost found. */
static candidate descend_all(coordinate *c, double lambda, double budget, const candidate *starts,
                             int n_starts, candidate *best)
{
    candidate least = {.loss = INFINITY};
    attempted all[n_starts];

    for (int i = 0; i < n_starts; i++)
        all[i].x = starts[i];
    attempt_all(c, try_start, &lambda, n_starts, all);
    for (int i = 0; i < n_starts; i++) {
        const candidate *x = &all[i].x;

        c->passes += all[i].passes;
        keep(x, budget, best);
        note(c, x);
        if (!i || x->loss + lambda * x->cost < least.loss + lambda * least.cost)
            least = *x;
    }
    return least;
}

/* A price so high that only cost counts. */
static double highest_price(const grid *g)
{
    float low = INFINITY, high = -INFINITY;
    double step = INFINITY;

    for (int64_t i = 0; i < g->n * g->exits; i++) {
        low = fminf(low, g->loss[i]);
        high = fmaxf(high, g->loss[i]);
    }
    if (g->spread) {
        cluster_least(&low, 1);
        cluster_most(&high, 1);
    }
    for (int j = 0; j < g->groups; j++)
        for (int k = 1; k < g->exits; k++) {
            double more = g->cost[j * g->exits + k] - g->cost[j * g->exits + k - 1];
            step = more > 0 ? fmin(step, more) : step;
        }
    return isfinite(step) && high > low ? 2 * ((double)high - (double)low) / step : 1;
}

double coordinate_search(coordinate *c, double budget, const candidate *starts, int n_starts,
                         candidate *best)
{
    double high = highest_price(c->g), low = high * 1e-9;
    candidate warm[2], x;
    bool free;

    place_rungs(c);
    x = descend_all(c, 0, budget, starts, n_starts, best);
    warm[0] = warm[1] = x;
    free = x.cost <= budget;
    for (int i = 0; free && i < PRICES_WITHOUT_NEED; i++)
        descend_all(c, high * pow(1e-9, (i + 1.0) / (PRICES_WITHOUT_NEED + 1)), budget, warm, 1,
                    best);
    for (int i = 0; !free && i < PRICES && high / low > 1.0001; i++) {
        double middle = sqrt(low * high);
        bool first = i < 12;

        x = first ? descend_all(c, middle, budget, starts, n_starts, best)
                  : descend_all(c, middle, budget, warm, 2, best);
        warm[x.cost <= budget] = x;
        if (x.cost <= budget)
            high = middle;
        else
            low = middle;
    }
    coordinate_fill(c, budget, SWEEPS, best);
    climb(c, budget, best);
    return free ? 0 : high;
}
