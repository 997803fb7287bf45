/* SPDX-License-Identifier: MIT */
/* deer.h - run a multi-exit vision-language-action policy under a compute budget.
 *
 *   deer_error       err;
 *   deer_model      *model      = NULL;
 *   deer_thresholds *thresholds = NULL;
 *   deer_session    *session    = NULL;
 *
 *   if (deer_model_open("policy.safetensors", DEER_ALL_EXITS, &model, &err) ||
 *       deer_thresholds_load("thresholds.json", model, &thresholds, &err) ||
 *       deer_session_new(model, thresholds, &options, &session, &err) ||
 *       deer_session_set_instruction(session, "lift the red block", &err))
 *       fail(err.message);
 *   while (running && !deer_step(session, &observation, &action, &err))
 *       move_robot(action.command);
 *   deer_session_free(session);
 *   deer_thresholds_free(thresholds);
 *   deer_model_close(model);
 *
 * A model is immutable and may be shared by any number of threads. A session is one robot: one
 * instruction, one recurrent state, one scratch memory; it serves one thread at a time, and a
 * second one gets DEER_BUSY. A step allocates nothing, waits for no lock and does no I/O.
 *
 * Functions that can fail return a deer_status and fill the caller's deer_error (which may be
 * NULL); nothing here prints, and nothing ends the process. Every argument is checked: NULL, a
 * number out of range or a NaN is DEER_USAGE, and what could not be made is NULL. Objects are made
 * and freed here, and freeing NULL does nothing. Pointers that a function returns belong to the
 * object they were asked of; structs behind them may grow at their end in later versions.
 * docs/library.md says what may change when.
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

#define DEER_VERSION_MAJOR 1 /* changes when a program must be changed or compiled again */
#define DEER_VERSION_MINOR 0 /* grows when something is added */
#define DEER_VERSION_PATCH 0
#define DEER_VERSION "1.0.0"

/* The version of the library that runs, which may be newer than the header's: "1.0.0", and as a
 * number that grows, 10000 major + 100 minor + patch. */
DEER_API const char *deer_version(void);
DEER_API int32_t deer_version_number(void);

/* ---------------------------------------------------------------- status and errors -------- */

/* What every function that can fail returns. */
typedef enum {
    DEER_OK = 0,
    DEER_FAILED = -1,     /* a file, the system or the data */
    DEER_USAGE = -2,      /* the caller's arguments */
    DEER_INFEASIBLE = -3, /* a budget that nothing can meet */
    DEER_BUSY = -4,       /* another thread is using the session */
} deer_status;

/* "failed", "wrong usage", ...; for numbers that are no status, "unknown status". */
DEER_API const char *deer_status_name(deer_status status);

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

/* Everything that shapes the computation, as the model file says it. Dimensions are counts; nothing
 * here is derived from weights at run time. Read it through deer_model_config. */
typedef struct {
    char name[64];

    int32_t image_size;   /* side of the square the images are resized to, pixels */
    int32_t patch_size;   /* side of a patch, pixels */
    int32_t vision_width; /* also the width of the media tokens */
    int32_t vision_layers;
    int32_t vision_heads;
    int32_t vision_mlp;  /* hidden width of the vision MLP */
    float image_mean[3]; /* RGB, of values in 0..1 */
    float image_std[3];

    int32_t resampler_layers;
    int32_t resampler_heads;
    int32_t resampler_head_dim;
    int32_t resampler_latents; /* media tokens per image */
    int32_t resampler_mlp;

    deer_block block;
    int32_t d_model;
    int32_t heads;
    int32_t layers;      /* decoder layers in the file */
    int32_t mlp;         /* hidden width of the decoder MLP */
    int32_t vocab;       /* rows of the embedding table */
    int32_t max_text;    /* tokens an instruction is cut to */
    int32_t media_token; /* id of <image> */

    int32_t cross_every; /* layer i has cross-attention when (i + 1) % cross_every == 0 */
    int32_t cross_heads;
    int32_t cross_head_dim;
    int32_t cross_mlp;

    deer_lstm lstm;
    int32_t lstm_layers;
    int32_t lstm_hidden;
    int32_t head_mlp_layers;               /* hidden layers of the pose and gripper MLPs */
    int32_t head_mlp[DEER_MAX_MLP_LAYERS]; /* their widths */
    bool head_mlp_layernorm;

    int32_t exits; /* how many */

    /* 0-based decoder layers after which an exit sits, ascending. */
    int32_t exit_layers[DEER_MAX_EXITS];

    float action_scale[DEER_POSE]; /* physical size of a pose component of 1: metres, radians */
} deer_config;

