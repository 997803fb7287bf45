/* SPDX-License-Identifier: MIT */
/* demos_fingerprint.c - the identity of a demonstrations file: a hash of everything replay reads.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "datasets/demos/demos_identity.h"
#include "datasets/demos/demos_internal.h"
#include "runtime/base/machine_failure.h"

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

demos_identity demos_identity_of(const demo_episode *e)
{
    XXH3_state_t state;
    XXH128_hash_t hash;

    XXH3_128bits_reset(&state);
    hash_episode(&state, e);
    hash = XXH3_128bits_digest(&state);
    return (demos_identity){{hash.high64, hash.low64}};
}

static deer_status identify(demos *d, demos_identity *identity, deer_error *err)
{
    for (int i = 0; i < d->count; i++) {
        demo_episode e;

        if (demos_read(d, i, &e, err))
            return DEER_FAILED;
        identity[i] = demos_identity_of(&e);
        demo_episode_free(&e);
    }
    return DEER_OK;
}

/* As text, so that machines of the other byte order say the same. */
void demos_fingerprint_of(const demos_identity *identity, int count,
                          char fingerprint[DEER_FINGERPRINT])
{
    XXH3_state_t state;
    XXH128_hash_t hash;

    XXH3_128bits_reset(&state);
    for (int i = 0; i < count; i++) {
        char text[40];

        snprintf(text, sizeof text, "%016llx%016llx", (unsigned long long)identity[i].half[0],
                 (unsigned long long)identity[i].half[1]);
        hash_text(&state, text);
    }
    hash = XXH3_128bits_digest(&state);
    snprintf(fingerprint, DEER_FINGERPRINT, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
}

deer_status demos_fingerprint(demos *d, char fingerprint[DEER_FINGERPRINT], deer_error *err)
{
    demos_identity *all;

    if (!*d->fingerprint) {
        all = malloc((size_t)d->count * sizeof *all + 1);
        if (!all)
            return machine_fail(err, "out of memory reading %s", d->file->path);
        if (identify(d, all, err)) {
            free(all);
            return DEER_FAILED;
        }
        demos_fingerprint_of(all, d->count, d->fingerprint);
        free(all);
    }
    memcpy(fingerprint, d->fingerprint, DEER_FINGERPRINT);
    return DEER_OK;
}
