/* SPDX-License-Identifier: MIT */
/* zip.h - the table of contents of a zip archive, zip64 included.
 *
 *   zip archive;
 *   if (zip_open(&file, &archive, &err)) ...
 *   const zip_entry *e = zip_find(&archive, "archive/data.pkl");
 *   if (e && e->stored) bytes_read(&file, e->at, to, e->size, &err);
 *   zip_close(&archive);
 *
 * Everything is checked before it is believed: ranges inside the file, local headers that agree
 * with the central directory, names that occur once, entries that do not overlap. Encrypted and
 * multi-volume archives are refused. Format: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5.3.
 */
#ifndef RUNTIME_ZIP_H
#define RUNTIME_ZIP_H

#include "runtime/import/bytes.h"

#define ZIP_MAX_ENTRIES 1000000
#define ZIP_MAX_DIRECTORY ((size_t)256 << 20) /* bytes */

typedef struct {
    char *name;       /* zero-terminated, without zeros inside */
    size_t at, size;  /* where it lies in the file, checked to be in it */
    size_t full_size; /* bytes when unpacked; equal to size when stored */
    uint32_t sum;     /* CRC-32 of these; 0 where the writer has left it out */
    bool stored;      /* not compressed */
    bool deflated;    /* raw deflate; neither: another method */
} zip_entry;

typedef struct {
    zip_entry *entry; /* sorted by name */
    size_t count;
} zip;

/* from is read now and not kept. */
deer_status zip_open(const byte_source *from, zip *archive, deer_error *err);
void zip_close(zip *archive);

/* Compares the checksum of a stored entry with what the archive says, if it says one: PyTorch
 * writes 0 where torch.utils.serialization.config.save.compute_crc32 is off. */
deer_status zip_compare(const byte_source *from, const zip_entry *e, deer_error *err);

/* NULL when there is no entry of that name. */
const zip_entry *zip_find(const zip *archive, const char *name);

#endif
