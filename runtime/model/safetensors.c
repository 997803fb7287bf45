/* SPDX-License-Identifier: MIT */
/* safetensors.c - reading (checked) and writing model files. */
#include "runtime/model/safetensors.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/json/json_build.h"
#include "runtime/base/json/json_file.h"

enum { MAX_HEADER = 100 << 20 };

/* ---------------------------------------------------------------- table -------------------- */

/* Bytes of an element; 0 for a type that safetensors does not know. */
static size_t element_size(const char *dtype, safetensor *t)
{
    static const struct {
        const char *name;
        number_type type;
    } types[] = {{"F32", NUMBER_F32},   {"F64", NUMBER_F64}, {"F16", NUMBER_F16},
                 {"BF16", NUMBER_BF16}, {"I64", NUMBER_I64}, {"I32", NUMBER_I32},
                 {"I16", NUMBER_I16},   {"I8", NUMBER_I8},   {"U8", NUMBER_U8},
                 {"BOOL", NUMBER_BOOL}};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(dtype, types[i].name)) {
            t->readable = true;
            t->type = types[i].type;
            return number_size(t->type);
        }
    return !strcmp(dtype, "U16") ? 2 : !strcmp(dtype, "U32") ? 4 : !strcmp(dtype, "U64") ? 8 : 0;
}

/* Product of the dimensions times the element size; false when negative or too large. */
static bool byte_count(json_t *shape, size_t element, safetensor *t, size_t *bytes)
{
    size_t i, total = element;
    json_t *dimension;

    json_array_foreach(shape, i, dimension)
    {
        json_int_t n = json_is_integer(dimension) ? json_integer_value(dimension) : -1;
        if (n < 0 || __builtin_mul_overflow(total, (size_t)n, &total))
            return false;
        if (i < SAFETENSORS_RANK)
            t->shape[i] = n;
    }
    t->rank = (int)json_array_size(shape);
    *bytes = total;
    return true;
}

static deer_status read_entry(const safetensors *file, const char *name, json_t *entry,
                              safetensor *t, deer_error *err)
{
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    json_t *shape = json_object_get(entry, "shape");
    json_t *offsets = json_object_get(entry, "data_offsets");
    json_int_t begin = -1, end = -1;
    size_t bytes, element;

    *t = (safetensor){.name = name};
    if (!dtype || !json_is_array(shape) || json_unpack(offsets, "[I,I!]", &begin, &end))
        return deer_fail(err, "%s: the entry of tensor %s is malformed", file->path, name);
    element = element_size(dtype, t);
    if (!element)
        return deer_fail(err, "%s: tensor %s has the unknown type %s", file->path, name, dtype);
    if (!byte_count(shape, element, t, &bytes) || begin < 0 || end < begin ||
        (size_t)(end - begin) != bytes)
        return deer_fail(err, "%s: shape and byte range of tensor %s disagree", file->path, name);
    if ((size_t)end > file->data_size)
        return deer_fail(err, "%s: tensor %s lies beyond the end of the file; is it complete?",
                         file->path, name);
    t->begin = (size_t)begin;
    t->end = (size_t)end;
    return DEER_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const safetensor *)a)->name, ((const safetensor *)b)->name);
}

static int by_place(const void *a, const void *b)
{
    const safetensor *x = a, *y = b;

    return x->begin != y->begin ? (x->begin > y->begin) - (x->begin < y->begin)
                                : (x->end > y->end) - (x->end < y->end);
}

/* ---------------------------------------------------------------- checksums ---------------- */

static const char sums_key[] = "deer.xxh128", padding_name[] = "pad.";

static bool is_padding(const char *name)
{
    return !strncmp(name, padding_name, sizeof padding_name - 1);
}

/* Gives every tensor its part of the metadata's text, if there is one. */
static deer_status read_sums(safetensors *file, deer_error *err)
{
    const char *text = safetensors_metadata(file, sums_key);
    size_t at = 0, length = text ? strlen(text) : 0;

    for (size_t i = 0; text && i < file->count; i++) {
        if (is_padding(file->tensor[i].name))
            continue;
        if (at < length)
            file->tensor[i].sum = text + at;
        at += CHECKSUM_DIGITS;
    }
    return at == length
               ? DEER_OK
               : deer_fail(err, "%s: its checksums do not belong to its tensors", file->path);
}

