/* SPDX-License-Identifier: MIT */
/* policy.h - what the sub-commands run: a model under thresholds or at a fixed exit. */
#ifndef RUN_POLICY_H
#define RUN_POLICY_H

#include "runtime/deer.h"

typedef struct {
    deer_model *model; /* mapped up to the deepest exit allowed, no further */
    deer_thresholds *thresholds;
    deer_session *session;
} policy;

/* Threads of the program's own for the calling thread's products: so many, or TOOL_NOT_GIVEN: one
 * per core; bound to cores when pin. They stay until the program ends. */
deer_status policy_threads(long threads, bool pin, deer_error *err);

/* budget: NaN, or the dial's setting in GFLOPs. Opens a model and a session of it: under a
 * thresholds file, or, when thresholds is NULL, always leaving at exit (DEER_ALL_EXITS: the
 * deepest). */
deer_status policy_open(const char *model, const char *thresholds, int exit, double budget,
                        policy *p, deer_error *err);
void policy_close(policy *p);

#endif
