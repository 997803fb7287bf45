/* SPDX-License-Identifier: MIT */
/* zip.c - reading a zip archive's central directory. */
#include "runtime/import/zip.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/file_kind.h"
#include "runtime/base/machine_failure.h"
#include "runtime/import/crc.h"

enum {
    END_SIZE = 22,
    END64_SIZE = 56,
    LOCATOR_SIZE = 20,
    CENTRAL_SIZE = 46,
    LOCAL_SIZE = 30,
    LONGEST_COMMENT = 65535,
    LONGEST_NAME = 65535,
    WINDOW = 1 << 16,
};

#define END_MARK 0x06054b50u
#define END64_MARK 0x06064b50u
#define LOCATOR_MARK 0x07064b50u
#define CENTRAL_MARK 0x02014b50u
#define LOCAL_MARK 0x04034b50u
#define IN_ZIP64 0xffffffffu

static uint16_t u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t u32(const uint8_t *p)
{
    return u16(p) | (uint32_t)u16(p + 2) << 16;
}

static uint64_t u64(const uint8_t *p)
{
    return u32(p) | (uint64_t)u32(p + 4) << 32;
}

/* ---------------------------------------------------------------- the end ------------------ */

typedef struct {
    const char *path;
    const byte_source *from;
    uint64_t begin, length, entries; /* of the central directory */
} directory;

static deer_status no_archive(const directory *d, deer_error *err)
{
    char is[FILE_KIND];
    uint8_t head[512];
    size_t size = d->from->size < sizeof head ? d->from->size : sizeof head;

    if (bytes_read(d->from, 0, head, size, err))
        return DEER_FAILED;
    if (size > 4 && u32(head) == LOCAL_MARK)
        return deer_fail(err,
                         "%s is cut off: the end of its zip archive is missing; copy or "
                         "download it again",
                         d->path);
    return deer_fail(err, "%s is no zip archive: it %s", d->path,
                     file_kind_of(head, size, d->from->size, is));
}

/* What did not fit into the end at byte `at`, where a locator stands before it. */
static deer_status read_end64(directory *d, uint64_t at, deer_error *err)
{
    uint8_t locator[LOCATOR_SIZE], end[END64_SIZE];
    uint64_t where;

    if (at < LOCATOR_SIZE)
        return DEER_OK;
    if (bytes_read(d->from, at - LOCATOR_SIZE, locator, LOCATOR_SIZE, err))
        return DEER_FAILED;
    if (u32(locator) != LOCATOR_MARK)
        return DEER_OK;
    where = u64(locator + 8);
    if (at < END64_SIZE || where > at - END64_SIZE)
        return deer_fail(err, "%s has a broken zip64 end", d->path);
    if (bytes_read(d->from, where, end, END64_SIZE, err))
        return DEER_FAILED;
    if (u32(end) != END64_MARK)
        return deer_fail(err, "%s has a broken zip64 end", d->path);
    d->entries = u64(end + 32);
    d->length = u64(end + 40);
    d->begin = u64(end + 48);
    return DEER_OK;
}

/* The end's place among the last bytes [size] of the file; size when it is not there. */
static size_t find_end(const uint8_t *last, size_t size)
{
    for (size_t at = size >= END_SIZE ? size - END_SIZE + 1 : 0; at-- > 0;)
        if (u32(last + at) == END_MARK)
            return at;
    return size;
}

static deer_status read_end(directory *d, const uint8_t *last, size_t size, deer_error *err)
{
    size_t found = find_end(last, size);
    uint64_t at = d->from->size - size + found;
    const uint8_t *end = last + found;

    if (found == size)
        return no_archive(d, err);
    if (u16(end + 4) || u16(end + 6))
        return deer_fail(err, "%s is one volume of several", d->path);
    d->entries = u16(end + 10);
    d->length = u32(end + 12);
    d->begin = u32(end + 16);
    if (read_end64(d, at, err))
        return DEER_FAILED;
    if (d->begin > at || d->length > at - d->begin || d->entries > ZIP_MAX_ENTRIES ||
        d->entries > d->length / CENTRAL_SIZE || d->length > ZIP_MAX_DIRECTORY)
        return deer_fail(err, "%s has a central directory that does not fit in it", d->path);
    return DEER_OK;
}

