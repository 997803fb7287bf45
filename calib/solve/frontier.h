/* SPDX-License-Identifier: MIT */
/* frontier.h - thresholds for a whole range of budgets.
 *
 *   frontier_path(&s, max_exit, tau, budgets, n, path, &err);    // around one good answer
 *   frontier_budget_for_loss(&s, &spec, limit, &budget, &err);   // the other way round
 */
#ifndef CALIB_FRONTIER_H
#define CALIB_FRONTIER_H

#include "calib/solve/solve.h"

/* Walks from tau [max_exit + 1] to every budget [n], ascending: shares of steps are moved together
 * by the same odds until the budget is kept, then each threshold in turn takes its best value.
 * path [n]: thresholds, their mean cost and loss on s. A budget below the cheapest thresholds gives
 * those. */
deer_status frontier_path(const steps *s, int max_exit, const float *tau, const double *budgets,
                          int n, operating_point *path, deer_error *err);

/* The same by moving the shares alone, without fitting thresholds to what each step loses: where
 * few steps lose anything, these lie between what a fitted path jumps over. */
deer_status frontier_shifts(const steps *s, int max_exit, const float *tau, const double *budgets,
                            int n, operating_point *path, deer_error *err);

/* The least budget whose answer keeps a mean loss of `limit` on s, to a thousandth of the range of
 * costs; DEER_INFEASIBLE when even the dearest thresholds lose more. */
deer_status frontier_budget_for_loss(const steps *s, const solve_spec *spec, double limit,
                                     double *budget, deer_error *err);

#endif
