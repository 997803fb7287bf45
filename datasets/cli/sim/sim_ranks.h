/* SPDX-License-Identifier: MIT */
/* sim_ranks.h - parallel_run (datasets/tabletop/parallel.h) over the ranks of a cluster.
 *
 * Rank r of `ranks` does jobs r, r + ranks, .., by processes of its own; then every rank collects
 * the results of all, in the order of jobs. With one rank it is parallel_run.
 */
#ifndef DATASETS_SIM_RANKS_H
#define DATASETS_SIM_RANKS_H

#include "datasets/tabletop/parallel.h"

/* ranks: how many of those there are do jobs. */
deer_status sim_ranks_run(int n, int ranks, int workers, parallel_start start, parallel_job job,
                          parallel_collect collect, void *context, deer_error *err);

#endif
