/* SPDX-License-Identifier: MIT */
/* thrift.h - Thrift's compact protocol, as far as Parquet's metadata needs it.
 *
 *   thrift t = {bytes, bytes + size, true};
 *   thrift_struct s;
 *   for (thrift_begin(&t, &s); thrift_next(&t, &s);)     // s.field, s.type
 *       if (s.field == 3) rows = thrift_integer(&t);
 *       else thrift_skip(&t, s.type);
 *
 * Nothing is believed: reading beyond the end, or nesting without end, makes t.ok false, from which
 * on every number is 0 and every struct empty. Source: thrift-compact-protocol.md. */
#ifndef DATASETS_THRIFT_H
#define DATASETS_THRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const uint8_t *at, *end;
    bool ok;
    int depth; /* of structs and lists being skipped */
} thrift;

typedef struct {
    int field, type; /* of the field at hand */
} thrift_struct;

enum {
    THRIFT_TRUE = 1,
    THRIFT_FALSE,
    THRIFT_BYTE,
    THRIFT_I16,
    THRIFT_I32,
    THRIFT_I64,
    THRIFT_DOUBLE,
    THRIFT_BINARY,
    THRIFT_LIST,
    THRIFT_SET,
    THRIFT_MAP,
    THRIFT_STRUCT
};

void thrift_begin(thrift *t, thrift_struct *s);
bool thrift_next(thrift *t, thrift_struct *s);

/* A number of any width. */
int64_t thrift_integer(thrift *t);

/* Bytes in place. */
const uint8_t *thrift_binary(thrift *t, size_t *size);

/* Elements of a list that are of that type: each takes a byte at least. */
size_t thrift_list(thrift *t, int type);

void thrift_skip(thrift *t, int type);

#endif
