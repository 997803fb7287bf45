/* SPDX-License-Identifier: MIT */
/* paired.h - two policies on the same starts: which of them does what the other does not?
 *
 *   paired pair = {0};
 *   paired_add("full.json", "early.json", &pair, &err);       // once for every seed
 *   paired_finish(&pair);
 *   printf("%+.1f points, p %.3f\n", 100 * pair.difference, pair.p_value);
 *
 * A pair is a rollout from one start, worth 1 where it succeeded; or a row of instructions, worth
 * as many as were done in a row. Pairs share what makes a start easy or hard, so their differences
 * vary less than two success rates side by side would.
 */
#ifndef REPORTS_PAIRED_H
#define REPORTS_PAIRED_H

#include <stdbool.h>

#include "runtime/deer.h"

/* What one of the two did, over all pairs. */
typedef struct {
    double worth, steps, llm, total; /* sums; GFLOPs */
} paired_side;

typedef struct {
    int pairs;
    bool rows;                /* of instructions */
    int first, second, equal; /* pairs in which the one or the other did more, or both as much */
    paired_side side[2];
    double squares; /* of the differences */
    double within;  /* of single tasks: judged within so many times the expert's steps, which the
                       files must have been given; 0: as they were */

    /* Of paired_finish: */
    double difference, low, high; /* second minus first, a pair; its 95% interval */
    double p_value; /* of first and second so unlike, or more, if both were as likely */
} paired;

/* Adds the rollouts of two files of deer-sim eval --json. Fails where they do not share their
 * starts and their judging, or say nothing about each rollout. */
deer_status paired_add(const char *first, const char *second, paired *pair, deer_error *err);

/* The difference, with an interval from its variance over pairs, to which two pairs were added, of
 * which each side won one half as in Agresti and Min (2005); and the exact test of McNemar, for
 * rows the sign test, which is the same. */
void paired_finish(paired *pair);

/* Two-sided: how likely n fair coins fall at least as unevenly as `heads` of them. */
double paired_sign_test(int heads, int n);

#endif
