/* SPDX-License-Identifier: MIT */
/* fuzz_online.c - what an evaluator prints, and the journal of deer-calib online. */
#include "calib/online/evaluator.h"
#include "calib/online/journal.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const evaluator how = {.command = "c", .cost = "llm_gflops", .timeout = 1};
    const online_trial trial = {.number = 0, .x = {0.5}};
    deer_error err = fuzz_error();
    online_result result;
    char path[64];
    int fd = fuzz_file(data, size, "", 0, path);
    journal *j;

    evaluator_read(&how, "c", (const char *)data, size, &result, &err);
    if (!journal_open(path, "s", &j, &err)) {
        journal_find(j, &trial, &result);
        journal_close(j);
    }
    close(fd);
    return 0;
}
