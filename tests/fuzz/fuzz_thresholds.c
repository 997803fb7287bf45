/* SPDX-License-Identifier: MIT */
/* fuzz_thresholds.c - thresholds files, of the policy that ships. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static deer_model *model;
    deer_error err = fuzz_error();
    deer_thresholds thresholds;
    char path[64];
    int fd = fuzz_file(data, size, "", 0, path);

    if (!model &&
        deer_model_open("datasets/tabletop/policy.safetensors", DEER_ALL_EXITS, &model, &err))
        abort();
    if (!deer_thresholds_load(path, model, &thresholds, &err))
        deer_thresholds_set_budget(&thresholds, 0.01, &err);
    close(fd);
    return 0;
}
