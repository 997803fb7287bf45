/* SPDX-License-Identifier: MIT */
/* orders.h - what changes from step to step, as 32-bit words on the device: which rows take part,
 * where sequences begin, when to stop. Shaders read it as live[] (shaders/common.glsl), so that
 * what is recorded once serves every instruction, threshold and choice of cameras.
 *
 *   orders_layout at;
 *   orders_lay_out(config, frames, &at);
 */
#ifndef RUNTIME_GPU_ORDERS_H
#define RUNTIME_GPU_ORDERS_H

#include "runtime/deer.h"

enum {
    ORDERS_STOPPED = 0, /* the step has stopped: what follows touches nothing */

    /* Pairs (first row, how many), of images: */
    ORDERS_IMAGES = 64,
    ORDERS_PATCHES = 66,
    ORDERS_TOKENS = 68,    /* patches and the class token */
    ORDERS_LATENTS = 70,   /* media tokens */
    ORDERS_SEEN = 72,      /* patches and latents */
    ORDERS_TEXT_PART = 96, /* from here on what comes with the text */
    ORDERS_ONE = 96,
    ORDERS_TWO = 98,
    ORDERS_TEXT = 100,
    ORDERS_FRAMES = 102,
    ORDERS_DECIDE = 112, /* what decide.comp reads: */
    ORDERS_CRITERION = 112,
    ORDERS_LAST = 113,  /* the deepest exit allowed */
    ORDERS_DONE = 114,  /* [6] pose at the step before */
    ORDERS_TAU = 120,   /* [32] */
    ORDERS_SCORE = 152, /* [32][4] */
    ORDERS_MEDIA = 280, /* of each cross-attention a pair: media whose keys and values are due */

    RESULT_SLOT =
        24, /* words of an exit's result: pose [6], gripper, criterion, whether it stopped */
    RESULT_VALUE = 7,
    RESULT_STOPS = 8,
};

/* Where what depends on the model lies, in words. A table has of each sequence: first query row,
 * queries, first key row, keys. */
typedef struct {
    int vision, resampler; /* tables of all images */
    int text, cross;       /* tables of all frames: tokens to tokens, tokens to media */
    int visible;           /* [rows of text] 0: sees no media, 1: its own, 2: all keys alike */
    int words;
} orders_layout;

/* Cross-attentions up to the last exit. */
static inline int orders_crosses(const deer_config *c)
{
    return (c->exit_layers[c->exits - 1] + 1) / c->cross_every;
}

static inline void orders_lay_out(const deer_config *c, int frames, orders_layout *at)
{
    at->vision = (ORDERS_MEDIA + 2 * orders_crosses(c) + 3) / 4 * 4;
    at->resampler = at->vision + 8 * frames;
    at->text = at->resampler + 8 * frames;
    at->cross = at->text + 4 * frames;
    at->visible = at->cross + 4 * frames;
    at->words = at->visible + frames * c->max_text;
}

#endif
