/* SPDX-License-Identifier: MIT */
/* deadline.h - does the next exit still fit into this step's time?
 *
 *   deadline_start(&d);                 // the step begins
 *   deadline_layers(&d);                // images are seen, the decoder begins
 *   ... layers up to exit 0, its test ...
 *   deadline_tested(&d, 0);
 *   if (!deadline_fits(&d, 1))          // where the thresholds would go on
 *       take exit 0;
 *   ...
 *   late = deadline_end(&d);
 *
 * A segment is what lies between two exits' tests: layers and an evaluation of the head. Of each
 * the times of its last runs are kept, and it is expected to take as long as their 99th percentile:
 * the next run takes longer with a probability of at most 1%, whatever the distribution, as long as
 * it is like the runs before it (the conformal rank, ceil(0.99 (n + 1)), of exchangeable runs). A
 * segment that is left out because it would come too late forgets its oldest run, so that no stall
 * of the machine is remembered for ever. Without a limit nothing here looks at the clock. */
#ifndef RUNTIME_DEADLINE_H
#define RUNTIME_DEADLINE_H

#include "runtime/deer.h"

enum { DEADLINE_RUNS = 200 }; /* kept of each segment */

/* Seconds that the last runs took. */
typedef struct {
    float seen[DEADLINE_RUNS]; /* a ring */
    int oldest, count;
} deadline_runs;

typedef struct {
    double limit;              /* seconds from a step's beginning to its end; 0: none */
    double (*now)(void);       /* the clock; a test has its own */
    double started, layers;    /* the step; its decoder layers */
    double at;                 /* the segment that runs */
    bool tested;               /* an exit was, at this step */
    const int32_t *exit_layer; /* [exits] of the model */
    int exits;
    deadline_runs *runs; /* [exits]: up to exit k's test from the one before; of 0: from the last
                            test of a step to its end. NULL until there was a limit */
} deadline;

/* Sets a limit, 0 for none; the first one makes room for times. */
deer_status deadline_set(deadline *d, const deer_config *config, double seconds, deer_error *err);
void deadline_free(deadline *d);
size_t deadline_bytes(const deadline *d);

void deadline_start(deadline *d);
void deadline_layers(deadline *d);

/* At an exit: it was tested; it was passed without a test. */
void deadline_tested(deadline *d, int exit);
void deadline_passed(deadline *d);

/* Whether a step that goes on to this exit is expected to end in time. */
bool deadline_fits(deadline *d, int exit);

/* The step ends; whether it took longer than the limit. */
bool deadline_end(deadline *d);

#endif
