/* SPDX-License-Identifier: MIT */
/* sim_ranks.c - jobs by ranks, results to all. */
#include "datasets/cli/sim/sim_ranks.h"

#include <stdlib.h>
#include <string.h>

#include "calib/cluster/cluster.h"

/* Results one behind the other, each with this before it. */
typedef struct {
    int64_t job;
    uint64_t size;
} result_header;

typedef struct {
    parallel_start start;
    parallel_job job;
    void *context;
    int ranks;
    char *results;
    size_t size, room;
} share;

static deer_status start_here(void *context, deer_error *err)
{
    const share *s = context;

    return s->start ? s->start(s->context, err) : DEER_OK;
}

static int job_of(const share *s, int i)
{
    return cluster_rank() + i * s->ranks;
}

static deer_status do_here(void *context, int i, parallel_result *out, deer_error *err)
{
    const share *s = context;

    return s->job(s->context, job_of(s, i), out, err);
}

static deer_status keep(void *context, int i, const void *data, size_t size, deer_error *err)
{
    share *s = context;
    const result_header header = {job_of(s, i), size};

    if (s->room < s->size + sizeof header + size) {
        size_t room = 2 * (s->size + sizeof header + size);
        char *grown = realloc(s->results, room);

        if (!grown)
            return deer_fail(err, "out of memory for the results of rollouts");
        s->results = grown;
        s->room = room;
    }
    memcpy(s->results + s->size, &header, sizeof header);
    memcpy(s->results + s->size + sizeof header, data, size);
    s->size += sizeof header + size;
    return DEER_OK;
}

/* Where each job's result begins, at [n]. */
static void find_results(const char *all, size_t size, const char **at)
{
    for (size_t i = 0; i < size;) {
        result_header header;

        memcpy(&header, all + i, sizeof header);
        at[header.job] = all + i;
        i += sizeof header + header.size;
    }
}

static deer_status collect_all(const share *s, int n, parallel_collect collect, deer_error *err)
{
    int64_t size = (int64_t)s->size;
    const char **at = calloc((size_t)n + 1, sizeof *at);
    char *all;
    deer_status status = DEER_OK;

    cluster_count(&size, 1);
    all = malloc((size_t)size + 1);
    if (!at || !all)
        status = deer_fail(err, "out of memory for the results of %d rollouts", n);
    if (!status) {
        cluster_gather(s->results, s->size, all);
        find_results(all, (size_t)size, at);
    }
    for (int i = 0; i < n && !status; i++) {
        result_header header;

        memcpy(&header, at[i], sizeof header);
        status = collect(s->context, i, at[i] + sizeof header, header.size, err);
    }
    free(all);
    free(at);
    return status;
}

deer_status sim_ranks_run(int n, int ranks, int workers, parallel_start start, parallel_job job,
                          parallel_collect collect, void *context, deer_error *err)
{
    share s = {.start = start, .job = job, .context = context, .ranks = ranks};
    int rank = cluster_rank(), here = rank < ranks && rank < n ? (n - rank + ranks - 1) / ranks : 0;
    deer_status status = DEER_OK;

    if (cluster_size() == 1)
        return parallel_run(n, workers, start, job, collect, context, err);
    if (here)
        status = parallel_run(here, workers, start_here, do_here, keep, &s, err);
    if (!status)
        status = collect_all(&s, n, collect, err);
    free(s.results);
    return status;
}
