/* SPDX-License-Identifier: MIT */
/* hdf5_text.c - reading texts of every kind that HDF5 has. */
#include "datasets/hdf5/hdf5_text.h"

#include <stdlib.h>
#include <string.h>

#include "datasets/hdf5/hdf5_io.h"
#include "runtime/base/machine_failure.h"

enum {
    MAX_TEXTS = 1 << 20,
    MAX_ATTRIBUTE = 1 << 10, /* texts of variable length in an attribute */
    MAX_BYTES = 64 << 20,
    USUAL_BYTES = 200 /* of one of many texts */
};

bool hdf5_texts_add(hdf5_texts *t, const char *text, size_t n)
{
    char **grown = realloc(t->text, (t->count + 1) * sizeof *grown);
    char *copy = malloc(n + 1);

    t->text = grown ? grown : t->text;
    if (!machine_gave(grown) || !machine_gave(copy)) {
        free(copy);
        t->failed = true;
        return false;
    }
    t->text[t->count] = copy;
    memcpy(t->text[t->count], text, n);
    t->text[t->count++][n] = 0;
    return true;
}

void hdf5_texts_free(hdf5_texts *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->text[i]);
    free(t->text);
    *t = (hdf5_texts){NULL};
}

/* Where texts of a dataset go: a few bytes may name the same long text a million times. */
typedef struct text_block {
    struct text_block *next;
    char text[];
} text_block;

typedef struct {
    size_t left; /* bytes that may still be taken */
    text_block *last;
} text_room;

static void *take_room(size_t size, void *of)
{
    text_room *room = of;
    bool fits = size <= room->left;
    text_block *block = fits ? malloc(sizeof *block + size) : NULL;

    if (!fits || !machine_gave(block))
        return NULL; /* which ends the reading */
    room->left -= size;
    block->next = room->last;
    room->last = block;
    return block->text;
}

static void keep_room(void *text, void *of)
{
    (void)text, (void)of; /* all are freed together */
}

static void free_room(text_room *room)
{
    for (text_block *next; room->last; room->last = next) {
        next = room->last->next;
        free(room->last);
    }
}

/* Where texts are read from: H5Aread and H5Dread differ in their arguments alone. */
typedef struct {
    hid_t object;
    bool attribute;
} place;

static bool read_all(place p, hid_t type, void *data)
{
    return p.attribute ? H5Aread(p.object, type, data) >= 0
                       : H5Dread(p.object, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
}

static bool add_all(char *const *value, size_t n, hdf5_texts *t)
{
    bool ok = true;

    for (size_t i = 0; ok && i < n; i++)
        ok = hdf5_texts_add(t, value[i] ? value[i] : "", value[i] ? strlen(value[i]) : 0);
    return ok;
}

static bool read_attribute(hid_t attribute, hid_t type, hid_t space, size_t n, hdf5_texts *t)
{
    char **value = n <= MAX_ATTRIBUTE ? calloc(n, sizeof *value) : NULL;
    bool ok = (n > MAX_ATTRIBUTE || machine_gave(value)) && value &&
              H5Aread(attribute, type, value) >= 0 && add_all(value, n, t);

    if (value)
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, value);
    free(value);
    return ok;
}

static bool read_dataset(hid_t dataset, hid_t type, size_t n, hdf5_texts *t)
{
    text_room room = {MAX_BYTES + n * USUAL_BYTES, NULL};
    hid_t transfer = H5Pcreate(H5P_DATASET_XFER);
    char **value = calloc(n, sizeof *value);
    bool ok = machine_gave(value) && transfer >= 0 &&
              H5Pset_vlen_mem_manager(transfer, take_room, &room, keep_room, &room) >= 0 &&
              H5Dread(dataset, type, H5S_ALL, H5S_ALL, transfer, value) >= 0 &&
              add_all(value, n, t);

    if (transfer >= 0)
        H5Pclose(transfer);
    free_room(&room);
    free(value);
    return ok;
}

static bool read_variable(place p, hid_t type, hid_t space, size_t n, hdf5_texts *t)
{
    return p.attribute ? read_attribute(p.object, type, space, n, t)
                       : read_dataset(p.object, type, n, t);
}

static bool read_fixed(place p, hid_t type, size_t n, hdf5_texts *t)
{
    size_t size = H5Tget_size(type);
    bool fits = size && size <= MAX_BYTES / n;
    char *value = fits ? malloc(size * n) : NULL;
    bool ok = fits && machine_gave(value) && read_all(p, type, value);

    for (size_t i = 0; ok && i < n; i++)
        ok = hdf5_texts_add(t, value + i * size, strnlen(value + i * size, size));
    free(value);
    return ok;
}

static bool read_texts(place p, hid_t type, hid_t space, hdf5_texts *t)
{
    H5T_class_t class = H5Tget_class(type);
    hssize_t n = H5Sget_simple_extent_npoints(space);

    if (class == H5T_NO_CLASS || n < 0)
        return !(t->failed = true);
    if (n < 1 || n > MAX_TEXTS || (class != H5T_STRING && class != H5T_OPAQUE))
        return false;
    if (H5Tis_variable_str(type) > 0 ? read_variable(p, type, space, (size_t)n, t)
                                     : read_fixed(p, type, (size_t)n, t))
        return true;
    t->failed = true;
    return false;
}

bool hdf5_texts_of_attribute(hid_t object, const char *name, hdf5_texts *t)
{
    htri_t there = H5Aexists(object, name);
    hid_t attribute, type, space;
    bool ok;

    t->failed = t->failed || there < 0;
    if (there <= 0)
        return false;
    attribute = H5Aopen(object, name, H5P_DEFAULT);
    type = H5Aget_type(attribute);
    space = H5Aget_space(attribute);
    ok = read_texts((place){attribute, true}, type, space, t);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    return ok;
}

bool hdf5_texts_of_dataset(hid_t object, const char *name, hdf5_texts *t)
{
    hid_t dataset, type, space;
    bool ok;

    if (hdf5_has(object, name) != HDF5_FOUND) /* also where a group on the way to it is missing */
        return false;
    dataset = hdf5_dataset_open(object, "", name, NULL);
    if (dataset < 0) /* a group, or in another file that is not to be read */
        return false;
    type = H5Dget_type(dataset);
    space = H5Dget_space(dataset);
    ok = read_texts((place){dataset, false}, type, space, t);
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(dataset);
    return ok;
}
