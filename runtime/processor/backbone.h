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

    /* Between steps, NULL where nothing is kept: what the decoder computed of media and text
     * alone. I: width of cross-attention, C: cross_every. */
    float *kept_kv;       /* [layers / C][M, 2 I] keys and values of the media */
    uint32_t *kept_views; /* [layers / C] of which cameras they are up to date */
    float *kept_text;     /* [C - 1][T, d] hidden behind the layers before any cross-attention */
    float *kept_q;        /* [T, I] queries of the first cross-attention */
    int kept_layers;      /* of kept_text and, behind it, kept_q: how many are up to date */
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

/* The same of what a session keeps; views counts 32-bit numbers. */
typedef struct {
    size_t kv, views, text, q;
} kept_room;
kept_room decoder_kept_room(const deer_config *config);

/* pixels -> tokens: CLIP's vision transformer on `images` images from `first` on, as one batch. The
 * class token is dropped later and ln_post is not applied. Source: open_clip 2.20.0
 * VisionTransformer. */
void vision_run(const deer_model *model, backbone_scratch *s, int first, int images);

/* tokens -> media: of each frame the static camera first. Source: OpenFlamingo PerceiverResampler.
 */
void resampler_run(const deer_model *model, backbone_scratch *s, int first, int images);

/* The media of these cameras are others now: nothing kept of them is of use. */
void decoder_forget(const deer_config *config, backbone_scratch *s, unsigned views);

/* hidden = embedded. */
void decoder_start(const deer_model *model, backbone_scratch *s, const backend_text *text);

/* One layer: gated cross-attention where it has one, then the MPT block; hidden in place. The
 * layer's media keys and values are computed here, so only for layers that run, and where they are
 * kept only for cameras whose media have changed. The ids decide
 * which tokens see their frame's media: those with exactly one <image> at or before them. Source:
 * OpenFlamingo GatedCrossAttentionBlock; MPT GPTBlock. */
void decoder_layer(const deer_model *model, backbone_scratch *s, int layer,
                   const backend_text *text);

#endif
