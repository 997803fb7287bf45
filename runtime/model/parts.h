/* SPDX-License-Identifier: MIT */
/* parts.h - the weights of each part of a model in memory, packed for the kernels.
 *
 * A vector is a pointer to its floats, a matrix a `matrix`; arch.c says which tensor is which. */
#ifndef RUNTIME_PARTS_H
#define RUNTIME_PARTS_H

#include "runtime/kernels/kernels.h"

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

/* All but the token embedding. */
typedef struct {
    vision_weights vision;
    resampler_weights resampler;
    head_weights head;
    decoder_weights *decoder; /* [layers up to the deepest exit] */
} model_weights;

#endif