/* ---------------------------------------------------------------- threads ------------------ */

typedef struct deer_pool deer_pool;

/* Zero is the default everywhere. */
typedef struct {
    uint32_t size;   /* sizeof(deer_pool_options) */
    int32_t threads; /* the calling one included, at most 256; 0: one per core */
    uint32_t pin;    /* 1: bind the thread that makes the pool, and each of the pool's, to a core of
                        its own among those that the process may use now. For a process that has its
                        cores to itself; a child made by fork is free again */
} deer_pool_options;

/* Threads that share the products of a step. Models and sessions use the pool they are made with,
 * or the library's own: one thread per core, for the whole process. A pool serves one step at a
 * time: a session that finds it busy computes on its caller's thread alone, so that robots stepped
 * side by side want a pool each, of one thread say. options NULL: all defaults. The pool must
 * outlive what uses it, and nothing may be using it when it is freed. */
DEER_API deer_status deer_pool_new(const deer_pool_options *options, deer_pool **pool,
                                   deer_error *err);
DEER_API void deer_pool_free(deer_pool *pool);

/* How many threads it has, the calling one included; NULL: the library's own pool. */
DEER_API int32_t deer_pool_threads(const deer_pool *pool);

/* ---------------------------------------------------------------- model -------------------- */

#define DEER_ALL_EXITS (-1)
#define DEER_FINGERPRINT 33 /* 32 hexadecimal digits and a zero */

typedef struct deer_model deer_model;

/* Loads a model file. Only what is needed up to exit max_exit (an index into exit_layers, or
 * DEER_ALL_EXITS) is read, a prefix of the file; the weights are copied in the layout that this
 * processor multiplies fastest, on all threads of a pool. Every header field is checked against the
 * file size and every weight for NaN and infinity. The token embedding is not loaded: an
 * instruction reads its rows, so the file must stay where it is. On success *model is the caller's,
 * to close; on failure it is NULL. */
DEER_API deer_status deer_model_open(const char *path, int32_t max_exit, deer_model **model,
                                     deer_error *err);
DEER_API void deer_model_close(deer_model *model);

/* Zero is the default everywhere. */
typedef struct {
    uint32_t size;     /* sizeof(deer_model_options) */
    uint32_t reserved; /* 0 */
    deer_pool *pool;   /* whose threads load the weights; NULL: the library's own */

    /* Where the model, and with it every session and batch of it, runs: "cpu"; "gpu", the best one
     * there is that is no software; "auto", that or the CPU; or a part of a device's name, as
     * deer-run devices lists them. NULL: what the environment variable DEER_DEVICE says, else the
     * CPU. */
    const char *device;

    /* A file that keeps what a GPU's driver compiled from one run to the next. NULL: what
     * DEER_KERNEL_CACHE says, else none. */
    const char *kernel_cache;
} deer_model_options;

/* The same with options. */
DEER_API deer_status deer_model_open_with(const char *path, int32_t max_exit,
                                          const deer_model_options *options, deer_model **model,
                                          deer_error *err);

/* The model's dimensions; lives as long as the model. NULL without one. */
DEER_API const deer_config *deer_model_config(const deer_model *model);

/* The deepest exit that is loaded: an index into exit_layers. -1 without a model. */
DEER_API int32_t deer_model_max_exit(const deer_model *model);

/* Identity of the weights and configuration: independent of path, dates and of max_exit. ""
 * without a model. */
DEER_API const char *deer_model_fingerprint(const deer_model *model);

#define DEER_TYPE 8 /* the name of a type and a zero */

/* Type of the matrices: "f32", "bf16" or "q8"; "" without a model. */
DEER_API const char *deer_model_type(const deer_model *model);

/* Where it runs: "cpu", or the name of a GPU; "" without a model. */
DEER_API const char *deer_model_device(const deer_model *model);

/* Bytes of memory that the weights up to max_exit take. */
DEER_API uint64_t deer_model_bytes(const deer_model *model);

/* How many words of an instruction the model's tokenizer does not know: they all become one and the
 * same unknown token (or make an instruction fail, where there is none), and actions will be poor.
 * A word is what lies between white space, so that "block." is not "block". 0 without a tokenizer,
 * and for byte-level ones, which know every text, and for NULL. */
DEER_API int32_t deer_unknown_words(const deer_model *model, const char *instruction);

/* ---------------------------------------------------------------- thresholds --------------- */

/* Exit thresholds of one model; and, where calibration made them, what it expects and guarantees,
 * and a dial of other thresholds for other budgets. */
typedef struct deer_thresholds deer_thresholds;

