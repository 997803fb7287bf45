/* SPDX-License-Identifier: MIT */
/* official.h - weights under the official code's names to a deer model file.
 *
 *   official_sources from = {.checkpoint = "deer.pth", .flamingo = "checkpoint.pt",
 *                            .llm = "pytorch_model.bin", .vision = "open_clip_pytorch_model.bin"};
 *   official_import(&from, "deer.safetensors", &err);
 *
 * A DeeR model comes in up to four files: the checkpoint (what was trained, and, under second
 * names, the frozen language model), OpenFlamingo, MPT, CLIP. Each may be safetensors or a PyTorch
 * checkpoint, sharded or not (weights.h). A tensor that several have is taken from the first that
 * has it, in that order, as the official code's loading order has it. Memory
 * holds a piece of one tensor at a time (model_file.h).
 */
#ifndef RUNTIME_OFFICIAL_H
#define RUNTIME_OFFICIAL_H

#include "runtime/deer.h"
#include "runtime/import/model_file.h"

typedef struct {
    const char *checkpoint; /* required, or a folder; the rest may be NULL */
    const char *folder;     /* instead: one with config.json and weights.safetensors */
    const char *flamingo, *llm, *vision;
    const char
        *tokenizer;       /* tokenizer.json to put into the model; NULL: the model takes ids only */
    const char *config;   /* JSON with the dimensions; NULL: a published model's, from the files */
    bool allow_left_over; /* of tensors that look like part of the model, but are not */
    weight_dtype dtype;   /* of the matrices in the model file */
    void (*progress)(void *context, uint64_t bytes, uint64_t total); /* of float32; may be NULL */
    void *progress_context;
} official_sources;

/* Writes a model file. Tensors that the runtime never uses (ln_post, lm_head,
 * auxiliary exits, layers behind the last exit, ...) are left out; every one that is missing, of
 * another shape or left over (under the name of a part that runs, but not in it) is named, in one
 * message. */
deer_status official_import(const official_sources *from, const char *out, deer_error *err);

/* Decoder layers with an exit: every interval-th and the last of `layers`. layer [DEER_MAX_EXITS];
 * returns how many. Source: official get_all_exit_idx. */
int official_exit_layers(int64_t interval, int layers, int *layer);

/* A float32 model from a folder alone. */
deer_status official_import_folder(const char *folder, const char *out, deer_error *err);

/* A tokenizer.json with what DeeR adds to it (tokenizer_complete), checked against a vocabulary of
 * `vocab` ids; the caller frees *text. */
deer_status official_tokenizer(const char *path, int vocab, char **text, deer_error *err);

#endif
