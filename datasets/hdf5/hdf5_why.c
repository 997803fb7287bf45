/* SPDX-License-Identifier: MIT */
/* hdf5_why.c - why an HDF5 file does not open: read from its superblock, which HDF5 does not say.
 *
 * Source: HDF5 File Format Specification, III.A (superblock versions 0 to 3). */
#include "datasets/hdf5/hdf5_why.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file_kind.h"

enum { SUPERBLOCK = 96 };

/* What a superblock says of its file. */
typedef struct {
    bool found, open_for_writing;
    uint64_t end; /* bytes that the file must have */
} superblock;

static uint64_t little_endian(const uint8_t *bytes, size_t n)
{
    uint64_t value = 0;

    while (n--)
        value = value << 8 | bytes[n];
    return value;
}

static superblock parse(const uint8_t *b, size_t n, uint64_t at)
{
    bool old = b[8] < 2;
    size_t size = old ? b[13] : b[9]; /* of an address */
    size_t addresses = old ? (b[8] == 1 ? 28 : 24) : 12, end = addresses + 2 * size;
    superblock s = {.found = true};

    if (b[8] > 3 || (size != 4 && size != 8) || end + size > n)
        return s;
    s.end = little_endian(b + end, size);
    if (s.end < UINT64_MAX - at && at && little_endian(b + addresses, size) == 0)
        s.end += at; /* addresses count from the superblock */
    s.open_for_writing = b[8] == 3 && (b[11] & 5);
    return s;
}

/* The signature stands at 0, or at 512, 1024, .. behind a block of the user's. */
static superblock find_superblock(int fd, uint64_t size)
{
    static const uint8_t signature[8] = "\x89HDF\r\n\x1a\n";
    uint8_t bytes[SUPERBLOCK] = {0};

    for (uint64_t at = 0; at < size; at = at ? 2 * at : 512) {
        ssize_t n = pread(fd, bytes, sizeof bytes, (off_t)at);

        if (n >= 8 && !memcmp(bytes, signature, 8))
            return parse(bytes, (size_t)n, at);
    }
    return (superblock){.found = false};
}

void hdf5_why(const char *path, int fd, uint64_t size, deer_error *err)
{
    superblock s = find_superblock(fd, size);
    char is[FILE_KIND];

    if (!s.found)
        deer_fail(err, "%s is no HDF5 file: it %s", path, file_kind(path, is));
    else if (flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK)
        deer_fail(err, "%s is open for writing in another process; wait until that is done", path);
    else if (s.open_for_writing)
        deer_fail(err,
                  "%s was not closed by the program that wrote it, or is being written; if none "
                  "writes it any more, h5clear -s %s makes it readable (package hdf5-tools)",
                  path, path);
    else if (s.end > size || size < SUPERBLOCK)
        deer_fail(err,
                  "%s is cut off: %llu of %llu bytes are there; copy or download it again, or let "
                  "the program that writes it finish",
                  path, (unsigned long long)size,
                  (unsigned long long)(s.end > size ? s.end : SUPERBLOCK));
    else
        deer_fail(err, "%s is an HDF5 file whose structure is damaged; was it written to the end?",
                  path);
}
