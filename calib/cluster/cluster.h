/* SPDX-License-Identifier: MIT */
/* cluster.h - one program as several processes, its ranks, on one machine or on many.
 *
 *   int main(int argc, char **argv)
 *   {
 *       cluster_begin(&argc, &argv);
 *       ...
 *       cluster_sum(sums, n);                        // everybody's, on everybody
 *       for (int64_t i; (i = cluster_next()) < n;)   // each i on one rank
 *           ...
 *       return cluster_end(status);
 *   }
 *
 * Two files have these functions: cluster_one.c, where there is one rank and nothing to exchange,
 * and cluster_mpi.c, which `make MPI=1` links instead (docs/scaling.md). Callers are the same for
 * both.
 *
 * All ranks call what exchanges numbers, in the same order: what decides whether they do must be
 * equal on all. Sums do not depend on the number of ranks where adding is exact: of integers, and
 * of losses as steps_check leaves them. What each decides by itself they decide alike:
 * cluster_begin ends a job whose machines round differently. A rank that fails ends all
 * (cluster_end); the message of one that is gone is mpirun's.
 */
#ifndef CALIB_CLUSTER_H
#define CALIB_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* First and last in main. Between them what ranks but 0 print goes nowhere: all of them say the
 * same. cluster_end returns the status, or ends all ranks at once where one alone has failed, for
 * which every other would wait for ever; its message is printed then. */
void cluster_begin(int *argc, char ***argv);
int cluster_end(int status);

int cluster_rank(void); /* 0 .. cluster_size() - 1; rank 0 writes the files */
int cluster_size(void);

/* Elementwise over all ranks, in place: sums, least and largest values; x [n]. */
void cluster_sum(double *x, int64_t n);
void cluster_count(int64_t *x, int64_t n);
void cluster_least(float *x, int64_t n);
void cluster_most(float *x, int64_t n);

/* Sum of the numbers of the ranks before this one. */
int64_t cluster_before(int64_t mine);

/* Everybody's bytes one behind the other, in the order of ranks; `all` has room for them. */
void cluster_gather(const void *mine, size_t size, void *all);

/* Elements of `size` bytes: every rank has first .. first + count - 1 of an array, and gets the
 * others.
 */
void cluster_place(void *all, size_t size, int64_t first, int64_t count);

/* Rank 0's, on all. */
void cluster_tell(void *data, size_t size);

/* Whether all ranks have the same bytes, a few. */
bool cluster_alike(const void *mine, size_t size);

/* 0, 1, 2, .. since the last cluster_meet: each number once, on whichever rank asks for it next.
 * From any thread. */
int64_t cluster_next(void);

/* Waits for all ranks; numbers begin at 0 again. */
void cluster_meet(void);

#endif
