/* SPDX-License-Identifier: MIT */
/* test_golden.c - the runtime against the official modules' numbers.
 *
 *   test_golden [DIR ...]     default: the three sets in tests/data
 *
 * golden_a and golden_c come from the official modules, golden_b from a second implementation of
 * them in double precision (tests/data/make_golden.py). DIR holds config.json, weights.safetensors
 * (official names) and golden.h5. Everything is taken from there, so any set of that layout works.
 * It all holds as well on the device that DEER_DEVICE names, but that a GPU's vision tokens are not
 * looked at. Preprocessing is compared bit for bit, exits exactly, the rest within tolerances that
 * lie above float32 noise (1e-5) and below what mistakes cause (1e-4). */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "datasets/hdf5/hdf5_io.h"
#include "runtime/base/half.h"
#include "runtime/import/official.h"
#include "runtime/policy/session.h"
#include "runtime/processor/backend_cpu.h"
#include "runtime/thresholds/thresholds_format.h"

#define HIDDEN_TOLERANCE 5e-5
#define POSE_TOLERANCE 3e-5

enum { MAX_FOLDERS = 64 };

static const char *const *folders;
static int n_folders;

static deer_error error;

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", error.message);
}

/* ---------------------------------------------------------------- reading ------------------ */

typedef struct {
    float *data;
    hsize_t size[4];
    int rank;
    size_t row; /* elements per first index */
} array;

static bool read_floats(hid_t file, const char *path, const char *name, array *a)
{
    hdf5_shape shape;
    size_t count = 1;

    if (hdf5_shape_of(file, path, name, &shape, NULL))
        return false;
    for (int i = 0; i < shape.rank; i++)
        count *= shape.size[i];
    memcpy(a->size, shape.size, sizeof a->size);
    a->rank = shape.rank;
    a->row = count / shape.size[0];
    a->data = malloc((count + 1) * sizeof *a->data);
    ok(hdf5_read(file, path, name, H5T_NATIVE_FLOAT, a->data, &error));
    return true;
}

static array floats_at(hid_t file, const char *path, const char *episode, const char *name)
{
    char full[160];
    array a = {0};

    snprintf(full, sizeof full, "%s/%s", episode, name);
    if (!read_floats(file, path, full, &a))
        fail_msg("%s: there is no %s", path, full);
    return a;
}