bool safetensors_has_sums(const safetensors *file)
{
    return safetensors_metadata(file, sums_key) != NULL;
}

deer_status safetensors_verify(const safetensors *file, const safetensor *t, const char *sum,
                               deer_error *err)
{
    if (!t->sum || !memcmp(t->sum, sum, CHECKSUM_DIGITS))
        return DEER_OK;
    return deer_fail(err, "%s: tensor %s is damaged (its checksum is another)", file->path,
                     t->name);
}

static deer_status read_table(safetensors *file, deer_error *err)
{
    const char *name;
    json_t *entry;
    size_t place = 0;

    file->tensor = calloc(json_object_size(file->header) + 1, sizeof *file->tensor);
    if (!file->tensor)
        return deer_fail(err, "out of memory reading %s", file->path);
    json_object_foreach(file->header, name, entry)
    {
        if (!strcmp(name, "__metadata__"))
            continue;
        if (read_entry(file, name, entry, &file->tensor[file->count], err))
            return DEER_FAILED;
        file->count++;
    }
    qsort(file->tensor, file->count, sizeof *file->tensor, by_place);
    for (size_t i = 0; i < file->count; i++) {
        if (file->tensor[i].begin < place)
            return deer_fail(err, "%s: tensor %s overlaps another", file->path,
                             file->tensor[i].name);
        place = file->tensor[i].end;
    }
    qsort(file->tensor, file->count, sizeof *file->tensor, by_name);
    return read_sums(file, err);
}

/* ---------------------------------------------------------------- opening ------------------ */

static deer_status read_header(safetensors *file, size_t file_size, deer_error *err)
{
    uint64_t length;
    json_error_t problem;

    if (file_size < 8 || pread(file->fd, &length, 8, 0) != 8)
        return deer_fail(err, "%s is too short for a safetensors file", file->path);
    length = le64toh(length);
    if (length < 2 || length > MAX_HEADER || length > file_size - 8)
        return deer_fail(err, "%s is not a safetensors file, or incomplete (header of %llu bytes)",
                         file->path, (unsigned long long)length);
    file->header_size = length;
    file->data_offset = 8 + length;
    file->data_size = file_size - file->data_offset;
    file->header_text = malloc(length + 1);
    if (!file->header_text)
        return deer_fail(err, "out of memory reading %s", file->path);
    if (pread(file->fd, file->header_text, length, 8) != (ssize_t)length)
        return deer_fail(err, "cannot read %s: %s", file->path, strerror(errno));
    file->header_text[length] = 0;
    file->header = json_parse(file->header_text, length, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object(file->header))
        return deer_fail(err, "%s: the safetensors header is damaged (%s)", file->path,
                         *problem.text ? problem.text : "it is no JSON object");
    return read_table(file, err);
}

deer_status safetensors_open(const char *path, safetensors *file, deer_error *err)
{
    deer_status status;

    *file = (safetensors){.fd = -1, .path = strdup(path)};
    status = file->path ? file_open(path, &file->fd, &file->opened, err)
                        : deer_fail(err, "out of memory opening %s", path);
    if (!status)
        status = read_header(file, (size_t)file->opened.st_size, err);
    if (status)
        safetensors_close(file);
    return status;
}

void safetensors_close(safetensors *file)
{
    if (file->fd >= 0)
        close(file->fd);
    json_decref(file->header);
    free(file->header_text);
    free(file->tensor);
    free(file->path);
    *file = (safetensors){.fd = -1};
}

const safetensor *safetensors_find(const safetensors *file, const char *name)
{
    safetensor key = {.name = name};

    return bsearch(&key, file->tensor, file->count, sizeof key, by_name);
}

