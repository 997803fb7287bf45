/* SPDX-License-Identifier: MIT */
/* parquet_internal.h - what the files that read Parquet share. */
#ifndef DATASETS_PARQUET_INTERNAL_H
#define DATASETS_PARQUET_INTERNAL_H

#include "datasets/parquet/parquet.h"
#include "datasets/parquet/thrift.h"
#include "runtime/import/bytes.h"

enum {
    PARQUET_BOOLEAN,
    PARQUET_INT32,
    PARQUET_INT64,
    PARQUET_INT96,
    PARQUET_FLOAT,
    PARQUET_DOUBLE,
    PARQUET_BYTES,
    PARQUET_FIXED
};

/* A column of the schema. */
typedef struct {
    char name[256]; /* with dots, without the groups that make a list */
    int type;
    int max_definition, max_repetition;
} parquet_leaf;

/* One row group's part of a column. */
typedef struct {
    int codec;
    int64_t values, offset, size; /* offset: of its first page */
} parquet_chunk;

struct parquet {
    char *path;
    byte_source from;
    int64_t rows;
    parquet_leaf *leaf;
    int leaves;
    parquet_chunk *chunk; /* [groups, leaves] */
    int groups;
};

/* Reads the schema and the row groups out of the footer's metadata. */
deer_status parquet_read_footer(parquet *p, const uint8_t *at, size_t size, deer_error *err);

/* What the chunks of a column that are read so far hold: together no more than the file may, though
 * each could name the same bytes. */
typedef struct {
    uint64_t stored, unpacked, values;
} parquet_sum;

/* Appends the values of one chunk. */
deer_status parquet_read_chunk(const parquet *p, const parquet_leaf *leaf,
                               const parquet_chunk *chunk, parquet_sum *sum, parquet_column *c,
                               deer_error *err);

/* Unpacks a page of `size` bytes into full [full_size]; false where it is damaged. */
bool parquet_unpack(int codec, const uint8_t *from, size_t size, uint8_t *full, size_t full_size);

#endif
