/* SPDX-License-Identifier: MIT */
/* cache_entry.c - the public functions on feature caches: replaying, reading, calibrating. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "budgets/cost/cost.h"
#include "calib/library/asked.h"
#include "calib/library/solution.h"
#include "calib/pipeline/deliver.h"
#include "runtime/base/options.h"

static bool missing(const char *path)
{
    return !path || !*path;
}

/* ---------------------------------------------------------------- replay ------------------- */

static void tell_progress(void *context, long done, long total)
{
    const deer_replay_options *o = context;

    o->progress(o->context, done, total);
}

static deer_status check_replay(const deer_replay_options *o, deer_error *err)
{
    if (missing(o->model) || missing(o->cache) || !o->demos || o->files < 1)
        return deer_fail_with(DEER_USAGE, err, "replaying needs a model, demos and a cache");
    for (int i = 0; i < o->files; i++)
        if (missing(o->demos[i]))
            return deer_fail_with(DEER_USAGE, err, "demonstrations %d of %d have no name", i,
                                  o->files);
    if (o->batch < 0 || o->batch > 4096)
        return deer_fail_with(DEER_USAGE, err, "a batch has 1 to 4096 observations, not %d",
                              o->batch);
    if (o->shard_episodes < 0 || o->shard_episodes > 1000000)
        return deer_fail_with(DEER_USAGE, err, "a shard has 1 to 1000000 episodes, not %d",
                              o->shard_episodes);
    return DEER_OK;
}

static void fill_report(const replay_report *from, deer_replay_report *report)
{
    *report = (deer_replay_report){.episodes = from->episodes,
                                   .steps = from->steps,
                                   .replayed = from->replayed,
                                   .shards = from->shards,
                                   .missing = from->missing,
                                   .unknown_words = from->unknown_words,
                                   .seconds = from->seconds};
}

deer_status deer_replay(const deer_replay_options *options, deer_replay_report *report,
                        deer_error *err)
{
    deer_replay_options o;
    replay_report done;
    replay_spec spec = {0};
    deer_status status;

    if (report)
        *report = (deer_replay_report){0};
    if (options_read("deer_replay_options", &o, sizeof o, options, err) || check_replay(&o, err) ||
        asked_threads(o.threads, &spec.threads, err))
        return DEER_USAGE;
    spec.model = o.model;
    spec.demos = o.demos;
    spec.files = o.files;
    spec.cache = o.cache;
    spec.reading = (demos_options){.static_camera = o.static_camera,
                                   .gripper_camera = o.gripper_camera,
                                   .instruction = o.instruction,
                                   .mask = o.mask};
    spec.batch = o.batch ? o.batch : REPLAY_BATCH;
    spec.per_shard = o.shard_episodes ? o.shard_episodes : REPLAY_PER_SHARD;
    spec.progress = o.progress ? tell_progress : NULL;
    spec.context = &o;
    status = replay(&spec, &done, err);
    if (!status && report)
        fill_report(&done, report);
    return status;
}

/* ---------------------------------------------------------------- reading ------------------ */

struct deer_cache {
    cache *c;
    deer_episode *episode; /* [episodes] */
    deer_cost *cost;       /* [episodes] of a step, by the instruction's length */
    atomic_flag in_use;    /* for features */
};

static deer_status describe_episodes(deer_cache *x, deer_error *err)
{
    size_t episodes = (size_t)x->c->about.episodes;
    weight_dtype dtype = WEIGHT_F32; /* which decides about bytes alone */

    x->episode = calloc(episodes, sizeof *x->episode);
    x->cost = calloc(episodes, sizeof *x->cost);
    if (!x->episode || !x->cost)
        return deer_fail(err, "out of memory for the %zu episodes of %s", episodes, x->c->dir);
    for (size_t e = 0; e < episodes; e++) {
        const cache_episode *from = &x->c->episode[e];

        x->episode[e] = (deer_episode){.name = from->name,
                                       .task = from->task,
                                       .instruction = from->instruction,
                                       .first = from->first,
                                       .steps = from->steps,
                                       .tokens = from->tokens};
        deer_cost_of(&x->c->about.config, from->tokens, dtype, &x->cost[e]);
    }
    return DEER_OK;
}

deer_status deer_cache_open(const char *folder, deer_cache **out, deer_error *err)
{
    deer_cache *x;
    deer_status status;

    if (!out)
        return deer_fail_with(DEER_USAGE, err, "deer_cache_open has nowhere to put the cache");
    *out = NULL;
    if (missing(folder))
        return deer_fail_with(DEER_USAGE, err, "the cache has no name");
    x = calloc(1, sizeof *x);
    if (!x)
        return deer_fail(err, "out of memory opening %s", folder);
    atomic_flag_clear(&x->in_use);
    status = cache_open(folder, &x->c, err);
    if (!status)
        status = describe_episodes(x, err);
    if (status)
        deer_cache_close(x);
    else
        *out = x;
    return status;
}

void deer_cache_close(deer_cache *x)
{
    if (!x)
        return;
    cache_close(x->c);
    free(x->episode);
    free(x->cost);
    free(x);
}

const deer_config *deer_cache_config(const deer_cache *x)
{
    return x ? &x->c->about.config : NULL;
}

const char *deer_cache_model(const deer_cache *x)
{
    return x ? x->c->about.model : "";
}

int64_t deer_cache_steps(const deer_cache *x)
{
    return x ? x->c->steps : 0;
}

int32_t deer_cache_exits(const deer_cache *x)
{
    return x ? x->c->exits : 0;
}

int32_t deer_cache_width(const deer_cache *x)
{
    return x ? x->c->width : 0;
}

