/* SPDX-License-Identifier: MIT */
/* array.h - numpy arrays in MessagePack, and camera images in arrays.
 *
 * An array is a map of the keys __ndarray__ (true), data (its bytes, rows first), dtype ("<f4") and
 * shape; keys are bytes, as openpi's client packs them, or texts. A numpy scalar is a map of
 * __npgeneric__, data (the number or text) and dtype. Source: openpi's msgpack_numpy. */
#ifndef SERVE_ARRAY_H
#define SERVE_ARRAY_H

#include "runtime/serve/msgpack.h"

enum { ARRAY_DIMENSIONS = 4 };

typedef struct {
    char kind; /* numpy's: 'u', 'f', 'i', 'b' */
    size_t item_size;
    int dimensions;
    uint32_t shape[ARRAY_DIMENSIONS];
    const uint8_t *data; /* shape's product of items, little-endian, not necessarily aligned */
    size_t bytes;
} array;

/* Reads the array that comes next in a checked message. `name` says which one in messages. Refused,
 * with DEER_USAGE: what is no array, other kinds of numbers, big-endian ones of more than a byte, a
 * shape that is not the data's, more dimensions than there is room for. */
deer_status array_read(msgpack_reader *in, const char *name, array *out, deer_error *err);

/* The value behind a numpy scalar, or the plain value, that comes next in a checked message. */
msgpack_value array_scalar(msgpack_reader *in);

/* Writes float32 numbers [rows, columns] as an array. */
void array_write_floats(msgpack_buffer *out, uint32_t rows, uint32_t columns, const float *values);

/* Writes bytes [height, width, 3] as an array. */
void array_write_image(msgpack_buffer *out, uint32_t height, uint32_t width, const uint8_t *rgb);

/* ---------------------------------------------------------------- images ------------------- */

/* Memory for an image that is not as the policy takes it. Zero is an empty one. */
typedef struct {
    uint8_t *pixels;
    size_t room;
} image_store;

void image_store_free(image_store *store);

/* An array [height, width, 3] or [3, height, width] (openpi's rule: where the first is 3, it is the
 * channels) of bytes, or of floats in 0..1, which become bytes as openpi's policies make them,
 * 255 v rounded down: the image and its camera. Rows of interleaved bytes stay in the message;
 * others go into the store. DEER_USAGE for other arrays, and for a float outside of 0..1. */
deer_status image_from_array(const array *from, const char *name, image_store *store,
                             deer_camera *camera, deer_image *image, deer_error *err);

#endif
