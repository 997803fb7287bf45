/* SPDX-License-Identifier: MIT */
/* deer_replay.h - what calibration needs of the library besides deer.h. UNSTABLE.
 *
 * deer.h keeps its promises from version to version; this header keeps none: structs and functions
 * here change whenever calibration needs it. Link what includes it with the library of the same
 * version, statically.
 *
 *   deer_batch_new(model, 8, NULL, &batch, &err);
 *   deer_batch_set_instruction(batch, "lift the red block", &err);
 *   for (int i = 0; i < 8; i++)
 *       deer_batch_add(batch, &observation[i], &err);
 *   deer_batch_run(batch, pooled, &count, &err);
 *   deer_head_new(model, rows, NULL, &head, &err);
 *   deer_head_evaluate(head, n, pooled, h, c, h, c, pose, gripper, &err);
 */
#ifndef DEER_REPLAY_H
#define DEER_REPLAY_H

#include "deer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- thresholds --------------- */

/* What the combined criterion sees at an exit, all of it known anyway. */
typedef enum {
    DEER_SIGNAL_DELTA,  /* l2 to the exit before */
    DEER_SIGNAL_TURN,   /* l2 to the pose done at the step before; after a reset, to 0 (at rest) */
    DEER_SIGNAL_MARGIN, /* of the gripper: |probability - 1/2| */
    DEER_SIGNALS
} deer_signal;

/* "delta", ...; for numbers that are no signal, "unknown". */
DEER_API const char *deer_signal_name(deer_signal signal);

/* What stopping at an exit is expected to lose: exp(constant + sum of weight * log(signal)). A
 * signal below 1e-6 counts as 1e-6. Fitted by deer-calib solve --criterion combined. */
typedef struct {
    float constant, weight[DEER_SIGNALS];
} deer_score;

#define DEER_SUMS 16 /* the name of an instruction set and a zero */

/* The instruction set whose sums the model's products have on this processor, where they are its
 * own: with others exits can agree at slightly other values. Empty where they are the same bits as
 * on every processor that fuses multiply-adds, and for a model that does not run on the processor.
 */
DEER_API const char *deer_model_sums(const deer_model *model);

#define DEER_MAX_POINTS 32
#define DEER_MAX_REFERENCE 256

/* How the calibration episodes went under these thresholds, each as two numbers: what deer_drift.h
 * compares new episodes with. */
typedef struct {
    int32_t episodes;                     /* 0: nothing to compare with */
    uint32_t kind[DEER_MAX_REFERENCE];    /* deer_drift_kind of the task */
    float mean_exit[DEER_MAX_REFERENCE];  /* exit taken, averaged over the steps of an episode */
    float mean_delta[DEER_MAX_REFERENCE]; /* criterion at the first exit, likewise */
} deer_reference;

/* What a deer_thresholds holds, for those who make them: fill every field. */
struct deer_thresholds {
    char model_fingerprint[DEER_FINGERPRINT];
    char weights[DEER_TYPE]; /* that model's type, as deer_model_type says it; empty: not known */
    char sums[DEER_SUMS];    /* as deer_model_sums said it where the exits were computed */
    deer_criterion criterion;
    int32_t exits;             /* thresholds up to and including max_exit */
    int32_t max_exit;          /* index of the deepest exit allowed */
    int32_t steps_per_stage;   /* decide anew only every so many steps; 1 = always */
    float tau[DEER_MAX_EXITS]; /* tau[max_exit] is +infinity: always exit */
    deer_camera_rules cameras;
    deer_exit_rule rule;
    deer_score score[DEER_MAX_EXITS]; /* of the combined criterion; the last is unused */
    deer_expected expected;
    deer_guarantee guarantee;
    deer_reference reference;
    int32_t points; /* 0: no dial; else budgets to switch between, ascending */
    deer_point point[DEER_MAX_POINTS];
    deer_guarantee point_guarantee[DEER_MAX_POINTS]; /* confidence 0: none */
    char solver[64];                                 /* what made them */
    double budget_gflops;                            /* the average budget asked, NaN if none */
    bool budget_is_llm;                              /* its scope: llm, else total */
    int64_t calibration_episodes;
    int64_t calibration_steps;
    uint64_t seed;
};

/* Writes a thresholds file atomically (temporary name, fsync, rename). config names the exits. */
DEER_API deer_status deer_thresholds_save(const char *path, const deer_config *config,
                                          const deer_thresholds *thresholds, deer_error *err);

/* ---------------------------------------------------------------- sessions ----------------- */

/* Recurrent state [lstm_layers, lstm_hidden] each, owned by the session: what the next step sees.
 */