static deer_status find_directory(directory *d, deer_error *err)
{
    const size_t most = LONGEST_COMMENT + END_SIZE;
    size_t size = d->from->size < most ? d->from->size : most;
    uint8_t *last = bytes_copy(d->from, d->from->size - size, size, err);
    deer_status status = last ? read_end(d, last, size, err) : DEER_FAILED;

    free(last);
    return status;
}

/* ---------------------------------------------------------------- central directory -------- */

/* Sizes and offset that did not fit into 32 bits, from the extra field [size]. */
static bool read_zip64(const uint8_t *extra, size_t size, uint64_t *full, uint64_t *packed,
                       uint64_t *offset)
{
    uint64_t *wanted[] = {full, packed, offset};

    if (*full != IN_ZIP64 && *packed != IN_ZIP64 && *offset != IN_ZIP64)
        return true;
    while (size >= 4) {
        size_t length = u16(extra + 2);
        const uint8_t *p = extra + 4;

        if (length > size - 4)
            return false;
        if (u16(extra) == 1) {
            for (int i = 0; i < 3; i++)
                if (*wanted[i] == IN_ZIP64) {
                    if (length < 8)
                        return false;
                    *wanted[i] = u64(p);
                    p += 8;
                    length -= 8;
                }
            return true;
        }
        extra += 4 + length;
        size -= 4 + length;
    }
    return false;
}

static deer_status copy_name(const directory *d, const uint8_t *text, size_t length, char **name,
                             deer_error *err)
{
    if (!length || memchr(text, 0, length))
        return deer_fail(err, "%s has an entry without a proper name", d->path);
    *name = malloc(length + 1);
    if (!*name)
        return machine_fail(err, "out of memory reading %s", d->path);
    memcpy(*name, text, length);
    (*name)[length] = 0;
    return DEER_OK;
}

/* The entry's data behind its local header. */
static deer_status locate(const directory *d, uint64_t offset, zip_entry *e, deer_error *err)
{
    uint8_t local[LOCAL_SIZE + LONGEST_NAME];
    size_t name = strlen(e->name), size = LOCAL_SIZE + name;
    uint64_t head;

    if (offset > d->begin || d->begin - offset < LOCAL_SIZE)
        return deer_fail(err, "%s: %s does not begin where the directory says", d->path, e->name);
    size = size < d->begin - offset ? size : (size_t)(d->begin - offset);
    if (bytes_read(d->from, offset, local, size, err))
        return DEER_FAILED;
    if (u32(local) != LOCAL_MARK)
        return deer_fail(err, "%s: %s does not begin where the directory says", d->path, e->name);
    head = LOCAL_SIZE + (uint64_t)u16(local + 26) + u16(local + 28);
    if (head > d->begin - offset || e->size > d->begin - offset - head)
        return deer_fail(err, "%s: %s does not fit into the file", d->path, e->name);
    if (u16(local + 26) != name || memcmp(local + LOCAL_SIZE, e->name, name) != 0)
        return deer_fail(err, "%s: %s has another name in its local header", d->path, e->name);
    e->at = (size_t)(offset + head);
    return DEER_OK;
}

