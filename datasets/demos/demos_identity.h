/* SPDX-License-Identifier: MIT */
/* demos_identity.h - the fingerprint of demonstrations, in parts: for who reads them anyway.
 *
 *   if (demos_read(d, i, &e, &err)) ...
 *   all[i] = demos_identity_of(&e);
 *   demos_fingerprint_of(all, demos_count(d), fingerprint); // of all, as demos_fingerprint
 */
#ifndef DATASETS_DEMOS_IDENTITY_H
#define DATASETS_DEMOS_IDENTITY_H

#include "datasets/demos/demos.h"

/* A hash of all that replay reads of one demonstration. */
typedef struct {
    uint64_t half[2];
} demos_identity;

demos_identity demos_identity_of(const demo_episode *episode);

void demos_fingerprint_of(const demos_identity *identity, int count,
                          char fingerprint[DEER_FINGERPRINT]);

#endif
