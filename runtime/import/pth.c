/* SPDX-License-Identifier: MIT */
/* pth.c - PyTorch's zip checkpoints. */
#include "runtime/import/pth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"

/* ---------------------------------------------------------------- opening ------------------ */

static deer_status map(pth *file, deer_error *err)
{
    struct stat info;
    int fd;
    void *data;

    if (file_open(file->path, &fd, &info, err))
        return DEER_FAILED;
    if (!info.st_size) {
        close(fd);
        return deer_fail(err, "%s is empty", file->path);
    }
    data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (data == MAP_FAILED)
        return deer_fail(err, "cannot map %s: %s", file->path, strerror(errno));
    file->data = data;
    file->size = (size_t)info.st_size;
    return DEER_OK;
}

/* Files from before PyTorch 1.6 begin with a pickle of this number. */
static bool is_legacy(const pth *file)
{
    static const uint8_t start[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9};

    return file->size > sizeof start && !memcmp(file->data, start, sizeof start);
}

static const zip_entry *entry_of(const pth *file, const char *name, size_t length)
{
    char full[512];

    if (length > 255 || (size_t)snprintf(full, sizeof full, "%s/%.*s", file->prefix, (int)length,
                                         name) >= sizeof full)
        return NULL;
    return zip_find(&file->archive, full);
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
            return deer_fail(err, "out of memory reading %s", file->path);
    }
    if (!file->prefix)
        return deer_fail(err, "%s is a zip archive, but no PyTorch checkpoint (no data.pkl in it)",
                         file->path);
    return DEER_OK;
}

static deer_status check_order(const pth *file, deer_error *err)
{
    const zip_entry *order = entry_of(file, "byteorder", 9);

    if (order && (!order->stored || order->size < 6 || memcmp(order->data, "little", 6) != 0))
        return deer_fail(err, "%s was saved on a big-endian machine, which is not read",
                         file->path);
    return DEER_OK;
}

static deer_status open_parts(pth *file, deer_error *err)
{
    const zip_entry *program;

    if (map(file, err))
        return DEER_FAILED;
    if (is_legacy(file))
        return deer_fail(err,
                         "%s has the format from before PyTorch 1.6; load and torch.save it once "
                         "with a newer one",
                         file->path);
    if (zip_open(file->path, file->data, file->size, true, &file->archive, err) ||
        find_prefix(file, err) || check_order(file, err))
        return DEER_FAILED;
    program = entry_of(file, "data.pkl", 8);
    if (!program->stored)
        return deer_fail(err, "%s is compressed, which torch.save never does", file->path);
    return pickle_read(file->path, program->data, program->size, &file->pickle, err);
}

deer_status pth_open(const char *path, pth *file, deer_error *err)
{
    deer_status status;

    *file = (pth){.path = strdup(path)};
    status = file->path ? open_parts(file, err) : deer_fail(err, "out of memory opening %s", path);
    if (status)
        pth_close(file);
    return status;
}

void pth_close(pth *file)
{
    pickle_free(&file->pickle);
    zip_close(&file->archive);
    if (file->data)
        munmap(file->data, file->size);
    free(file->prefix);
    free(file->path);
    *file = (pth){.path = NULL};
}

/* ---------------------------------------------------------------- tensors ------------------ */

deer_status pth_data(const pth *file, const pickle_value *tensor, const uint8_t **data,
                     deer_error *err)
{
    const pickle_value *from = tensor->as.tensor.from, *key;
    const zip_entry *e;
    char name[64];

    if (tensor->kind == PICKLE_ARRAY && from) {
        *data = (const uint8_t *)from->as.text.at;
        return DEER_OK;
    }
    if (tensor->kind != PICKLE_TENSOR)
        return deer_fail(err, "%s holds something else where a tensor should be", file->path);
    key = from->as.storage.key;
    snprintf(name, sizeof name, "data/%.*s", key->as.text.size < 50 ? (int)key->as.text.size : 50,
             key->as.text.at);
    e = key->as.text.size < 50 ? entry_of(file, name, strlen(name)) : NULL;
    if (!e || !e->stored ||
        e->size / number_size(from->as.storage.type) < (uint64_t)from->as.storage.count)
        return deer_fail(err, "%s: the data of a tensor is missing or too short (%s)", file->path,
                         name);
    *data = e->data;
    return DEER_OK;
}

/* Dimension d and those behind it, from element `at` of data on. */
static float *gather(const pickle_value *t, const uint8_t *data, int d, int64_t at, float *out)
{
    size_t size = number_size(t->as.tensor.type);
    int rank = t->as.tensor.rank;

    if (d == rank) {
        number_to_float(t->as.tensor.type, data + (size_t)at * size, 1, 1, out);
        return out + 1;
    }
    if (d == rank - 1) {
        number_to_float(t->as.tensor.type, data + (size_t)at * size, t->as.tensor.stride[d],
                        (size_t)t->as.tensor.shape[d], out);
        return out + t->as.tensor.shape[d];
    }
    for (int64_t i = 0; i < t->as.tensor.shape[d]; i++)
        out = gather(t, data, d + 1, at + i * t->as.tensor.stride[d], out);
    return out;
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

/* What has been read of a mapped file is let go of. */
deer_status pth_read_rows(const pth *file, const pickle_value *tensor, size_t first, size_t rows,
                          float *out, deer_error *err)
{
    const uint8_t *data;
    size_t row = 1, size;

    if (pth_data(file, tensor, &data, err))
        return DEER_FAILED;
    size = number_size(tensor->as.tensor.type);
    if (!pickle_elements(tensor))
        return DEER_OK;
    for (int d = 1; d < tensor->as.tensor.rank; d++)
        row *= (size_t)tensor->as.tensor.shape[d];
    if (!tensor->as.tensor.rank || contiguous(tensor)) {
        data += ((size_t)tensor->as.tensor.offset + first * row) * size;
        number_to_float(tensor->as.tensor.type, data, 1, rows * row, out);
        if (tensor->kind == PICKLE_TENSOR)
            file_forget(file->data, file->size, data, rows * row * size);
        return DEER_OK;
    }
    for (size_t r = 0; r < rows; r++)
        gather(tensor, data, 1,
               tensor->as.tensor.offset + (int64_t)(first + r) * tensor->as.tensor.stride[0],
               out + r * row);
    if (tensor->kind == PICKLE_TENSOR && first + rows == (size_t)tensor->as.tensor.shape[0])
        file_forget(file->data, file->size, data,
                    (size_t)tensor->as.tensor.from->as.storage.count * size);
    return DEER_OK;
}

deer_status pth_read(const pth *file, const pickle_value *tensor, float *out, deer_error *err)
{
    size_t rows = tensor->as.tensor.rank ? (size_t)tensor->as.tensor.shape[0] : 1;

    return pth_read_rows(file, tensor, 0, rows, out, err);
}
