/* SPDX-License-Identifier: MIT */
/* checksum.c - XXH3-128, whose inlined code stays here. */
#include "runtime/model/checksum.h"

#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

struct checksum {
    XXH3_state_t state;
};

checksum *checksum_new(void)
{
    checksum *sum = aligned_alloc(64, (sizeof *sum + 63) / 64 * 64);

    if (sum)
        checksum_begin(sum);
    return sum;
}

void checksum_free(checksum *sum)
{
    free(sum);
}

void checksum_begin(checksum *sum)
{
    XXH3_128bits_reset(&sum->state);
}

void checksum_add(checksum *sum, const void *data, size_t size)
{
    XXH3_128bits_update(&sum->state, data, size);
}

void checksum_end(const checksum *sum, char text[CHECKSUM_DIGITS + 1])
{
    XXH128_hash_t hash = XXH3_128bits_digest(&sum->state);

    snprintf(text, CHECKSUM_DIGITS + 1, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
}
