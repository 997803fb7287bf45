/* SPDX-License-Identifier: MIT */
/* exit_rule.c - which exits a step may take, by what the steps before it did. */
#include "runtime/thresholds/exit_rule.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {"none", "refresh", "debt", "speed", "schedule"};
enum { KINDS = sizeof names / sizeof *names };

const char *deer_rule_name(deer_rule_kind kind)
{
    return (unsigned)kind < KINDS ? names[kind] : "unknown";
}

bool exit_rule_named(const char *name, int32_t *kind)
{
    for (int i = 0; name && i < KINDS; i++)
        if (!strcmp(names[i], name)) {
            *kind = i;
            return true;
        }
    return false;
}

/* ---------------------------------------------------------------- a step ------------------- */

/* Whether exits below `deep` are out at the next step. */
static bool must_go_deep(const deer_exit_rule *rule, const deer_rule_memory *memory)
{
    switch (rule->kind) {
    case DEER_RULE_REFRESH:
        return memory->shallow >= rule->steps;
    case DEER_RULE_DEBT:
        return memory->debt > rule->limit;
    case DEER_RULE_SPEED:
        return !(memory->speed >= rule->limit);
    default:
        return false;
    }
}

int32_t deer_rule_least(const deer_exit_rule *rule, const deer_rule_memory *memory,
                        int32_t max_exit)
{
    int32_t least = 0;

    if (!rule || !memory || max_exit < 0)
        return 0;
    if (rule->kind == DEER_RULE_SCHEDULE && rule->steps > 0 && rule->steps <= DEER_MAX_PATTERN)
        least = rule->pattern[(uint64_t)memory->steps % (uint64_t)rule->steps];
    else if (must_go_deep(rule, memory))
        least = rule->deep;
    return least < 0 ? 0 : least < max_exit ? least : max_exit;
}

bool deer_rule_untested(const deer_exit_rule *rule, int32_t least, int32_t max_exit)
{
    return rule && rule->kind && (rule->kind == DEER_RULE_SCHEDULE || least >= max_exit) &&
           (least > 0 || rule->kind == DEER_RULE_SCHEDULE);
}

void deer_rule_note(const deer_exit_rule *rule, deer_rule_memory *memory, int32_t exit, float value,
                    const float pose[DEER_POSE])
{
    if (!rule || !memory || !pose)
        return;
    memory->steps += memory->steps < INT64_MAX;
    memory->speed = sqrtf(pose[0] * pose[0] + pose[1] * pose[1] + pose[2] * pose[2]);
    if (exit >= rule->deep) {
        memory->shallow = 0;
        memory->debt = 0;
        return;
    }
    memory->shallow += memory->shallow < INT32_MAX;
    memory->debt += isfinite(value) ? value : 0;
}

/* ---------------------------------------------------------------- what is refused ---------- */

static bool pattern_fits(const deer_exit_rule *rule, int max_exit)
{
    bool fits = rule->steps >= 1 && rule->steps <= DEER_MAX_PATTERN;

    for (int i = 0; fits && i < rule->steps; i++)
        fits = rule->pattern[i] <= max_exit;
    return fits;
}

const char *exit_rule_fault(const deer_exit_rule *rule, int max_exit, int steps_per_stage)
{
    if (rule->kind < 0 || rule->kind >= KINDS)
        return "the rule is of no known kind";
    if (!rule->kind)
        return NULL;
    if (rule->kind == DEER_RULE_SCHEDULE)
        return steps_per_stage != 1           ? "a schedule needs steps_per_stage 1"
               : pattern_fits(rule, max_exit) ? NULL
                                              : "a schedule needs 1 to 32 exits, none deeper than "
                                                "the deepest allowed";
    if (rule->deep < 1 || rule->deep > max_exit)
        return "the rule's deep exit must be 1 or more, and none deeper than the deepest allowed";
    if (rule->kind == DEER_RULE_REFRESH)
        return rule->steps >= 1 ? NULL : "a refresh needs steps, 1 or more";
    return isfinite(rule->limit) && rule->limit >= 0 ? NULL : "the rule needs a limit, 0 or more";
}
