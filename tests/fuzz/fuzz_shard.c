/* SPDX-License-Identifier: MIT */
/* fuzz_shard.c - a feature cache's shard, under the manifest it was made with. */
#include "calib/cache/cache.h"
#include "runtime/base/file.h"
#include "tests/fuzz/fuzz_folder.h"

/* HDF5 1.10 leaks a little of its own memory when a damaged file makes it give up. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

static void load_manifest(cache_manifest *m)
{
    deer_error err;
    char *text;
    size_t size;

    if (file_read("tests/fuzz/corpus/manifest/one", 1 << 20, &text, &size, &err))
        abort();
    fuzz_put("manifest.json", text, size);
    free(text);
    if (cache_manifest_load(fuzz_folder(), m, &err))
        abort();
}

static void read_shard(const cache_manifest *m)
{
    deer_error err = fuzz_error();
    cache_shard s;
    bool exists;

    if (cache_shard_alloc(m, 0, &s, &err))
        abort();
    if (!cache_shard_read(fuzz_folder(), m, 0, &s, &exists, &err) && exists)
        (void)cache_shard_read_features(fuzz_folder(), m, 0, s.features, s.aged, &err);
    cache_shard_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static cache_manifest m;
    static bool loaded;

    if (!loaded)
        load_manifest(&m);
    loaded = true;
    fuzz_put("shard-00000.h5", data, size);
    read_shard(&m);
    return 0;
}
