/* SPDX-License-Identifier: MIT */
/* cameras.c - which cameras' images a step encodes. */
#include "runtime/policy/cameras.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- change ------------------- */

/* Sum of |a - b| over n bytes. */
static uint32_t difference(const uint8_t *a, const uint8_t *b, int n)
{
    uint32_t sum = 0;

    for (int i = 0; i < n; i++)
        sum += (uint32_t)abs(a[i] - b[i]);
    return sum;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

static float patch_change(const image_view *a, const image_view *b, int x, int y, int width,
                          int height)
{
    uint64_t sum = 0;

    for (int row = y; row < y + height; row++)
        sum += difference(a->pixels + (size_t)row * a->stride + 3 * (size_t)x,
                          b->pixels + (size_t)row * b->stride + 3 * (size_t)x, 3 * width);
    return (float)sum / (float)(255L * 3 * width * height);
}

float camera_change(const image_view *a, const image_view *b, int side, int patch)
{
    float most = 0;

    for (int y = 0; y < side; y += patch)
        for (int x = 0; x < side; x += patch)
            most = fmaxf(
                most, patch_change(a, b, x, y, smaller(patch, side - x), smaller(patch, side - y)));
    return most;
}

/* ---------------------------------------------------------------- rules -------------------- */

bool camera_rules_reuse(const deer_camera_rules *rules)
{
    return rules->static_view.age > 0 || rules->gripper_view.age > 0;
}

/* Older first, so that nobody waits twice; the wrist camera, which steers the hand, where both are
 * as old. */
static uint32_t older(const int32_t age[2])
{
    return age[0] > age[1] ? DEER_STATIC_VIEW : DEER_GRIPPER_VIEW;
}

/* One at most. Both may become too old at the same step: then one is encoded before. */
static uint32_t one_of(uint32_t late, uint32_t last, uint32_t changed, const int32_t age[2])
{
    if (late)
        return late == DEER_BOTH_VIEWS ? older(age) : late;
    if (last == DEER_BOTH_VIEWS)
        return changed && changed != DEER_BOTH_VIEWS ? changed : older(age);
    return changed == DEER_BOTH_VIEWS ? older(age) : changed;
}

uint32_t deer_cameras_due(const deer_camera_rules *rules, const int32_t age[2],
                          const float change[2])
{
    uint32_t late = 0, last = 0, changed = 0;

    if (!rules || !age || !change)
        return DEER_BOTH_VIEWS;
    for (int i = 0; i < 2; i++) {
        const deer_camera_rule *rule = i ? &rules->gripper_view : &rules->static_view;
        late |= (uint32_t)(age[i] > rule->age) << i;
        last |= (uint32_t)(age[i] >= rule->age) << i;
        changed |= (uint32_t) !(change[i] <= rule->rho) << i; /* a NaN is no small change */
    }
    return rules->stagger ? one_of(late, last, changed, age) : late | changed;
}

/* ---------------------------------------------------------------- a session's -------------- */

size_t camera_watch_bytes(const deer_config *c)
{
    return 2 * 3 * (size_t)c->image_size * (size_t)c->image_size;
}

void camera_watch_init(camera_watch *w, const deer_config *c, uint8_t *room)
{
    *w = (camera_watch){.side = c->image_size, .patch = c->patch_size};
    for (int i = 0; i < 2; i++)
        w->then[i] = room + (size_t)i * camera_watch_bytes(c) / 2;
    camera_watch_reset(w);
}

void camera_watch_reset(camera_watch *w)
{
    for (int i = 0; i < 2; i++) {
        w->known[i] = false;
        w->age[i] = 0;
        w->change[i] = NAN;
    }
}

static image_view kept_view(const camera_watch *w, int i)
{
    return (image_view){w->then[i], 3 * (size_t)w->side, 0};
}

static void keep(camera_watch *w, int i, const image_view *now)
{
    size_t row = 3 * (size_t)w->side;

    for (int y = 0; y < w->side; y++)
        memcpy(w->then[i] + (size_t)y * row, now->pixels + (size_t)y * now->stride, row);
    w->known[i] = true;
}

uint32_t camera_watch_step(camera_watch *w, const deer_camera_rules *rules, const image_view now[2])
{
    uint32_t due = DEER_BOTH_VIEWS;

    if (!camera_rules_reuse(rules)) {
        camera_watch_reset(w);
        return due;
    }
    for (int i = 0; i < 2; i++) {
        image_view then = kept_view(w, i);
        w->age[i]++;
        w->change[i] = w->known[i] ? camera_change(&now[i], &then, w->side, w->patch) : NAN;
    }
    if (w->known[0] && w->known[1])
        due = deer_cameras_due(rules, w->age, w->change);
    for (int i = 0; i < 2; i++)
        if (due >> i & 1) {
            keep(w, i, &now[i]);
            w->age[i] = 0;
        }
    return due;
}
