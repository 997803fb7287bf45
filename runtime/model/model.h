/* SPDX-License-Identifier: MIT */
/* model.h - inside a model: the weights of every part, packed for the kernels.
 *
 * Opening a model finds every tensor it needs in the file (match.h), and copies them into one
 * memory in the layout that the products read (bind.h, load.c). The token embedding stays in the
 * file: an instruction reads the few rows it needs. */
#ifndef RUNTIME_MODEL_H
#define RUNTIME_MODEL_H

#include "runtime/model/config.h"
#include "runtime/model/match.h"
#include "runtime/model/parts.h"
#include "runtime/text/tokenizer.h"

struct deer_model {
    safetensors file;
    deer_config config;
    int max_exit;
    weight_dtype type; /* of the matrices */
    char fingerprint[DEER_FINGERPRINT];
    float *slopes;               /* ALiBi, [heads] */
    tokenizer *words;            /* NULL when the file has none */
    const safetensor *embedding; /* [vocab, d_model] */
    model_weights weights;
    void *arena; /* every weight but the embedding */
    size_t arena_bytes;

    /* Where it runs, if that is not the processor; then the weights are there and not here, but for
     * the head's. */
    const struct backend *on; /* runtime/policy/backend.h; NULL: the processor */
    void *device;             /* the backend's own */
    void (*leave_device)(void *device);
    const char *device_name;
};

/* Makes the arena and fills it from the file, several tensors at once, and finds the fingerprint.
 * Fails, naming the tensor, when a weight is not finite, or a tensor's checksum is not the one that
 * the file keeps. */
deer_status model_load(deer_model *model, const match *m, size_t first_exit_end, deer_error *err);
void model_unload(deer_model *model);

/* Of the arena, for weights that need so many: whole pages. */
size_t model_arena_bytes(size_t bytes);

/* deer_model_open on the processor. */
deer_status model_open(const char *path, int max_exit, deer_model **model, deer_error *err);

/* As deer_model_open, up to the deepest exit, but without the weights' values: for saying what a
 * file holds. No session can be made of it. */
deer_status model_describe(const char *path, deer_model **model, deer_error *err);

/* Reads and checks the configuration of an open file. */
deer_status model_read_config(const safetensors *file, deer_config *config, deer_error *err);

/* Who a model is: its header (configuration, tokenizer, tensor table), which has the checksums of
 * all weights, so that a prefix has the identity of the whole. Of files from before there were
 * checksums: the weights, too, that are needed whatever the deepest exit, the data up to
 * first_exit_end. */
deer_status model_fingerprint(const safetensors *file, size_t first_exit_end,
                              char out[DEER_FINGERPRINT], deer_error *err);

/* Rows of the token embedding, read from the file: out [count, d_model]. */
deer_status model_embed(const deer_model *model, const int32_t *ids, int count, float *out,
                        deer_error *err);

#endif
