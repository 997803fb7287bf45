/* SPDX-License-Identifier: MIT */
/* data_orient.c - turning images. */
#include "datasets/cli/data_orient.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/machine_failure.h"

/* Where the pixel at (y, x) of a result of height x width comes from, in an image turned clockwise
 * by quarters: its index. */
static size_t source_of_pixel(int quarters, bool flip, int height, int width, int y, int x)
{
    int r = flip ? height - 1 - y : y;

    switch (quarters) {
    case 1: /* the source is width high, height wide */
        return (size_t)(width - 1 - x) * (size_t)height + (size_t)r;
    case 2:
        return (size_t)(height - 1 - r) * (size_t)width + (size_t)(width - 1 - x);
    case 3:
        return (size_t)x * (size_t)height + (size_t)(height - 1 - r);
    default:
        return (size_t)r * (size_t)width + (size_t)x;
    }
}

static void turn_image(const uint8_t *from, int quarters, bool flip, int height, int width,
                       uint8_t *to)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, to += 3)
            memcpy(to, from + 3 * source_of_pixel(quarters, flip, height, width, y, x), 3);
}

static deer_status turn_video(uint8_t *rgb, int steps, int quarters, bool flip, int *height,
                              int *width, deer_error *err)
{
    size_t bytes = (size_t)*height * (size_t)*width * 3;
    int h = quarters % 2 ? *width : *height, w = quarters % 2 ? *height : *width;
    uint8_t *turned = malloc(bytes);

    if (!turned)
        return machine_fail(err, "out of memory turning images");
    for (int t = 0; t < steps; t++) {
        turn_image(rgb + (size_t)t * bytes, quarters, flip, h, w, turned);
        memcpy(rgb + (size_t)t * bytes, turned, bytes);
    }
    free(turned);
    *height = h;
    *width = w;
    return DEER_OK;
}

deer_status orient(demo_episode *e, int rotate, bool flip, deer_error *err)
{
    int quarters = rotate / 90;

    if (!quarters && !flip)
        return DEER_OK;
    return turn_video(e->static_rgb, e->steps, quarters, flip, &e->static_height, &e->static_width,
                      err) ||
                   turn_video(e->gripper_rgb, e->steps, quarters, flip, &e->gripper_height,
                              &e->gripper_width, err)
               ? DEER_FAILED
               : DEER_OK;
}
