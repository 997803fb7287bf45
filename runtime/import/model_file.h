/* SPDX-License-Identifier: MIT */
/* model_file.h - writing model files: from float32 rows to what docs/model-file.md describes.
 *
 *   model_source source = {read_rows, context};
 *   model_output to = {.path = "m.safetensors", .dtype = WEIGHT_BF16};
 *   model_write(&to, tensors, count, &config, tokenizer_text, &source, &err);
 *
 * A piece of one tensor is in memory at a time. */
#ifndef RUNTIME_MODEL_FILE_H
#define RUNTIME_MODEL_FILE_H

#include "runtime/base/dtype.h"
#include "runtime/deer.h"
#include "runtime/model/arch.h"
#include "runtime/model/safetensors.h"

/* Gives rows [first, first + rows) of tensor i as float32 (a row: all elements of one index of the
 * first dimension; one row for a single number): room has space for them; *data may point
 * elsewhere. Tensors are asked for in order, rows in order. */
typedef struct {
    deer_status (*read)(void *context, size_t i, size_t first, size_t rows, float *room,
                        const float **data, deer_error *err);
    void *context;
} model_source;

/* Where a model file goes, and what is told of how far it is. */
typedef struct {
    const char *path;
    weight_dtype dtype;
    void (*progress)(void *context, uint64_t bytes, uint64_t total); /* of float32; may be NULL */
    void *progress_context;
} model_output;

/* Writes the file whole or not at all. tensors: in order of execution, name, role and shape of
 * each. A value that is not finite, or not any more in the file's type, is refused by its tensor's
 * name. words: text of a tokenizer.json, or NULL. `where` starts the messages about values. */
deer_status model_write(const model_output *to, const char *where, const arch_tensor *tensors,
                        size_t count, const deer_config *config, const char *words,
                        const model_source *source, deer_error *err);

/* The float32 model file `from` in another type. */
deer_status model_convert(const char *from, const model_output *to, deer_error *err);

#endif
