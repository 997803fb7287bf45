/* SPDX-License-Identifier: MIT */
/* parquet.h - Parquet tables, as far as LeRobot's datasets need them.
 *
 *   parquet *p;
 *   parquet_column c;
 *   if (parquet_open("data/chunk-000/file-000.parquet", &p, &err)) ...
 *   if (parquet_read(p, "action", &c, &err)) ...
 *   for (row = 0; row < c.rows; row++)
 *       for (i = c.first[row]; i < c.first[row + 1]; i++) use(c.number[i]);
 *   parquet_column_free(&c);
 *   parquet_close(p);
 *
 * Read: numbers, truth values and byte strings, single or in lists of one level; pages of both
 * versions, plain or by dictionary; not compressed, or by Snappy, gzip or Zstandard. Everything in
 * the file is checked before it is believed; memory is bounded by what the file stores. Source: the
 * Apache Parquet format, parquet.thrift and Encodings.md. */
#ifndef DATASETS_PARQUET_H
#define DATASETS_PARQUET_H

#include "runtime/deer.h"

typedef struct parquet parquet;

typedef struct {
    const uint8_t *at; /* NULL: no value */
    size_t size;
} parquet_bytes;

/* A column, all rows. Values of row r are first[r] .. first[r + 1] - 1; a row of a column that is
 * no list has one, NaN or NULL where there is none. */
typedef struct {
    int64_t rows, count;
    int64_t *first;       /* [rows + 1] */
    double *number;       /* [count]; whole numbers are exact up to 2^53. NULL: bytes */
    parquet_bytes *bytes; /* [count]; they live with the column. NULL: numbers */
    uint8_t **own;        /* what bytes point into */
    size_t owned;
} parquet_column;

deer_status parquet_open(const char *path, parquet **p, deer_error *err);
void parquet_close(parquet *p);

int64_t parquet_rows(const parquet *p);

/* Whether there is a column of that name, or one below it. */
bool parquet_has(const parquet *p, const char *name);

/* Reads a column by its name with dots ("action", "image.bytes"): of a list, its elements. */
deer_status parquet_read(const parquet *p, const char *name, parquet_column *c, deer_error *err);
void parquet_column_free(parquet_column *c);

#endif
