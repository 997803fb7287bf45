/* SPDX-License-Identifier: MIT */
/* deer.h - run a multi-exit vision-language-action policy under a compute budget.
 *
 *   deer_error      err;
 *   deer_model     *model   = NULL;
 *   deer_session   *session = NULL;
 *   deer_thresholds thresholds;
 *
 *   if (deer_model_open("policy.safetensors", DEER_ALL_EXITS, &model, &err) ||
 *       deer_thresholds_load("thresholds.json", model, &thresholds, &err) ||
 *       deer_session_new(model, &thresholds, &session, &err) ||
 *       deer_session_set_instruction(session, "lift the red block", &err))
 *       fail(err.message);
 *   while (running && !deer_step(session, &observation, &action, &err))
 *       move_robot(action.command);
 *   deer_session_free(session);
 *   deer_model_close(model);
 *
 * A model is immutable and may be shared by any number of threads. A session is one robot: one
 * instruction, one recurrent state, one scratch memory; it belongs to one thread at a time.
 * A step allocates nothing, locks nothing and does no I/O. Functions that can fail return a
 * deer_status and fill the caller's deer_error; nothing here prints, and nothing ends the process.
 *
 * The architecture is that of DeeR-VLA (arXiv 2411.02359): CLIP vision transformer, Perceiver
 * resampler, MPT decoder with gated cross-attention, one action head shared by all exits.
 */
#ifndef DEER_H
#define DEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Marks what the library exports: everything else in it is hidden. */
#if defined(__GNUC__)
#define DEER_API __attribute__((visibility("default")))
#define DEER_PRINTF(text, values) __attribute__((format(printf, text, values)))
#else
#define DEER_API
#define DEER_PRINTF(text, values)
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define DEER_VERSION "1.0.0"

/* ---------------------------------------------------------------- status and errors -------- */

/* What every function that can fail returns. The values are also the tools' exit statuses. */
typedef enum {
    DEER_OK = 0,
    DEER_FAILED = 1,     /* a file, the system or the data */
    DEER_USAGE = 2,      /* the caller's arguments */
    DEER_INFEASIBLE = 3, /* a budget that nothing can meet */
} deer_status;

/* One line a person can act on: what was being done, to which file, what was wrong, what to do. */
typedef struct {
    char message[512];
} deer_error;

/* Writes a formatted message into err (which may be NULL) and returns DEER_FAILED, so that a
 * failure is one line: return deer_fail(err, "cannot open %s: %s", path, strerror(errno)); */
DEER_API deer_status deer_fail(deer_error *err, const char *format, ...) DEER_PRINTF(2, 3);

/* The same, returning the given status. */
DEER_API deer_status deer_fail_with(deer_status status, deer_error *err, const char *format, ...)
    DEER_PRINTF(3, 4);

/* ---------------------------------------------------------------- configuration ------------ */

#define DEER_MAX_EXITS 32
#define DEER_MAX_MLP_LAYERS 4
#define DEER_POSE 6    /* x, y, z, roll, pitch, yaw: relative, each in -1..1 */
#define DEER_COMMAND 7 /* the pose and the gripper (+1 open, -1 closed) */

/* Naming and conventions of the decoder block. */
typedef enum {
    DEER_BLOCK_MPT_1B, /* ln_1 / mlp_up names, LayerNorm on q and k, slopes 2^-(8(h+1)/heads) */
    DEER_BLOCK_MPT_7B, /* norm_1 / ffn.up_proj names, no LayerNorm on q and k, interleaved slopes */
} deer_block;

/* Recurrent part of the action head. */
typedef enum {
    DEER_LSTM_LAYERNORM, /* a LayerNorm after each layer, the last included */
    DEER_LSTM_PLAIN,     /* torch.nn.LSTM with several layers */
} deer_lstm;

/* Everything that shapes the computation; read from the model file, the same for every part of
 * the project. Dimensions are counts; nothing here is derived from weights at run time. */
