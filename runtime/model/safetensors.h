/* SPDX-License-Identifier: MIT */
/* safetensors.h - the container of model files: a JSON table of tensors, then their bytes.
 *
 *   safetensors file;
 *   safetensors_open(path, &file, &err);              // reads and checks the table only
 *   t = safetensors_find(&file, "perceiver.latents");
 *   safetensors_read(&file, t->begin, floats, t->end - t->begin, &err);
 *   safetensors_close(&file);
 *
 * Format: u64 little-endian header length, JSON object, data; tensors are contiguous, without
 * holes. Source: https://github.com/huggingface/safetensors (README, "Format").
 */
#ifndef RUNTIME_SAFETENSORS_H
#define RUNTIME_SAFETENSORS_H

#include <jansson.h>

#include <sys/stat.h>

#include "runtime/base/number.h"
#include "runtime/deer.h"
#include "runtime/model/checksum.h"

#define SAFETENSORS_RANK 4

typedef struct {
    const char *name; /* lives in the header */
    bool readable;    /* of a type that number.h knows: `type` */
    number_type type; /* the runtime reads float32 */
    int rank;
    int64_t shape[SAFETENSORS_RANK];
    size_t begin, end; /* bytes, from the start of the data */
    const char *sum;   /* CHECKSUM_DIGITS of its bytes, not ended by a zero; NULL: none are kept */
} safetensor;

typedef struct {
    char *path;
    int fd;
    json_t *header;
    char *header_text; /* as in the file, header_size bytes */
    size_t header_size;
    size_t data_offset; /* of the data in the file */
    size_t data_size;
    safetensor *tensor; /* sorted by name */
    size_t count;
    struct stat opened; /* as it was when it was opened */
} safetensors;

/* Reads the header and checks every entry against the file's size: types, shapes whose product is
 * the byte range, ranges inside the data and not overlapping. */
deer_status safetensors_open(const char *path, safetensors *file, deer_error *err);
void safetensors_close(safetensors *file);

/* NULL when there is no tensor of that name. */
const safetensor *safetensors_find(const safetensors *file, const char *name);

static inline bool safetensors_is_f32(const safetensor *t)
{
    return t->readable && t->type == NUMBER_F32;
}

/* A text of the header's __metadata__, NULL when missing. */
const char *safetensors_metadata(const safetensors *file, const char *key);

/* Whether the file keeps a checksum of every tensor (metadata "deer.xxh128": those of all tensors
 * but padding, sorted by name, behind one another). */
bool safetensors_has_sums(const safetensors *file);

/* Reads bytes [at, at + size) of the data. */
deer_status safetensors_read(const safetensors *file, size_t at, void *to, size_t size,
                             deer_error *err);

/* Fails when the file has been written to since it was opened. */
deer_status safetensors_unchanged(const safetensors *file, deer_error *err);

/* Fails when a checksum of tensor t's bytes (CHECKSUM_DIGITS) is not the one that is kept. */
deer_status safetensors_verify(const safetensors *file, const safetensor *t, const char *sum,
                               deer_error *err);

/* One tensor to write. */
typedef struct {
    const char *name;
    number_type type;
    int rank;
    int64_t shape[SAFETENSORS_RANK];
} safetensors_item;

/* A file that is being written.
 *
 *   if (safetensors_create(path, items, count, metadata, &w, &err)) ...
 *   status = safetensors_append(&w, bytes, size, &err);       // all items' bytes, in order
 *   status = safetensors_finish(&w, status, &err);            // the file is there, or nothing is
 */
typedef struct {
    char *path, *tmp;
    int fd;
    uint64_t *end; /* [count] of each item's bytes among all that are appended */
    size_t count, item;
    uint64_t done; /* appended so far */
    checksum *sum; /* of the present item */
    size_t *rank;  /* [count] of each item among them all sorted by name */
    char *sums;    /* [count] checksums, sorted by name */
    uint64_t sums_at;
} safetensors_writer;

#define SAFETENSORS_ALIGNMENT 64

/* Begins a file of these tensors. Each begins at a multiple of SAFETENSORS_ALIGNMENT in the file:
 * the header ends in spaces, and because the format allows no holes, tensors "pad.0", "pad.1", ..
 * of zeros follow those whose size is no such multiple. metadata: an object of texts, to which the
 * tensors' checksums are added. Items are not needed any more after it. */
deer_status safetensors_create(const char *path, const safetensors_item *items, size_t count,
                               json_t *metadata, safetensors_writer *w, deer_error *err);

/* The next `size` bytes of the tensors; they may span several. */
deer_status safetensors_append(safetensors_writer *w, const void *data, size_t size,
                               deer_error *err);

/* Makes the file appear, or, when status says that something failed, removes what was written.
 * Returns status or what failed here. */
deer_status safetensors_finish(safetensors_writer *w, deer_status status, deer_error *err);

size_t safetensors_item_bytes(const safetensors_item *item);

#endif
