/* SPDX-License-Identifier: MIT */
/* deer_calib.h - exit thresholds for anybody's early-exit model; the rest of calibration for
 * DeeR's.
 *
 *   deer_table table = {.size = sizeof table, .exits = 6, .steps = steps,
 *                       .delta = delta, .loss = loss, .cost = cost, .episode = episode};
 *   deer_solve_options asked = {.size = sizeof asked, .average = 0.4, .confidence = 0.9};
 *   deer_solution *solution = NULL;
 *
 *   if (deer_solve(&table, &asked, &solution, &err))
 *       fail(err.message);
 *   for (int k = 0; k < deer_solution_found(solution)->max_exit; k++)
 *       use(deer_solution_found(solution)->tau[k]);
 *   puts(deer_solution_guarantee(solution)->statement);
 *   deer_solution_free(solution);
 *
 * A library of its own, libdeercalib, for the computer that calibrates: it needs HDF5 and NLopt,
 * which robots do without. What goes from it to libdeer are files; objects of one library are
 * unknown to the other. The promises of deer.h hold here, too: statuses and messages, every
 * argument checked, options that begin with their size and of which zero is the default, structs
 * behind returned pointers that may grow at their end.
 *
 * Arrays are the caller's, rows one behind the other, and are read during the call only. Functions
 * may be called from several threads at once, but for one cache's features.
 */
#ifndef DEER_CALIB_H
#define DEER_CALIB_H

#include "runtime/deer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The version of libdeercalib that runs, as deer_version says it of libdeer. */
DEER_API const char *deer_calib_version(void);

/* ---------------------------------------------------------------- tables ------------------- */

/* Recorded steps (frames, tokens, samples: whatever decides by itself where to leave) of a model
 * with K exits, N of them. At run time a step leaves at the first exit k with delta_k <= tau_k,
 * compared in float32, and at the deepest allowed whatever its delta is. */
typedef struct {
    uint32_t size;          /* sizeof(deer_table) */
    int32_t exits;          /* K, 1 .. DEER_MAX_EXITS */
    int64_t steps;          /* N, 1 .. 2^31 - 1 */
    const float *delta;     /* [N, K] how little exit k may be trusted, the less the better; NaN or
                               infinite: the step must not leave there */
    const float *loss;      /* [N, K] what leaving there loses, finite. NULL: not known, which the
                               official methods do without */
    const double *cost;     /* [K] what leaving there costs, in any unit; not falling */
    const int64_t *episode; /* [N] any numbers; the steps of an episode lie together, in time order.
                               NULL: every step is an episode of its own */
    const int64_t *task;    /* [N] kinds of episodes, any numbers; NULL: not known */
    const double *memory;   /* [K] what the model needs with this as its deepest exit, in any unit;
                               NULL: not known */
} deer_table;

/* ---------------------------------------------------------------- solving ------------------ */

typedef enum {
    DEER_METHOD_BEST,         /* coordinate search, random kicks, NLopt, pairs of thresholds */
    DEER_METHOD_COORDINATE,   /* exact coordinate search alone */
    DEER_METHOD_NLOPT,        /* NLopt from the official heuristics */
    DEER_METHOD_OFFICIAL_EXP, /* the official heuristics, their parameter chosen for the budget */
    DEER_METHOD_OFFICIAL_GAUSS,
    DEER_METHOD_OFFICIAL_GAMMA,
} deer_method;

/* "best", ..; for numbers that are no method, "unknown". */
DEER_API const char *deer_method_name(deer_method method);

/* What is asked for; zero is the default everywhere, of a budget that there is none. */
typedef struct {
    uint32_t size;       /* sizeof(deer_solve_options) */
    int32_t method;      /* deer_method */
    double average;      /* budget of a step on average, in the unit of cost */
    double fraction;     /* the same as a share of the deepest exit's cost, up to 1 */
    double peak;         /* that no step may cost more than */
    double memory;       /* that the model may need at most, in the unit of the table's */
    double loss;         /* of a step on average: the cheapest thresholds that keep it are found */
    double confidence;   /* 0.9: average budget and loss hold on unseen episodes drawn like these,
                            wrong in at most a tenth of all calibrations; 0: nothing is guaranteed.
                            docs/calibration.md says what is assumed */
    double largest_loss; /* that any step can have, known beforehand: to guarantee a loss */
    uint64_t seed;       /* of searches, and of which episodes test a guarantee; 0: 1 */
    int32_t longest;     /* steps an episode can have at most; 0: as many as all have, or a quarter
                            more than the longest */
    int32_t points;      /* of a frontier: budgets from the cheapest thresholds to full depth, each
                            solved for; 2 to 200, 0: none */
    uint32_t per_task;   /* 1: guaranteed for every task by itself */
    uint32_t deepest_may_lose; /* 1: where the deepest exit loses 0 in every row that is chance, not
                                  because the loss is the deviation from it */
} deer_solve_options;

