/* SPDX-License-Identifier: MIT */
/* eyes.h - a cache seen through rules for cameras: what a robot under them would see.
 *
 *   eyes_view view;
 *   cache_eyes eyes;
 *   if (eyes_open(c, &eyes, &err)) ...
 *   eyes_follow(c, &rules, &eyes, &view);
 *   c->eyes = &eyes;                        // history_replay and calibration_make see that
 *   c->eyes = NULL;
 *   eyes_close(&eyes);
 *
 * When a camera is encoded depends on its pictures alone, not on what the policy does: so rules are
 * followed along the recorded episodes, by the runtime's own deer_cameras_due. An age that the
 * cache has no features of is seen as the next older one that it has. */
#ifndef CALIB_EYES_H
#define CALIB_EYES_H

#include "calib/cache/cache.h"
#include "runtime/deer_replay.h"

/* How it went. */
typedef struct {
    double encoded[2]; /* share of steps that encode a camera, static first */
    double older;      /* share of steps seen with an age that the cache does not have */
} eyes_view;

deer_status eyes_open(const cache *c, cache_eyes *eyes, deer_error *err);
void eyes_close(cache_eyes *eyes);

/* Whether the cache can say what rules do: it has ages up to theirs. */
bool eyes_can_follow(const cache *c, const deer_camera_rules *rules);

void eyes_follow(const cache *c, const deer_camera_rules *rules, cache_eyes *eyes, eyes_view *view);

#endif
