/* SPDX-License-Identifier: MIT */
/* npy.h - numpy's .npy arrays and .npz archives in memory.
 *
 * Headers are checked: a literal of the three known keys, sizes that fit the data. Format: numpy
 * NEP 1. Deflated members of an .npz are inflated into a buffer of their declared size, at most
 * NPY_LARGEST. */
#ifndef DATASETS_NPY_H
#define DATASETS_NPY_H

#include "runtime/base/number.h"
#include "runtime/import/zip.h"

#define NPY_LARGEST ((size_t)256 << 20)
#define NPY_RANK 8

typedef struct {
    bool object; /* data is a pickle; else numbers of `type` in row-major order */
    number_type type;
    int rank;
    int64_t shape[NPY_RANK], elements;
    const uint8_t *data;
    size_t size;
} npy;

/* `where` starts the messages; data stays the caller's and must outlive the array. */
deer_status npy_parse(const char *where, const uint8_t *data, size_t size, npy *array,
                      deer_error *err);

/* Array `name` ("actions") of an .npz; *buffer is to be freed by the caller, also on failure. */
deer_status npz_read(const byte_source *from, const zip *archive, const char *name, npy *array,
                     uint8_t **buffer, deer_error *err);

#endif
