/* SPDX-License-Identifier: MIT */
/* png_file.h - an RGB picture into a PNG file. */
#ifndef DATASETS_PNG_FILE_H
#define DATASETS_PNG_FILE_H

#include <stdint.h>

#include "runtime/deer.h"

/* Writes rgb[height][width][3] to path atomically. */
deer_status png_file_write(const char *path, int width, int height, const uint8_t *rgb,
                           deer_error *err);

#endif
