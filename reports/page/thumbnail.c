/* SPDX-License-Identifier: MIT */
/* thumbnail.c - frames as small PNG files in memory. */
#include "reports/page/thumbnail.h"

#include <png.h>
#include <stdlib.h>

typedef struct {
    int width, height;
    uint8_t *rgb;
} picture;

/* Mean of the pixels of `from` that fall on pixel (x, y) of a picture of the given size. */
static void average(const picture *from, const picture *to, int x, int y, uint8_t *pixel)
{
    int left = x * from->width / to->width, right = (x + 1) * from->width / to->width;
    int top = y * from->height / to->height, bottom = (y + 1) * from->height / to->height;
    long sum[3] = {0}, n = 0;

    for (int row = top; row < bottom; row++)
        for (int column = left; column < right; column++, n++)
            for (int c = 0; c < 3; c++)
                sum[c] += from->rgb[((size_t)row * (size_t)from->width + (size_t)column) * 3 + c];
    for (int c = 0; c < 3; c++)
        pixel[c] = (uint8_t)(n ? sum[c] / n : 0);
}

static deer_status shrink(const picture *from, picture *to, deer_error *err)
{
    int longest = from->width > from->height ? from->width : from->height;
    int side = longest > THUMBNAIL_SIDE ? THUMBNAIL_SIDE : longest;

    to->width = from->width * side / longest;
    to->height = from->height * side / longest;
    to->width += !to->width;
    to->height += !to->height;
    to->rgb = malloc((size_t)to->width * (size_t)to->height * 3);
    if (!to->rgb)
        return deer_fail(err, "out of memory for a picture");
    for (int y = 0; y < to->height; y++)
        for (int x = 0; x < to->width; x++)
            average(from, to, x, y, to->rgb + ((size_t)y * (size_t)to->width + (size_t)x) * 3);
    return DEER_OK;
}

deer_status thumbnail_png(const demo_episode *episode, int step, uint8_t **png, size_t *size,
                          deer_error *err)
{
    size_t each = (size_t)episode->static_height * (size_t)episode->static_width * 3;
    const picture seen = {episode->static_width, episode->static_height,
                          episode->static_rgb + (size_t)step * each};
    picture small = {0};
    png_image image = {.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_RGB};
    png_alloc_size_t room;

    if (shrink(&seen, &small, err))
        return DEER_FAILED;
    image.width = (png_uint_32)small.width;
    image.height = (png_uint_32)small.height;
    room = PNG_IMAGE_PNG_SIZE_MAX(image);
    *png = malloc(room);
    if (!*png || !png_image_write_to_memory(&image, *png, &room, 0, small.rgb, 0, NULL)) {
        free(small.rgb);
        free(*png);
        return deer_fail(err, "cannot make a picture of %s: %s", episode->name, image.message);
    }
    free(small.rgb);
    *size = room;
    return DEER_OK;
}
