/* SPDX-License-Identifier: MIT */
/* backend_gpu.h - a step on a GPU; inside it, for tests. */
#ifndef RUNTIME_GPU_BACKEND_H
#define RUNTIME_GPU_BACKEND_H

#include "runtime/gpu/tape.h"
#include "runtime/policy/backend.h"

extern const backend backend_gpu;

enum { WORK_PENDING = 1088 };

/* The `work` of backend_gpu. */
typedef struct {
    const deer_model *model;
    gpu_tape tape;
    int pending[WORK_PENDING], pendings; /* units asked for and not submitted yet */
    int frames, rows;                    /* of the text told last */
    int *frame_tokens;                   /* [frames] */
    unsigned *kept;     /* [cross-attentions] cameras whose keys and values are up to date */
    bool given;         /* a batch's media, which are not on the device yet */
    bool media_shown;   /* the processor sees them as they are */
    deer_status status; /* of what was asked since the last check */
    deer_error said;
} gpu_work;

#endif
