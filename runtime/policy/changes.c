/* SPDX-License-Identifier: MIT */
/* changes.c - how much a camera's picture changes over several steps, for those who replay. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/policy/cameras.h"

enum { MOST = 1 << 10 };

struct deer_changes {
    image_plan plan;
    int side, patch, room;
    int64_t count;     /* pictures of this episode */
    uint8_t *pictures; /* [room][side, 3 side], the i-th one at i % room */
};

deer_status deer_changes_new(const deer_config *c, const deer_camera *camera, int32_t room,
                             deer_changes **out, deer_error *err)
{
    deer_changes *h;
    deer_status status;

    if (out)
        *out = NULL;
    if (!out || !c || !camera || room < 1 || room > MOST)
        return deer_fail_with(DEER_USAGE, err, "changes need a camera and room for 1 to %d", MOST);
    h = calloc(1, sizeof *h);
    if (!h)
        return deer_fail(err, "out of memory for a camera's changes");
    h->side = c->image_size;
    h->patch = c->patch_size;
    h->room = room;
    h->pictures = calloc((size_t)room, 3 * (size_t)h->side * (size_t)h->side);
    status = h->pictures ? image_plan_prepare(&h->plan, camera, h->side, err)
                         : deer_fail(err, "out of memory for %d pictures of a camera", room);
    if (status)
        deer_changes_free(h);
    else
        *out = h;
    return status;
}

void deer_changes_free(deer_changes *h)
{
    if (!h)
        return;
    image_plan_free(&h->plan);
    free(h->pictures);
    free(h);
}

void deer_changes_reset(deer_changes *h)
{
    if (h)
        h->count = 0;
}

static uint8_t *picture(const deer_changes *h, int64_t i)
{
    return h->pictures + (size_t)(i % h->room) * 3 * (size_t)h->side * (size_t)h->side;
}

deer_status deer_changes_add(deer_changes *h, const deer_image *image, float *change,
                             deer_error *err)
{
    size_t row;
    image_view now;

    if (!h || !image || !change)
        return deer_fail_with(DEER_USAGE, err, "a change needs a picture and room for numbers");
    if (image_check(&h->plan, image, err))
        return DEER_USAGE;
    now = image_resize(&h->plan, image->pixels);
    row = 3 * (size_t)h->side;
    for (int a = 1; a <= h->room; a++) {
        image_view then = {.stride = row};
        if (a <= h->count)
            then.pixels = picture(h, h->count - a);
        change[a - 1] = a <= h->count ? camera_change(&now, &then, h->side, h->patch) : NAN;
    }
    for (int y = 0; y < h->side; y++)
        memcpy(picture(h, h->count) + (size_t)y * row, now.pixels + (size_t)y * now.stride, row);
    h->count++;
    return DEER_OK;
}
