/* SPDX-License-Identifier: MIT */
/* profile.h - where the time of a step goes.
 *
 *   deer_profile profile = {0};
 *   deer_session_profile(session, &profile);
 *   deer_step(session, &observation, &action, &err);
 *   printf("vision %.1f ms\n", 1e3 * profile.seconds[PROFILE_VISION]);
 *   deer_session_profile(session, NULL);
 *
 * A session that is not profiled pays one comparison a stage. */
#ifndef RUNTIME_PROFILE_H
#define RUNTIME_PROFILE_H

#include "runtime/deer.h"

#define PROFILE_LAYERS 64 /* deeper layers are counted together with the last */

typedef enum {
    PROFILE_PREPROCESS, /* images -> pixels of the model's size */
    PROFILE_VISION,     /* both images through the tower */
    PROFILE_RESAMPLER,  /* both images' tokens -> media */
    PROFILE_EMBEDDING,  /* token ids -> hidden */
    PROFILE_HEAD_BEGIN, /* W_hh h, once a step */
    PROFILE_HEAD,       /* every evaluation: pooling, W_ih x, MLPs, criterion */
    PROFILE_LAYER,      /* + i: decoder layer i with its cross-attention */
    PROFILE_STAGES = PROFILE_LAYER + PROFILE_LAYERS,
} deer_stage;

/* Sums since the caller zeroed it. */
typedef struct {
    double seconds[PROFILE_STAGES];
    long count[PROFILE_STAGES]; /* how often each stage ran */
    double at;                  /* when the stage that runs now began; the session's */
} deer_profile;

/* From now on every step of the session adds its times to profile, which is the caller's and must
 * live until it is replaced; NULL: no longer. */
void deer_session_profile(deer_session *session, deer_profile *profile);

/* Inside a step: the clock starts; stage (the one that just ended) gets the time since then.
 * profile may be NULL. */
void profile_start(deer_profile *profile);
void profile_mark(deer_profile *profile, deer_stage stage);

/* The stage of decoder layer i. */
deer_stage profile_layer(int layer);

#endif
