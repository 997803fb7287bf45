/* SPDX-License-Identifier: MIT */
/* cameras.h - which cameras' images a step encodes, and how old what it uses is.
 *
 *   camera_watch_reset(&watch);
 *   views = camera_watch_step(&watch, &rules, now);   // now: both images, resized
 *   ... normalise and encode the images in views ...
 *   action.static_age = watch.age[0];
 *
 * Deciding is deer_cameras_due; this keeps what it needs: ages, and the pictures that were encoded.
 */
#ifndef RUNTIME_CAMERAS_H
#define RUNTIME_CAMERAS_H

#include "runtime/deer_replay.h"
#include "runtime/policy/image.h"

typedef struct {
    int side, patch;  /* of an image and of a patch of it, pixels */
    uint8_t *then[2]; /* [side, 3 side] what was encoded */
    bool known[2];    /* whether there is such a picture */
    int32_t age[2];   /* at the last step */
    float change[2];  /* likewise, since then; NaN: not looked at */
} camera_watch;

/* Whether an encoding is ever used again. */
bool camera_rules_reuse(const deer_camera_rules *rules);

/* Bytes for the pictures; the session's memory holds them. */
size_t camera_watch_bytes(const deer_config *config);
void camera_watch_init(camera_watch *watch, const deer_config *config, uint8_t *room);

/* Both cameras are encoded at the next step. */
void camera_watch_reset(camera_watch *watch);

/* The cameras that this step encodes, as DEER_*_VIEW; their pictures are kept where any rule lets
 * an encoding grow older. */
uint32_t camera_watch_step(camera_watch *watch, const deer_camera_rules *rules,
                           const image_view now[2]);

/* The largest mean |difference| of a patch of two pictures of side x side pixels, each 0..1. A
 * strip behind the last whole patch counts as patches, too. */
float camera_change(const image_view *a, const image_view *b, int side, int patch);

#endif
