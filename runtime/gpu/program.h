/* SPDX-License-Identifier: MIT */
/* program.h - a step as a list of dispatches: which kernel, on what memory, how many groups.
 * Nothing of Vulkan is in it.
 *
 *   gpu_program p;
 *   program_make(model, 1, 2, &p, &err);
 *   for (i = p.unit[u].first; i < p.unit[u].end; i++)
 *       ... p.list[i] ...
 *   program_free(&p);
 *
 * Units are what is submitted as a whole: a decoder layer, the end of an exit. A dispatch that
 * needs what another of its unit wrote, or writes what another still reads, says `barrier`; a unit
 * begins with one in any case. */
#ifndef RUNTIME_GPU_PROGRAM_H
#define RUNTIME_GPU_PROGRAM_H

#include "runtime/gpu/kernels.h"
#include "runtime/gpu/orders.h"
#include "runtime/model/model.h"

/* Memory of a session or batch; sizes in 32-bit words are in program.size. F frames, V = 2 F
 * images, P patches, L latents, T tokens at most, w vision width, d decoder width, H hidden state,
 * N its layers. */
typedef enum {
    /* the device's */
    SLICE_NOTHING,
    SLICE_LIVE,    /* orders.h */
    SLICE_PIXELS,  /* [V, 3, S, S] */
    SLICE_PATCHES, /* [V P, 3 p p] */
    SLICE_TOKENS,  /* [V (P + 1), w] */
    SLICE_MEDIA,   /* [V L, w] */
    SLICE_OWN,     /* [V L, w] latents, normed */
    SLICE_HIDDEN,  /* [F T, d] */
    SLICE_NORMED,
    SLICE_WIDE,
    SLICE_Q,
    SLICE_KV, /* of media, for each cross-attention, or, in a batch, one */
    SLICE_MIXED,
    SLICE_BYTES,       /* quantised inputs */
    SLICE_BYTE_SCALES, /* their scales */
    SLICE_SLOPES,
    SLICE_POOLED,    /* [2, d], or [F, d] */
    SLICE_H,         /* [N, H] before the step */
    SLICE_C,         /* [N, H] */
    SLICE_H_NEXT,    /* [2, N, H] behind the last evaluation */
    SLICE_C_NEXT,    /* [2, N, H] */
    SLICE_RECURRENT, /* [N, 4 H] */
    SLICE_GATES,     /* [2, 4 H] */
    SLICE_OUT,       /* [2, H] */
    SLICE_MLP_0,
    SLICE_MLP_1,
    SLICE_RAW,   /* [2, 8] */
    SLICE_TRIAL, /* [8] the pose of the exit before */
    SLICES_LOCAL,

    /* the processor's: what it writes and reads */
    SLICE_PIXELS_IN = SLICES_LOCAL,
    SLICE_SEE_IN,  /* [ORDERS_TEXT_PART] */
    SLICE_TELL_IN, /* the orders */
    SLICE_EMBEDDED_IN,
    SLICE_SLOPES_IN,
    SLICE_RESULT,    /* [exits + 1][RESULT_SLOT] */
    SLICE_STATE_OUT, /* h, then c */
    SLICE_HIDDEN_OUT,
    SLICE_FEATURES_OUT,
    SLICE_MEDIA_IN,
    SLICE_MEDIA_OUT,
    SLICES
} gpu_slice;

/* A weight, or a part of a slice. What of it is touched may be less than what is bound, which has
 * to begin where a device can bind. */
typedef struct {
    const void *weight; /* in the model's arena, or NULL */
    gpu_slice slice;
    size_t offset, words;
    size_t touched_at, touched; /* touched 0: all of it */
} gpu_view;

typedef struct {
    gpu_kernel kernel;
    uint32_t constants[GPU_CONSTANTS];
    gpu_view view[GPU_VIEWS];
    uint32_t push[GPU_PUSH];
    uint32_t groups[3];
    bool barrier;
} gpu_dispatch;

enum {
    UNIT_OPEN,                  /* once: what never changes */
    UNIT_VISION,                /* pixels -> tokens */
    UNIT_RESAMPLER,             /* tokens -> media */
    UNIT_TELL,                  /* orders; hidden states become the instruction */
    UNIT_HIDDEN,                /* shows the hidden states */
    UNIT_FEATURES,              /* pools all frames and shows that */
    UNIT_TAKE,                  /* shows the media */
    UNIT_BEGIN,                 /* what all evaluations of the head share */
    UNIT_RESET,                 /* zeroes the state */
    UNIT_KEEP,                  /* + row of the last evaluation: its state becomes the state */
    UNIT_GIVE = UNIT_KEEP + 2,  /* + image of a session: its media are given; a batch's: all */
    UNIT_POOL = UNIT_GIVE + 2,  /* + row */
    UNIT_ACT = UNIT_POOL + 2,   /* + rows - 1: evaluates the head and shows its actions */
    UNIT_LAYERS = UNIT_ACT + 2, /* + layer; behind the last layer: + exit, its end and decision */
};

typedef struct {
    const deer_model *model;
    int frames, head_rows, layers; /* layers: up to the deepest exit loaded */
    orders_layout at;
    size_t size[SLICES];
    gpu_dispatch *list;
    int count, room;
    struct {
        int first, end;
    } * unit; /* [units] of the list */
    int units;
    const char *trouble; /* why it cannot be made, or NULL */
} gpu_program;

/* The unit that ends exit k. */
static inline int program_exit(const gpu_program *p, int exit)
{
    return UNIT_LAYERS + p->layers + exit;
}

/* What a device likes. A software driver runs a workgroup's invocations one after the other, in
 * vectors of a few. */
typedef struct {
    uint32_t slices; /* invocations beside each other in the words of a product of few rows, / 4 */
    size_t few;      /* up to so many rows are few */
    uint32_t lanes;  /* of a workgroup whose invocations share a row or a few queries */
} gpu_taste;

#define GPU_TASTE_OF_GPUS ((gpu_taste){32, 64, 64})
#define GPU_TASTE_OF_SOFTWARE ((gpu_taste){2, SIZE_MAX, 8})

deer_status program_make(const deer_model *model, int frames, int head_rows, gpu_taste taste,
                         gpu_program *program, deer_error *err);
void program_free(gpu_program *program);

#endif
