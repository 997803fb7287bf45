/* SPDX-License-Identifier: MIT */
/* demos_fingerprint.c - the identity of a demonstrations file: a hash of everything replay reads.
 */
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "datasets/demos/demos_internal.h"

static void hash_text(XXH3_state_t *state, const char *text)
{
    XXH3_128bits_update(state, text, strlen(text) + 1);
}

static void hash_episode(XXH3_state_t *state, const demo_episode *e)
{
    size_t s = (size_t)e->static_height * (size_t)e->static_width * 3;
    size_t g = (size_t)e->gripper_height * (size_t)e->gripper_width * 3;
    int shape[5] = {e->steps, e->static_height, e->static_width, e->gripper_height,
                    e->gripper_width};

    XXH3_128bits_update(state, shape, sizeof shape);
    hash_text(state, e->name);
    hash_text(state, e->task);
    hash_text(state, e->instruction);
    XXH3_128bits_update(state, e->static_rgb, (size_t)e->steps * s);
    XXH3_128bits_update(state, e->gripper_rgb, (size_t)e->steps * g);
    XXH3_128bits_update(state, e->actions, (size_t)e->steps * DEMO_ACTION * sizeof *e->actions);
}

static deer_status hash_all(demos *d, XXH3_state_t *state, deer_error *err)
{
    XXH3_128bits_reset(state);
    for (int i = 0; i < d->count; i++) {
        demo_episode e;
        if (demos_read(d, i, &e, err))
            return DEER_FAILED;
        hash_episode(state, &e);
        demo_episode_free(&e);
    }
    return DEER_OK;
}

deer_status demos_fingerprint(demos *d, char fingerprint[DEER_FINGERPRINT], deer_error *err)
{
    XXH3_state_t *state;
    XXH128_hash_t hash;
    deer_status status;

    if (!*d->fingerprint) {
        state = XXH3_createState();
        if (!state)
            return deer_fail(err, "out of memory reading %s", d->file->path);
        status = hash_all(d, state, err);
        hash = XXH3_128bits_digest(state);
        XXH3_freeState(state);
        if (status)
            return status;
        snprintf(d->fingerprint, DEER_FINGERPRINT, "%016llx%016llx",
                 (unsigned long long)hash.high64, (unsigned long long)hash.low64);
    }
    memcpy(fingerprint, d->fingerprint, DEER_FINGERPRINT);
    return DEER_OK;
}
