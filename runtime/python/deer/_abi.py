# SPDX-License-Identifier: MIT
"""What the headers declare. Derived by derive_abi.py; do not edit."""

RUNTIME = """
#define DEER_VERSION_MAJOR 1
#define DEER_VERSION_MINOR 0
#define DEER_VERSION_PATCH 0
const char *deer_version(void);
int32_t deer_version_number(void);
typedef enum {
    DEER_OK = 0,
    DEER_FAILED = -1,
    DEER_USAGE = -2,
    DEER_INFEASIBLE = -3,
    DEER_BUSY = -4,
} deer_status;
const char *deer_status_name(deer_status status);
typedef struct {
    char message[512];
} deer_error;
deer_status deer_fail(deer_error *err, const char *format, ...);
deer_status deer_fail_with(deer_status status, deer_error *err, const char *format, ...);
#define DEER_MAX_EXITS 32
#define DEER_MAX_MLP_LAYERS 4
#define DEER_POSE 6
#define DEER_COMMAND 7
typedef enum {
    DEER_BLOCK_MPT_1B,
    DEER_BLOCK_MPT_7B,
} deer_block;
typedef enum {
    DEER_LSTM_LAYERNORM,
    DEER_LSTM_PLAIN,
} deer_lstm;
typedef struct {
    char name[64];
    int32_t image_size;
    int32_t patch_size;
    int32_t vision_width;
    int32_t vision_layers;
    int32_t vision_heads;
    int32_t vision_mlp;
    float image_mean[3];
    float image_std[3];
    int32_t resampler_layers;
    int32_t resampler_heads;
    int32_t resampler_head_dim;
    int32_t resampler_latents;
    int32_t resampler_mlp;
    deer_block block;
    int32_t d_model;
    int32_t heads;
    int32_t layers;
    int32_t mlp;
    int32_t vocab;
    int32_t max_text;
    int32_t media_token;
    int32_t cross_every;
    int32_t cross_heads;
    int32_t cross_head_dim;
    int32_t cross_mlp;
    deer_lstm lstm;
    int32_t lstm_layers;
    int32_t lstm_hidden;
    int32_t head_mlp_layers;
    int32_t head_mlp[DEER_MAX_MLP_LAYERS];
    bool head_mlp_layernorm;
    int32_t exits;
    int32_t exit_layers[DEER_MAX_EXITS];
    float action_scale[DEER_POSE];
} deer_config;
typedef struct deer_pool deer_pool;
typedef struct {
    uint32_t size;
    int32_t threads;
    uint32_t pin;
} deer_pool_options;
deer_status deer_pool_new(const deer_pool_options *options, deer_pool **pool,
                                   deer_error *err);
void deer_pool_free(deer_pool *pool);
int32_t deer_pool_threads(const deer_pool *pool);
#define DEER_ALL_EXITS -1
#define DEER_FINGERPRINT 33
typedef struct deer_model deer_model;
deer_status deer_model_open(const char *path, int32_t max_exit, deer_model **model,
                                     deer_error *err);
void deer_model_close(deer_model *model);
typedef struct {
    uint32_t size;
    uint32_t reserved;
    deer_pool *pool;
    const char *device;
    const char *kernel_cache;
} deer_model_options;
deer_status deer_model_open_with(const char *path, int32_t max_exit,
                                          const deer_model_options *options, deer_model **model,
                                          deer_error *err);
const deer_config *deer_model_config(const deer_model *model);
int32_t deer_model_max_exit(const deer_model *model);
const char *deer_model_fingerprint(const deer_model *model);
#define DEER_TYPE 8
const char *deer_model_type(const deer_model *model);
const char *deer_model_device(const deer_model *model);
uint64_t deer_model_bytes(const deer_model *model);
int32_t deer_unknown_words(const deer_model *model, const char *instruction);
typedef struct deer_thresholds deer_thresholds;
typedef enum {
    DEER_CRITERION_L2,
    DEER_CRITERION_MEAN,
    DEER_CRITERION_MAX,
    DEER_CRITERION_COSINE,
    DEER_CRITERION_COMBINED,
} deer_criterion;
const char *deer_criterion_name(deer_criterion criterion);
typedef struct {
    double average_llm_gflops;
    double average_total_gflops;
    double peak_llm_gflops;
    double peak_total_gflops;
    double memory_bytes;
    double loss;
    double exit_fraction[DEER_MAX_EXITS];
} deer_expected;
typedef struct {
    double confidence;
    double budget_gflops;
    double loss;
    int64_t solved_on, tested_on;
    char bound[16];
    char statement[400];
} deer_guarantee;
typedef struct {
    int32_t age;
    float rho;
} deer_camera_rule;
typedef struct {
    deer_camera_rule static_view, gripper_view;
    uint32_t stagger;
} deer_camera_rules;
typedef enum {
    DEER_RULE_NONE,
    DEER_RULE_REFRESH,
    DEER_RULE_DEBT,
    DEER_RULE_SPEED,
    DEER_RULE_SCHEDULE,
} deer_rule_kind;
const char *deer_rule_name(deer_rule_kind kind);
#define DEER_MAX_PATTERN 32
typedef struct {
    int32_t kind;
    int32_t deep;
    int32_t steps;
    float limit;
    uint8_t pattern[DEER_MAX_PATTERN];
} deer_exit_rule;
typedef struct {
    double budget_gflops;
    float tau[DEER_MAX_EXITS];
    deer_expected expected;
    deer_camera_rules cameras;
    deer_exit_rule rule;
} deer_point;
deer_status deer_thresholds_fixed(const deer_model *model, int32_t exit,
                                           deer_thresholds **thresholds, deer_error *err);
deer_status deer_thresholds_load(const char *path, const deer_model *model,
                                          deer_thresholds **thresholds, deer_error *err);
deer_status deer_thresholds_copy(const deer_thresholds *from, deer_thresholds **thresholds,
                                          deer_error *err);
void deer_thresholds_free(deer_thresholds *thresholds);
deer_status deer_thresholds_set_budget(deer_thresholds *thresholds, double average_gflops,
                                                deer_error *err);
int32_t deer_thresholds_max_exit(const deer_thresholds *thresholds);
float deer_thresholds_tau(const deer_thresholds *thresholds, int32_t exit);
deer_criterion deer_thresholds_criterion(const deer_thresholds *thresholds);
int32_t deer_thresholds_steps_per_stage(const deer_thresholds *thresholds);
const char *deer_thresholds_model(const deer_thresholds *thresholds);
const char *deer_thresholds_solver(const deer_thresholds *thresholds);
double deer_thresholds_budget(const deer_thresholds *thresholds);
bool deer_thresholds_budget_is_llm(const deer_thresholds *thresholds);
const deer_expected *deer_thresholds_expected(const deer_thresholds *thresholds);
const deer_guarantee *deer_thresholds_guarantee(const deer_thresholds *thresholds);
const deer_camera_rules *deer_thresholds_cameras(const deer_thresholds *thresholds);
const deer_exit_rule *deer_thresholds_rule(const deer_thresholds *thresholds);
int32_t deer_thresholds_points(const deer_thresholds *thresholds);
const deer_point *deer_thresholds_point(const deer_thresholds *thresholds, int32_t point);
typedef struct deer_session deer_session;
typedef enum { DEER_RGB = 0, DEER_BGR = 1 } deer_channels;
typedef struct {
    int32_t width, height;
    int32_t row_stride;
    int32_t channels;
} deer_camera;
typedef struct {
    uint32_t size;
    uint32_t reserved;
    deer_pool *pool;
    deer_camera static_view;
    deer_camera gripper_view;
} deer_session_options;
typedef struct {
    const uint8_t *pixels;
    uint64_t bytes;
} deer_image;
typedef struct {
    deer_image static_view;
    deer_image gripper_view;
} deer_observation;
typedef struct {
    float command[DEER_COMMAND];
    float pose[DEER_POSE];
    float gripper_probability;
    int32_t exit;
    int32_t exit_layer;
    int32_t head_evaluations;
    float delta[DEER_MAX_EXITS];
    int32_t static_age;
    int32_t gripper_age;
    float static_change;
    float gripper_change;
    uint32_t late;
    uint32_t reserved[3];
} deer_action;
deer_status deer_session_new(const deer_model *model, const deer_thresholds *thresholds,
                                      const deer_session_options *options, deer_session **session,
                                      deer_error *err);
void deer_session_free(deer_session *session);
deer_status deer_session_set_thresholds(deer_session *session,
                                                 const deer_thresholds *thresholds,
                                                 deer_error *err);
deer_status deer_session_set_budget(deer_session *session, double average_gflops,
                                             deer_error *err);
typedef struct {
    double budget_gflops;
    int64_t horizon;
    int64_t steps;
    double used_gflops;
    double ahead_gflops;
    double setting_gflops;
} deer_governor;
deer_status deer_session_set_governor(deer_session *session, double average_gflops,
                                               int64_t horizon, deer_error *err);
const deer_governor *deer_session_governor(const deer_session *session);
deer_status deer_session_set_deadline(deer_session *session, int64_t microseconds,
                                               deer_error *err);
deer_status deer_session_set_instruction(deer_session *session, const char *instruction,
                                                  deer_error *err);
deer_status deer_session_set_tokens(deer_session *session, const int32_t *ids,
                                             int32_t count, deer_error *err);
deer_status deer_session_reset(deer_session *session, deer_error *err);
deer_status deer_session_set_cameras(deer_session *session, const deer_camera *static_view,
                                              const deer_camera *gripper_view, deer_error *err);
int32_t deer_session_tokens(const deer_session *session);
deer_status deer_step(deer_session *session, const deer_observation *observation,
                               deer_action *action, deer_error *err);
uint64_t deer_session_bytes(const deer_session *session);
"""

