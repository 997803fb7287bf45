/* SPDX-License-Identifier: MIT */
/* guarantee.h - thresholds whose promise holds on unseen episodes, with a stated confidence.
 *
 *   guarantee_split(&spec, episodes, for_solving, &err);       // two parts, stratified
 *   ... solve on the first part: x.at ...
 *   guarantee_choose(&spec, &solving, &x.at, episodes, for_solving, judge, context, &g, &err);
 *   use(g.at.tau);
 *   puts(g.statement);
 *
 * A plain solve overshoots its average budget on unseen episodes about half of the time. Here the
 * episodes are split; thresholds are solved on one part, which also makes a path of cheaper and
 * dearer candidates around them and says in which order to test them, surest first. On the other
 * part every candidate's hypothesis "the mean exceeds its limit" is tested in that order at level 1
 * - confidence until one is not rejected (fixed-sequence testing: no correction for their number is
 * needed). Of those rejected the best on that part is taken: all their limits hold at once on
 * unseen episodes drawn like these, wrong with probability at most 1 - confidence. Source: "Learn
 * then Test" (Angelopoulos et al., 2021), fixed-sequence testing.
 *
 * Episodes are the units; the steps inside one are not independent. For a mean cost per step: Z_e =
 * sum over the steps of episode e of (cost - budget) has mean <= 0 exactly if the average cost of a
 * step is within the budget.
 *
 * What is certain needs no test: an exit that every step takes costs what it costs. Such anchors
 * are compared with what the tests allow, so a promise never loses more than they do there, and
 * nothing is refused that one of them keeps.
 *
 * Assumed: episodes are drawn independently from one population, the unseen ones too. The order
 * they are stored in does not count. */
#ifndef CALIB_GUARANTEE_H
#define CALIB_GUARANTEE_H

#include "calib/guarantee/bound.h"
#include "calib/problem/operating_point.h"

typedef struct {
    double confidence; /* 0.9: wrong in at most a tenth of all cases; 0 with BOUND_CRC */
    bound_kind bound;
    double budget;             /* of the mean cost of a step; infinity: none */
    double deviation;          /* of the mean loss of a step; infinity: none */
    double largest_loss;       /* that any step can have, known beforehand; for deviation */
    bool deepest_is_reference; /* the deepest exit allowed loses 0 by definition */
    int longest; /* steps an episode can have at most; 0: what all have, or a quarter more than seen
                  */
    double share; /* of the episodes to solve on, 0..1 */
    uint64_t seed;
    const char *unit;     /* behind the budget in the statement, " GFLOPs" say; may be NULL */
    const int *stratum;   /* [episodes] kinds that both parts get their share of; NULL: one kind */
    bool per_kind;        /* the same thresholds keep the limits on each kind by itself */
    const double *mix;    /* [episodes] share that the episode's kind has among the unseen ones, all
                             kinds together 1; NULL: as here */
    const char *mix_name; /* of the mix, in the statement */
    const char *const *kind_name; /* [episodes] for messages; may be NULL */
} guarantee_spec;

/* The share of the episodes that deer solves on; the rest are for testing. */
#define GUARANTEE_SHARE 0.25

/* Is any promise asked for? */
bool guarantee_asked(const guarantee_spec *spec);

/* One that several budgets can have at once? */
bool guarantee_asked_together(const guarantee_spec *spec);

/* Episodes to solve on: for_solving [episodes] is set. Fails with fewer than four episodes. */
deer_status guarantee_split(const guarantee_spec *spec, int episodes, bool *for_solving,
                            deer_error *err);

/* Sums over the steps of one episode, and the largest loss among them. */
typedef struct {
    double cost, loss;
    float largest_loss;
    int steps;
} episode_sums;

/* Adds up sums [s->episodes] of given thresholds on given steps; where those are spread over the
 * ranks of a cluster, every rank gets all. */
void guarantee_sum(const steps *s, const float *tau, int max_exit, episode_sums *sums);

/* What the thresholds do in some episodes, under the history they make: sums [episodes]. some
 * [episodes]: in which, the sums of others are not looked at; NULL: in all. */
typedef deer_status (*guarantee_judge)(void *context, const float *tau, const bool *some,
                                       episode_sums *sums, deer_error *err);

typedef struct {
    bool given;
    bool certain;       /* an anchor: no test was needed */
    operating_point at; /* cost and loss: means over the steps of the tested part (of the mix) */
    double confidence, budget, deviation;
    bound_kind bound;
    int solved_on, tested_on; /* episodes */
    int longest;
    int candidates, accepted;
    double p_budget, p_deviation;      /* of the chosen one, the largest of all kinds; 0 where not
                                          asked or certain */
    double largest_cost, largest_loss; /* that a step was taken to have at most */
    char statement[400];
} guarantee;

/* Chooses along the path around what was found.
 *   solving      the steps of the part that was solved on, under the history of found
 *   for_solving  [episodes] of guarantee_split
 * DEER_INFEASIBLE when nothing can be promised; err says how many episodes it would take.
 * DEER_USAGE when an episode is longer, or a step loses more, than spec says is possible, or a kind
 * of the mix is missing in a part. */
deer_status guarantee_choose(const guarantee_spec *spec, const steps *solving,
                             const operating_point *found, int episodes, const bool *for_solving,
                             guarantee_judge judge, void *context, guarantee *g, deer_error *err);

/* One of several budgets, and what was solved for it. */
typedef struct {
    double budget;
    const steps *solving;         /* the steps of the part that was solved on, under its history */
    const operating_point *found; /* of all points with the same deepest exit */
} guarantee_point;

/* The same for several budgets at once: that ANY of the g [points] given breaks has probability at
 * most 1 - confidence. Where nothing can be promised g[i].given is false. spec's budget is not
 * looked at; its bound is one with a confidence.
 *
 * The candidates of all points stand in one line, surest first, and are tested at level
 * 1 - confidence each until the first test fails. Which order it is was settled on the other part,
 * so the first false promise of the line is accepted with probability at most 1 - confidence, and
 * all behind it only if it was: no correction for the number of points is needed. Testing each
 * point by itself at (1 - confidence) / points (Bonferroni), or nearly so (Holm), uses less of the
 * budgets: tests on the same episodes mostly succeed and fail together, which they cannot use. */
deer_status guarantee_choose_together(const guarantee_spec *spec, const guarantee_point *point,
                                      int points, int episodes, const bool *for_solving,
                                      guarantee_judge judge, void *context, guarantee *g,
                                      deer_error *err);

#endif