static int attribute_numbers(hid_t file, const char *episode, const char *name, double *out,
                             int room)
{
    hid_t attribute = H5Aopen_by_name(file, episode, name, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Aget_space(attribute);
    int n = (int)H5Sget_simple_extent_npoints(space);

    assert_true(attribute >= 0 && n >= 1 && n <= room);
    H5Aread(attribute, H5T_NATIVE_DOUBLE, out);
    H5Sclose(space);
    H5Aclose(attribute);
    return n;
}

/* ---------------------------------------------------------------- comparing ---------------- */

typedef struct {
    const char *what;
    double largest, tolerance;
    long values;
} comparison;

enum { PIXELS, VISION, MEDIA, HIDDEN, POOLED, POSE, DELTA, STATE, COMMAND, GROUPS };

static comparison groups[GROUPS];

static void compare(int group, const float *mine, const float *official, size_t n)
{
    comparison *g = &groups[group];

    for (size_t i = 0; i < n; i++) {
        double e = fabs((double)mine[i] - (double)official[i]);
        if (isnan(official[i]) && isnan(mine[i]))
            continue;
        if (!(e <= g->largest))
            g->largest = isnan(e) ? INFINITY : e;
        g->values++;
    }
}

/* ---------------------------------------------------------------- one episode -------------- */

typedef struct {
    const deer_model *model;
    const deer_config *config;
    hid_t file;
    char path[512], name[64];
    deer_session *acting, *looking; /* under thresholds; through every layer */
    deer_head *head;
    array hidden; /* official hidden states, for the observer */
    int t;
} episode;

static void observe(void *context, int layer, const float *hidden)
{
    episode *e = context;
    size_t per_layer = e->hidden.row / e->hidden.size[1];

    if ((hsize_t)layer < e->hidden.size[1])
        compare(HIDDEN, hidden,
                e->hidden.data + (size_t)e->t * e->hidden.row + (size_t)layer * per_layer,
                (size_t)deer_session_tokens(e->looking) * (size_t)e->config->d_model);
}

static void read_thresholds(episode *e, deer_thresholds *t)
{
    double tau[DEER_MAX_EXITS], stages;
    int n = attribute_numbers(e->file, e->name, "thresholds", tau, DEER_MAX_EXITS);

    attribute_numbers(e->file, e->name, "steps_per_stage", &stages, 1);
    thresholds_fix(e->model, n - 1, t, NULL);
    t->steps_per_stage = (int)stages;
    for (int k = 0; k + 1 < n; k++)
        t->tau[k] = (float)tau[k];
}

static void set_tokens(episode *e)
{
    array ids = floats_at(e->file, e->path, e->name, "inputs/input_ids");
    int32_t tokens[512];

    assert_true(ids.size[0] <= 512);
    for (hsize_t i = 0; i < ids.size[0]; i++)
        tokens[i] = (int32_t)ids.data[i];
    ok(deer_session_set_tokens(e->acting, tokens, (int)ids.size[0], &error));
    ok(deer_session_set_tokens(e->looking, tokens, (int)ids.size[0], &error));
    free(ids.data);
}

static uint8_t *pixels_of(const array *a)
{
    size_t n = a->row * a->size[0];
    uint8_t *pixels = malloc(n);

    for (size_t i = 0; i < n; i++)
        pixels[i] = (uint8_t)a->data[i];
    return pixels;
}

/* Vision and media tokens of the step just looked at. */
static void compare_backbone(episode *e, const array *vit, const array *media)
{
    const deer_session *s = e->looking;
    size_t size = media->row / 2;
    float *mine = malloc(size * sizeof *mine);
    const float *class_token =
        s->on == &backend_cpu ? ((const cpu_work *)s->work)->backbone.tokens : NULL;

    for (int image = 0; image < 2; image++) {
        s->on->take_media(s->work, image, mine);
        compare(MEDIA, mine, media->data + (size_t)e->t * media->row + (size_t)image * size, size);
    }
    free(mine);
    for (int view = 0; class_token && view < 2; view++) {
        const float *tokens =
            class_token + (size_t)view * (vit[view].row + (size_t)e->config->vision_width);
        compare(VISION, tokens + e->config->vision_width,
                vit[view].data + (size_t)e->t * vit[view].row, vit[view].row);
    }
}

/* Every exit's pose and delta from the state before this step. */
static void compare_full_depth(episode *e, const float *pooled, const array *pose,
                               const array *delta, const array *prev, const array *official_pooled)
{
    int exits = e->config->exits, d = e->config->d_model;
    float previous[DEER_POSE], mine[DEER_POSE], gripper, distance;

    deer_head_evaluate(e->head, 1, pooled, deer_session_lstm_h(e->acting),
                       deer_session_lstm_c(e->acting), NULL, NULL, previous, &gripper, NULL);
    compare(POSE, previous, prev->data + (size_t)e->t * DEER_POSE, DEER_POSE);
    for (int k = 0; k < exits; k++) {
        deer_head_evaluate(e->head, 1, pooled + (k + 1) * d, deer_session_lstm_h(e->acting),
                           deer_session_lstm_c(e->acting), NULL, NULL, mine, &gripper, NULL);
        distance = deer_criterion_delta(DEER_CRITERION_L2, mine, previous);
        memcpy(previous, mine, sizeof previous);
        compare(POSE, mine, pose->data + (size_t)e->t * pose->row + k * DEER_POSE, DEER_POSE);
        compare(DELTA, &distance, delta->data + (size_t)e->t * delta->row + k, 1);
        compare(POOLED, pooled + (k + 1) * d,
                official_pooled->data + (size_t)e->t * official_pooled->row +
                    (size_t)(e->config->exit_layers[k] * d),
                (size_t)d);
    }
}

/* The command is this step's pose as float16, and the official float16 or its neighbour: poses that
 * differ by noise may round apart. */
static void compare_command(const deer_action *a, const float *official)
{
    float apart[DEER_COMMAND], none[DEER_COMMAND] = {0};

    for (int i = 0; i < DEER_COMMAND; i++) {
        if (i < DEER_POSE)
            assert_int_equal(half_from_float(a->command[i]), half_from_float(a->pose[i]));
        apart[i] = (float)half_from_float(a->command[i]) - (float)half_from_float(official[i]);
        if (fabs((double)a->command[i] - (double)official[i]) <= POSE_TOLERANCE)
            apart[i] = 0; /* near zero float16 is finer than the noise */
    }
    compare(COMMAND, apart, none, DEER_COMMAND);
}

/* Exit, action and state of the step just taken. */
static void compare_outputs(episode *e, const deer_action *a, const array *out)
{
    size_t t = (size_t)e->t, state = out[4].row;

    assert_int_equal(a->exit_layer, (int)out[0].data[t]);
    compare(POSE, a->pose, out[1].data + t * out[1].row, DEER_POSE);
    compare(POSE, &a->gripper_probability, out[2].data + t * out[2].row, 1);
    compare(STATE, deer_session_lstm_h(e->acting), out[4].data + t * state, state);
    compare(STATE, deer_session_lstm_c(e->acting), out[5].data + t * state, state);
    compare_command(a, out[3].data + t * DEER_COMMAND);
    for (size_t k = 0; k < out[6].row; k++)
        assert_int_equal(isnan(a->delta[k]), isnan(out[6].data[t * out[6].row + k]));
    compare(DELTA, a->delta, out[6].data + t * out[6].row, out[6].row);
}

static bool full_depth_exits_are_the_models(const episode *e)
{
    double list[DEER_MAX_EXITS];
    int n = attribute_numbers(e->file, e->name, "exit_list", list, DEER_MAX_EXITS);

    if (n != e->config->exits)
        return false;
    for (int k = 0; k < n; k++)
        if ((int)list[k] != e->config->exit_layers[k])
            return false;
    return true;
}

static deer_observation seen_at(const array views[2], uint8_t *const rgb[2], size_t t)
{
    return (deer_observation){{rgb[0] + t * views[0].row, views[0].row},
                              {rgb[1] + t * views[1].row, views[1].row}};
}

static void set_cameras(episode *e, const array views[2])
{
    deer_camera camera[2];

    for (int i = 0; i < 2; i++)
        camera[i] = (deer_camera){.height = (int)views[i].size[1], .width = (int)views[i].size[2]};
    ok(deer_session_set_cameras(e->acting, &camera[0], &camera[1], &error));
    ok(deer_session_set_cameras(e->looking, &camera[0], &camera[1], &error));
}

/* An episode before this one, of which nothing may remain once the instruction is given again. */
static void play_before(episode *e, const array views[2], uint8_t *const rgb[2])
{
    deer_observation seen = seen_at(views, rgb, 0);
    deer_action action;

    for (int t = 0; t < 2; t++)
        ok(deer_step(e->acting, &seen, &action, &error));
    set_tokens(e);
}

/* Every layer of a step, whatever exit it would take, and the features of all exits. */
static void look_through(episode *e, const deer_observation *seen, float *pooled)
{
    const deer_config *c = e->config;
    deer_session *s = e->looking;
    int d = c->d_model, next = 0;

    ok(session_see(s, seen, &error));
    for (int layer = 0; layer <= c->exit_layers[c->exits - 1]; layer++) {
        session_layer(s, layer);
        if (layer == c->exit_layers[0] - 1)
            max_pool(pooled, s->on->hidden(s->work), s->tokens, d);
        if (layer == c->exit_layers[next])
            max_pool(pooled + (long)++next * d, s->on->hidden(s->work), s->tokens, d);
    }
}

static void run_steps(episode *e)
{
    static const char *const names[] = {"exit_layer", "pose",   "gripper_prob",   "action",
                                        "lstm_h",     "lstm_c", "delta_evaluated"};
    array out[7], views[2], vit[2], media, pose, delta, prev, pooled_official;
    uint8_t *rgb[2];
    float *pooled = malloc((size_t)(e->config->exits + 1) * (size_t)e->config->d_model * 4);
    bool comparable = full_depth_exits_are_the_models(e);
    char name[64];

    for (int i = 0; i < 7; i++) {
        snprintf(name, sizeof name, "outputs/%s", names[i]);
        out[i] = floats_at(e->file, e->path, e->name, name);
    }
    views[0] = floats_at(e->file, e->path, e->name, "inputs/static_u8");
    views[1] = floats_at(e->file, e->path, e->name, "inputs/gripper_u8");
    vit[0] = floats_at(e->file, e->path, e->name, "intermediates/vit_tokens_static");
    vit[1] = floats_at(e->file, e->path, e->name, "intermediates/vit_tokens_gripper");
    media = floats_at(e->file, e->path, e->name, "intermediates/media_tokens");
    pose = floats_at(e->file, e->path, e->name, "full_depth/pose");
    delta = floats_at(e->file, e->path, e->name, "full_depth/delta");
    prev = floats_at(e->file, e->path, e->name, "full_depth/prev_pose0");
    pooled_official = floats_at(e->file, e->path, e->name, "full_depth/pooled");
    rgb[0] = pixels_of(&views[0]);
    rgb[1] = pixels_of(&views[1]);
    set_cameras(e, views);
    play_before(e, views, rgb);
    for (e->t = 0; (hsize_t)e->t < out[0].size[0]; e->t++) {
        deer_observation seen = seen_at(views, rgb, (size_t)e->t);
        deer_action action;
        look_through(e, &seen, pooled);
        compare_backbone(e, vit, &media);
        if (comparable)
            compare_full_depth(e, pooled, &pose, &delta, &prev, &pooled_official);
        ok(deer_step(e->acting, &seen, &action, &error));
        compare_outputs(e, &action, out);
    }
    for (int i = 0; i < 7; i++)
        free(out[i].data);
    for (int i = 0; i < 2; i++) {
        free(views[i].data);
        free(vit[i].data);
        free(rgb[i]);
    }
    free(media.data);
    free(pose.data);
    free(delta.data);
    free(prev.data);
    free(pooled_official.data);
    free(pooled);
}

static void run_episode(const deer_model *model, hid_t file, const char *path, const char *name)
{
    episode e = {.model = model, .config = deer_model_config(model), .file = file};
    deer_thresholds thresholds;

    snprintf(e.path, sizeof e.path, "%s", path);
    snprintf(e.name, sizeof e.name, "%s", name);
    read_thresholds(&e, &thresholds);
    ok(deer_session_new(model, &thresholds, NULL, &e.acting, &error));
    ok(deer_session_new(model, &thresholds, NULL, &e.looking, &error));
    ok(deer_head_new(model, 1, NULL, &e.head, &error));
    set_tokens(&e);
    e.hidden = floats_at(file, path, name, "full_depth/hidden");
    e.looking->observe = observe;
    e.looking->observe_context = &e;
    run_steps(&e);
    free(e.hidden.data);
    deer_head_free(e.head);
    deer_session_free(e.acting);
    deer_session_free(e.looking);
}

/* ---------------------------------------------------------------- preprocessing ------------ */

/* The first step's network input, where the set holds it: every bit must be equal. */
static void compare_pixels(const deer_model *model, hid_t file, const char *path)
{
    static const char *const inputs[2] = {"inputs/static_u8", "inputs/gripper_u8"};
    static const char *const wanted[2] = {"intermediates/step0/vit_in_static",
                                          "intermediates/step0/vit_in_gripper"};
    const deer_config *c = deer_model_config(model);

    for (int view = 0; view < 2; view++) {
        array rgb = floats_at(file, path, "episode0", inputs[view]);
        array official = floats_at(file, path, "episode0", wanted[view]);
        uint8_t *bytes = pixels_of(&rgb);
        size_t n = official.row * official.size[0];
        float *mine = malloc(n * sizeof *mine);
        image_plan plan = {0};
        deer_camera camera = {.height = (int)rgb.size[1], .width = (int)rgb.size[2]};
        assert_int_equal(n, 3 * c->image_size * c->image_size);
        ok(image_plan_prepare(&plan, &camera, c->image_size, &error));
        image_preprocess(&plan, bytes, c->image_mean, c->image_std, mine);
        compare(PIXELS, mine, official.data, n);
        assert_memory_equal(mine, official.data, n * sizeof *mine);
        image_plan_free(&plan);
        free(mine);
        free(bytes);
        free(official.data);
        free(rgb.data);
    }
}

/* ---------------------------------------------------------------- sets --------------------- */

static herr_t each_episode(hid_t root, const char *name, const H5L_info_t *info, void *user)
{
    void **context = user;

    (void)info;
    if (!strncmp(name, "episode", 7)) {
        run_episode(context[0], root, context[1], name);
        ++*(int *)context[2];
    }
    return 0;
}

static void start_groups(void)
{
    static const comparison start[GROUPS] = {
        {"pixels", 0, 0, 0},
        {"vision tokens", 0, HIDDEN_TOLERANCE, 0},
        {"media tokens", 0, HIDDEN_TOLERANCE, 0},
        {"hidden states", 0, HIDDEN_TOLERANCE, 0},
        {"pooled features", 0, HIDDEN_TOLERANCE, 0},
        {"poses", 0, POSE_TOLERANCE, 0},
        {"deltas", 0, POSE_TOLERANCE, 0},
        {"LSTM states", 0, POSE_TOLERANCE, 0},
        {"commands (ulp)", 0, 1, 0},
    };

    memcpy(groups, start, sizeof groups);
}

static void print_groups(const char *folder)
{
    printf("%s\n", folder);
    for (int i = 0; i < GROUPS; i++)
        printf("  %-16s largest error %.2e of %.0e allowed (%ld values)\n", groups[i].what,
               groups[i].largest, groups[i].tolerance, groups[i].values);
}

static void test_set(void **state)
{
    const char *folder = folders[(intptr_t)*state];
    char model_path[] = "/tmp/deer-golden-XXXXXX", golden[512];
    deer_model *model = NULL;
    hid_t file;
    deer_status status;
    int episodes = 0;
    void *context[3];

    close(mkstemp(model_path));
    status = official_import_folder(folder, model_path, &error) ||
             deer_model_open(model_path, DEER_ALL_EXITS, &model, &error);
    unlink(model_path);
    ok(status);
    hdf5_quiet();
    snprintf(golden, sizeof golden, "%s/golden.h5", folder);
    file = H5Fopen(golden, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0)
        fail_msg("cannot open %s", golden);
    start_groups();
    compare_pixels(model, file, golden);
    context[0] = model;
    context[1] = golden;
    context[2] = &episodes;
    H5Literate(file, H5_INDEX_NAME, H5_ITER_INC, NULL, each_episode, context);
    print_groups(folder);
    assert_true(episodes >= 1);
    for (int i = 0; i < GROUPS; i++) {
        assert_true(groups[i].values > 0 || (i == VISION && getenv("DEER_DEVICE")));
        assert_true(groups[i].largest <= groups[i].tolerance);
    }
    H5Fclose(file);
    deer_model_close(model);
}

int main(int argc, char **argv)
{
    static const char *const shipped[] = {"tests/data/golden_a", "tests/data/golden_b",
                                          "tests/data/golden_c"};
    struct CMUnitTest tests[MAX_FOLDERS] = {{0}};

    folders = argc > 1 ? (const char *const *)(argv + 1) : shipped;
    n_folders = argc > 1 ? argc - 1 : 3;
    if (n_folders > MAX_FOLDERS)
        return 2;
    for (int i = 0; i < n_folders; i++)
        tests[i] = (struct CMUnitTest){folders[i], test_set, NULL, NULL, (void *)(intptr_t)i};
    return _cmocka_run_group_tests("golden", tests, (size_t)n_folders, NULL, NULL);
}
