/* SPDX-License-Identifier: MIT */
/* model.h - inside a model: the weights of every part, packed for the kernels.
 *
 * Opening a model finds every tensor it needs in the file (bind.c), and copies them into one memory
 * in the layout that the products read (load.c). The token embedding stays in the file: an
 * instruction reads the few rows it needs. */
#ifndef RUNTIME_MODEL_H
#define RUNTIME_MODEL_H

#include "runtime/kernels/kernels.h"
#include "runtime/model/config.h"
#include "runtime/model/safetensors.h"
#include "runtime/text/tokenizer.h"

typedef struct {
    const float *w, *b; /* b NULL where the norm has none */
} norm_layer;

typedef struct {
    norm_layer ln_1, ln_2;
    linear_layer in_proj, out_proj, c_fc, c_proj;
} vision_block;

typedef struct {
    const float *class_embedding, *positional_embedding;
    linear_layer conv1;
    norm_layer ln_pre;
    vision_block *block; /* [vision_layers] */
} vision_weights;

typedef struct {
    norm_layer norm_media, norm_latents, ff_norm;
    linear_layer to_q, to_kv, to_out, ff_up, ff_down;
} resampler_layer;

typedef struct {
    const float *latents;
    resampler_layer *layer; /* [resampler_layers] */
    norm_layer norm;
} resampler_weights;

typedef struct {
    const float *attn_gate, *ff_gate;
    norm_layer norm, ff_norm;
    linear_layer to_q, to_kv, to_out, ff_up, ff_down;
} cross_weights;

typedef struct {
    bool has_cross;
    cross_weights cross;
    norm_layer norm_1, q_ln, k_ln, norm_2;
    linear_layer qkv, out_proj, up, down;
} decoder_weights;

typedef struct {
    linear_layer ih, hh;
    norm_layer norm; /* w NULL for the plain LSTM */
} lstm_weights;

/* [Linear -> (LayerNorm) -> ReLU] x head_mlp_layers -> Linear */
typedef struct {
    linear_layer linear[DEER_MAX_MLP_LAYERS + 1];
    norm_layer norm[DEER_MAX_MLP_LAYERS];
} mlp_weights;

typedef struct {
    lstm_weights *lstm; /* [lstm_layers] */
    mlp_weights pose, gripper;
} head_weights;

struct deer_model {
    safetensors file;
    deer_config config;
    int max_exit;
    char fingerprint[DEER_FINGERPRINT];
    float *slopes;    /* ALiBi, [heads] */
    tokenizer *words; /* NULL when the file has none */
    vision_weights vision;
    resampler_weights resampler;
    const safetensor *embedding; /* [vocab, d_model] */
    head_weights head;
    decoder_weights *decoder; /* [layers up to the deepest exit] */
    void *arena;              /* every weight but the embedding */
    size_t arena_bytes;
};

/* A tensor to copy into the arena. */
typedef struct {
    const safetensor *from;
    void *to;    /* a vector's floats or a matrix's panels */
    int n, k;    /* of a matrix; n 0: a vector */
    int columns; /* a vector's length */
} model_copy;

/* Decoder layers that run for this exit. */
int model_layers_for(const deer_config *config, int exit);

/* Finds every tensor the model needs up to model->max_exit and checks its type and shape. *end
 * becomes the end of the last one in the file's data, *bytes what the weights need in memory. */
deer_status model_find(deer_model *model, size_t *end, size_t *bytes, deer_error *err);

/* Points the weights into model->arena and lists what belongs there: *copies is the caller's to
 * free. */
deer_status model_bind(deer_model *model, model_copy **copies, size_t *count, deer_error *err);

/* Makes the arena and fills it from the mapped file, several tensors at once, while another thread
 * finds the fingerprint. Fails, naming the tensor, when a weight is not finite. */
deer_status model_load(deer_model *model, size_t bytes, size_t first_exit_end, deer_error *err);

/* Of the arena, for weights that need so many: whole pages. */
size_t model_arena_bytes(size_t bytes);

/* As deer_model_open, up to the deepest exit, but without the weights' values: for saying what a
 * file holds. No session can be made of it. */
deer_status model_describe(const char *path, deer_model **model, deer_error *err);

/* Sets model->fingerprint from the header and the mapped data up to first_exit_end. */
void model_fingerprint(deer_model *model, size_t first_exit_end);
void model_unload(deer_model *model);

/* Rows of the token embedding, read from the file: out [count, d_model]. */
deer_status model_embed(const deer_model *model, const int32_t *ids, int count, float *out,
                        deer_error *err);

/* The tensors that model_find needs, in order of execution: at most room of them into list. */
deer_status model_list(deer_model *model, const safetensor **list, size_t room, size_t *count,
                       deer_error *err);

/* The arrays that the weights are bound into, sized by model->config. model_free_weights frees
 * them. */
deer_status model_allocate(deer_model *model, deer_error *err);
void model_free_weights(deer_model *model);

#endif
