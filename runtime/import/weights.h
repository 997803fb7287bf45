/* SPDX-License-Identifier: MIT */
/* weights.h - named tensors from any of the files that people keep weights in.
 *
 *   weights w;
 *   if (weights_open("pytorch_model.bin", &w, &err)) ...
 *   for (size_t i = 0; i < w.count; i++)
 *       weights_read(&w, i, floats, &err);            // w.tensor[i].name, .shape
 *   weights_close(&w);
 *
 * Safetensors (one file, or shards by their *.index.json: of each tensor the copy in the shard that
 * the index names) and PyTorch's zip checkpoints (also sharded): the state dict is the file's root,
 * or what the root calls model_state_dict, state_dict, model, module or ema, also one in the other;
 * of a TorchScript archive, the attributes that are tensors, named as in a state dict. Values that
 * are no tensors are left out.
 */
#ifndef RUNTIME_WEIGHTS_H
#define RUNTIME_WEIGHTS_H

#include "runtime/import/pth.h"
#include "runtime/model/safetensors.h"

typedef struct {
    const char *name;
    int rank; /* at most PICKLE_RANK */
    int64_t shape[PICKLE_RANK];
    int part;        /* which file */
    const void *own; /* pickle_value or safetensor */
} weights_tensor;

/* What stands under a tensor's name and is none that is read. */
typedef struct {
    char *name;
    const pickle_value *is; /* opaque */
} weights_foreign;

typedef struct {
    char *path;
    int parts;
    bool torch; /* pth, else safetensors */
    pth *pth;   /* [parts] */
    safetensors *safetensors;
    char **names; /* [count], owned, of pth */
    weights_tensor *tensor;
    size_t count, room;
    weights_foreign *foreign;
    size_t foreigns;
} weights;

deer_status weights_open(const char *path, weights *w, deer_error *err);
void weights_close(weights *w);

/* Elements of tensor i. */
size_t weights_elements(const weights *w, size_t i);

/* Tensor i in row-major order as float32, out [weights_elements]. */
deer_status weights_read(const weights *w, size_t i, float *out, deer_error *err);

/* Rows [first, first + rows) of it alone: of its first dimension; row 0 of a single number. */
deer_status weights_read_rows(const weights *w, size_t i, size_t first, size_t rows, float *out,
                              deer_error *err);

/* The whole of a PyTorch checkpoint, for what else it holds; NULL for safetensors. */
const pickle_value *weights_checkpoint(const weights *w);

#endif
