/* SPDX-License-Identifier: MIT */
/* fuzz_zip.c - the zip reader, and what opens archives: checkpoints and .npz. */
#include "datasets/sources/npy.h"
#include "runtime/import/weights.h"
#include "tests/fuzz/fuzz.h"

enum { LARGEST = 1 << 16 };

static void read_members(const byte_source *from, const zip *archive)
{
    static const char *const names[] = {"actions", "rel_actions", "robot_obs"};
    deer_error err = fuzz_error();

    for (size_t i = 0; i < archive->count; i++)
        fuzz_touch(from->memory + archive->entry[i].at, archive->entry[i].size);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint8_t *buffer;
        npy array;

        if (!npz_read(from, archive, names[i], &array, &buffer, &err))
            fuzz_touch(array.data, array.size);
        free(buffer);
    }
}

static void read_checkpoint(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = fuzz_file(data, size, "", 0, path);
    deer_error err = fuzz_error();
    weights w;

    if (!weights_open(path, &w, &err)) {
        for (size_t i = 0; i < w.count; i++) {
            size_t n = weights_elements(&w, i);
            float *out = n <= LARGEST ? malloc(n * sizeof *out + 1) : NULL;

            if (out && !weights_read(&w, i, out, &err))
                fuzz_touch(out, n * sizeof *out);
            free(out);
        }
        weights_close(&w);
    }
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    deer_error err = fuzz_error();
    const byte_source from = bytes_of("fuzz", data, size);
    zip archive;

    if (!zip_open(&from, &archive, &err)) {
        read_members(&from, &archive);
        zip_close(&archive);
        read_checkpoint(data, size);
    }
    return 0;
}
