/* SPDX-License-Identifier: MIT */
/* bootstrap.h - how far means over the steps would be off with other episodes of the same kind.
 *
 *   bootstrap b;
 *   if (bootstrap_make(&problem, seed, &b, &err)) ...
 *   bootstrap_point(&b, &problem, &point);               // fills its 95% intervals
 *   bootstrap_free(&b);
 *
 * Episodes are drawn with replacement (the steps inside one are not independent), the same draws
 * for every point; intervals are percentiles. They are of given thresholds: of those chosen on the
 * same episodes they are the spread over episodes, too low for the loss on others.
 */
#ifndef REPORTS_BOOTSTRAP_H
#define REPORTS_BOOTSTRAP_H

#include "reports/answer/sweep.h"

enum { BOOTSTRAP_SIDE = 8 }; /* draws that lie side by side and are added up together */

typedef struct {
    int draws, episodes;
    uint8_t *weight; /* [draws / SIDE, episodes, SIDE] how often an episode was drawn */
    double *steps;   /* [draws] that were drawn */
} bootstrap;

deer_status bootstrap_make(const steps *s, uint64_t seed, bootstrap *b, deer_error *err);
void bootstrap_free(bootstrap *b);

/* Sets the intervals of cost and loss. May run in several threads at once. DEER_FAILED when out of
 * memory. */
deer_status bootstrap_point(const bootstrap *b, const steps *s, sweep_point *point);

#endif