/* How exit k's pose p is compared with the previous exit's pose q, d = p - q. All in float32.
 * Source: official ActionValueNet, threshold_type. */
typedef enum {
    DEER_CRITERION_L2,       /* sqrt(mean(d^2)) */
    DEER_CRITERION_MEAN,     /* mean(|d|) */
    DEER_CRITERION_MAX,      /* max(|d|) */
    DEER_CRITERION_COSINE,   /* 1 - cos(p, q) */
    DEER_CRITERION_COMBINED, /* what stopping is expected to lose, from several signals */
} deer_criterion;

/* "l2", ...; for numbers that are no criterion, "unknown". */
DEER_API const char *deer_criterion_name(deer_criterion criterion);

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
} deer_expected;

/* What holds on unseen episodes drawn like those that were calibrated on, except with probability
 * 1 - confidence. Made by deer-calib solve --confidence; docs/calibration.md says how. */
typedef struct {
    double confidence;    /* 0: nothing is guaranteed */
    double budget_gflops; /* of a step on average, in the thresholds' scope; NaN: not bounded */
    double loss;          /* of a step on average; NaN: not bounded */
    int64_t solved_on, tested_on; /* episodes */
    char bound[16];               /* "betting", or "t" (approximate) */
    char statement[400];          /* the same in words */
} deer_guarantee;

/* When a camera's image is encoded again; until then, what its last encoding gave is used again.
 * Zero: at every step. */
typedef struct {
    int32_t age; /* steps, the oldest that an encoding in use may be */
    float rho;   /* encoded before that when the picture has changed by more; infinity: never is.
                    Change is the largest difference of two pictures' patches: of a patch of the
                    vision tower, the mean of |difference| over pixels and colours, each 0..1 */
} deer_camera_rule;

/* Both cameras are encoded at the first step, and after a reset. */
typedef struct {
    deer_camera_rule static_view, gripper_view;
    uint32_t stagger; /* 1: else one of them a step at most, and so no sooner than the next step
                         where both are due; ages are kept. A step that must encode both goes no
                         deeper than the first exit. Needs ages of 1 or more */
} deer_camera_rules;

/* How the steps before decide which exits a step may take. A robot that errs once is put right by
 * its next action; one that errs the same way for several is not. */
typedef enum {
    DEER_RULE_NONE,     /* any; each step is decided on its own */
    DEER_RULE_REFRESH,  /* none below `deep` after `steps` steps in a row that left below it */
    DEER_RULE_DEBT,     /* none below `deep` while the debt is above `limit`: the sum of the
                           criterion's values at the exits that were taken below `deep` since a step
                           last went as far */
    DEER_RULE_SPEED,    /* none below `deep` unless the action of the step before moved the hand by
                           `limit` or more: the length of its x, y, z; 0 at the first step */
    DEER_RULE_SCHEDULE, /* pattern[i % steps] at the i-th step, whatever the thresholds: nothing is
                           tested, so the head is evaluated once */
} deer_rule_kind;

/* "none", "refresh", ...; for numbers that are no kind, "unknown". */
DEER_API const char *deer_rule_name(deer_rule_kind kind);

#define DEER_MAX_PATTERN 32

/* Zero: no rule. Among the exits that it leaves, the thresholds decide as ever: those passed over
 * are not evaluated, except that a test needs the exit before; where only the deepest is left, it
 * is taken untested. */
typedef struct {
    int32_t kind;  /* deer_rule_kind */
    int32_t deep;  /* an exit, from 1 */
    int32_t steps; /* of refresh; of schedule: the pattern's length */
    float limit;
    uint8_t pattern[DEER_MAX_PATTERN]; /* exits */
} deer_exit_rule;

/* Other thresholds over the same exits, for another average budget. */
typedef struct {
    double budget_gflops; /* in the scope of the thresholds */
    float tau[DEER_MAX_EXITS];
    deer_expected expected;
    deer_camera_rules cameras;
    deer_exit_rule rule;
} deer_point;

/* Always exits at the given exit, 0 <= exit <= deer_model_max_exit. The caller frees it. */
DEER_API deer_status deer_thresholds_fixed(const deer_model *model, int32_t exit,
                                           deer_thresholds **thresholds, deer_error *err);

/* Reads a thresholds file; the caller frees it. When model is not NULL the file must be for that
 * model (fingerprint, type of the weights where it says one, and exit layers) and its deepest exit
 * must be loaded. */
DEER_API deer_status deer_thresholds_load(const char *path, const deer_model *model,
                                          deer_thresholds **thresholds, deer_error *err);

