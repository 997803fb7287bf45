/* SPDX-License-Identifier: MIT */
/* fuzz_demonstrations.c - demonstrations in HDF5, as they are and converted. */
#include "datasets/demos/demos.h"
#include "tests/fuzz/fuzz.h"

/* HDF5 1.10 leaks a little of its own memory when a damaged file makes it give up. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

static void use_file(const char *path, const demos_options *options)
{
    deer_error err = fuzz_error();
    demos *d;

    if (demos_open_files(&path, 1, options, &d, &err))
        return;
    for (int i = 0; i < demos_count(d) && i < 3; i++) {
        demo_episode e;

        if (demos_read(d, i, &e, &err))
            continue;
        fuzz_touch(e.static_rgb,
                   (size_t)e.steps * (size_t)e.static_height * (size_t)e.static_width * 3);
        fuzz_touch(e.actions, (size_t)e.steps * DEMO_ACTION * sizeof *e.actions);
        demo_episode_free(&e);
    }
    demos_close(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int columns[DEMO_ACTION] = {6, 5, 4, 3, 2, 1, 0};
    const demos_options plain = {.mask = NULL};
    const demos_options converted = {
        .convert = true, .tolerant = true, .action_columns = columns, .seed = 3};
    char path[64];
    int fd = fuzz_file(data, size, "", 0, path);

    use_file(path, &plain);
    use_file(path, &converted);
    close(fd);
    return 0;
}