typedef struct {
    char name[64];

    int image_size;   /* side of the square the images are resized to, pixels */
    int patch_size;   /* side of a patch, pixels */
    int vision_width; /* also the width of the media tokens */
    int vision_layers;
    int vision_heads;
    int vision_mlp;      /* hidden width of the vision MLP */
    float image_mean[3]; /* RGB, of values in 0..1 */
    float image_std[3];

    int resampler_layers;
    int resampler_heads;
    int resampler_head_dim;
    int resampler_latents; /* media tokens per image */
    int resampler_mlp;

    deer_block block;
    int d_model;
    int heads;
    int layers;      /* decoder layers in the file */
    int mlp;         /* hidden width of the decoder MLP */
    int vocab;       /* rows of the embedding table */
    int max_text;    /* tokens an instruction is cut to */
    int media_token; /* id of <image> */

    int cross_every; /* layer i has cross-attention when (i + 1) % cross_every == 0 */
    int cross_heads;
    int cross_head_dim;
    int cross_mlp;

    deer_lstm lstm;
    int lstm_layers;
    int lstm_hidden;
    int head_mlp_layers;               /* hidden layers of the pose and gripper MLPs */
    int head_mlp[DEER_MAX_MLP_LAYERS]; /* their widths */
    bool head_mlp_layernorm;

    int exits;                       /* how many */
    int exit_layers[DEER_MAX_EXITS]; /* 0-based decoder layers after which an exit sits, ascending
                                      */

    float action_scale[DEER_POSE]; /* physical size of a pose component of 1: metres, radians */
} deer_config;

/* ---------------------------------------------------------------- model -------------------- */

#define DEER_ALL_EXITS (-1)
#define DEER_FINGERPRINT 33 /* 32 hexadecimal digits and a zero */

typedef struct deer_model deer_model;

/* Loads a model file. Only what is needed up to exit max_exit (an index into exit_layers, or
 * DEER_ALL_EXITS) is read, a prefix of the file; the weights are copied in the layout that this
 * processor multiplies fastest, on all threads. Every header field is checked against the file size
 * and every weight for NaN and infinity. The token embedding is not loaded: an instruction reads
 * its rows, so the file must stay where it is. On success *model is the caller's, to close; on
 * failure it is NULL. */
DEER_API deer_status deer_model_open(const char *path, int max_exit, deer_model **model,
                                     deer_error *err);
DEER_API void deer_model_close(deer_model *model);

/* The model's dimensions; lives as long as the model. */
DEER_API const deer_config *deer_model_config(const deer_model *model);

/* The deepest exit that is loaded: an index into exit_layers. */
DEER_API int deer_model_max_exit(const deer_model *model);

/* Identity of the weights and configuration: independent of path, dates and of max_exit. */
DEER_API const char *deer_model_fingerprint(const deer_model *model);

/* Threads that matrix products may use, for the whole process; the default is one per core.
 * Programs that run many small sessions side by side set 1. */
DEER_API void deer_set_threads(int threads);

/* Binds the calling thread, and each thread that products start, to a core of its own among those
 * that the process may use now, so that the scheduler moves none of them: for the thread that steps
 * in a process that has its cores to itself. Call it before a model is opened, once; a child made
 * by fork is free again. */
DEER_API void deer_pin_threads(void);

#define DEER_TYPE 8 /* the name of a type and a zero */

/* Type of the matrices: "f32", "bf16" or "q8". */
DEER_API const char *deer_model_type(const deer_model *model);

/* Bytes of memory that the weights up to max_exit take. */
DEER_API size_t deer_model_bytes(const deer_model *model);

/* ---------------------------------------------------------------- thresholds --------------- */

/* How exit k's pose p is compared with the previous exit's pose q, d = p - q. All in float32.
 * Source: official ActionValueNet, threshold_type. */
typedef enum {
    DEER_CRITERION_L2,       /* sqrt(mean(d^2)) */
    DEER_CRITERION_MEAN,     /* mean(|d|) */
    DEER_CRITERION_MAX,      /* max(|d|) */
    DEER_CRITERION_COSINE,   /* 1 - cos(p, q) */
    DEER_CRITERION_COMBINED, /* a deer_score of this exit: needs one for each */
} deer_criterion;

DEER_API const char *deer_criterion_name(deer_criterion criterion);

