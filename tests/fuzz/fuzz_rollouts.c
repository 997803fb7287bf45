/* SPDX-License-Identifier: MIT */
/* fuzz_rollouts.c - evaluations of deer-sim eval --json, as the report reads them. */
#include "reports/answer/paired.h"
#include "reports/answer/success.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const double costs[6] = {1, 2, 3, 4, 5, 6};
    deer_error err = fuzz_error();
    success_curve *curve = malloc(sizeof *curve);
    char path[64], *files[1] = {path};
    int fd = fuzz_file(data, size, "", 0, path);
    paired pair = {0};
    interval wilson;
    double value;

    if (!success_load(files, 1, costs, 6, curve, &err))
        success_at(curve, 3, &value, &wilson);
    if (!paired_add(path, path, &pair, &err))
        paired_finish(&pair);
    close(fd);
    free(curve);
    return 0;
}
