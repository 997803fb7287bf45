/* SPDX-License-Identifier: MIT */
/* file.h - writing files so that they are there whole or not at all; reading regular ones only.
 *
 *   char *tmp = file_temporary(path, &err);      // "<path>.tmp-<random>" beside path
 *   ... write it ...
 *   status = file_publish(tmp, path, &err);      // fsync, rename, fsync of the folder
 *   free(tmp);
 *
 * What stands at an output's path: a link is followed, and what it leads to is replaced; a regular
 * file is replaced and keeps its mode; anything else (folder, pipe, device) is refused.
 */
#ifndef RUNTIME_FILE_H
#define RUNTIME_FILE_H

#include <sys/stat.h>

#include "runtime/deer.h"

/* The path that means standard output, where a text can go to it. */
#define FILE_STDOUT "/dev/stdout"
bool file_is_stdout(const char *path);

/* Where an output to path really goes, links followed; the caller frees it. *exists tells whether a
 * file is there, then described by *was. NULL, with an error, for what must not be replaced. */
char *file_target(const char *path, struct stat *was, bool *exists, deer_error *err);

/* Whether an output could be written to path, as far as one can tell before: for finding out before
 * the work. Standard output can. */
deer_status file_check_output(const char *path, deer_error *err);

/* Whether writing output would replace other: the same file, however named, or, where other is a
 * folder, a file that is in it already. True as well where the machine fails to say,
 * which counts, and which the second then says. */
bool file_overlap(const char *output, const char *other);
deer_status file_overlap_unknown(const char *output, const char *other, deer_error *err);

/* Opens a regular file for reading, without waiting for what is none. info may be NULL; the caller
 * closes *fd. */
deer_status file_open(const char *path, int *fd, struct stat *info, deer_error *err);

/* A temporary name in the folder where an output to path goes; the caller frees it. NULL, with an
 * error, where nothing may be written or out of memory. */
char *file_temporary(const char *path, deer_error *err);

/* For a signal's handler, before the process ends: removes the files of the last 16 temporary names
 * that are not published. Nothing may be written afterwards. */
void file_remove_unfinished(void);

/* Makes tmp appear at path: fsync, mode, rename, fsync of the folder. On failure tmp is removed. */
deer_status file_publish(const char *tmp, const char *path, deer_error *err);

/* Writes size bytes to path atomically, or to standard output. */
deer_status file_write(const char *path, const void *data, size_t size, deer_error *err);

/* Makes sure that a new name in the folder of path outlives a crash; best effort. */
void file_sync_folder(const char *path);

/* Reads bytes [at, at + size) of an open file, whatever signals come between. Unlike a mapping, a
 * file that has become shorter is an error and not a signal. path is for messages. */
deer_status file_read_at(int fd, const char *path, uint64_t at, void *to, size_t size,
                         deer_error *err);

/* Fails when an open file has been written to since it was as file_open described it. */
deer_status file_unchanged(int fd, const char *path, const struct stat *was, deer_error *err);

/* Reads a whole regular file of at most limit bytes, with a zero appended; the caller frees. */
deer_status file_read(const char *path, size_t limit, char **data, size_t *size, deer_error *err);

#endif