/* What the combined criterion sees at an exit, all of it known anyway. */
typedef enum {
    DEER_SIGNAL_DELTA,  /* l2 to the exit before */
    DEER_SIGNAL_TURN,   /* l2 to the pose done at the step before; after a reset, to 0 (at rest) */
    DEER_SIGNAL_MARGIN, /* of the gripper: |probability - 1/2| */
    DEER_SIGNALS
} deer_signal;

DEER_API const char *deer_signal_name(deer_signal signal);

/* What stopping at an exit is expected to lose: exp(constant + sum of weight * log(signal)). A
 * signal below 1e-6 counts as 1e-6. Fitted by deer-calib solve --criterion combined. */
typedef struct {
    float constant, weight[DEER_SIGNALS];
} deer_score;

/* What calibration expects of the thresholds; NaN where it does not know.
 * Costs are GFLOPs of one step, one multiply-add counted as one FLOP. */
typedef struct {
    double average_llm_gflops;   /* decoder layers with their cross-attention */
    double average_total_gflops; /* vision, resampler, decoder, every head evaluation */
    double peak_llm_gflops;
    double peak_total_gflops;
    double memory_bytes; /* weights up to the deepest exit, and a session of one thread */
    double loss;         /* expected action loss of a step */
    double exit_fraction[DEER_MAX_EXITS];
} deer_promise;

/* What holds on unseen episodes drawn like those that were calibrated on, except with probability
 * 1 - confidence. Made by deer-calib solve --confidence; docs/calibration.md says how. */
typedef struct {
    double confidence;    /* 0: nothing is guaranteed */
    double budget_gflops; /* of a step on average, in the thresholds' scope; NaN: not bounded */
    double loss;          /* of a step on average; NaN: not bounded */
    long solved_on, tested_on; /* episodes */
    char bound[16];            /* "betting", or "t" (approximate) */
    char statement[400];       /* the same in words */
} deer_guarantee;

#define DEER_MAX_POINTS 32

/* Other thresholds over the same exits, for another average budget. */
typedef struct {
    double budget_gflops; /* in the scope of the thresholds */
    float tau[DEER_MAX_EXITS];
    deer_promise promise;
} deer_point;

#define DEER_MAX_REFERENCE 256

/* How the calibration episodes went under these thresholds, each as two numbers: what drift.h
 * compares new episodes with. */
typedef struct {
    int episodes;                         /* 0: nothing to compare with */
    uint32_t kind[DEER_MAX_REFERENCE];    /* deer_drift_kind of the task */
    float mean_exit[DEER_MAX_REFERENCE];  /* exit taken, averaged over the steps of an episode */
    float mean_delta[DEER_MAX_REFERENCE]; /* criterion at the first exit, likewise */
} deer_reference;

/* Exit thresholds of one model. Plain data: initialise it by deer_thresholds_load or
 * deer_thresholds_fixed, or fill every field. */
typedef struct {
    char model_fingerprint[DEER_FINGERPRINT];
    char weights[DEER_TYPE]; /* that model's type, as deer_model_type says it; empty: not known */
    deer_criterion criterion;
    int exits;                        /* thresholds up to and including max_exit */
    int max_exit;                     /* index of the deepest exit allowed */
    int steps_per_stage;              /* decide anew only every so many steps; 1 = always */
    float tau[DEER_MAX_EXITS];        /* tau[max_exit] is +infinity: always exit */
    deer_score score[DEER_MAX_EXITS]; /* of the combined criterion; the last is unused */
    deer_promise promise;
    deer_guarantee guarantee;
    deer_reference reference;
    int points; /* 0: no dial; else budgets to switch between, ascending */
    deer_point point[DEER_MAX_POINTS];
    char solver[64];      /* what made them */
    double budget_gflops; /* the average budget asked, NaN if none */
    bool budget_is_llm;   /* its scope: llm, else total */
    long calibration_episodes;
    long calibration_steps;
    unsigned long seed;
} deer_thresholds;

/* Always exits at the given exit, 0 <= exit <= deer_model_max_exit: tau is -infinity before it. */
DEER_API void deer_thresholds_fixed(const deer_model *model, int exit, deer_thresholds *thresholds);

/* Reads a thresholds file. When model is not NULL the file must be for that model (fingerprint,
 * type of the weights where it says one, and exit layers) and its deepest exit must be loaded. */
