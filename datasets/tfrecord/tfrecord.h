/* SPDX-License-Identifier: MIT */
/* tfrecord.h - TensorFlow's files of records.
 *
 *   tfrecord_index index;
 *   if (tfrecord_open("libero-train.tfrecord-00000-of-00016", &file, &index, &err)) ...
 *   if (tfrecord_read(&file, &index.record[i], &data, &err)) ...       // free(data)
 *   tfrecord_free(&index);
 *   bytes_close(&file);
 *
 * A record is its length (8 bytes), a checksum of these, the data, a checksum of it: CRC-32C,
 * turned by 15 bits and added to a constant. Both are compared. Source:
 * tensorflow/core/lib/io/record_writer.h, tensorflow.org "TFRecord format". */
#ifndef DATASETS_TFRECORD_H
#define DATASETS_TFRECORD_H

#include "runtime/import/bytes.h"

typedef struct {
    size_t at, size; /* of the data in the file */
} tfrecord_place;

typedef struct {
    tfrecord_place *record;
    size_t count;
} tfrecord_index;

/* Opens a file and lists its records, none of whose data are read yet. Nothing is left open after a
 * failure. */
deer_status tfrecord_open(const char *path, byte_source *file, tfrecord_index *index,
                          deer_error *err);
void tfrecord_free(tfrecord_index *index);

/* Reads a record's data, which the caller frees. */
deer_status tfrecord_read(const byte_source *file, const tfrecord_place *record, uint8_t **data,
                          deer_error *err);

/* The checksum of n bytes as it is stored. */
uint32_t tfrecord_sum(const void *data, size_t n);

#endif
