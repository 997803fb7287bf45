/* SPDX-License-Identifier: MIT */
/* oracle.h - how good any exit rule could be on these steps.
 *
 * The per-step oracle sees every exit's loss before it chooses, and only the average budget binds
 * it; an exit whose delta is no number may not be taken, by it neither. Its value is computed as
 * the Lagrangian dual, max over lambda of mean_n min_k (loss_nk + lambda cost_nk) - lambda budget:
 * a lower bound that no rule can beat. */
#ifndef CALIB_ORACLE_H
#define CALIB_ORACLE_H

#include "calib/problem/steps.h"

typedef struct {
    double loss;  /* mean; no thresholds within the budget have less */
    double price; /* lambda at the optimum: what a unit of cost is worth in loss */
} oracle;

/* Exits up to max_exit, mean cost <= budget. A budget below what the cheapest exits of all steps
 * cost gives infinite loss. */
oracle oracle_solve(const steps *s, int max_exit, double budget);

/* The losses of oracle_solve for n ascending budgets at once: each step's exits that are worth
 * their price at some price, in the order of what a unit of cost gains there. */
deer_status oracle_frontier(const steps *s, int max_exit, const double *budgets, int n,
                            double *losses, deer_error *err);

/* How far `loss` is on the way from `baseline` to the oracle: 0 none, 1 there; NaN without a gap.
 */
double oracle_gap_closed(double baseline, double loss, double oracle_loss);

#endif