DEER_API deer_status deer_thresholds_load(const char *path, const deer_model *model,
                                          deer_thresholds *thresholds, deer_error *err);

/* Turns the dial: takes the thresholds and the promise of the point with the largest budget that is
 * not above average_gflops. The guarantee and the reference, which are of other thresholds, are
 * dropped. DEER_INFEASIBLE (and nothing changed) when the cheapest point needs more, DEER_USAGE
 * when there are no points. */
DEER_API deer_status deer_thresholds_set_budget(deer_thresholds *thresholds, double average_gflops,
                                                deer_error *err);

/* Writes a thresholds file atomically (temporary name, fsync, rename). config names the exits. */
DEER_API deer_status deer_thresholds_save(const char *path, const deer_config *config,
                                          const deer_thresholds *thresholds, deer_error *err);

/* ---------------------------------------------------------------- session ------------------ */

typedef struct deer_session deer_session;

/* An RGB image: rgb[height][width][3], rows from the top. */
typedef struct {
    const uint8_t *rgb;
    int height;
    int width;
} deer_image;

/* What the policy sees at one step. The pixels are read during the step only. */
typedef struct {
    deer_image static_view;  /* the camera beside the table */
    deer_image gripper_view; /* the camera on the wrist */
} deer_observation;

/* What the policy does at one step. */
typedef struct {
    float command[DEER_COMMAND]; /* pose in -1..1 and gripper +1 / -1, rounded to float16 as the
                                    official code does before it moves the robot */
    float pose[DEER_POSE];       /* before rounding */
    float gripper_probability;   /* of open */
    int exit;                    /* index of the exit taken */
    int exit_layer;              /* its decoder layer */
    int head_evaluations;        /* LSTM and MLPs, counted once each time they ran */
    float delta[DEER_MAX_EXITS]; /* criterion at each exit tested, NaN where not evaluated */
} deer_action;

/* A session of a model under thresholds (copied). The model must outlive it. */
DEER_API deer_status deer_session_new(const deer_model *model, const deer_thresholds *thresholds,
                                      deer_session **session, deer_error *err);
DEER_API void deer_session_free(deer_session *session);

/* Replaces the thresholds between two steps; the recurrent state stays. A lower deepest exit binds
 * at the next step, also in the middle of a stage. On failure the old thresholds stay. */
DEER_API deer_status deer_session_set_thresholds(deer_session *session,
                                                 const deer_thresholds *thresholds,
                                                 deer_error *err);

/* Turns the dial of the session's thresholds between two steps, as deer_thresholds_set_budget does:
 * for a robot whose battery runs low. The recurrent state stays; no memory is allocated. */
DEER_API deer_status deer_session_set_budget(deer_session *session, double average_gflops,
                                             deer_error *err);

/* Starts a new (sub-)task: tokenizes the instruction with the official prompt
 * "<image>" + instruction + "<|endofchunk|>" + end of text, and resets the recurrent state. After a
 * failure the session has no instruction, so that no step follows the one before by mistake. */
DEER_API deer_status deer_session_set_instruction(deer_session *session, const char *instruction,
                                                  deer_error *err);

/* How many words of an instruction the model's tokenizer does not know: they all become one and the
 * same unknown token (or make an instruction fail, where there is none), and actions will be poor.
 * A word is what lies between white space, so that "block." is not "block". 0 without a tokenizer,
 * and for byte-level ones, which know every text, and for NULL. */
DEER_API int deer_unknown_words(const deer_model *model, const char *instruction);

/* As deer_session_set_instruction, with token ids made elsewhere; at most config.max_text of them
 * are used. */
DEER_API deer_status deer_session_set_tokens(deer_session *session, const int32_t *ids, int count,
                                             deer_error *err);

/* Zeroes the recurrent state; the instruction stays. */
DEER_API void deer_session_reset(deer_session *session);

/* Number of tokens of the current instruction. */
DEER_API int deer_session_tokens(const deer_session *session);

/* One control step: stops at the first exit whose action agrees with the previous exit's.
 * On failure (no instruction, an image that cannot be used, an action that is not finite) the
 * recurrent state is as it was and the robot should not move.
 * Source: official ModelWrapper.step, ExitController.forward. */
