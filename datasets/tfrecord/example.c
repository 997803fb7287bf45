/* SPDX-License-Identifier: MIT */
/* example.c - walking through Protocol Buffers' messages. */
#include "datasets/tfrecord/example.h"

#include <string.h>

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

/* One field of a message: of BYTES, FIXED32 and FIXED64 the bytes in place. */
typedef struct {
    uint64_t number;
    int type;
    const uint8_t *at;
    size_t size;
} field;

static bool varint(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;

        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

/* Takes the next field off [*at, end); false at the end, and where it is damaged: then *broken. */
static bool next(const uint8_t **at, const uint8_t *end, field *f, bool *broken)
{
    uint64_t key, size = 0;
    bool ok;

    if (*at == end)
        return false;
    ok = varint(at, end, &key);
    f->number = key >> 3;
    f->type = (int)(key & 7);
    if (ok && f->type == VARINT)
        ok = varint(at, end, &key);
    else if (ok && f->type == BYTES)
        ok = varint(at, end, &size);
    else if (f->type == FIXED32 || f->type == FIXED64)
        size = f->type == FIXED32 ? 4 : 8;
    else
        ok = false;
    if (!ok || size > (uint64_t)(end - *at)) {
        *broken = true;
        return false;
    }
    f->at = *at;
    f->size = (size_t)size;
    *at += size;
    return true;
}

static bool is_message(const field *f, uint64_t number)
{
    return f->number == number && f->type == BYTES;
}

/* A feature: one list of three kinds. */
static void read_feature(const field *value, example_list *list)
{
    const uint8_t *at = value->at, *end = at + value->size;
    field f;

    *list = (example_list){.kind = EXAMPLE_NONE};
    while (next(&at, end, &f, &list->broken))
        if (f.type == BYTES && f.number >= EXAMPLE_BYTES && f.number <= EXAMPLE_INTEGERS) {
            list->kind = (example_kind)f.number;
            list->at = f.at;
            list->end = f.at + f.size;
        }
}

/* An entry of the map: a name and its feature. */
static bool read_entry(const field *entry, const char *name, example_list *list, bool *broken)
{
    const uint8_t *at = entry->at, *end = at + entry->size;
    field f, value = {.number = 0};
    bool same = false;

    while (next(&at, end, &f, broken))
        if (is_message(&f, 1))
            same = f.size == strlen(name) && !memcmp(f.at, name, f.size);
        else if (is_message(&f, 2))
            value = f;
    if (!same || !value.number || *broken)
        return false;
    read_feature(&value, list);
    return true;
}

bool example_find(const uint8_t *data, size_t size, const char *name, example_list *list)
{
    const uint8_t *at = data, *end = data + size;
    bool broken = false, found = false;
    field features, entry;

    *list = (example_list){.kind = EXAMPLE_NONE};
    while (next(&at, end, &features, &broken)) {
        const uint8_t *inside = features.at, *last = inside + features.size;

        while (is_message(&features, 1) && next(&inside, last, &entry, &broken))
            if (is_message(&entry, 1))
                found |= read_entry(&entry, name, list, &broken);
    }
    list->broken |= broken;
    return found && !list->broken;
}

bool example_bytes(example_list *list, const uint8_t **bytes, size_t *size)
{
    field f;

    while (list->kind == EXAMPLE_BYTES && next(&list->at, list->end, &f, &list->broken))
        if (is_message(&f, 1)) {
            *bytes = f.at;
            *size = f.size;
            return true;
        }
    return false;
}

/* Floats stand alone, or behind one another in one field. */
bool example_float(example_list *list, float *value)
{
    field f;

    while (list->kind == EXAMPLE_FLOATS && list->packed == list->packed_end) {
        if (!next(&list->at, list->end, &f, &list->broken))
            return false;
        if (f.number != 1 || (f.type != FIXED32 && f.type != BYTES))
            continue;
        list->packed = f.at;
        list->packed_end = f.at + f.size;
    }
    if (list->kind != EXAMPLE_FLOATS)
        return false;
    if (list->packed_end - list->packed < 4) {
        list->broken = true;
        return false;
    }
    memcpy(value, list->packed, 4); /* little-endian, as the machines that are built for */
    list->packed += 4;
    return true;
}
