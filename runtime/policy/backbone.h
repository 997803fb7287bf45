/* SPDX-License-Identifier: MIT */
/* backbone.h - what runs before the head: vision tower, resampler, decoder layers.
 *
 * All work happens in a scratch memory that is sized once for a model; nothing is allocated here.
 */
#ifndef RUNTIME_BACKBONE_H
#define RUNTIME_BACKBONE_H

#include "runtime/kernels/kernels.h"
#include "runtime/model/model.h"
#include "runtime/policy/backend.h"

/* Slices of one arena; sizes in floats behind each. F frames, that is pairs of images with an
 * instruction; P patches a side squared, L latents, W vision width, T text tokens of all frames,
 * M = 2 L media tokens, d decoder width. */
typedef struct {
    float *pixels;   /* [2 F, 3, S, S] normalised images */
    float *patches;  /* [2 F P, 3 p p] */
    float *tokens;   /* [2 F (P + 1), W] vision residual stream */
    float *media;    /* [F M, W] what the decoder looks at */
    float *embedded; /* [T, d] the instructions' tokens */
    float *hidden;   /* [T, d] decoder residual stream */
    float *normed;   /* a LayerNorm's output, the largest of all */
    float *wide;     /* q, k, v or an MLP's hidden values, the largest of all */
    float *mixed;    /* attention output, the largest of all */
    workspace ws;    /* of products and attention, for each thread */
} backbone_scratch;

/* Floats of each slice that vision and resampler take for one image. Images lie side by side. */
typedef struct {
    size_t pixels, patches, tokens, media, normed, wide, mixed;
} image_room;
image_room vision_room(const deer_config *config);

/* The same that the decoder takes for one frame. */
typedef struct {
    size_t embedded, hidden, normed, wide, mixed;
} text_room;
text_room decoder_room(const deer_config *config);

/* pixels -> tokens: CLIP's vision transformer on all images as one batch. The class token is
 * dropped later and ln_post is not applied. Source: open_clip 2.20.0 VisionTransformer. */
void vision_run(const deer_model *model, backbone_scratch *s, int frames);

/* tokens -> media: of each frame the static camera first. Source: OpenFlamingo PerceiverResampler.
 */
void resampler_run(const deer_model *model, backbone_scratch *s, int frames);

/* hidden = embedded. */
void decoder_start(const deer_model *model, backbone_scratch *s, const backend_text *text);

/* One layer: gated cross-attention where it has one, then the MPT block; hidden in place. The
 * layer's media keys and values are computed here, so only for layers that run. The ids decide
 * which tokens see their frame's media: those with exactly one <image> at or before them. Source:
 * OpenFlamingo GatedCrossAttentionBlock; MPT GPTBlock. */
void decoder_layer(const deer_model *model, backbone_scratch *s, int layer,
                   const backend_text *text);

#endif
