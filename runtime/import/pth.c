/* SPDX-License-Identifier: MIT */
/* pth.c - PyTorch's zip checkpoints. */
#include "runtime/import/pth.h"
#include "runtime/base/machine_failure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- opening ------------------ */

/* Files from before PyTorch 1.6 begin with a pickle of this number. */
static deer_status check_age(const pth *file, deer_error *err)
{
    static const uint8_t start[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9};
    uint8_t first[sizeof start];

    if (file->from.size <= sizeof start)
        return DEER_OK;
    if (bytes_read(&file->from, 0, first, sizeof first, err))
        return DEER_FAILED;
    if (memcmp(first, start, sizeof start) != 0)
        return DEER_OK;
    return deer_fail(err,
                     "%s has the format from before PyTorch 1.6; load and torch.save it once with "
                     "a newer one",
                     file->path);
}

static const zip_entry *entry_of(const pth *file, const char *name, size_t length)
{
    char full[512];

    if (length > 255 || (size_t)snprintf(full, sizeof full, "%s/%.*s", file->prefix, (int)length,
                                         name) >= sizeof full)
        return NULL;
    return zip_find(&file->archive, full);
}

/* Once for each entry: storages are read in pieces, and several tensors may lie in one. */
static deer_status compare(const pth *file, const zip_entry *e, deer_error *err)
{
    bool *compared = &file->compared[e - file->archive.entry];
    deer_status status = *compared ? DEER_OK : zip_compare(&file->from, e, err);

    *compared = !status;
    return status;
}

static deer_status find_prefix(pth *file, deer_error *err)
{
    static const char tail[] = "/data.pkl";

    for (size_t i = 0; i < file->archive.count; i++) {
        const char *name = file->archive.entry[i].name;
        size_t length = strlen(name);

        if (length < sizeof tail || strcmp(name + length - (sizeof tail - 1), tail) != 0)
            continue;
        if (file->prefix)
            return deer_fail(err, "%s holds more than one checkpoint", file->path);
        file->prefix = strndup(name, length - (sizeof tail - 1));
        if (!file->prefix)
            return machine_fail(err, "out of memory reading %s", file->path);
    }
    if (!file->prefix)
        return deer_fail(err, "%s is a zip archive, but no PyTorch checkpoint (no data.pkl in it)",
                         file->path);
    return DEER_OK;
}

static deer_status check_order(const pth *file, deer_error *err)
{
    const zip_entry *order = entry_of(file, "byteorder", 9);
    char says[6];

    if (!order)
        return DEER_OK;
    if (order->stored && order->size >= sizeof says &&
        bytes_read(&file->from, order->at, says, sizeof says, err))
        return DEER_FAILED;
    if (order->stored && order->size >= sizeof says && !memcmp(says, "little", sizeof says))
        return DEER_OK;
    return deer_fail(err, "%s was saved on a big-endian machine, which is not read", file->path);
}

static deer_status read_program(pth *file, deer_error *err)
{
    const zip_entry *e = entry_of(file, "data.pkl", 8);

    if (!e->stored)
        return deer_fail(err, "%s is compressed, which torch.save never does", file->path);
    if (e->size > PICKLE_LARGEST)
        return deer_fail(err, "%s has a pickle of %zu bytes; %u is the most", file->path, e->size,
                         PICKLE_LARGEST);
    if (compare(file, e, err))
        return DEER_FAILED;
    file->program = bytes_copy(&file->from, e->at, e->size, err);
    return file->program ? pickle_read(file->path, file->program, e->size, &file->pickle, err)
                         : DEER_FAILED;
}

static deer_status open_parts(pth *file, deer_error *err)
{
    if (bytes_open(file->path, &file->from, err) || check_age(file, err) ||
        zip_open(&file->from, &file->archive, err) || find_prefix(file, err) ||
        check_order(file, err))
        return DEER_FAILED;
    file->compared = calloc(file->archive.count, sizeof *file->compared);
    if (!file->compared)
        return machine_fail(err, "out of memory reading %s", file->path);
    return read_program(file, err);
}

