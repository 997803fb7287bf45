/* SPDX-License-Identifier: MIT */
/* demos_identity.h - the fingerprint of demonstrations, in parts: for ranks that read some each.
 *
 *   demos_identity *all = calloc(demos_count(d), sizeof *all);
 *   if (demos_identify(d, first, count, all + first, &err)) ...     // everybody's part
 *   demos_fingerprint_of(all, demos_count(d), fingerprint);         // of all, as demos_fingerprint
 */
#ifndef DATASETS_DEMOS_IDENTITY_H
#define DATASETS_DEMOS_IDENTITY_H

#include "datasets/demos/demos.h"

/* A hash of all that replay reads of one demonstration. */
typedef struct {
    uint64_t half[2];
} demos_identity;

/* Reads demonstrations first .. first + count - 1; identity [count]. */
deer_status demos_identify(demos *d, int first, int count, demos_identity *identity,
                           deer_error *err);

void demos_fingerprint_of(const demos_identity *identity, int count,
                          char fingerprint[DEER_FINGERPRINT]);

#endif