int32_t deer_cache_episodes(const deer_cache *x)
{
    return x ? x->c->about.episodes : 0;
}

static bool has_episode(const deer_cache *x, int32_t episode)
{
    return x && episode >= 0 && episode < x->c->about.episodes;
}

const deer_episode *deer_cache_episode(const deer_cache *x, int32_t episode)
{
    return has_episode(x, episode) ? &x->episode[episode] : NULL;
}

const float *deer_cache_action(const deer_cache *x)
{
    return x ? x->c->action : NULL;
}

const float *deer_cache_delta(const deer_cache *x)
{
    return x ? x->c->delta : NULL;
}

const float *deer_cache_demonstration(const deer_cache *x)
{
    return x ? x->c->demonstration : NULL;
}

double deer_cache_cost(const deer_cache *x, int32_t episode, int32_t exit, bool llm)
{
    const deer_exit_cost *cost;

    if (!has_episode(x, episode) || exit < 0 || exit >= x->c->exits)
        return NAN;
    cost = &x->cost[episode].exit[exit];
    return deer_gflops(llm ? cost->llm : cost->total);
}

/* ---------------------------------------------------------------- features ----------------- */

/* Keeps the shard that was read last: episodes are mostly asked for in their order. */
static deer_status load_shard(cache *c, int shard, deer_error *err)
{
    if (c->features[shard])
        return DEER_OK;
    cache_drop_features(c, 0, c->about.shards);
    return cache_load_features(c, shard, 1, err);
}

deer_status deer_cache_features(deer_cache *x, int32_t episode, uint16_t *features, uint64_t count,
                                deer_error *err)
{
    uint64_t wanted;
    deer_status status;

    if (!has_episode(x, episode) || !features)
        return deer_fail_with(DEER_USAGE, err, "there is no episode %d, or no place for features",
                              episode);
    wanted = (uint64_t)x->c->episode[episode].steps * (uint64_t)(1 + x->c->exits) *
             (uint64_t)x->c->width;
    if (count != wanted)
        return deer_fail_with(DEER_USAGE, err, "episode %d has %llu numbers, not %llu", episode,
                              (unsigned long long)wanted, (unsigned long long)count);
    if (atomic_flag_test_and_set_explicit(&x->in_use, memory_order_acquire))
        return deer_fail_with(DEER_BUSY, err, "another thread is reading features of this cache");
    status = load_shard(x->c, episode / x->c->about.per_shard, err);
    if (!status)
        memcpy(features, cache_features(x->c, episode, 0), wanted * sizeof *features);
    atomic_flag_clear_explicit(&x->in_use, memory_order_release);
    return status;
}

/* ---------------------------------------------------------------- calibrating -------------- */

static deer_status understand(const deer_calibrate_options *o, calibrate_spec *spec,
                              deer_error *err)
{
    if (missing(o->cache))
        return deer_fail_with(DEER_USAGE, err, "calibrating needs a cache");
    if (!o->solve)
        return deer_fail_with(DEER_USAGE, err, "calibrating needs budgets, in solve");
    if (o->out && !*o->out)
        return deer_fail_with(DEER_USAGE, err, "the thresholds file has no name");
    if (o->criterion < 0 || o->criterion > DEER_CRITERION_COMBINED)
        return deer_fail_with(DEER_USAGE, err, "there is no criterion %d", o->criterion);
    if (o->loss != DEER_LOSS_DEEPEST && o->loss != DEER_LOSS_DEMO)
        return deer_fail_with(DEER_USAGE, err, "there is no loss %d", o->loss);
    if (asked_solve(o->solve, spec, err) || asked_threads(o->threads, &spec->threads, err))
        return DEER_USAGE;
    if (o->out && spec->only_dial && !limits_have_average(&spec->asked) &&
        !isfinite(spec->guarantee.deviation))
        return deer_fail_with(DEER_USAGE, err,
                              "a thresholds file needs a budget besides points: average, say");
    if (o->out && spec->points > DEER_MAX_POINTS)
        return deer_fail_with(DEER_USAGE, err, "a thresholds file holds at most %d points",
                              DEER_MAX_POINTS);
    spec->problem.criterion = (deer_criterion)o->criterion;
    spec->problem.loss = (loss_reference)o->loss;
    spec->problem.scope_llm = o->scope_llm != 0;
    return DEER_OK;
}

static deer_status deliver(const deer_calibrate_options *o, const calibrated *found,
                           deer_solution **out, deer_error *err)
{
    if (o->out && deliver_file(o->out, found, err))
        return DEER_FAILED;
    *out = solution_new(&(solution_parts){.found = found->has_outcome ? &found->o : NULL,
                                          .llm = o->scope_llm != 0,
                                          .point = found->point,
                                          .guarantee = found->point_guarantee,
                                          .points = found->points});
    return *out ? DEER_OK : deer_fail(err, "out of memory for %d points", found->points);
}

deer_status deer_calibrate(const deer_calibrate_options *options, deer_solution **out,
                           deer_error *err)
{
    deer_calibrate_options o;
    calibrate_spec spec;
    calibrated *found;
    deer_status status;

    if (!out)
        return deer_fail_with(DEER_USAGE, err, "deer_calibrate has nowhere to put the solution");
    *out = NULL;
    if (options_read("deer_calibrate_options", &o, sizeof o, options, err) ||
        understand(&o, &spec, err))
        return DEER_USAGE;
    status = calibrate(&(calibrate_source){.cache = o.cache, .model = o.model}, &spec, &found, err);
    if (!status)
        status = deliver(&o, found, out, err);
    calibrated_free(found);
    return status;
}
