/* SPDX-License-Identifier: MIT */
/* betting.h - evidence that a mean lies below a limit, as the wealth of a gambler who bets on it.
 *
 *   e = betting_wealth(gain, n, most_lost, spread, 0.1, seed, &err)     // >= 10 in 10% at most
 *
 * The gambler starts with 1 and stakes money on draws falling below the limit: a draw that falls by
 * `gain` below it pays stake * gain. If the mean is at or above the limit his expected wealth after
 * the last draw is at most 1, whatever he does, as long as each stake depends on earlier draws
 * alone and he cannot lose more than he has. So (Markov) he ends with 1 / delta or more in at most
 * a share delta of all worlds. Source: Waudby-Smith and Ramdas, "Estimating means of bounded random
 * variables by betting", JRSS B 2024, section 4.
 *
 * How he bets. Only 1 / delta at the end counts, so he stakes what a trader holds who has sold an
 * option that pays `target` if the sum of the gains ends above a strike and nothing otherwise: with
 * wealth w * target and r draws to come, target * phi(Phi^-1(w)) / (spread * sqrt(r)). With many
 * draws this has the power of the normal test with known spread; a constant share of the wealth, or
 * any mixture of such, needs a mean that is half as far again below the limit.
 *
 * The order of the draws does not count: the draws are sorted and then shuffled, and the wealth is
 * the average over many shuffles. A mean of such wealths has expectation at most 1, too. What is
 * assumed: the draws are independent and of one distribution; then a shuffle of them is as good as
 * the order they came in, and sorting beforehand takes what the file's order could tell. Where the
 * number of draws of each kind (task) was fixed beforehand, the differences between kinds are taken
 * for chance although they are none, and the test errs less often than it may (simulated in
 * tests/calib/test_coverage.c). */
#ifndef CALIB_BETTING_H
#define CALIB_BETTING_H

#include <stdint.h>

#include "runtime/deer.h"

/* The wealth at the end, averaged over shuffles.
 *   gain        [n] limit - draw; the same multiset gives the same result
 *   most_lost   no gain is below -most_lost, known before the draws; above 0
 *   spread      a guess of the draws' standard deviation made without looking at them; 0 or more
 *   delta       the level at which the wealth will be used: bets aim at 1 / delta
 *   seed        of the shuffles
 * Fails when out of memory. */
deer_status betting_wealth(const double *gain, int n, double most_lost, double spread, double delta,
                           uint64_t seed, double *wealth, deer_error *err);

/* The gap between mean and limit, in standard errors, at which about half of all tests succeed when
 * draws are many. */
double betting_reach(double delta);

#endif
