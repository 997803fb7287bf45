/* SPDX-License-Identifier: MIT */
/* npy.c - numpy's array files. */
#include "datasets/sources/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "runtime/base/file_kind.h"
#include "runtime/base/machine_failure.h"

enum { MAX_HEADER = 4096 };

/* ---------------------------------------------------------------- header ------------------- */

/* What follows 'key': in the header, blanks skipped; NULL when it is not there. */
static const char *value_of(const char *header, const char *key)
{
    const char *at = strstr(header, key);

    if (!at)
        return NULL;
    at += strlen(key);
    at += strspn(at, " ");
    if (*at++ != ':')
        return NULL;
    return at + strspn(at, " ");
}

static bool parse_type(const char *text, npy *array)
{
    static const struct {
        const char *name;
        number_type type;
    } types[] = {{"<f4", NUMBER_F32}, {"<f8", NUMBER_F64}, {"<f2", NUMBER_F16},
                 {"<i8", NUMBER_I64}, {"<i4", NUMBER_I32}, {"<i2", NUMBER_I16},
                 {"|i1", NUMBER_I8},  {"|u1", NUMBER_U8},  {"|b1", NUMBER_BOOL},
                 {"<u2", NUMBER_U16}, {"<u4", NUMBER_U32}, {"<u8", NUMBER_U64}};

    array->object = !strncmp(text, "'|O'", 4) || !strncmp(text, "'O'", 3);
    if (array->object)
        return true;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (text[0] == '\'' && !strncmp(text + 1, types[i].name, 3) && text[4] == '\'') {
            array->type = types[i].type;
            return true;
        }
    return false;
}

static bool parse_shape(const char *text, npy *array)
{
    if (*text++ != '(')
        return false;
    array->elements = 1;
    for (text += strspn(text, " "); *text != ')'; text += strspn(text, " ,")) {
        char *end;
        long long n;

        if (*text < '0' || *text > '9' || array->rank == NPY_RANK)
            return false;
        n = strtoll(text, &end, 10);
        if (__builtin_mul_overflow(array->elements, n, &array->elements) ||
            array->elements > (int64_t)NPY_LARGEST)
            return false;
        array->shape[array->rank++] = n;
        text = end;
    }
    return true;
}

deer_status npy_parse(const char *where, const uint8_t *data, size_t size, npy *array,
                      deer_error *err)
{
    char header[MAX_HEADER + 1];
    const char *type, *shape, *order;
    char is[FILE_KIND];
    size_t length, start;

    *array = (npy){.rank = 0};
    if (size < 12 || memcmp(data, "\x93NUMPY", 6) != 0 || data[6] < 1 || data[6] > 3)
        return deer_fail(err, "%s is no .npy array: it %s", where,
                         file_kind_of(data, size < 512 ? size : 512, size, is));
    start = data[6] == 1 ? 10 : 12;
    length = (size_t)data[8] | (size_t)data[9] << 8;
    if (start == 12)
        length |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
    if (length > MAX_HEADER || length > size - start)
        return deer_fail(err, "%s has a .npy header that does not fit", where);
    memcpy(header, data + start, length);
    header[length] = 0;
    type = value_of(header, "'descr'");
    shape = value_of(header, "'shape'");
    order = value_of(header, "'fortran_order'");
    if (!type || !shape || !order || !parse_type(type, array) || !parse_shape(shape, array))
        return deer_fail(err, "%s has a .npy header that is not understood", where);
    if (strncmp(order, "False", 5) != 0 && array->rank > 1)
        return deer_fail(err, "%s is in Fortran order, which is not read", where);
    array->data = data + start + length;
    array->size = size - start - length;
    if (!array->object && (size_t)array->elements * number_size(array->type) != array->size)
        return deer_fail(err, "%s holds %zu bytes, not what its shape says", where, array->size);
    return DEER_OK;
}

/* ---------------------------------------------------------------- archives ----------------- */

static deer_status inflate_member(const byte_source *from, const zip_entry *e, uint8_t **buffer,
                                  deer_error *err)
{
    const char *where = from->path;
    z_stream z = {.next_in = (Bytef *)(uintptr_t)(from->memory + e->at), .avail_in = (uInt)e->size};
    int result;

    if (e->full_size > NPY_LARGEST || e->size > NPY_LARGEST)
        return deer_fail(err, "%s: %s is larger than %zu MB", where, e->name, NPY_LARGEST >> 20);
    *buffer = malloc(e->full_size + 1);
    if (!*buffer || inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return machine_fail(err, "out of memory reading %s", where);
    z.next_out = *buffer;
    z.avail_out = (uInt)e->full_size;
    result = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    if (result != Z_STREAM_END || z.total_out != e->full_size)
        return deer_fail(err, "%s: %s is damaged", where, e->name);
    return DEER_OK;
}

deer_status npz_read(const byte_source *from, const zip *archive, const char *name, npy *array,
                     uint8_t **buffer, deer_error *err)
{
    char member[128], label[4352];
    const char *where = from->path;
    const uint8_t *data;
    const zip_entry *e;

    *buffer = NULL;
    snprintf(member, sizeof member, "%s.npy", name);
    snprintf(label, sizeof label, "%s: %s", where, name);
    e = zip_find(archive, member);
    if (!e)
        return deer_fail(err, "%s has no array %s", where, name);
    if (!e->stored && !e->deflated)
        return deer_fail(err, "%s: %s is compressed in an unknown way", where, name);
    if (!e->stored && inflate_member(from, e, buffer, err))
        return DEER_FAILED;
    data = e->stored ? from->memory + e->at : *buffer;
    if (crc32_z(0, data, e->full_size) != e->sum)
        return deer_fail(err, "%s is damaged (its checksum is another)", label);
    return npy_parse(label, data, e->full_size, array, err);
}
