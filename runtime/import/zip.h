/* SPDX-License-Identifier: MIT */
/* zip.h - the table of contents of a zip archive in memory, zip64 included.
 *
 *   zip archive;
 *   if (zip_open(path, data, size, false, &archive, &err)) ... // data stays the caller's
 *   const zip_entry *e = zip_find(&archive, "archive/data.pkl");
 *   if (e && e->stored) use(e->data, e->size);
 *   zip_close(&archive);
 *
 * Everything is checked before it is believed: ranges inside the file, local headers that agree
 * with the central directory, names that occur once, entries that do not overlap. Encrypted and
 * multi-volume archives are refused. Format: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5.3.
 */
#ifndef RUNTIME_ZIP_H
#define RUNTIME_ZIP_H

#include "runtime/deer.h"

#define ZIP_MAX_ENTRIES 1000000

typedef struct {
    char *name;          /* zero-terminated, without zeros inside */
    const uint8_t *data; /* as it lies in the file */
    size_t size;         /* bytes at data */
    size_t full_size;    /* bytes when unpacked; equal to size when stored */
    bool stored;         /* not compressed */
    bool deflated;       /* raw deflate; neither: another method */
} zip_entry;

typedef struct {
    zip_entry *entry; /* sorted by name */
    size_t count;
} zip;

/* `path` is for messages. `mapped`: data is a whole file mapped read-only, of which what is read is
 * let go of again (file_forget), since each entry's header lies elsewhere in it. */
deer_status zip_open(const char *path, const uint8_t *data, size_t size, bool mapped, zip *archive,
                     deer_error *err);
void zip_close(zip *archive);

/* NULL when there is no entry of that name. */
const zip_entry *zip_find(const zip *archive, const char *name);

#endif
