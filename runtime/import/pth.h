/* SPDX-License-Identifier: MIT */
/* pth.h - PyTorch's checkpoints (torch.save's zip format), read without PyTorch.
 *
 *   pth file;
 *   if (pth_open("checkpoint.pth", &file, &err)) ...
 *   state = pickle_get(file.pickle.root, "model_state_dict");
 *   pth_read(&file, tensor, floats, &err);
 *   pth_close(&file);
 *
 * A tensor is read when it is asked for, its storage's checksum compared at the first time; a file
 * that has been written to since is an error. Nothing
 * in it is executed (pickle.h). Of a TorchScript archive (OpenAI's CLIP files are some) the
 * parameters are read, its code is not. The format before PyTorch 1.6 is refused with what to do.
 */
#ifndef RUNTIME_PTH_H
#define RUNTIME_PTH_H

#include "runtime/import/pickle.h"
#include "runtime/import/zip.h"

typedef struct {
    char *path;
    byte_source from;
    zip archive;
    bool *compared;   /* [archive.count]: whose checksums have been */
    char *prefix;     /* of every entry: "<prefix>/data.pkl" */
    uint8_t *program; /* that entry, which the pickle's values point into */
    pickle pickle;
} pth;

deer_status pth_open(const char *path, pth *file, deer_error *err);
void pth_close(pth *file);

/* All elements in row-major order as float32: out [pickle_elements(tensor)]. */
deer_status pth_read(const pth *file, const pickle_value *tensor, float *out, deer_error *err);

/* Rows [first, first + rows) of it: of its first dimension; row 0 of a tensor without dimensions.
 */
deer_status pth_read_rows(const pth *file, const pickle_value *tensor, size_t first, size_t rows,
                          float *out, deer_error *err);

#endif
