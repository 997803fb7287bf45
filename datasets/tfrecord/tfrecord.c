/* SPDX-License-Identifier: MIT */
/* tfrecord.c - finding and reading records, checksums compared. */
#include "datasets/tfrecord/tfrecord.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/file_kind.h"
#include "runtime/import/crc.h"

enum { HEAD = 12, FOOT = 4, MOST_RECORDS = 10000000 };

/* ---------------------------------------------------------------- checksum ----------------- */

uint32_t tfrecord_sum(const void *data, size_t n)
{
    uint32_t sum = crc_castagnoli(0, data, n);

    return (sum >> 15 | sum << 17) + 0xa282ead8;
}

static uint64_t number(const uint8_t *p, int bytes)
{
    uint64_t value = 0;

    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | p[i];
    return value;
}

/* ---------------------------------------------------------------- records ------------------ */

static bool grow(tfrecord_index *index)
{
    size_t n = index->count;
    void *more;

    if (n & (n - 1)) /* room for the next power of two is there */
        return true;
    more = realloc(index->record, (n ? 2 * n : 1) * sizeof *index->record);
    if (more)
        index->record = more;
    return more != NULL;
}

/* What stands there in place of the first record. */
static deer_status no_records(const byte_source *file, deer_error *err)
{
    uint8_t start[64];
    char is[FILE_KIND];
    size_t size = file->size < sizeof start ? file->size : sizeof start;

    if (bytes_read(file, 0, start, size, err))
        return DEER_FAILED;
    return deer_fail(err, "%s is no TFRecord file: it %s", file->path,
                     file_kind_of(start, size, file->size, is));
}

/* Adds the record that begins at *at, and moves on behind it. */
static deer_status add(const byte_source *file, size_t *at, tfrecord_index *index, deer_error *err)
{
    uint8_t head[HEAD];
    uint64_t size;

    if (file->size - *at < HEAD + FOOT)
        return deer_fail(err, "%s is cut off in record %zu; copy or download it again", file->path,
                         index->count);
    if (bytes_read(file, *at, head, HEAD, err))
        return DEER_FAILED;
    if (tfrecord_sum(head, 8) != number(head + 8, 4))
        return index->count ? deer_fail(err, "%s: record %zu is damaged (its length's checksum)",
                                        file->path, index->count)
                            : no_records(file, err);
    size = number(head, 8);
    if (size > file->size - *at - HEAD - FOOT)
        return deer_fail(err, "%s is cut off in record %zu; copy or download it again", file->path,
                         index->count);
    if (index->count == MOST_RECORDS || !grow(index))
        return deer_fail(err, "%s has more records than can be listed", file->path);
    index->record[index->count++] = (tfrecord_place){*at + HEAD, (size_t)size};
    *at += HEAD + (size_t)size + FOOT;
    return DEER_OK;
}

deer_status tfrecord_open(const char *path, byte_source *file, tfrecord_index *index,
                          deer_error *err)
{
    deer_status status = bytes_open(path, file, err);

    *index = (tfrecord_index){NULL, 0};
    for (size_t at = 0; !status && at < file->size;)
        status = add(file, &at, index, err);
    if (status) {
        tfrecord_free(index);
        bytes_close(file);
    }
    return status;
}

void tfrecord_free(tfrecord_index *index)
{
    free(index->record);
    *index = (tfrecord_index){NULL, 0};
}

deer_status tfrecord_read(const byte_source *file, const tfrecord_place *record, uint8_t **data,
                          deer_error *err)
{
    *data = bytes_copy(file, record->at, record->size + FOOT, err);
    if (!*data)
        return DEER_FAILED;
    if (tfrecord_sum(*data, record->size) == number(*data + record->size, FOOT))
        return bytes_unchanged(file, err);
    free(*data);
    *data = NULL;
    return deer_fail(err, "%s: the record at byte %zu is damaged (its checksum is another)",
                     file->path, record->at);
}