/* A copy of its own, to turn the dial of; the caller frees it. */
DEER_API deer_status deer_thresholds_copy(const deer_thresholds *from, deer_thresholds **thresholds,
                                          deer_error *err);

DEER_API void deer_thresholds_free(deer_thresholds *thresholds);

/* Turns the dial: takes the thresholds, their rules and the expectations of the point with the
 * largest budget that is not above average_gflops; a point's own budget takes that point. The
 * guarantee is the point's own, if it has one; the reference episodes, which are of other
 * thresholds, are dropped. DEER_INFEASIBLE (and nothing changed) when the cheapest point needs
 * more, DEER_USAGE when there are no points. */
DEER_API deer_status deer_thresholds_set_budget(deer_thresholds *thresholds, double average_gflops,
                                                deer_error *err);

/* What they say. Of NULL, or an exit or point that they have not: -1, NaN, NULL or "". */
DEER_API int32_t deer_thresholds_max_exit(const deer_thresholds *thresholds); /* deepest allowed */
DEER_API float deer_thresholds_tau(const deer_thresholds *thresholds, int32_t exit);
DEER_API deer_criterion deer_thresholds_criterion(const deer_thresholds *thresholds); /* NULL: l2 */
DEER_API int32_t deer_thresholds_steps_per_stage(const deer_thresholds *thresholds); /* 1: always */
DEER_API const char *deer_thresholds_model(const deer_thresholds *thresholds); /* fingerprint */
DEER_API const char *deer_thresholds_solver(const deer_thresholds *thresholds);
DEER_API double deer_thresholds_budget(const deer_thresholds *thresholds);      /* asked, or NaN */
DEER_API bool deer_thresholds_budget_is_llm(const deer_thresholds *thresholds); /* else total */
DEER_API const deer_expected *deer_thresholds_expected(const deer_thresholds *thresholds);
DEER_API const deer_guarantee *deer_thresholds_guarantee(const deer_thresholds *thresholds);
DEER_API const deer_camera_rules *deer_thresholds_cameras(const deer_thresholds *thresholds);
DEER_API const deer_exit_rule *deer_thresholds_rule(const deer_thresholds *thresholds);
DEER_API int32_t deer_thresholds_points(const deer_thresholds *thresholds); /* of the dial; or 0 */
DEER_API const deer_point *deer_thresholds_point(const deer_thresholds *thresholds, int32_t point);

/* ---------------------------------------------------------------- session ------------------ */

typedef struct deer_session deer_session;

/* Order of a pixel's three bytes. */
typedef enum { DEER_RGB = 0, DEER_BGR = 1 } deer_channels;

/* What a camera's images look like in memory, rows from the top. Zero is the default everywhere. */
typedef struct {
    int32_t width, height; /* pixels; both 0: the model's own square, config.image_size */
    int32_t row_stride;    /* bytes from one row to the next; 0: 3 * width */
    int32_t channels;      /* deer_channels */
} deer_camera;

/* Zero is the default everywhere. */
typedef struct {
    uint32_t size;     /* sizeof(deer_session_options) */
    uint32_t reserved; /* 0 */
    deer_pool *pool;   /* whose threads compute; NULL: the library's own */
    deer_camera static_view;
    deer_camera gripper_view;
} deer_session_options;

/* One image as its camera was described. bytes: how many there are at pixels, height * row_stride
 * or, where the last row is not padded, less; another number is an error. */
typedef struct {
    const uint8_t *pixels;
    uint64_t bytes;
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
    int32_t exit;                /* index of the exit taken */
    int32_t exit_layer;          /* its decoder layer */
    int32_t head_evaluations;    /* LSTM and MLPs, counted once each time they ran */
    float delta[DEER_MAX_EXITS]; /* criterion at each exit tested, NaN where not evaluated */
    int32_t static_age;          /* steps since what is used of a camera was encoded; 0: now */
    int32_t gripper_age;
    float static_change;  /* of a camera's picture since then, as in deer_camera_rule; NaN where */
    float gripper_change; /* nothing depends on it */
    uint32_t late;        /* 1: the step took longer than its deadline */
    uint32_t reserved[3]; /* 0 */
} deer_action;

/* A session of a model under thresholds (copied). options NULL: all defaults. The model, and the
 * pool in the options, must outlive it. */
DEER_API deer_status deer_session_new(const deer_model *model, const deer_thresholds *thresholds,
                                      const deer_session_options *options, deer_session **session,
                                      deer_error *err);
DEER_API void deer_session_free(deer_session *session);