const char *safetensors_metadata(const safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

deer_status safetensors_read(const safetensors *file, size_t at, void *to, size_t size,
                             deer_error *err)
{
    return file_read_at(file->fd, file->path, file->data_offset + at, to, size, err);
}

deer_status safetensors_unchanged(const safetensors *file, deer_error *err)
{
    return file_unchanged(file->fd, file->path, &file->opened, err);
}

/* ---------------------------------------------------------------- writing ------------------ */

size_t safetensors_item_bytes(const safetensors_item *item)
{
    size_t bytes = number_size(item->type);

    for (int i = 0; i < item->rank; i++)
        bytes *= (size_t)item->shape[i];
    return bytes;
}

/* Bytes that are missing to the next aligned place. */
static size_t padding_after(uint64_t place)
{
    return (size_t)(-place % SAFETENSORS_ALIGNMENT);
}

static json_t *entry_json(number_type type, int rank, const int64_t *shape, uint64_t begin,
                          uint64_t end)
{
    static const char *const name[] = {"F32", "F64", "F16", "BF16", "I64",
                                       "I32", "I16", "I8",  "U8",   "BOOL"};
    json_t *list = json_array();

    for (int d = 0; d < rank; d++)
        json_push(list, json_integer(shape[d]));
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", name[type], "shape", list, "data_offsets",
                     (json_int_t)begin, (json_int_t)end);
}

/* In place of the checksums, which are known when everything is written. */
static json_t *no_sums(size_t count)
{
    char *text = malloc(count * CHECKSUM_DIGITS + 1);
    json_t *json = NULL;

    if (text) {
        memset(text, '0', count * CHECKSUM_DIGITS);
        json = json_stringn(text, count * CHECKSUM_DIGITS);
    }
    free(text);
    return json;
}

/* The header's text, padding tensors included; the caller frees it. */
static char *header_for(const safetensors_item *items, size_t count, json_t *metadata)
{
    json_t *root = json_object();
    uint64_t place = 0;
    int pads = 0;
    char name[32];

    json_put(metadata, sums_key, no_sums(count));
    json_put(root, "__metadata__", json_incref(metadata));
    for (size_t i = 0; i < count; i++) {
        uint64_t end = place + safetensors_item_bytes(&items[i]);
        int64_t padding = (int64_t)padding_after(end);

        json_put(root, items[i].name,
                 entry_json(items[i].type, items[i].rank, items[i].shape, place, end));
        place = end;
        if (!padding || i == count - 1)
            continue;
        place += (uint64_t)padding;
        snprintf(name, sizeof name, "pad.%d", pads++);
        json_put(root, name, entry_json(NUMBER_U8, 1, &padding, end, place));
    }
    return json_text(root, JSON_COMPACT);
}

