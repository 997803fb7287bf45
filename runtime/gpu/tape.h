/* SPDX-License-Identifier: MIT */
/* tape.h - a program recorded for a device, with its memory: what a session submits.
 *
 *   gpu_tape t;
 *   program_make(model, 1, 2, tape_taste(home->gpu), &program, &err);
 *   tape_make(home, &program, &t, &err);
 *   fill(tape_floats(&t, SLICE_PIXELS_IN));
 *   tape_run(&t, units, count, &err);          // does not wait
 *   tape_wait(&t, &err);
 *   tape_free(&t);
 *
 * Recorded once, when it is made; nothing is recorded or allocated afterwards. */
#ifndef RUNTIME_GPU_TAPE_H
#define RUNTIME_GPU_TAPE_H

#include "runtime/gpu/device.h"
#include "runtime/gpu/program.h"

/* A model's weights on a device, in stretches that an allocation and a view can hold: vision,
 * resampler and head, then what each exit adds. */
typedef struct {
    const char *begin; /* in the model's arena */
    size_t bytes;
    gpu_buffer buffer;
} gpu_stretch;

typedef struct {
    gpu_device *gpu;
    gpu_stretch stretch[DEER_MAX_EXITS + 2];
    int stretches;
    deer_model *model;
    bool in_place; /* the stretches are the model's own memory */
} gpu_home;

/* Uses products of 4 bytes in one instruction, and matrix units, for weights of this type where the
 * device has them and they are right; gpu->note says which matrix units are not. */
deer_status products_prove(gpu_home *home, weight_dtype type, deer_error *err);

/* Copies the weights of a stretch into its buffer. */
deer_status home_fill(gpu_device *gpu, const gpu_stretch *stretch, deer_error *err);

typedef struct {
    gpu_home *home;
    gpu_program program;
    gpu_buffer local, host;
    size_t at[SLICES]; /* bytes, in one of them */
    VkDescriptorPool descriptors;
    VkCommandPool pool;
    VkCommandBuffer *unit;  /* [units] */
    uint64_t *submitted;    /* [units] with which submission each ran last */
    VkCommandBuffer *batch; /* [units] of a submission */
    gpu_line line;
} gpu_tape;

/* Takes what the program holds, also on failure. */
deer_status tape_make(gpu_home *home, gpu_program *program, gpu_tape *tape, deer_error *err);
void tape_free(gpu_tape *tape);

/* What suits the device. */
gpu_taste tape_taste(const gpu_device *gpu);

/* A slice of the processor's. */
void *tape_words(const gpu_tape *tape, gpu_slice slice);
static inline float *tape_floats(const gpu_tape *tape, gpu_slice slice)
{
    return tape_words(tape, slice);
}

/* Submits these units as one, behind all that came before. */
deer_status tape_run(gpu_tape *tape, const int *units, int count, deer_error *err);

/* Until the last submission, or the last one with this unit, is done. */
deer_status tape_wait(gpu_tape *tape, deer_error *err);
deer_status tape_wait_for(gpu_tape *tape, int unit, deer_error *err);

/* Bytes on the device and for it. */
size_t tape_bytes(const gpu_tape *tape);

/* ---------------------------------------------------------------- for tests ---------------- */

/* The n-th barrier recorded from now on is left out; -1: none. Counts down. */
extern int tape_skip_barrier;

/* Records units one behind the other into one command buffer and runs it: what tools that look at
 * one at a time need to see. Returns how many barriers that had. */
int tape_rehearse(gpu_tape *tape, const int *units, int count);

#endif
