/* SPDX-License-Identifier: MIT */
/* data_orient.h - turning images: robosuite and LIBERO store them upside down. */
#ifndef DATA_ORIENT_H
#define DATA_ORIENT_H

#include "datasets/demos/demos.h"

/* Turns both cameras' images by a quarter of `rotate` degrees clockwise (0, 90, 180, 270), then,
 * with flip, upside down (rows in reverse). */
deer_status orient(demo_episode *episode, int rotate, bool flip, deer_error *err);

#endif