/* Reads the entry at *p, before end, and moves it on. */
static deer_status read_entry(const directory *d, const uint8_t **p, const uint8_t *end,
                              zip_entry *e, deer_error *err)
{
    const uint8_t *at = *p;
    uint64_t packed, full, offset;
    size_t name, extra, comment;

    if ((size_t)(end - at) < CENTRAL_SIZE || u32(at) != CENTRAL_MARK)
        return deer_fail(err, "%s has a broken central directory", d->path);
    name = u16(at + 28);
    extra = u16(at + 30);
    comment = u16(at + 32);
    if ((size_t)(end - at) - CENTRAL_SIZE < name + extra + comment)
        return deer_fail(err, "%s has a central directory that is cut off", d->path);
    if (copy_name(d, at + CENTRAL_SIZE, name, &e->name, err))
        return DEER_FAILED;
    packed = u32(at + 20);
    full = u32(at + 24);
    offset = u32(at + 42);
    if (u16(at + 8) & 1)
        return deer_fail(err, "%s: %s is encrypted", d->path, e->name);
    if (!read_zip64(at + CENTRAL_SIZE + name, extra, &full, &packed, &offset))
        return deer_fail(err, "%s: %s has a broken zip64 field", d->path, e->name);
    e->stored = u16(at + 10) == 0;
    e->deflated = u16(at + 10) == 8;
    e->size = packed;
    e->full_size = full;
    e->sum = u32(at + 16);
    if (e->stored && full != packed)
        return deer_fail(err, "%s: %s has two sizes", d->path, e->name);
    *p = at + CENTRAL_SIZE + name + extra + comment;
    return locate(d, offset, e, err);
}

/* ---------------------------------------------------------------- whole -------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const zip_entry *)a)->name, ((const zip_entry *)b)->name);
}

static int by_place(const void *a, const void *b)
{
    size_t x = ((const zip_entry *)a)->at, y = ((const zip_entry *)b)->at;

    return (x > y) - (x < y);
}

static deer_status check_all(const char *path, zip *archive, deer_error *err)
{
    zip_entry *e = archive->entry;

    qsort(e, archive->count, sizeof *e, by_place);
    for (size_t i = 1; i < archive->count; i++)
        if (e[i].at < e[i - 1].at + e[i - 1].size)
            return deer_fail(err, "%s: %s overlaps %s", path, e[i].name, e[i - 1].name);
    qsort(e, archive->count, sizeof *e, by_name);
    for (size_t i = 1; i < archive->count; i++)
        if (!strcmp(e[i].name, e[i - 1].name))
            return deer_fail(err, "%s has two entries called %s", path, e[i].name);
    return DEER_OK;
}

static deer_status read_entries(const directory *d, zip *archive, deer_error *err)
{
    uint8_t *table = bytes_copy(d->from, d->begin, d->length, err);
    const uint8_t *p = table;
    deer_status status = table ? DEER_OK : DEER_FAILED;

    while (archive->count < d->entries && !status)
        status = read_entry(d, &p, table + d->length, &archive->entry[archive->count++], err);
    free(table);
    return status;
}

deer_status zip_open(const byte_source *from, zip *archive, deer_error *err)
{
    directory d = {.path = from->path, .from = from};
    deer_status status;

    *archive = (zip){NULL, 0};
    if (find_directory(&d, err))
        return DEER_FAILED;
    archive->entry = calloc(d.entries + 1, sizeof *archive->entry);
    if (!archive->entry)
        return machine_fail(err, "out of memory reading %s", from->path);
    status = read_entries(&d, archive, err);
    if (!status)
        status = check_all(from->path, archive, err);
    if (status)
        zip_close(archive);
    return status;
}

void zip_close(zip *archive)
{
    for (size_t i = 0; i < archive->count; i++)
        free(archive->entry[i].name);
    free(archive->entry);
    *archive = (zip){NULL, 0};
}

const zip_entry *zip_find(const zip *archive, const char *name)
{
    zip_entry key = {.name = (char *)(uintptr_t)name};

    return archive->count ? bsearch(&key, archive->entry, archive->count, sizeof key, by_name)
                          : NULL;
}

deer_status zip_compare(const byte_source *from, const zip_entry *e, deer_error *err)
{
    uint8_t window[WINDOW];
    uint32_t sum = 0;

    if (!e->sum)
        return DEER_OK;
    for (size_t done = 0, some; done < e->size; done += some) {
        some = e->size - done < WINDOW ? e->size - done : WINDOW;
        if (bytes_read(from, e->at + done, window, some, err))
            return DEER_FAILED;
        sum = crc_zip(sum, window, some);
    }
    return sum == e->sum ? DEER_OK
                         : deer_fail(err,
                                     "%s: %s is damaged (its checksum is another); copy or "
                                     "download it again",
                                     from->path, e->name);
}
