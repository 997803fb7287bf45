/* SPDX-License-Identifier: MIT */
/* png_file.c - an RGB picture into a PNG file. */
#include "datasets/cli/png_file.h"

#include <png.h>
#include <stdlib.h>

#include "runtime/base/file.h"

deer_status png_file_write(const char *path, int width, int height, const uint8_t *rgb,
                           deer_error *err)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .format = PNG_FORMAT_RGB};
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    void *encoded = malloc(size);
    deer_status status;

    if (!encoded)
        return deer_fail(err, "out of memory writing %s", path);
    if (png_image_write_to_memory(&image, encoded, &size, 0, rgb, 0, NULL))
        status = file_write(path, encoded, size, err);
    else
        status = deer_fail(err, "cannot write %s: %s", path, image.message);
    free(encoded);
    return status;
}