/* Replaces the thresholds between two steps; the recurrent state stays, and so does what a rule
 * remembers of the steps before, unless the rule is another. A lower deepest exit binds
 * at the next step, also in the middle of a stage. The first ones with rules for cameras allocate;
 * a session made with such ones reuses more. On failure the old thresholds stay. */
DEER_API deer_status deer_session_set_thresholds(deer_session *session,
                                                 const deer_thresholds *thresholds,
                                                 deer_error *err);

/* Turns the dial of the session's thresholds between two steps, as deer_thresholds_set_budget does:
 * for a robot whose battery runs low. The recurrent state stays; no memory is allocated. */
DEER_API deer_status deer_session_set_budget(deer_session *session, double average_gflops,
                                             deer_error *err);

/* A budget that holds while the robot acts, whatever it meets: see deer_session_set_governor. */
typedef struct {
    double budget_gflops;  /* of a step on average, in the thresholds' scope */
    int64_t horizon;       /* steps */
    int64_t steps;         /* since it was set, instructions and resets included */
    double used_gflops;    /* by all of them together */
    double ahead_gflops;   /* used beyond the budget of those steps; below 0: saved, of which no
                              more than 1% of a horizon's budget is kept */
    double setting_gflops; /* where the dial stands */
} deer_governor;

/* Governs the session: turns the dial of its thresholds before every step, so that the average cost
 * of any `horizon` steps or more stays within 2% of average_gflops. horizon: 200 or more; 0: 500.
 * Two things hold in any world, where the first exit costs no more than the budget: after n steps
 * the policy has used at most n budgets and sqrt(n) steps at the deepest exit allowed, and never
 * more than n budgets and 1% of a horizon's. For that a step may have to stop before its thresholds
 * would have it. That no less is used needs a dial that reaches so far. Never deeper than the
 * thresholds allow; deterministic; no memory is allocated. The account starts at 0 and goes on over
 * instructions and resets; deer_session_set_thresholds and deer_session_set_budget end it.
 * DEER_USAGE without a dial, DEER_INFEASIBLE where its cheapest point needs more; then nothing
 * changes. docs/library.md says how it works. */
DEER_API deer_status deer_session_set_governor(deer_session *session, double average_gflops,
                                               int64_t horizon, deer_error *err);

/* How it stands after the last step; belongs to the session. NULL where nothing is governed. */
DEER_API const deer_governor *deer_session_governor(const deer_session *session);

/* From the next step on a step is to take no longer than this, from deer_step's beginning to its
 * end; 0: as long as it takes. It then does not go on to an exit that would come too late, by the
 * 99th percentile of what the way there took at the last steps, and takes an earlier one than the
 * thresholds would, never a later one. Cameras and the first exit are computed whatever happens:
 * action.late says of a step whether it took longer all the same. Clocks are read at every exit.
 * The first deadline of a session allocates memory for times; no step does. */
DEER_API deer_status deer_session_set_deadline(deer_session *session, int64_t microseconds,
                                               deer_error *err);

/* Starts a new (sub-)task: tokenizes the instruction with the official prompt
 * "<image>" + instruction + "<|endofchunk|>" + end of text, and resets the recurrent state. After a
 * failure the session has no instruction, so that no step follows the one before by mistake. */
DEER_API deer_status deer_session_set_instruction(deer_session *session, const char *instruction,
                                                  deer_error *err);

/* As deer_session_set_instruction, with token ids made elsewhere; at most config.max_text of them
 * are used. */
DEER_API deer_status deer_session_set_tokens(deer_session *session, const int32_t *ids,
                                             int32_t count, deer_error *err);

/* Zeroes the recurrent state; the instruction stays. */
DEER_API deer_status deer_session_reset(deer_session *session, deer_error *err);

/* Other cameras from the next step on. This allocates; on failure the old ones stay. */
DEER_API deer_status deer_session_set_cameras(deer_session *session, const deer_camera *static_view,
                                              const deer_camera *gripper_view, deer_error *err);

/* Number of tokens of the current instruction. */
DEER_API int32_t deer_session_tokens(const deer_session *session);

/* One control step: stops at the first exit whose action agrees with the previous exit's.
 * On failure (no instruction, an image that is missing or not its camera's, an action that is not
 * finite, another thread in the session) the recurrent state is as it was and the robot should not
 * move. Source: official ModelWrapper.step, ExitController.forward. */
DEER_API deer_status deer_step(deer_session *session, const deer_observation *observation,
                               deer_action *action, deer_error *err);

/* Bytes this session holds besides the model: scratch, state and what its cameras' sizes need. */
DEER_API uint64_t deer_session_bytes(const deer_session *session);

#ifdef __cplusplus
}
#endif

#endif
