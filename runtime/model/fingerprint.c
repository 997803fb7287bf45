/* SPDX-License-Identifier: MIT */
/* fingerprint.c - one number for a configuration and its weights. */
#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "runtime/model/model.h"

void model_fingerprint(const safetensors *file, size_t first_exit_end, char out[DEER_FINGERPRINT])
{
    XXH3_state_t state;
    XXH128_hash_t hash;

    XXH3_128bits_reset(&state);
    XXH3_128bits_update(&state, file->header_text, file->header_size);
    XXH3_128bits_update(&state, file->data, first_exit_end);
    hash = XXH3_128bits_digest(&state);
    snprintf(out, DEER_FINGERPRINT, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
}
