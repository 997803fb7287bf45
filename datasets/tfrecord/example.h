/* SPDX-License-Identifier: MIT */
/* example.h - tf.train.Example, a table of named lists, read in place.
 *
 *   example_list list;
 *   if (example_find(data, size, "steps/action", &list) && list.kind == EXAMPLE_FLOATS)
 *       while (example_float(&list, &value)) ...
 *   if (example_find(data, size, "steps/observation/image", &list) && list.kind == EXAMPLE_BYTES)
 *       while (example_bytes(&list, &text, &length)) ...
 *   if (list.broken) ...
 *
 * Of Protocol Buffers it knows what these messages are made of, and nothing that is claimed is
 * believed. Source: tensorflow/core/example/feature.proto, protobuf.dev "Encoding". */
#ifndef DATASETS_EXAMPLE_H
#define DATASETS_EXAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { EXAMPLE_NONE, EXAMPLE_BYTES, EXAMPLE_FLOATS, EXAMPLE_INTEGERS } example_kind;

typedef struct {
    example_kind kind;
    bool broken;                        /* the message is damaged where it was read */
    const uint8_t *at, *end;            /* of the list */
    const uint8_t *packed, *packed_end; /* floats that lie behind one another */
} example_list;

/* Looks for a name among the features; false where there is none, or where the message is damaged
 * before it (list->broken). The last of equal names counts, as in a map. */
bool example_find(const uint8_t *data, size_t size, const char *name, example_list *list);

/* The next item; false at the end, and where the list is of another kind or damaged. */
bool example_bytes(example_list *list, const uint8_t **bytes, size_t *size);
bool example_float(example_list *list, float *value);

#endif
