/* SPDX-License-Identifier: MIT */
/* fuzz_manifest.c - what a feature cache says of itself. */
#include "calib/cache/cache.h"
#include "tests/fuzz/fuzz_folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    deer_error err = fuzz_error();
    cache_manifest m;

    fuzz_put("manifest.json", data, size);
    if (!cache_manifest_load(fuzz_folder(), &m, &err))
        cache_manifest_free(&m);
    return 0;
}