CALIBRATION = """
const char *deer_calib_version(void);
typedef struct {
    uint32_t size;
    int32_t exits;
    int64_t steps;
    const float *delta;
    const float *loss;
    const double *cost;
    const int64_t *episode;
    const int64_t *task;
    const double *memory;
} deer_table;
typedef enum {
    DEER_METHOD_BEST,
    DEER_METHOD_COORDINATE,
    DEER_METHOD_NLOPT,
    DEER_METHOD_OFFICIAL_EXP,
    DEER_METHOD_OFFICIAL_GAUSS,
    DEER_METHOD_OFFICIAL_GAMMA,
} deer_method;
const char *deer_method_name(deer_method method);
typedef struct {
    uint32_t size;
    int32_t method;
    double average;
    double fraction;
    double peak;
    double memory;
    double loss;
    double confidence;
    double largest_loss;
    uint64_t seed;
    int32_t longest;
    int32_t points;
    uint32_t per_task;
    uint32_t deepest_may_lose;
} deer_solve_options;
typedef struct {
    char name[64];
    int32_t max_exit;
    float tau[DEER_MAX_EXITS];
    double budget;
    double cost, loss;
    double peak;
    double memory;
    double exit_fraction[DEER_MAX_EXITS];
} deer_operating_point;
typedef struct deer_solution deer_solution;
deer_status deer_solve(const deer_table *table, const deer_solve_options *options,
                                deer_solution **solution, deer_error *err);
deer_status deer_evaluate(const deer_table *table, const float *tau, int32_t max_exit,
                                   deer_solution **solution, deer_error *err);
void deer_solution_free(deer_solution *solution);
const deer_operating_point *deer_solution_found(const deer_solution *solution);
const deer_operating_point *deer_solution_full(const deer_solution *solution);
const deer_operating_point *deer_solution_official(const deer_solution *solution);
const deer_guarantee *deer_solution_guarantee(const deer_solution *solution);
const char *deer_solution_solver(const deer_solution *solution);
double deer_solution_oracle_loss(const deer_solution *solution);
double deer_solution_gap_closed(const deer_solution *solution);
int32_t deer_solution_points(const deer_solution *solution);
const deer_operating_point *deer_solution_point(const deer_solution *solution,
                                                         int32_t point);
const deer_guarantee *deer_solution_point_guarantee(const deer_solution *solution,
                                                             int32_t point);
typedef enum {
    DEER_OFFICIAL_EXP,
    DEER_OFFICIAL_GAUSS,
    DEER_OFFICIAL_GAMMA,
} deer_distribution;
deer_status deer_official_thresholds(const float *values, int32_t exits, int64_t samples,
                                              deer_distribution distribution, double parameter,
                                              bool skip_first, float *tau, deer_error *err);
typedef struct {
    uint32_t size;
    int32_t files;
    const char *model;
    const char *const *demos;
    const char *cache;
    const char *static_camera;
    const char *gripper_camera;
    const char *instruction;
    const char *mask;
    int32_t threads;
    int32_t batch;
    int32_t shard_episodes;
    uint32_t reserved;
    void (*progress)(void *context, int64_t steps, int64_t of);
    void *context;
} deer_replay_options;
typedef struct {
    int64_t episodes, steps;
    int64_t replayed;
    int32_t shards, missing;
    int32_t unknown_words;
    uint32_t unused;
    double seconds;
    double reserved[4];
} deer_replay_report;
deer_status deer_replay(const deer_replay_options *options, deer_replay_report *report,
                                 deer_error *err);
typedef struct deer_cache deer_cache;
typedef struct {
    const char *name, *task, *instruction;
    int64_t first;
    int32_t steps;
    int32_t tokens;
} deer_episode;
deer_status deer_cache_open(const char *folder, deer_cache **cache, deer_error *err);
void deer_cache_close(deer_cache *cache);
const deer_config *deer_cache_config(const deer_cache *cache);
const char *deer_cache_model(const deer_cache *cache);
int64_t deer_cache_steps(const deer_cache *cache);
int32_t deer_cache_exits(const deer_cache *cache);
int32_t deer_cache_width(const deer_cache *cache);
int32_t deer_cache_episodes(const deer_cache *cache);
const deer_episode *deer_cache_episode(const deer_cache *cache, int32_t episode);
const float *deer_cache_action(const deer_cache *cache);
const float *deer_cache_delta(const deer_cache *cache);
const float *deer_cache_demonstration(const deer_cache *cache);
double deer_cache_cost(const deer_cache *cache, int32_t episode, int32_t exit, bool llm);
deer_status deer_cache_features(deer_cache *cache, int32_t episode, uint16_t *features,
                                         uint64_t count, deer_error *err);
typedef enum {
    DEER_LOSS_DEEPEST,
    DEER_LOSS_DEMO,
} deer_loss;
typedef struct {
    uint32_t size;
    int32_t criterion;
    const char *cache;
    const char *model;
    const char *out;
    const deer_solve_options *solve;
    int32_t loss;
    int32_t threads;
    uint32_t scope_llm;
    uint32_t reserved;
} deer_calibrate_options;
deer_status deer_calibrate(const deer_calibrate_options *options, deer_solution **solution,
                                    deer_error *err);
"""
