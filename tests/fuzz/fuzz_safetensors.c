/* SPDX-License-Identifier: MIT */
/* fuzz_safetensors.c - the model file's table of tensors, and opening it as a model. */
#include "runtime/model/safetensors.h"
#include "tests/fuzz/fuzz.h"

static void read_table(const char *path)
{
    deer_error err = fuzz_error();
    safetensors file;

    if (safetensors_open(path, &file, &err))
        return;
    safetensors_metadata(&file, "deer.config");
    safetensors_find(&file, "perceiver.latents");
    for (size_t i = 0; i < file.count; i++) {
        size_t size = file.tensor[i].end - file.tensor[i].begin;
        uint8_t *bytes = malloc(size + 1);

        if (bytes && !safetensors_read(&file, file.tensor[i].begin, bytes, size, &err))
            fuzz_touch(bytes, size);
        free(bytes);
    }
    safetensors_close(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t text = fuzz_text(data, size), whole = text + (text < size && text);
    uint8_t *start = malloc(8 + text);
    uint64_t length = text;
    deer_model *model;
    deer_error err = fuzz_error();
    char path[64];
    int fd;

    memcpy(start, &length, 8);
    memcpy(start + 8, data, text);
    fd = fuzz_file(start, text ? 8 + text : 0, data + whole, size - whole, path);
    read_table(path);
    if (!deer_model_open(path, DEER_ALL_EXITS, &model, &err))
        deer_model_close(model);
    close(fd);
    free(start);
    return 0;
}
