/* SPDX-License-Identifier: MIT */
/* thrift.c - reading Thrift's compact protocol. */
#include "datasets/parquet/thrift.h"

enum { DEEPEST = 32 };

static uint8_t byte(thrift *t)
{
    if (t->at >= t->end)
        t->ok = false;
    return t->ok ? *t->at++ : 0;
}

static uint64_t varint(thrift *t)
{
    uint64_t value = 0;

    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t b = byte(t);

        value |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return value;
    }
    t->ok = false;
    return 0;
}

int64_t thrift_integer(thrift *t)
{
    uint64_t value = varint(t); /* zigzag */

    return t->ok ? (int64_t)(value >> 1) ^ -(int64_t)(value & 1) : 0;
}

void thrift_begin(thrift *t, thrift_struct *s)
{
    (void)t;
    *s = (thrift_struct){0, 0};
}

bool thrift_next(thrift *t, thrift_struct *s)
{
    uint8_t head = byte(t);
    int64_t field;

    if (!t->ok || !(head & 15))
        return false;
    field = head >> 4 ? s->field + (head >> 4) : thrift_integer(t);
    s->type = head & 15;
    t->ok = t->ok && field > 0 && field < 32768 && s->type <= THRIFT_STRUCT;
    s->field = t->ok ? (int)field : 0;
    return t->ok;
}

const uint8_t *thrift_binary(thrift *t, size_t *size)
{
    uint64_t n = varint(t);
    const uint8_t *at = t->at;

    if (!t->ok || n > (uint64_t)(t->end - t->at)) {
        t->ok = false;
        *size = 0;
        return t->at;
    }
    *size = (size_t)n;
    t->at += n;
    return at;
}

/* Elements and their type. */
static size_t list_head(thrift *t, int *type)
{
    uint8_t head = byte(t);
    uint64_t n = head >> 4 == 15 ? varint(t) : head >> 4;

    *type = head & 15;
    if (n > (uint64_t)(t->end - t->at))
        t->ok = false;
    return t->ok ? (size_t)n : 0;
}

size_t thrift_list(thrift *t, int type)
{
    int is;
    size_t n = list_head(t, &is);

    if (n && is != type)
        t->ok = false;
    return t->ok ? n : 0;
}

static void skip_many(thrift *t, size_t n, int type)
{
    for (size_t i = 0; i < n && t->ok; i++)
        if (type == THRIFT_TRUE || type == THRIFT_FALSE)
            byte(t); /* in a list each takes a byte */
        else
            thrift_skip(t, type);
}

static void skip_struct(thrift *t)
{
    thrift_struct s;

    for (thrift_begin(t, &s); thrift_next(t, &s);)
        thrift_skip(t, s.type);
}

static void skip_map(thrift *t)
{
    uint64_t n = varint(t);
    uint8_t types = n ? byte(t) : 0;

    for (uint64_t i = 0; i < n && t->ok; i++) {
        skip_many(t, 1, types >> 4);
        skip_many(t, 1, types & 15);
    }
}

void thrift_skip(thrift *t, int type)
{
    size_t size;
    int inner;

    if (t->depth >= DEEPEST)
        t->ok = false;
    if (!t->ok)
        return;
    t->depth++;
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
        break;
    case THRIFT_BYTE:
        byte(t);
        break;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64:
        varint(t);
        break;
    case THRIFT_DOUBLE:
        for (int i = 0; i < 8; i++)
            byte(t);
        break;
    case THRIFT_BINARY:
        thrift_binary(t, &size);
        break;
    case THRIFT_LIST:
    case THRIFT_SET:
        size = list_head(t, &inner);
        skip_many(t, size, inner);
        break;
    case THRIFT_MAP:
        skip_map(t);
        break;
    case THRIFT_STRUCT:
        skip_struct(t);
        break;
    default:
        t->ok = false;
    }
    t->depth--;
}