DEER_API deer_status deer_step(deer_session *session, const deer_observation *observation,
                               deer_action *action, deer_error *err);

/* Recurrent state [lstm_layers, lstm_hidden] each, owned by the session: what the next step sees.
 */
DEER_API const float *deer_session_lstm_h(const deer_session *session);
DEER_API const float *deer_session_lstm_c(const deer_session *session);

/* Bytes this session holds besides the model: scratch and state. */
DEER_API size_t deer_session_bytes(const deer_session *session);

/* The same before there is one: for `threads` threads and cameras of the model's own image size
 * (others are resized, which takes some memory: 1 MB for two of 640 x 480 made 224 wide). */
DEER_API size_t deer_session_need(const deer_config *config, int threads);

/* ---------------------------------------------------------------- calibration -------------- */

/* Features of many observations at once, of any instructions: what replaying recordings needs. The
 * observations of a batch go through every product together, so each weight is read once for all of
 * them; no recurrent state is involved.
 *
 *   deer_batch_new(model, 8, &batch, &err);
 *   deer_batch_set_instruction(batch, "lift the red block", &err);
 *   for (int i = 0; i < 8; i++)
 *       deer_batch_add(batch, &observation[i], &err);
 *   deer_batch_run(batch, pooled);
 */
typedef struct deer_batch deer_batch;

/* A batch of up to `room` observations; belongs to one thread at a time. The model must outlive it.
 */
DEER_API deer_status deer_batch_new(const deer_model *model, int room, deer_batch **batch,
                                    deer_error *err);
DEER_API void deer_batch_free(deer_batch *batch);

/* The instruction of the observations that are added from now on, as for a session. */
DEER_API deer_status deer_batch_set_instruction(deer_batch *batch, const char *instruction,
                                                deer_error *err);
DEER_API deer_status deer_batch_set_tokens(deer_batch *batch, const int32_t *ids, int count,
                                           deer_error *err);

/* Number of tokens of that instruction; number of observations that wait. */
DEER_API int deer_batch_tokens(const deer_batch *batch);
DEER_API int deer_batch_count(const deer_batch *batch);

/* Adds an observation; its pixels are read now and not needed any more. Fails when the batch is
 * full, has no instruction, or the images cannot be used. */
DEER_API deer_status deer_batch_add(deer_batch *batch, const deer_observation *observation,
                                    deer_error *err);

/* Runs vision and every decoder layer up to the model's deepest loaded exit, without the head, on
 * what was added, and empties the batch.
 *   pooled  [added, 1 + exits up to max_exit, d_model], the max-pooled features the head would see;
 *           row 0 is the pseudo exit (the layer before the first exit), row 1 + k is exit k. The
 *           caller's memory.
 * Returns how many were added. */
DEER_API int deer_batch_run(deer_batch *batch, float *pooled);

/* Recurrent state of a batch of action heads, h and c each [batch, lstm_layers, lstm_hidden]. */
typedef struct deer_head deer_head;

/* A stand-alone action head of the model for up to `batch` rows at once; the model must outlive it.
 * For replaying cached features under any history. */
DEER_API deer_status deer_head_new(const deer_model *model, int batch, deer_head **head,
                                   deer_error *err);
DEER_API void deer_head_free(deer_head *head);

/* Evaluates the head for n <= batch rows, from given states to new ones.
 *   pooled          [n, d_model]
 *   h, c            [n, lstm_layers, lstm_hidden] before
 *   h_next, c_next  the same, after; may be h and c themselves; both NULL: not wanted
 *   pose            [n, 6] in -1..1;  gripper [n], probability of open */
DEER_API void deer_head_evaluate(deer_head *head, int n, const float *pooled, const float *h,
                                 const float *c, float *h_next, float *c_next, float *pose,
                                 float *gripper);

/* The criterion between an exit's pose and the previous exit's; not the combined one. */
DEER_API float deer_criterion_delta(deer_criterion criterion, const float pose[DEER_POSE],
                                    const float previous[DEER_POSE]);

#ifdef __cplusplus
}
#endif

#endif
