/* SPDX-License-Identifier: MIT */
/* cameras.h - rules for cameras that are worth solving for.
 *
 *   camera_choice choice[CAMERA_CHOICES];
 *   int n;
 *   if (cameras_propose(c, model, &how, &eyes, choice, &n, &err)) ...
 *   for (int i = 0; i < n; i++)  ... follow choice[i].rules, solve, keep the best ...
 *
 * Ages and rho are few numbers, and what rules do does not depend on the thresholds: so a small
 * grid of them is gone through instead of searching all together with the thresholds. Each camera's
 * rules are judged with the other one fresh and every step at the deepest exit; what no other beats
 * in cost and loss is paired, and what of the pairs no other would beat if losses added up is
 * proposed. The solver of thresholds then decides, with all effects together.
 */
#ifndef CALIB_CAMERAS_H
#define CALIB_CAMERAS_H

#include "calib/pipeline/onpolicy.h"
#include "calib/replay/eyes.h"

enum { CAMERA_CHOICES = 16 };

typedef struct {
    deer_camera_rules rules;
    double encoded; /* encodings a step */
    double loss;    /* with every step at the deepest exit, as the sum of both cameras' */
} camera_choice;

/* Ascending in encodings; fresh cameras are the last. how: what is solved later; its episodes are
 * all that is looked at. stagger: rules that encode one camera a step at most. */
deer_status cameras_propose(cache *c, const deer_model *model, const onpolicy_spec *how,
                            bool stagger, cache_eyes *eyes, camera_choice choice[CAMERA_CHOICES],
                            int *n, deer_error *err);

#endif
