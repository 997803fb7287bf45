/* SPDX-License-Identifier: MIT */
/* thumbnail.h - frames of demonstrations, small enough to lie inside a page. */
#ifndef REPORTS_THUMBNAIL_H
#define REPORTS_THUMBNAIL_H

#include "datasets/demos/demos.h"

enum { THUMBNAIL_SIDE = 96 }; /* pixels, longest */

/* The static camera's picture of a step as a PNG file in memory, scaled down when larger. The
 * caller frees *png. */
deer_status thumbnail_png(const demo_episode *episode, int step, uint8_t **png, size_t *size,
                          deer_error *err);

#endif
