/* SPDX-License-Identifier: MIT */
/* fuzz_folder.h - for readers of folders: one in memory, with the input as one of its files. */
#ifndef TESTS_FUZZ_FOLDER_H
#define TESTS_FUZZ_FOLDER_H

#include "tests/fuzz/fuzz.h"

static char fuzz_folder_name[] = "/dev/shm/deer-fuzz-XXXXXX";

static inline void fuzz_remove_folder(void)
{
    char command[64];

    snprintf(command, sizeof command, "rm -rf %s", fuzz_folder_name);
    if (system(command))
        fprintf(stderr, "%s stays\n", fuzz_folder_name);
}

/* The folder, made the first time; it goes with the process. */
static inline const char *fuzz_folder(void)
{
    static bool made;

    if (!made && (!mkdtemp(fuzz_folder_name) || atexit(fuzz_remove_folder)))
        abort();
    made = true;
    return fuzz_folder_name;
}

/* Writes a file in it, in place of the one before. */
static inline void fuzz_put(const char *name, const void *data, size_t size)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f))
        abort();
}

#endif
