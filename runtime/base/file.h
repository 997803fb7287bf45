/* SPDX-License-Identifier: MIT */
/* file.h - writing files so that they are there whole or not at all.
 *
 *   char *tmp = file_temporary(path, &err);      // "<path>.tmp-<random>" beside path
 *   ... write it ...
 *   status = file_publish(tmp, path, &err);      // fsync, rename, fsync of the folder
 *   free(tmp);
 */
#ifndef RUNTIME_FILE_H
#define RUNTIME_FILE_H

#include "runtime/deer.h"

/* A temporary name in the same folder; the caller frees it. NULL when out of memory. */
char *file_temporary(const char *path, deer_error *err);

/* For a signal's handler, before the process ends: removes the files of the last 16 temporary names
 * that are not published. Nothing may be written afterwards. */
void file_remove_unfinished(void);

/* Makes tmp appear at path: fsync, rename, fsync of the folder. On failure tmp is removed. */
deer_status file_publish(const char *tmp, const char *path, deer_error *err);

/* Writes size bytes to path atomically. */
deer_status file_write(const char *path, const void *data, size_t size, deer_error *err);

/* Of a file mapped read-only: lets go of the pages of these bytes, and of those around them that
 * the kernel maps along (at most 2 MB); they come back when they are read again. So that reading a
 * file much larger than memory once does not fill it.
 *   mapping [mapped]   all that is mapped
 *   data [size]        in it */
void file_forget(const void *mapping, size_t mapped, const void *data, size_t size);

/* Reads a whole regular file of at most limit bytes, with a zero appended; the caller frees. */
deer_status file_read(const char *path, size_t limit, char **data, size_t *size, deer_error *err);

#endif
