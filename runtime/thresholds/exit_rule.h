/* SPDX-License-Identifier: MIT */
/* exit_rule.h - rules of exits (deer_exit_rule), beside what deer_replay.h has of them.
 *
 *   least = deer_rule_least(&t->rule, &memory, t->max_exit);
 *   if (deer_rule_untested(&t->rule, least, t->max_exit)) ... run to it, and stop ...
 *   ... else test from `least` on ...
 *   deer_rule_note(&t->rule, &memory, exit, value, pose);
 */
#ifndef RUNTIME_EXIT_RULE_H
#define RUNTIME_EXIT_RULE_H

#include "runtime/deer_replay.h"

/* The kind of that name, which may be NULL; false, and *kind untouched, when there is none. */
bool exit_rule_named(const char *name, int32_t *kind);

/* What is wrong with a rule of thresholds up to max_exit, or NULL. */
const char *exit_rule_fault(const deer_exit_rule *rule, int max_exit, int steps_per_stage);

#endif
