/* SPDX-License-Identifier: MIT */
/* eyes.c - rules for cameras, followed along recorded episodes. */
#include "calib/replay/eyes.h"

#include <math.h>
#include <stdlib.h>

deer_status eyes_open(const cache *c, cache_eyes *eyes, deer_error *err)
{
    size_t n = (size_t)c->steps;

    *eyes = (cache_eyes){calloc(n, 1), calloc(n, 1), false};
    if (eyes->pair && eyes->views)
        return DEER_OK;
    eyes_close(eyes);
    return deer_fail(err, "out of memory for the ages of %zu steps", n);
}

void eyes_close(cache_eyes *eyes)
{
    free(eyes->pair);
    free(eyes->views);
    *eyes = (cache_eyes){NULL, NULL, false};
}

static int oldest_of(const cache_manifest *m, int view)
{
    return m->ages[view] ? m->age[view][m->ages[view] - 1] : 0;
}

bool eyes_can_follow(const cache *c, const deer_camera_rules *rules)
{
    return rules->static_view.age <= oldest_of(&c->about, 0) &&
           rules->gripper_view.age <= oldest_of(&c->about, 1);
}

/* The place of an age among a camera's, or of the next older one. */
static int place_of(const cache_manifest *m, int view, int age, bool *exact)
{
    int i = 0;

    while (m->age[view][i] < age)
        i++;
    *exact = *exact && m->age[view][i] == age;
    return i;
}

static float change_of(const cache *c, int64_t row, int view, int age)
{
    int oldest = cache_oldest(&c->about);

    return age <= oldest ? c->change[(2 * row + view) * oldest + age - 1] : NAN;
}

/* Brings the ages to this step; returns the cameras encoded. */
static uint32_t look(const cache *c, const deer_camera_rules *rules, int64_t row, bool first,
                     int32_t age[2])
{
    float change[2];
    uint32_t due = DEER_BOTH_VIEWS;

    for (int i = 0; i < 2 && !first; i++) {
        age[i]++;
        change[i] = change_of(c, row, i, age[i]);
    }
    if (!first)
        due = deer_cameras_due(rules, age, change);
    for (int i = 0; i < 2; i++)
        age[i] = due >> i & 1 ? 0 : age[i];
    return due;
}

void eyes_follow(const cache *c, const deer_camera_rules *rules, cache_eyes *eyes, eyes_view *view)
{
    const cache_manifest *m = &c->about;
    int64_t encoded[2] = {0}, older = 0;

    eyes->stagger = rules->stagger;
    for (int e = 0; e < m->episodes; e++) {
        int32_t age[2] = {0};

        for (int t = 0; t < c->episode[e].steps; t++) {
            int64_t row = c->episode[e].first + t;
            bool exact = true;
            uint32_t due = look(c, rules, row, t == 0, age);

            eyes->views[row] = (uint8_t)due;
            eyes->pair[row] = (uint8_t)(place_of(m, 0, age[0], &exact) * m->ages[1] +
                                        place_of(m, 1, age[1], &exact));
            encoded[0] += due & 1;
            encoded[1] += due >> 1;
            older += !exact;
        }
    }
    for (int i = 0; i < 2; i++)
        view->encoded[i] = (double)encoded[i] / (double)c->steps;
    view->older = (double)older / (double)c->steps;
}
