/* SPDX-License-Identifier: MIT */
/* print_rules.h - rules of exits side by side, for people and for machines. */
#ifndef CALIB_PRINT_RULES_H
#define CALIB_PRINT_RULES_H

#include <jansson.h>
#include <stdio.h>

#include "calib/pipeline/rules.h"

void rules_print(FILE *out, const rule_choice *choice);

/* New objects. */
json_t *rules_json(const rule_choice *choice);
json_t *episode_losses_json(const rule_verdict *v);

#endif
