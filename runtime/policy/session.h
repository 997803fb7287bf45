/* SPDX-License-Identifier: MIT */
/* session.h - inside a session: one robot's memory. */
#ifndef RUNTIME_SESSION_H
#define RUNTIME_SESSION_H

#include <stdatomic.h>

#include "runtime/deer_replay.h"
#include "runtime/model/model.h"
#include "runtime/policy/backend.h"
#include "runtime/policy/cameras.h"
#include "runtime/policy/deadline.h"
#include "runtime/policy/image.h"
#include "runtime/policy/profile.h"
#include "runtime/policy/step_cost.h"
#include "runtime/thresholds/governor.h"

/* Rows of the head: the pseudo exit and the first exit go through together. */
enum { SESSION_ROWS = 2 };

struct deer_session {
    const deer_model *model;
    deer_pool *pool;    /* the caller's, or NULL */
    atomic_flag in_use; /* a thread is in one of the functions below */
    deer_thresholds thresholds;
    governor governor; /* of the thresholds' dial, where it is on */
    step_cost cost;    /* of a step under this instruction, while it is on */
    step_kept kept;    /* of the cameras' media */
    int deepest;       /* exit that this step may take */
    int32_t *ids;      /* [max_text] */
    int tokens;
    bool told;               /* the decoder has seen this instruction */
    long step;               /* steps since the last reset */
    int last_exit;           /* taken at the last step */
    deer_rule_memory memory; /* of the thresholds' rule */
    float done[DEER_POSE];   /* at the last step; 0 after a reset */
    const backend *on;
    void *work;         /* its memory: scratch and recurrent state */
    image_plan plan[2]; /* static, gripper */
    camera_watch watch;
    uint8_t *pictures; /* the watch's; NULL: no thresholds had rules for cameras */
    deadline deadline;
    deer_profile *profile; /* the caller's, or NULL */

    /* Tests look at intermediate results: called after every decoder layer. */
    void (*observe)(void *context, int layer, const float *hidden);
    void *observe_context;
};

/* Life of a session, behind the public functions, which check arguments and keep other threads out.
 */
deer_status session_make(deer_session *session, const deer_session_options *options,
                         const deer_thresholds *thresholds, deer_error *err);
deer_status session_adopt(deer_session *session, const deer_thresholds *thresholds,
                          deer_error *err);
void session_reset(deer_session *session);

/* Before the session's thresholds get a rule: another one than it has begins with its first step.
 */
void session_rule_from(deer_session *session, const deer_exit_rule *next);

/* What a step costs under this instruction: for the governor, where it is on. */
void session_price(deer_session *session);

/* Images -> media tokens, of the cameras that are due. */
deer_status session_see(deer_session *session, const deer_observation *observation,
                        deer_error *err);

/* The decoder's residual stream becomes the instruction; then one layer after the other. */
void session_start(deer_session *session);
void session_layer(deer_session *session, int layer);

/* Media and text -> action: everything of a step behind session_see. */
deer_status session_act(deer_session *session, deer_action *action, deer_error *err);

#endif
