/* SPDX-License-Identifier: MIT */
/* backend.h - where the arithmetic of a step runs: a struct of functions for each device.
 *
 *   void *work;
 *   on->open(model, 1, 2, false, &work, &err);
 *   fill(on->pixels(work)), fill(on->embedded(work));
 *   on->see(work, 1, BACKEND_BOTH, profile);
 *   on->tell(work, &text);
 *   on->begin(work);
 *   on->advance(work, layer);  ..  on->pool(work, 0);
 *   on->act(work, 1, pose, gripper);
 *   on->keep(work, 0);
 *   on->close(work);
 *
 * A session and a batch call nothing else. What belongs to no device stays with them: images to
 * pixels, instructions to embeddings, the criterion and its thresholds, when a state is kept. Calls
 * come in the order above, from one thread at a time for one `work`. A device may run behind: only
 * act, features, state and hidden have to wait for what was asked before. Nothing but open
 * allocates. */
#ifndef RUNTIME_BACKEND_H
#define RUNTIME_BACKEND_H

#include "runtime/deer_replay.h"
#include "runtime/policy/profile.h"

/* Cameras as bits; image 2 f + i of the media is frame f's from the camera of bit 1 << i. */
enum { BACKEND_STATIC = 1, BACKEND_GRIPPER = 2, BACKEND_BOTH = 3 };

/* The instructions of the observations that run together. */
typedef struct {
    int frames;
    bool again;         /* all of it, and the embeddings, are as at the tell before */
    const int *tokens;  /* [frames], of each */
    const int32_t *ids; /* [rows], one instruction behind the other */
    int rows;           /* sum of tokens */
} backend_text;

/* The recurrent state [lstm_layers, lstm_hidden] each. */
typedef struct {
    const float *h, *c;
} backend_state;

/* What a device needs to decide about exits by itself. */
typedef struct {
    const deer_thresholds *thresholds;
    int deepest;       /* exit that this step may take */
    const float *done; /* [6] pose at the step before */
} backend_orders;

/* And what it decided. */
typedef struct {
    int exit, row, evaluations; /* row: for keep; evaluations: of the head */
    float pose[DEER_POSE], gripper;
    float value[DEER_MAX_EXITS]; /* the criterion's, up to the exit taken */
} backend_decision;

typedef struct backend {
    const char *name; /* "cpu" */

    /* Memory for up to `frames` observations at a time and a head for up to head_rows features (0:
     * no head and no state), with the state zeroed; need says beforehand how many bytes, for so
     * many threads. keeps: also for what may be used again at the next step, of one frame. Whatever
     * of the model is not on the device yet is brought there. */
    size_t (*need)(const deer_config *config, int frames, int head_rows, bool keeps, int threads);
    deer_status (*open)(const deer_model *model, int frames, int head_rows, bool keeps, void **work,
                        deer_error *err);
    void (*close)(void *work);
    size_t (*bytes)(const void *work);

    /* Where the caller puts what the next calls read: pixels [2 frames, 3, S, S], of each frame the
     * static camera first, and the embedded instructions [rows, d]. */
    float *(*pixels)(void *work);
    float *(*embedded)(void *work);

    /* pixels -> media of the cameras `views` of every frame; other media stay what they were. What
     * was computed of media that stay, or of a text that is told again, may be used again by a
     * work that keeps it: bit for bit what computing it again would give. */
    void (*see)(void *work, int frames, unsigned views, deer_profile *profile);

    /* An image's media [resampler_latents, vision_width]: out of here, and into here instead of
     * see. */
    void (*take_media)(const void *work, int image, float *to);
    void (*give_media)(void *work, int image, const float *from);

    /* The decoder's hidden states become the embedded instructions. What text points to must live
     * until the next tell. */
    void (*tell)(void *work, const backend_text *text);

    /* One decoder layer; layers come in ascending order. */
    void (*advance)(void *work, int layer);

    /* Max-pools the hidden states of the only frame into row `row` of what the head reads. */
    void (*pool)(void *work, int row);

    /* Max-pooled hidden states of every frame: of frame f to to[f * apart], d numbers. */
    void (*features)(void *work, float *to, size_t apart);

    /* The head's share of a step that all its evaluations have in common. */
    void (*begin)(void *work);

    /* The head on the first `rows` pooled rows, all from the state before the step: pose [rows, 6],
     * gripper [rows]. */
    void (*act)(void *work, int rows, float *pose, float *gripper);

    /* The state behind row `row` of the last act becomes the state before the next step. */
    void (*keep)(void *work, int row);

    /* Zeroes the state; what it is. */
    void (*reset)(void *work);
    backend_state (*state)(const void *work);

    /* The hidden states [rows, d], for those who look inside. */
    const float *(*hidden)(const void *work);

    /* What follows may be NULL. */

    /* Everything of a step behind begin, up to the exit where exit_policy_stop stops: the same
     * numbers as by advance, pool and act, without waiting for each exit in between. */
    void (*decide)(void *work, const backend_orders *orders, backend_decision *decision);

    /* Waits until all that was asked is done: for measuring it. */
    void (*wait)(void *work);

    /* DEER_OK, or what went wrong since this was asked last: results since then mean nothing. */
    deer_status (*trouble)(void *work, deer_error *err);
} backend;

/* The processor: the kernels of runtime/kernels, on the threads of the caller's pool. */
extern const backend backend_cpu;

#endif
