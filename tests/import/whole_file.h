/* SPDX-License-Identifier: MIT */
/* whole_file.h - a model file with all of its data in memory, for tests. */
#ifndef TESTS_WHOLE_FILE_H
#define TESTS_WHOLE_FILE_H

#include "runtime/model/safetensors.h"
#include "tests/runtime/small_model.h"

typedef struct {
    safetensors file;
    uint8_t *data; /* [file.data_size] */
} whole_file;

static inline void whole_file_open(const char *path, whole_file *w)
{
    ok(safetensors_open(path, &w->file, &error));
    w->data = malloc(w->file.data_size + 1);
    assert_non_null(w->data);
    ok(safetensors_read(&w->file, 0, w->data, w->file.data_size, &error));
}

static inline void whole_file_close(whole_file *w)
{
    safetensors_close(&w->file);
    free(w->data);
}

#endif
