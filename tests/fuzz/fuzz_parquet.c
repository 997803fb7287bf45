/* SPDX-License-Identifier: MIT */
/* fuzz_parquet.c - Parquet tables: every value of what is accepted can be used. */
#include "datasets/parquet/parquet.h"
#include "tests/fuzz/fuzz.h"

static void use_column(const parquet *p, const char *name)
{
    deer_error err = fuzz_error();
    parquet_column c;

    if (parquet_read(p, name, &c, &err))
        return;
    for (int64_t row = 0; row < c.rows; row++)
        for (int64_t i = c.first[row]; i < c.first[row + 1]; i++)
            if (c.bytes && c.bytes[i].at)
                fuzz_touch(c.bytes[i].at, c.bytes[i].size);
            else if (c.number)
                fuzz_touch(&c.number[i], sizeof c.number[i]);
    parquet_column_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {
        "action", "timestamp", "episode_index", "task_index", "tasks", "length", "a", "a.bytes"};
    deer_error err = fuzz_error();
    char path[64];
    parquet *p;
    int fd = fuzz_file(data, size, "", 0, path);

    if (!parquet_open(path, &p, &err)) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (parquet_has(p, names[i]))
                use_column(p, names[i]);
        parquet_close(p);
    }
    close(fd);
    return 0;
}
