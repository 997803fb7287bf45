/* SPDX-License-Identifier: MIT */
/* fuzz_tfrecord.c - files of records, and the example in one: an input is taken as both. */
#include "datasets/tfrecord/example.h"
#include "datasets/tfrecord/tfrecord.h"
#include "tests/fuzz/fuzz.h"

static void read_file(const uint8_t *data, size_t size)
{
    deer_error err = fuzz_error();
    tfrecord_index index;
    byte_source file;
    char path[64];
    int fd = fuzz_file(data, size, "", 0, path);

    if (!tfrecord_open(path, &file, &index, &err)) {
        for (size_t i = 0; i < index.count; i++) {
            uint8_t *record;

            if (!tfrecord_read(&file, &index.record[i], &record, &err)) {
                fuzz_touch(record, index.record[i].size);
                free(record);
            }
        }
        tfrecord_free(&index);
        bytes_close(&file);
    }
    close(fd);
}

static void read_example(const uint8_t *data, size_t size, const char *name)
{
    example_list list;
    const uint8_t *bytes;
    size_t length;
    float value;

    if (!example_find(data, size, name, &list))
        return;
    while (example_bytes(&list, &bytes, &length))
        fuzz_touch(bytes, length);
    while (example_float(&list, &value))
        fuzz_touch(&value, sizeof value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *own = malloc(size); /* of just this size, so that reading beyond it is seen */

    if (size)
        memcpy(own, data, size);
    read_file(own, size);
    read_example(own, size, "steps/action");
    read_example(own, size, "a");
    free(own);
    return 0;
}
