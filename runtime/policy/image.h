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
    int height, width, side; /* of the input and of the result these are for */
    image_axis across, down;
    uint8_t *columns; /* [3 across.used][16]: 16 rows of the image */
    uint8_t *turned;  /* [3 S][16]: after the horizontal pass */
    uint8_t *rows;    /* [down.used, 3 S]: all of them, as rows again */
    uint8_t *resized; /* [S, 3 S] */
} image_plan;

/* Makes the plan fit images of this size; does nothing when it does already. */
deer_status image_plan_prepare(image_plan *plan, int height, int width, int side, deer_error *err);
void image_plan_free(image_plan *plan);
size_t image_plan_bytes(const image_plan *plan);

/* out [3, S, S]: the normalised image, which has the size that the plan is for. */
void image_preprocess(image_plan *plan, const deer_image *image, const float mean[3],
                      const float std[3], float *out);

/* Both of an observation's images, static first: out [2, 3, S, S]; prepares the plans. A thread
 * takes one of them. Fails when an image is missing or cannot be used. */
deer_status image_pair_preprocess(image_plan plan[2], const deer_observation *seen,
                                  const deer_config *config, float *out, deer_error *err);

#endif