DEER_API const float *deer_session_lstm_h(const deer_session *session);
DEER_API const float *deer_session_lstm_c(const deer_session *session);

/* deer_session_bytes before there is a session: for `threads` threads and cameras of the model's
 * own image size (others are resized, which takes some memory: 1 MB for two of 640 x 480 made 224
 * wide). */
DEER_API uint64_t deer_session_need(const deer_config *config, int32_t threads);

/* What a session takes besides where its thresholds have rules for cameras. */
DEER_API uint64_t deer_session_need_reuse(const deer_config *config);

/* ---------------------------------------------------------------- rules of exits ----------- */

/* What a rule remembers of the steps since the last reset; zero after one. */
typedef struct {
    int64_t steps;
    int32_t shallow; /* in a row up to now that left below the rule's `deep` */
    float debt;
    float speed; /* of the last action: length of its x, y, z */
} deer_rule_memory;

/* The first exit that the next step may take, at most max_exit. */
DEER_API int32_t deer_rule_least(const deer_exit_rule *rule, const deer_rule_memory *memory,
                                 int32_t max_exit);

/* Whether a step that may take `least` and deeper takes it untested. */
DEER_API bool deer_rule_untested(const deer_exit_rule *rule, int32_t least, int32_t max_exit);

/* Remembers a step: the exit it took, the criterion's value there (NaN: not tested, which adds no
 * debt), its pose. */
DEER_API void deer_rule_note(const deer_exit_rule *rule, deer_rule_memory *memory, int32_t exit,
                             float value, const float pose[DEER_POSE]);

/* ---------------------------------------------------------------- cameras ------------------ */

/* Cameras as bits of a number. */
enum { DEER_STATIC_VIEW = 1, DEER_GRIPPER_VIEW = 2, DEER_BOTH_VIEWS = 3 };

#define DEER_MOST_AGE 1000 /* of a rule */

/* Which cameras a step encodes. age [2], static first: how old their encodings are at this step
 * if they are used again; change [2]: since then. Every age after it is within its rule's, if it
 * was so at every step since both were encoded. An argument that is NULL: both. */
DEER_API uint32_t deer_cameras_due(const deer_camera_rules *rules, const int32_t age[2],
                                   const float change[2]);

/* How much a camera's picture changes, as deer_camera_rule has it: this one since each of those up
 * to `room` steps before. */
typedef struct deer_changes deer_changes;

/* camera: as for a session. The caller frees it. */
DEER_API deer_status deer_changes_new(const deer_config *config, const deer_camera *camera,
                                      int32_t room, deer_changes **changes, deer_error *err);
DEER_API void deer_changes_free(deer_changes *changes);

/* An episode begins: there are no pictures before. */
DEER_API void deer_changes_reset(deer_changes *changes);

/* change [room]: since the picture 1, 2, .. steps before; NaN where there was none. */
DEER_API deer_status deer_changes_add(deer_changes *changes, const deer_image *image, float *change,
                                      deer_error *err);

/* ---------------------------------------------------------------- batches ------------------ */

/* Features of many observations at once, of any instructions: what replaying recordings needs. The
 * observations of a batch go through every product together, so each weight is read once for all of
 * them; no recurrent state is involved. */
typedef struct deer_batch deer_batch;

/* A batch of up to `room` observations; belongs to one thread at a time. pool: whose
 * threads compute, NULL the library's own. Model and pool must outlive it. Cameras are of the
 * model's own size until they are set. */
DEER_API deer_status deer_batch_new(const deer_model *model, int32_t room, deer_pool *pool,
                                    deer_batch **batch, deer_error *err);
DEER_API void deer_batch_free(deer_batch *batch);

/* The instruction of the observations that are added from now on, as for a session. */
DEER_API deer_status deer_batch_set_instruction(deer_batch *batch, const char *instruction,
                                                deer_error *err);
DEER_API deer_status deer_batch_set_tokens(deer_batch *batch, const int32_t *ids, int32_t count,
                                           deer_error *err);

/* The cameras of the observations that are added from now on; costs nothing while they stay. */
DEER_API deer_status deer_batch_set_cameras(deer_batch *batch, const deer_camera *static_view,
                                            const deer_camera *gripper_view, deer_error *err);

/* Number of tokens of that instruction; number of observations that wait. */
DEER_API int32_t deer_batch_tokens(const deer_batch *batch);
DEER_API int32_t deer_batch_count(const deer_batch *batch);

/* Adds an observation; its pixels are read now and not needed any more. Fails when the batch is
 * full, has no instruction, or the images cannot be used. */
DEER_API deer_status deer_batch_add(deer_batch *batch, const deer_observation *observation,
                                    deer_error *err);

