/* SPDX-License-Identifier: MIT */
/* source_common.c - what several dataset sources need. */
#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "datasets/sources/source.h"

deer_status source_refuses(const char *source, const char *option, const char *value,
                           deer_error *err)
{
    return value ? deer_fail_with(DEER_USAGE, err, "--%s has no use for --%s", source, option)
                 : DEER_OK;
}

void source_hash(const void *data, size_t size, char fingerprint[DEER_FINGERPRINT])
{
    XXH128_hash_t hash = XXH3_128bits(data, size);

    snprintf(fingerprint, DEER_FINGERPRINT, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
}
