/* image.h - camera images to the vision tower's input, bit for bit as PIL and open_clip make it.
 *
 * Resize the shorter side to S with PIL's bicubic filter (antialiased, 8-bit intermediate results),
 * centre crop to S x S, scale to 0..1, normalise.
 * Source: open_clip image_transform(is_train=False); Pillow Resample.c. */
#ifndef RUNTIME_IMAGE_H
#define RUNTIME_IMAGE_H

#include "runtime/deer.h"

/* Filter weights for one input size; kept between steps, as cameras keep their size. */
typedef struct {
    int in, out; /* pixels along this axis; in 0: empty */
    int taps;    /* most input pixels an output pixel needs */
    int *first;  /* [out] first input pixel */
    int *count;  /* [out] how many */
    int *weight; /* [out, taps], fixed point with 22 fractional bits */
} image_axis;

/* Everything that turning images of one size into S x S needs. */
typedef struct {
    int height, width; /* of the input these are for */
    image_axis across, down;
    uint8_t *rows;    /* [height, out width, 3] after the horizontal pass */
    uint8_t *resized; /* [out height, out width, 3] */
} image_plan;

/* Makes the plan fit images of this size; does nothing when it does already. */
deer_status image_plan_prepare(image_plan *plan, int height, int width, int side, deer_error *err);
void image_plan_free(image_plan *plan);
size_t image_plan_bytes(const image_plan *plan);

/* out [3, side, side]: the normalised image. The plan must be prepared for the image's size. */
void image_preprocess(image_plan *plan, const deer_image *image, int side, const float mean[3],
                      const float std[3], float *out);

/* Both of an observation's images, static first: out [2, 3, S, S]; prepares the plans. Fails when
 * an image is missing or cannot be used. */
deer_status image_pair_preprocess(image_plan plan[2], const deer_observation *seen,
                                  const deer_config *config, float *out, deer_error *err);

#endif
