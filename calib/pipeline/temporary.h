/* SPDX-License-Identifier: MIT */
/* temporary.h - a folder for a cache that nobody asked to keep. */
#ifndef CALIB_TEMPORARY_H
#define CALIB_TEMPORARY_H

#include <stddef.h>

#include "runtime/deer.h"

/* Creates a folder below TMPDIR (or /tmp) and writes its name. */
deer_status temporary_folder(char *path, size_t room, deer_error *err);

/* Removes the folder and the files in it. */
void temporary_remove(const char *path);

#endif
