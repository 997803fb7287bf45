/* SPDX-License-Identifier: MIT */
/* statement.h - a promise in words. */
#ifndef CALIB_STATEMENT_H
#define CALIB_STATEMENT_H

#include "calib/guarantee/trials.h"

/* What was promised, and to whom: text [600]. */
void statement_write(const job *j, const guarantee *g, char *text);

/* Nothing could be promised: says what stands in the way. Returns DEER_INFEASIBLE. */
deer_status statement_refuse(job *j, deer_error *err);

#endif
