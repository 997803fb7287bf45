/* SPDX-License-Identifier: MIT */
/* explain.h - where a model's GFLOPs come from, in words and numbers. */
#ifndef BUDGETS_EXPLAIN_H
#define BUDGETS_EXPLAIN_H

#include <stdio.h>

#include "runtime/deer.h"

/* Prints what counts as a FLOP, every product of every module, the cost of each exit in both
 * scopes, and how that relates to the paper's figures, for an instruction of `tokens` text tokens.
 */
void deer_cost_explain(const deer_config *config, int tokens, FILE *out);

#endif
