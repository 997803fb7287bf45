/* SPDX-License-Identifier: MIT */
/* fuzz_table.c - tables of anybody's model, in HDF5. */
#include "calib/problem/table_file.h"
#include "tests/fuzz/fuzz.h"

/* HDF5 1.10 leaks a little of its own memory when a damaged file makes it give up. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    deer_error err = fuzz_error();
    char path[64];
    int fd = fuzz_file(data, size, "", 0, path);
    step_table t;

    if (!table_file_read(path, &t, &err))
        step_table_free(&t);
    close(fd);
    return 0;
}
