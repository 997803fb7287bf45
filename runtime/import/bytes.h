/* SPDX-License-Identifier: MIT */
/* bytes.h - the contents of a file of other people's weights, read where they are asked for.
 *
 *   byte_source b;
 *   if (bytes_open("checkpoint.pth", &b, &err)) ...
 *   if (bytes_read(&b, at, head, sizeof head, &err)) ...
 *   bytes_close(&b);
 *
 * Nothing is mapped: a file that another process cuts short or overwrites meanwhile is an error and
 * not a signal. Bytes that are in memory already can stand for a file. */
#ifndef RUNTIME_BYTES_H
#define RUNTIME_BYTES_H

#include <sys/stat.h>

#include "runtime/base/number.h"
#include "runtime/deer.h"

typedef struct {
    const char *path; /* for messages */
    size_t size;
    const uint8_t *memory; /* [size]; NULL: they lie in the file */
    int fd;
    struct stat opened; /* as it was then */
} byte_source;

/* path must live as long as b. */
deer_status bytes_open(const char *path, byte_source *b, deer_error *err);
void bytes_close(byte_source *b);
byte_source bytes_of(const char *path, const void *memory, size_t size);

/* Bytes [at, at + size), which lie within b->size. */
deer_status bytes_read(const byte_source *b, size_t at, void *to, size_t size, deer_error *err);

/* The same into new memory, with a zero behind them, which the caller frees; NULL after a failure.
 */
uint8_t *bytes_copy(const byte_source *b, size_t at, size_t size, deer_error *err);

/* n numbers from byte `at` on, behind one another, as float32. */
deer_status bytes_numbers(const byte_source *b, size_t at, number_type type, size_t n, float *out,
                          deer_error *err);

/* The same of numbers anywhere among `size` bytes from `begin` on, which hold them all. */
typedef struct {
    size_t begin, size;
    number_type type;
    int rank; /* 1 or more */
    int64_t offset;
    const int64_t *shape, *stride; /* [rank], in numbers; no stride below 0 */
} bytes_view;

/* Rows [first, first + rows) of the first dimension, in row-major order. */
deer_status bytes_gather(const byte_source *b, const bytes_view *view, size_t first, size_t rows,
                         float *out, deer_error *err);

/* Fails when the file has been written to since it was opened. */
deer_status bytes_unchanged(const byte_source *b, deer_error *err);

#endif
