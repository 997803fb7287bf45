/* SPDX-License-Identifier: MIT */
/* file_kind.h - what a file is that is not what was expected: for messages.
 *
 *   char is[FILE_KIND];
 *   return deer_fail(err, "%s is no HDF5 file: it %s", path, file_kind(path, is));
 */
#ifndef RUNTIME_FILE_KIND_H
#define RUNTIME_FILE_KIND_H

#include <stddef.h>
#include <stdint.h>

#define FILE_KIND 160

/* Fills text with what the first bytes of a file show, with what to do where that is known: "is a
 * Git LFS pointer; get the file itself with git lfs pull", "begins with 12 ab 00 ..". The file may
 * be missing or unreadable. Returns text. */
const char *file_kind(const char *path, char text[FILE_KIND]);

/* The same of bytes in memory: the first n (64 are enough) of `size`. */
const char *file_kind_of(const uint8_t *start, size_t n, uint64_t size, char text[FILE_KIND]);

#endif