/* Media of an image: what vision and resampler make of it, so many floats. */
DEER_API uint64_t deer_media_size(const deer_config *config);

/* The media of the observations that the last run of the batch had, in their order: [count, 2,
 * deer_media_size], static camera first. Before anything is added again. */
DEER_API deer_status deer_batch_media(const deer_batch *batch, float *media, deer_error *err);

/* As deer_batch_add, of media instead of images; a batch is of one kind or the other. */
DEER_API deer_status deer_batch_add_media(deer_batch *batch, const float *static_media,
                                          const float *gripper_media, deer_error *err);

/* Runs vision and every decoder layer up to the model's deepest loaded exit, without the head, on
 * what was added, and empties the batch.
 *   pooled  [added, 1 + exits up to max_exit, d_model], the max-pooled features the head would see;
 *           row 0 is the pseudo exit (the layer before the first exit), row 1 + k is exit k. The
 *           caller's memory.
 * *count becomes how many were added; 0 is no error. */
DEER_API deer_status deer_batch_run(deer_batch *batch, float *pooled, int32_t *count,
                                    deer_error *err);

/* Recurrent state of a batch of action heads, h and c each [batch, lstm_layers, lstm_hidden]. */
typedef struct deer_head deer_head;

/* A stand-alone action head of the model for up to `batch` rows at once, with the threads of a pool
 * (NULL: the library's own); both must outlive it. For replaying cached features under any history.
 */
DEER_API deer_status deer_head_new(const deer_model *model, int32_t batch, deer_pool *pool,
                                   deer_head **head, deer_error *err);
DEER_API void deer_head_free(deer_head *head);

/* Evaluates the head for 1 <= n <= batch rows, from given states to new ones.
 *   pooled          [n, d_model]
 *   h, c            [n, lstm_layers, lstm_hidden] before
 *   h_next, c_next  the same, after; may be h and c themselves; both NULL: not wanted
 *   pose            [n, 6] in -1..1;  gripper [n], probability of open */
DEER_API deer_status deer_head_evaluate(deer_head *head, int32_t n, const float *pooled,
                                        const float *h, const float *c, float *h_next,
                                        float *c_next, float *pose, float *gripper,
                                        deer_error *err);

/* ---------------------------------------------------------------- a step's exits ----------- */

/* The criterion between an exit's pose and the previous exit's; not the combined one. NaN
 * when either is NULL or it is another criterion. */
DEER_API float deer_criterion_delta(deer_criterion criterion, const float pose[DEER_POSE],
                                    const float previous[DEER_POSE]);

/* A signal as the combined criterion sees it: log(max(signal, 1e-6)). */
DEER_API double deer_signal_level(double signal);

/* One step while its exits are tried, the first one first:
 *
 *   deer_exit_trial t;
 *   deer_exit_trial_begin(&t, criterion, score, done, pseudo);    // the step's pseudo exit
 *   for (int k = 0;; k++) {
 *       ... run the layers up to exit k: pose, gripper ...
 *       if (k == max_exit || deer_exit_trial_next(&t, pose, gripper) <= tau[k])
 *           break;
 *   }
 */
typedef struct {
    deer_criterion criterion;
    const deer_score *score;     /* [exits] of the combined criterion; NULL: not fitted yet, l2 */
    float done[DEER_POSE];       /* pose at the step before */
    float previous[DEER_POSE];   /* pose of the exit before */
    int32_t exit;                /* tried next */
    double signal[DEER_SIGNALS]; /* at the last one tried, of the combined criterion */
} deer_exit_trial;

/* done [6]: the pose done at the step before, 0 where there was none; pseudo [6]: this step's at
 * the layer before the first exit. The score must outlive the trial. */
DEER_API deer_status deer_exit_trial_begin(deer_exit_trial *trial, deer_criterion criterion,
                                           const deer_score *score, const float done[DEER_POSE],
                                           const float pseudo[DEER_POSE]);

/* The criterion's value at the next exit, whose pose and gripper (probability of open) these are.
 * NaN when anything it depends on is not finite, or is NULL. */
DEER_API float deer_exit_trial_next(deer_exit_trial *trial, const float pose[DEER_POSE],
                                    float gripper);

/* ---------------------------------------------------------------- configurations ----------- */

/* A configuration as the JSON text of a model file, which the caller frees; and back, where every
 * field must be present, in range and consistent with the others. `where` (a file's name, say)
 * starts the messages. */
DEER_API deer_status deer_config_write(const deer_config *config, char **text, deer_error *err);
DEER_API deer_status deer_config_read(const char *where, const char *text, deer_config *config,
                                      deer_error *err);

#ifdef __cplusplus
}
#endif

#endif
