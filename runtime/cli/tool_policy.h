/* SPDX-License-Identifier: MIT */
/* tool_policy.h - the policy that a command line names: --model, and --thresholds (with --budget
 * or --govern) or --exit.
 *
 *   policy_choice choice = POLICY_DEEPEST;            // options point into it
 *   policy p;
 *   if (policy_contradicts(&self, &choice))
 *       return TOOL_USAGE;
 *   if (policy_open(&choice, &p, &err) || policy_start(&p, &err)) ...
 *   ... deer_step(p.session, ...) ...
 *   policy_close(&p);
 */
#ifndef RUNTIME_TOOL_POLICY_H
#define RUNTIME_TOOL_POLICY_H

#include <math.h>

#include "runtime/cli/tool.h"

typedef struct {
    const char *model, *thresholds; /* files; thresholds NULL: always the same exit */
    long exit;                      /* that one; TOOL_NOT_GIVEN: the deepest */
    double budget;                  /* the dial's setting, GFLOPs a step; NaN: as the file has it */
    double govern; /* the average that the dial is turned to keep, likewise; NaN: it stays */
    long horizon;  /* of that, steps; TOOL_NOT_GIVEN: the library's default */
    bool forks;    /* it is for children of the program, which bring it to its device themselves */
} policy_choice;

#define POLICY_DEEPEST                                                                             \
    ((policy_choice){                                                                              \
        .exit = TOOL_NOT_GIVEN, .budget = NAN, .govern = NAN, .horizon = TOOL_NOT_GIVEN})
#define POLICY_FOR_CHILDREN                                                                        \
    ((policy_choice){.exit = TOOL_NOT_GIVEN,                                                       \
                     .budget = NAN,                                                                \
                     .govern = NAN,                                                                \
                     .horizon = TOOL_NOT_GIVEN,                                                    \
                     .forks = true})

typedef struct {
    deer_model *model; /* up to the deepest exit allowed, no further */
    deer_thresholds *thresholds;
    deer_session *session; /* NULL until it is started */
} policy;

/* Threads of the program's own for the calling thread's products: so many, or TOOL_NOT_GIVEN: one
 * per core; bound to cores when pin. They stay until the program ends. */
deer_status policy_threads(long threads, bool pin, deer_error *err);

/* Where models run that are opened from now on: what --device says; NULL: as $DEER_DEVICE has it.
 */
void policy_device(const char *device);

/* In each child of a program whose choice said `forks`: brings the policy's model, which was opened
 * on the processor, to where it is to run. No process can use a device that another one opened. */
deer_status policy_bring(deer_model *model, deer_error *err);

/* Says on standard error where `auto` ended, if that is the processor: for one of those children.
 */
void policy_say_device(const deer_model *model);

/* Whether the options exclude each other or there can be no such exit; then prints so, as
 * tool_usage does. */
bool policy_contradicts(const tool_command *command, const policy_choice *choice);

/* Opens the model and its thresholds. DEER_USAGE where the model has no such exit. On failure
 * *policy is empty. */
deer_status policy_open(const policy_choice *choice, policy *policy, deer_error *err);

/* Gives an open policy a session with cameras of the model's own size. */
deer_status policy_start(policy *policy, deer_error *err);

/* Governs a session where that was chosen. */
deer_status policy_govern(const policy_choice *choice, deer_session *session, deer_error *err);

/* Frees what there is; an empty policy may be closed. */
void policy_close(policy *policy);

#endif