/* One way to run the model. Unknown numbers are NaN. */
typedef struct {
    char name[64];             /* what made it: "best", "full depth" */
    int32_t max_exit;          /* the deepest exit allowed */
    float tau[DEER_MAX_EXITS]; /* [max_exit + 1]; -infinity: never, the last +infinity: always */
    double budget;             /* of the average that it was solved for */
    double cost, loss;         /* means over the steps */
    double peak;               /* cost of a step that takes the deepest exit */
    double memory;             /* with that exit */
    double exit_fraction[DEER_MAX_EXITS]; /* of the steps, leaving at each exit */
} deer_operating_point;

/* What was found, with what to compare it. */
typedef struct deer_solution deer_solution;

/* Thresholds for a table's model under the budgets asked for: one at least, or points. The caller
 * frees the solution. DEER_INFEASIBLE when nothing keeps a budget, or nothing can be guaranteed:
 * the message says the nearest that could. */
DEER_API deer_status deer_solve(const deer_table *table, const deer_solve_options *options,
                                deer_solution **solution, deer_error *err);

/* What given thresholds do on a table (other episodes, say): tau [max_exit + 1], of which the last
 * is not looked at. The caller frees the solution. */
DEER_API deer_status deer_evaluate(const deer_table *table, const float *tau, int32_t max_exit,
                                   deer_solution **solution, deer_error *err);

DEER_API void deer_solution_free(deer_solution *solution);

/* Of the solution, and living as long; NULL where there is none (only points were asked for; no
 * heuristic keeps the budget, or no average was asked for). */
DEER_API const deer_operating_point *deer_solution_found(const deer_solution *solution);
DEER_API const deer_operating_point *deer_solution_full(const deer_solution *solution);
DEER_API const deer_operating_point *deer_solution_official(const deer_solution *solution);

/* In the table's units, GFLOPs where it says so. confidence 0: nothing is guaranteed. NULL of NULL.
 */
DEER_API const deer_guarantee *deer_solution_guarantee(const deer_solution *solution);

/* What produced it, with seed or parameter: "best seed 1". "" of NULL. */
DEER_API const char *deer_solution_solver(const deer_solution *solution);

/* Mean loss at the same cost of one who sees every loss before choosing; and the share of the way
 * there, from the official heuristic, that was found. NaN where not known. */
DEER_API double deer_solution_oracle_loss(const deer_solution *solution);
DEER_API double deer_solution_gap_closed(const deer_solution *solution);

/* The frontier, ascending in its budgets; and each point's guarantee, all of them together wrong
 * with the probability asked for. NULL for a point there is not. */
DEER_API int32_t deer_solution_points(const deer_solution *solution);
DEER_API const deer_operating_point *deer_solution_point(const deer_solution *solution,
                                                         int32_t point);
DEER_API const deer_guarantee *deer_solution_point_guarantee(const deer_solution *solution,
                                                             int32_t point);

/* ---------------------------------------------------------------- official thresholds ------ */

/* How many steps are assumed to leave at each exit. */
typedef enum {
    DEER_OFFICIAL_EXP,   /* ratio^(k + 1) */
    DEER_OFFICIAL_GAUSS, /* a bell of width 1 around exit `parameter`, 0-based */
    DEER_OFFICIAL_GAMMA, /* gamma density of shape `parameter` and scale 2 at k + 1 */
} deer_distribution;

/* Thresholds of the official code, to the last bit: sequential quantiles of criterion values for
 * assumed exit fractions.
 *   values      [exits, samples], as the official code stores them; finite or NaN
 *   skip_first  the first exit is never taken, as the official code has it for the 9B model
 *   tau         [exits]; -1e8 never, 1e8 the last
 * (To find the parameter for a budget: deer_solve with an official method.)
 * Source: official ExitController.set_threshold. */
DEER_API deer_status deer_official_thresholds(const float *values, int32_t exits, int64_t samples,
                                              deer_distribution distribution, double parameter,
                                              bool skip_first, float *tau, deer_error *err);

/* ---------------------------------------------------------------- replay ------------------- */

/* Zero is the default everywhere, but for what is required. */
typedef struct {
    uint32_t size;             /* sizeof(deer_replay_options) */
    int32_t files;             /* how many demos; 1 at least */
    const char *model;         /* file; required */
    const char *const *demos;  /* [files] recorded demonstrations, as one set; required */
    const char *cache;         /* folder to write, or to go on with; required */
    const char *static_camera; /* names below obs/; NULL: the usual ones */
    const char *gripper_camera;
    const char *instruction; /* instead of the recorded ones; NULL: those */
    const char *mask;        /* only the demonstrations that mask/.. of the file lists; NULL: all */
    int32_t threads;         /* at most 1024; 0: one per core */
    int32_t batch;           /* observations that go through the model together; 0: 8 */
    int32_t shard_episodes;  /* episodes of a shard of a new cache; 0: 8 */
    uint32_t reserved;       /* 0 */
    /* Told of progress, from any thread, one at a time; NULL: nobody is. */
    void (*progress)(void *context, int64_t steps, int64_t of);
    void *context;
} deer_replay_options;