static deer_status write_bytes(safetensors_writer *w, const void *data, size_t size,
                               deer_error *err)
{
    const char *at = data;

    while (size) {
        ssize_t n = write(w->fd, at, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return deer_fail(err, "cannot write %s: %s", w->path, strerror(errno));
        at += n;
        size -= (size_t)n;
    }
    return DEER_OK;
}

static deer_status write_header(safetensors_writer *w, const char *header, deer_error *err)
{
    static const char spaces[] = "                                                                ";
    size_t length = strlen(header), padding = padding_after(8 + length);
    uint64_t stored = htole64((uint64_t)(length + padding));

    if (write_bytes(w, &stored, 8, err) || write_bytes(w, header, length, err))
        return DEER_FAILED;
    return write_bytes(w, spaces, padding, err);
}

typedef struct {
    const char *name;
    size_t item;
} named_item;

static int by_item_name(const void *a, const void *b)
{
    return strcmp(((const named_item *)a)->name, ((const named_item *)b)->name);
}

/* The place of each item among them all sorted by name. */
static bool rank_names(const safetensors_item *items, size_t count, size_t *rank)
{
    named_item *list = calloc(count + 1, sizeof *list);

    if (!list)
        return false;
    for (size_t i = 0; i < count; i++)
        list[i] = (named_item){items[i].name, i};
    qsort(list, count, sizeof *list, by_item_name);
    for (size_t i = 0; i < count; i++)
        rank[list[i].item] = i;
    free(list);
    return true;
}

/* Rooms for checksums: which is whose, and where in the file they go. */
static bool plan_sums(safetensors_writer *w, const safetensors_item *items, const char *header)
{
    const char *key = "\"deer.xxh128\":\"", *at = strstr(header, key);

    w->sum = checksum_new();
    w->rank = calloc(w->count + 1, sizeof *w->rank);
    w->sums = malloc(w->count * CHECKSUM_DIGITS + 1);
    if (!at || !w->sum || !w->rank || !w->sums)
        return false;
    w->sums_at = 8 + (uint64_t)(at - header) + strlen(key);
    memset(w->sums, '0', w->count * CHECKSUM_DIGITS);
    return rank_names(items, w->count, w->rank);
}

static deer_status create(safetensors_writer *w, const safetensors_item *items, json_t *metadata,
                          deer_error *err)
{
    char *header = header_for(items, w->count, metadata);
    deer_status status;

    w->end = malloc((w->count + 1) * sizeof *w->end);
    if (!header || !w->end || !plan_sums(w, items, header)) {
        free(header);
        return deer_fail(err, "out of memory writing %s", w->path);
    }
    for (size_t i = 0; i < w->count; i++)
        w->end[i] = (i ? w->end[i - 1] : 0) + safetensors_item_bytes(&items[i]);
    w->fd = open(w->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    status = w->fd < 0 ? deer_fail(err, "cannot create %s: %s", w->path, strerror(errno))
                       : write_header(w, header, err);
    free(header);
    return status;
}

deer_status safetensors_create(const char *path, const safetensors_item *items, size_t count,
                               json_t *metadata, safetensors_writer *w, deer_error *err)
{
    deer_status status;

    *w = (safetensors_writer){.fd = -1, .count = count, .path = strdup(path)};
    w->tmp = file_temporary(path, err);
    status = w->path && w->tmp ? create(w, items, metadata, err)
                               : deer_fail(err, "out of memory writing %s", path);
    return status ? safetensors_finish(w, status, err) : DEER_OK;
}

static void end_item(safetensors_writer *w)
{
    char text[CHECKSUM_DIGITS + 1];

    checksum_end(w->sum, text);
    memcpy(w->sums + w->rank[w->item] * CHECKSUM_DIGITS, text, CHECKSUM_DIGITS);
    checksum_begin(w->sum);
}

/* The checksums, to their place in the header. */
static deer_status write_sums(safetensors_writer *w, deer_error *err)
{
    size_t size = w->count * CHECKSUM_DIGITS;

    if (lseek(w->fd, (off_t)w->sums_at, SEEK_SET) < 0)
        return deer_fail(err, "cannot write %s: %s", w->path, strerror(errno));
    return write_bytes(w, w->sums, size, err);
}

deer_status safetensors_append(safetensors_writer *w, const void *data, size_t size,
                               deer_error *err)
{
    static const uint8_t zeros[SAFETENSORS_ALIGNMENT];
    const uint8_t *at = data;

    while (size && w->item < w->count) {
        uint64_t begin = w->item ? w->end[w->item - 1] : 0, left = w->end[w->item] - w->done;
        size_t n = size < left ? size : (size_t)left;

        if (write_bytes(w, at, n, err))
            return DEER_FAILED;
        checksum_add(w->sum, at, n);
        at += n;
        size -= n;
        w->done += n;
        if (n < left)
            continue;
        end_item(w);
        if (++w->item < w->count &&
            write_bytes(w, zeros, padding_after(w->end[w->item - 1] - begin), err))
            return DEER_FAILED;
    }
    return size ? deer_fail(err, "%s: more bytes than its tensors have", w->path) : DEER_OK;
}

deer_status safetensors_finish(safetensors_writer *w, deer_status status, deer_error *err)
{
    bool created = w->fd >= 0;

    if (!status && w->done != (w->count ? w->end[w->count - 1] : 0))
        status = deer_fail(err, "%s: fewer bytes than its tensors have", w->path);
    if (!status)
        status = write_sums(w, err);
    if (created && close(w->fd) && !status)
        status = deer_fail(err, "cannot write %s: %s", w->path, strerror(errno));
    if (!status)
        status = file_publish(w->tmp, w->path, err);
    else if (created)
        unlink(w->tmp);
    checksum_free(w->sum);
    free(w->rank);
    free(w->sums);
    free(w->end);
    free(w->tmp);
    free(w->path);
    *w = (safetensors_writer){.fd = -1};
    return status;
}