deer_status pth_open(const char *path, pth *file, deer_error *err)
{
    deer_status status;

    *file = (pth){.path = strdup(path), .from = {.fd = -1}};
    status =
        file->path ? open_parts(file, err) : machine_fail(err, "out of memory opening %s", path);
    if (status)
        pth_close(file);
    return status;
}

void pth_close(pth *file)
{
    pickle_free(&file->pickle);
    zip_close(&file->archive);
    bytes_close(&file->from);
    free(file->compared);
    free(file->program);
    free(file->prefix);
    free(file->path);
    *file = (pth){.from = {.fd = -1}};
}

/* ---------------------------------------------------------------- tensors ------------------ */

/* Where a tensor's numbers lie: all of its storage in the file, or an array's in the pickle. */
typedef struct {
    byte_source array;
    const byte_source *from;
    size_t begin, size;
} place;

static deer_status find_storage(const pth *file, const pickle_value *from, place *p,
                                deer_error *err)
{
    const pickle_value *key = from->as.storage.key;
    const zip_entry *e;
    char name[64];

    snprintf(name, sizeof name, "data/%.*s", key->as.text.size < 50 ? (int)key->as.text.size : 50,
             key->as.text.at);
    e = key->as.text.size < 50 ? entry_of(file, name, strlen(name)) : NULL;
    if (!e || !e->stored ||
        e->size / number_size(from->as.storage.type) < (uint64_t)from->as.storage.count)
        return deer_fail(err, "%s: the data of a tensor is missing or too short (%s)", file->path,
                         name);
    if (compare(file, e, err))
        return DEER_FAILED;
    p->from = &file->from;
    p->begin = e->at;
    p->size = e->size;
    return DEER_OK;
}

static deer_status find_data(const pth *file, const pickle_value *tensor, place *p, deer_error *err)
{
    const pickle_value *from = tensor->as.tensor.from;

    if (tensor->kind == PICKLE_ARRAY && from) {
        p->array = bytes_of(file->path, from->as.text.at, from->as.text.size);
        p->from = &p->array;
        p->begin = 0;
        p->size = from->as.text.size;
        return DEER_OK;
    }
    if (tensor->kind != PICKLE_TENSOR)
        return deer_fail(err, "%s holds something else where a tensor should be", file->path);
    return find_storage(file, from, p, err);
}

/* Row-major without gaps: one run. */
static bool contiguous(const pickle_value *t)
{
    int64_t expected = 1;

    for (int d = t->as.tensor.rank - 1; d >= 0; d--) {
        if (t->as.tensor.shape[d] != 1 && t->as.tensor.stride[d] != expected)
            return false;
        expected *= t->as.tensor.shape[d];
    }
    return true;
}

static deer_status read_from(const place *p, const pickle_value *t, size_t first, size_t rows,
                             float *out, deer_error *err)
{
    const bytes_view view = {.begin = p->begin,
                             .size = p->size,
                             .type = t->as.tensor.type,
                             .rank = t->as.tensor.rank,
                             .offset = t->as.tensor.offset,
                             .shape = t->as.tensor.shape,
                             .stride = t->as.tensor.stride};
    size_t row = 1, at;

    if (!contiguous(t))
        return bytes_gather(p->from, &view, first, rows, out, err);
    for (int d = 1; d < view.rank; d++)
        row *= (size_t)view.shape[d];
    at = p->begin + ((size_t)view.offset + first * row) * number_size(view.type);
    return bytes_numbers(p->from, at, view.type, rows * row, out, err);
}

deer_status pth_read_rows(const pth *file, const pickle_value *tensor, size_t first, size_t rows,
                          float *out, deer_error *err)
{
    place p;

    if (find_data(file, tensor, &p, err))
        return DEER_FAILED;
    if (!pickle_elements(tensor))
        return DEER_OK;
    if (read_from(&p, tensor, first, rows, out, err))
        return DEER_FAILED;
    return bytes_unchanged(p.from, err);
}

deer_status pth_read(const pth *file, const pickle_value *tensor, float *out, deer_error *err)
{
    size_t rows = tensor->as.tensor.rank ? (size_t)tensor->as.tensor.shape[0] : 1;

    return pth_read_rows(file, tensor, 0, rows, out, err);
}