typedef struct {
    int64_t episodes, steps; /* of the cache */
    int64_t replayed;        /* steps run now; the others were there */
    int32_t shards, missing; /* missing: being written by other processes */
    int32_t unknown_words;   /* episodes with words that the model does not know */
    uint32_t unused;
    double seconds;
    double reserved[4]; /* 0 */
} deer_replay_report;

/* Runs a model over demonstrations and caches what each exit sees and says. What was stopped half
 * way goes on where it was. report may be NULL. */
DEER_API deer_status deer_replay(const deer_replay_options *options, deer_replay_report *report,
                                 deer_error *err);

/* ---------------------------------------------------------------- caches ------------------- */

/* A complete feature cache; any number of threads may read it. */
typedef struct deer_cache deer_cache;

/* One recorded episode. */
typedef struct {
    const char *name, *task, *instruction;
    int64_t first; /* row of its first step */
    int32_t steps;
    int32_t tokens; /* of the instruction: what a step costs depends on it */
} deer_episode;

/* Everything but features is read and checked against its checksums. The caller closes it. */
DEER_API deer_status deer_cache_open(const char *folder, deer_cache **cache, deer_error *err);
DEER_API void deer_cache_close(deer_cache *cache);

/* Of the cache, and living as long. NULL, 0 or "" of NULL; NULL for an episode there is not. */
DEER_API const deer_config *deer_cache_config(const deer_cache *cache); /* of its model */
DEER_API const char *deer_cache_model(const deer_cache *cache);         /* its fingerprint */
DEER_API int64_t deer_cache_steps(const deer_cache *cache);             /* N */
DEER_API int32_t deer_cache_exits(const deer_cache *cache);             /* K */
DEER_API int32_t deer_cache_width(const deer_cache *cache);             /* of a feature */
DEER_API int32_t deer_cache_episodes(const deer_cache *cache);
DEER_API const deer_episode *deer_cache_episode(const deer_cache *cache, int32_t episode);

/* [N, 1 + K, 7] pose in -1..1 and probability that the gripper is open, of every exit, when the
 * deepest was taken at every step before; row 0 is the pseudo exit, row 1 + k exit k.
 * [N, K] root mean square of the pose's change from the exit before.
 * [N, 7] the recorded action. */
DEER_API const float *deer_cache_action(const deer_cache *cache);
DEER_API const float *deer_cache_delta(const deer_cache *cache);
DEER_API const float *deer_cache_demonstration(const deer_cache *cache);

/* GFLOPs of a step of the episode that takes the exit, one multiply-add counted as one: of the
 * decoder alone (llm), or of everything. NaN where there is no such episode or exit. */
DEER_API double deer_cache_cost(const deer_cache *cache, int32_t episode, int32_t exit, bool llm);

/* Pooled features of an episode, as float16, into the caller's features [steps of the episode,
 * 1 + K, width], `count` numbers in all. Reads the disk where they were not just read; one thread
 * at a time, others get DEER_BUSY. */
DEER_API deer_status deer_cache_features(deer_cache *cache, int32_t episode, uint16_t *features,
                                         uint64_t count, deer_error *err);

/* ---------------------------------------------------------------- thresholds files --------- */

typedef enum {
    DEER_LOSS_DEEPEST, /* deviation from what the deepest exit allowed would do */
    DEER_LOSS_DEMO,    /* from the recorded action */
} deer_loss;

/* What deer-calib solve --cache is told. Budgets of averages, peaks and losses are those of
 * `solve`, in GFLOPs, memory in bytes; zero is the default everywhere. */
typedef struct {
    uint32_t size;     /* sizeof(deer_calibrate_options) */
    int32_t criterion; /* deer_criterion */
    const char *cache; /* folder; required */
    const char *model; /* file; NULL: where replay found it */
    const char *out;   /* thresholds file to write, for deer_thresholds_load; NULL: none */
    const deer_solve_options *solve; /* required; its per_task is of the recorded tasks */
    int32_t loss;                    /* deer_loss */
    int32_t threads;                 /* at most 1024; 0: one per core */
    uint32_t scope_llm;              /* 1: costs are of the decoder alone; 0: of everything */
    uint32_t reserved;               /* 0 */
} deer_calibrate_options;

/* Thresholds for a cache's model, which keep their budget with the exits that they take themselves.
 * With an average, peak or memory budget or a loss, out is written atomically; points become its
 * dial (at most 32). The caller frees the solution. */
DEER_API deer_status deer_calibrate(const deer_calibrate_options *options, deer_solution **solution,
                                    deer_error *err);

#ifdef __cplusplus
}
#endif

#endif
