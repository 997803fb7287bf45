/* SPDX-License-Identifier: MIT */
/* image.h - camera images to the vision tower's input, bit for bit as PIL and open_clip make it.
 *
 * Resize the shorter side to S with PIL's bicubic filter (antialiased, 8-bit intermediate results),
 * centre crop to S x S, scale to 0..1, normalise.
 * Source: open_clip image_transform(is_train=False); Pillow Resample.c. */
#ifndef RUNTIME_IMAGE_H
#define RUNTIME_IMAGE_H

#include "runtime/deer.h"

/* What the `side` output pixels along an axis are made of, for one input size; kept between steps,
 * as cameras keep their size. */
typedef struct {
    int taps;        /* most input pixels an output pixel needs */
    int *first;      /* [side] first input pixel */
    int *count;      /* [side] how many */
    int *weight;     /* [side, taps], fixed point with ISA_FILTER_BITS fractional bits */
    int begin, used; /* the input pixels that take part */
} image_axis;

/* Everything that turning images of one size into S x S needs; images whose shorter side is S
 * already are only cut, as PIL does, and need none of the memory. Rows of S pixels are filled up to
 * whole blocks of 16 bytes. */
typedef struct {
    deer_camera camera; /* of the input: every field is set */
    int side;           /* of the result */
    image_axis across, down;
    uint8_t *columns; /* [3 across.used][16]: 16 rows of the image */
    uint8_t *turned;  /* [3 S][16]: after the horizontal pass */
    uint8_t *rows;    /* [down.used, 3 S]: all of them, as rows again */
    uint8_t *resized; /* [S, 3 S] */
} image_plan;

/* Makes the plan fit a camera (zeros are the defaults); does nothing when it does already, and on
 * failure the plan is as it was. */
deer_status image_plan_prepare(image_plan *plan, const deer_camera *camera, int side,
                               deer_error *err);
void image_plan_free(image_plan *plan);
size_t image_plan_bytes(const image_plan *plan);

/* Both cameras' plans: all or nothing. */
deer_status image_pair_prepare(image_plan plan[2], const deer_camera *static_view,
                               const deer_camera *gripper_view, int side, deer_error *err);

/* S x S pixels of three bytes, in the order of their camera. */
typedef struct {
    const uint8_t *pixels;
    size_t stride; /* bytes from one row to the next */
    int red;       /* byte of a pixel that is its red, 0 or 2 */
} image_view;

/* Fails when an image is missing or has not as many bytes as its camera's. */
deer_status image_check(const image_plan *plan, const deer_image *image, deer_error *err);

/* The image resized and cut; in the plan's memory until its next image, or in the image itself. */
image_view image_resize(image_plan *plan, const uint8_t *pixels);

/* out [3, S, S]: the normalised image, red first whatever its order was. */
void image_normalise(const image_view *view, int side, const float mean[3], const float std[3],
                     float *out);

/* Both of them, one after the other. */
void image_preprocess(image_plan *plan, const uint8_t *pixels, const float mean[3],
                      const float std[3], float *out);

/* Both of an observation's images, static first. A thread takes one of them. */
deer_status image_pair_resize(image_plan plan[2], const deer_observation *seen, image_view view[2],
                              deer_error *err);

/* Of two images those whose bit (1 << i) is set in views: out [2, 3, S, S]. */
void image_pair_normalise(const image_view view[2], unsigned views, const deer_config *config,
                          float *out);

#endif
