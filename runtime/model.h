/* model.h - inside a model: the weights of every part, as pointers into the mapped file. */
#ifndef RUNTIME_MODEL_H
#define RUNTIME_MODEL_H

#include "runtime/config.h"
#include "runtime/safetensors.h"
#include "runtime/tokenizer.h"

typedef struct {
    const float *w, *b; /* b NULL where the layer has none */
} affine;

typedef struct {
    affine ln_1, in_proj, out_proj, ln_2, c_fc, c_proj;
} vision_block;

typedef struct {
    const float *class_embedding, *positional_embedding, *conv1;
    affine ln_pre;
    vision_block *block; /* [vision_layers] */
} vision_weights;

typedef struct {
    affine norm_media, norm_latents, to_q, to_kv, to_out, ff_norm, ff_up, ff_down;
} resampler_layer;

typedef struct {
    const float *latents;
    resampler_layer *layer; /* [resampler_layers] */
    affine norm;
} resampler_weights;

typedef struct {
    const float *attn_gate, *ff_gate;
    affine norm, to_q, to_kv, to_out, ff_norm, ff_up, ff_down;
} cross_weights;

typedef struct {
    bool has_cross;
    cross_weights cross;
    affine norm_1, qkv, q_ln, k_ln, out_proj, norm_2, up, down;
} decoder_weights;

typedef struct {
    const float *w_ih, *w_hh, *b_ih, *b_hh;
    affine norm; /* w NULL for the plain LSTM */
} lstm_weights;

/* [Linear -> (LayerNorm) -> ReLU] x head_mlp_layers -> Linear */
typedef struct {
    affine linear[DEER_MAX_MLP_LAYERS + 1];
    affine norm[DEER_MAX_MLP_LAYERS];
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
    const float *embedding; /* [vocab, d_model] */
    head_weights head;
    decoder_weights *decoder; /* [layers up to the deepest exit] */
};

/* Decoder layers that run for this exit. */
int model_layers_for(const deer_config *config, int exit);

/* Finds every tensor the model needs up to model->max_exit, checks its type and shape, and (once
 * the file is mapped) points the weights at it. *end becomes the end of the last one in the data.
 */
deer_status model_bind(deer_model *model, size_t *end, deer_error *err);

/* The tensors that model_bind needs, in order of execution: at most room of them into list. */
deer_status model_list(deer_model *model, const safetensor **list, size_t room, size_t *count,
                       deer_error *err);

/* Fails, naming the tensor, when a weight within the first `end` bytes of the data is not finite.
 */
deer_status model_check_finite(const deer_model *model, size_t end, deer_error *err);

/* The arrays that the weights are bound into, sized by model->config. model_free_weights frees
 * them. */
deer_status model_allocate(deer_model *model, deer_error *err);
void model_free_weights(deer_model *model);

#endif
