/* SPDX-License-Identifier: MIT */
/* sim_watch.c - deer-sim watch: one rollout as an animated picture, with the exit taken drawn on
 * each frame. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include "datasets/cli/png_file.h"
#include "datasets/cli/sim/sim_commands.h"
#include "datasets/cli/sim/strip.h"
#include "datasets/tabletop/rollout.h"
#include "runtime/base/file.h"
#include "runtime/cli/tool_policy.h"

/* A frame: both cameras, below them the strip of exits. On the sheet frames stand apart. */
enum { VIEW = 256, WIDTH = 2 * VIEW, GAP = 16 };

typedef struct {
    const deer_model *model;
    rollout_stage stage;
    int steps;
    bool succeeded;
    int exits[TABLETOP_MAX_STEPS];
    strip strip;
    uint8_t *frames; /* [steps, height, WIDTH, 3] */
} film;

static int height_of(const film *f)
{
    return VIEW + strip_height(&f->strip);
}

static size_t bytes_of(const film *f)
{
    return (size_t)height_of(f) * WIDTH * 3;
}

/* ---------------------------------------------------------------- drawing ------------------ */

static void draw_view(film *f, tabletop_camera camera, const char *top, const char *bottom,
                      uint8_t *frame)
{
    static uint8_t view[VIEW * VIEW * 3];

    tabletop_render_captioned(f->stage.eye, f->stage.world, camera, VIEW, top, bottom, view);
    for (int y = 0; y < VIEW; y++)
        memcpy(frame + 3 * (y * WIDTH + (int)camera * VIEW), view + 3 * y * VIEW, 3 * VIEW);
}

/* Breaks a sentence into lines that fit a view. */
static void wrap(char *text)
{
    enum { LINE = 30 };
    int length = 0;

    for (char *p = text, *space = NULL; *p; p++) {
        if (*p == ' ')
            space = p;
        if (++length > LINE && space) {
            *space = '\n';
            length = (int)(p - space);
            space = NULL;
        }
    }
}

static void draw_frame(film *f, const deer_action *action, uint8_t *frame)
{
    const deer_config *config = deer_model_config(f->model);
    char top[160], taken[80], delta[80] = "";

    snprintf(top, sizeof top, "%s", tabletop_instruction(f->stage.world));
    wrap(top);
    snprintf(taken, sizeof taken, "step %d: %s", f->steps,
             tabletop_phase_name(tabletop_phase_of(f->stage.world)));
    if (isfinite(action->delta[action->exit]))
        snprintf(delta, sizeof delta, "delta %.4f", (double)action->delta[action->exit]);
    draw_view(f, TABLETOP_STATIC, top, taken, frame);
    snprintf(taken, sizeof taken, "exit %d of %d (layer %d)", action->exit, config->exits - 1,
             action->exit_layer);
    draw_view(f, TABLETOP_GRIPPER, taken, delta, frame);
    strip_draw(&f->strip, f->exits, f->steps, frame + (size_t)VIEW * WIDTH * 3);
}

/* ---------------------------------------------------------------- rollout ------------------ */

static deer_status run(film *f, deer_error *err)
{
    while (!f->succeeded && f->steps < TABLETOP_MAX_STEPS) {
        deer_action action;
        if (rollout_act(&f->stage, &action, err))
            return DEER_FAILED;
        f->exits[f->steps++] = action.exit;
        draw_frame(f, &action, f->frames + (size_t)(f->steps - 1) * bytes_of(f));
        tabletop_step(f->stage.world, action.command);
        f->succeeded = tabletop_succeeded(f->stage.world);
    }
    return DEER_OK;
}

/* ---------------------------------------------------------------- files -------------------- */

static deer_status add_frame(WebPAnimEncoder *encoder, const uint8_t *rgb, int height, int time,
                             deer_error *err)
{
    WebPConfig config;
    WebPPicture picture;
    bool added;

    if (!WebPConfigPreset(&config, WEBP_PRESET_DRAWING, 80) || !WebPPictureInit(&picture))
        return deer_fail(err, "libwebp is of another version than its headers");
    picture.width = WIDTH;
    picture.height = height;
    picture.use_argb = 1;
    added = WebPPictureImportRGB(&picture, rgb, 3 * WIDTH) &&
            WebPAnimEncoderAdd(encoder, &picture, time, &config);
    WebPPictureFree(&picture);
    return added ? DEER_OK
                 : deer_fail(err, "cannot encode a frame: %s", WebPAnimEncoderGetError(encoder));
}

static deer_status encode(const film *f, int frame_ms, WebPData *data, deer_error *err)
{
    WebPAnimEncoderOptions options;
    WebPAnimEncoder *encoder;
    deer_status status = DEER_OK;

    if (!WebPAnimEncoderOptionsInit(&options))
        return deer_fail(err, "libwebp is of another version than its headers");
    encoder = WebPAnimEncoderNew(WIDTH, height_of(f), &options);
    if (!encoder)
        return deer_fail(err, "out of memory for an animation");
    for (int i = 0; i < f->steps && !status; i++)
        status = add_frame(encoder, f->frames + (size_t)i * bytes_of(f), height_of(f), i * frame_ms,
                           err);
    /* The last frame stays for two seconds. */
    if (!status && (!WebPAnimEncoderAdd(encoder, NULL, (f->steps - 1) * frame_ms + 2000, NULL) ||
                    !WebPAnimEncoderAssemble(encoder, data)))
        status =
            deer_fail(err, "cannot encode the animation: %s", WebPAnimEncoderGetError(encoder));
    WebPAnimEncoderDelete(encoder);
    return status;
}

static deer_status write_animation(const film *f, int frame_ms, const char *out, deer_error *err)
{
    WebPData data;
    deer_status status;

    WebPDataInit(&data);
    status = encode(f, frame_ms, &data, err);
    if (!status)
        status = file_write(out, data.bytes, data.size, err);
    WebPDataClear(&data);
    return status;
}

/* Every n-th frame, three in a row, on white. */
static deer_status write_sheet(const film *f, int every, const char *out, deer_error *err)
{
    int count = (f->steps + every - 1) / every, rows = (count + 2) / 3,
        columns = count < 3 ? count : 3;
    int width = columns * (WIDTH + GAP) - GAP, height = rows * (height_of(f) + GAP) - GAP;
    size_t stride = (size_t)width * 3, size = (size_t)height * stride;
    uint8_t *rgb = malloc(size);
    deer_status status;

    if (!rgb)
        return deer_fail(err, "out of memory for a picture");
    memset(rgb, 255, size);
    for (int i = 0; i < count; i++) {
        const uint8_t *frame = f->frames + (size_t)(i * every) * bytes_of(f);
        uint8_t *at = rgb + (size_t)(i / 3 * (height_of(f) + GAP)) * stride +
                      (size_t)(i % 3 * (WIDTH + GAP) * 3);
        for (int y = 0; y < height_of(f); y++)
            memcpy(at + (size_t)y * stride, frame + (size_t)y * WIDTH * 3, WIDTH * 3);
    }
    status = png_file_write(out, width, height, rgb, err);
    free(rgb);
    return status;
}

/* ---------------------------------------------------------------- command ------------------ */

static deer_status shoot(film *f, const deer_thresholds *thresholds, int task, uint64_t seed,
                         tabletop_split split, deer_error *err)
{
    f->strip = (strip){WIDTH, deer_model_config(f->model)->exits, TABLETOP_MAX_STEPS};
    f->frames = malloc((size_t)TABLETOP_MAX_STEPS * bytes_of(f));
    if (!f->frames)
        return deer_fail(err, "out of memory for %d frames", TABLETOP_MAX_STEPS);
    if (rollout_stage_open(&f->stage, f->model, thresholds, err))
        return DEER_FAILED;
    tabletop_reset(f->stage.world, seed, task, split);
    return deer_session_set_instruction(f->stage.session, tabletop_instruction(f->stage.world),
                                        err) ||
                   run(f, err)
               ? DEER_FAILED
               : DEER_OK;
}

typedef struct {
    policy_choice policy;
    const char *task, *split, *out, *sheet, *device;
    long seed, fps, every;
} request;

/* What is asked for by options, which fill r. */
static int watch_with(const tool_option *options, request *r, int argc, char **argv)
{
    const tool_command self = {
        "deer-sim watch", "draws a rollout with the exit taken at each step",
        "--model FILE (--out FILE | --sheet FILE) [options]", options,
        "deer-sim watch --model policy.safetensors --thresholds t.json --out rollout.webp\n"
        "deer-sim watch --model policy.safetensors --exit 0 --task store_green --sheet frames.png"};
    film f = {0};
    policy p;
    tabletop_split split;
    deer_error err;
    deer_status status;
    int ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (!r->policy.model || (!r->out && !r->sheet))
        return tool_usage(&self, "--model FILE and --out FILE (or --sheet FILE) are required");
    if (tabletop_task_find(r->task) < 0)
        return tool_usage(&self, "there is no task '%s'; deer-sim tasks lists them", r->task);
    if (policy_contradicts(&self, &r->policy) || tool_outside(&self, "fps", r->fps, 1, 50) ||
        tool_outside(&self, "every", r->every, 1, TABLETOP_MAX_STEPS) ||
        !sim_split(&self, r->split, &split) || tool_ends_otherwise(&self, "out", r->out, ".webp") ||
        tool_ends_otherwise(&self, "sheet", r->sheet, ".png"))
        return TOOL_USAGE;
    policy_device(r->device);
    status = policy_open(&r->policy, &p, &err);
    f.model = p.model;
    if (!status)
        status =
            shoot(&f, p.thresholds, tabletop_task_find(r->task), (uint64_t)r->seed, split, &err);
    if (!status && r->out)
        status = write_animation(&f, (int)(1000 / r->fps), r->out, &err);
    if (!status && r->sheet)
        status = write_sheet(&f, (int)r->every, r->sheet, &err);
    if (!status)
        fprintf(stderr, "\"%s\": %s after %d steps\n", tabletop_instruction(f.stage.world),
                f.succeeded ? "done" : "not done", f.steps);
    rollout_stage_close(&f.stage);
    policy_close(&p);
    free(f.frames);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}

int sim_watch_main(int argc, char **argv)
{
    request r = {.policy = POLICY_DEEPEST,
                 .task = "stack_red_on_blue",
                 .split = "seen",
                 .fps = 5,
                 .every = 3};
    const tool_option options[] = {
        {"model", TOOL_STRING, &r.policy.model, "FILE", "policy (required)"},
        {"out", TOOL_FILE, &r.out, "FILE", "animated WebP picture to write, a .webp"},
        {"sheet", TOOL_FILE, &r.sheet, "FILE", "and/or a .png with every few frames side by side"},
        {"thresholds", TOOL_STRING, &r.policy.thresholds, "FILE",
         "stop early under these thresholds"},
        {"exit", TOOL_INT, &r.policy.exit, "K",
         "always exit at the K-th exit, from 0 (default deepest)"},
        {"device", TOOL_STRING, &r.device, "NAME",
         "cpu, gpu, auto, or part of a name that deer-run devices lists (default $DEER_DEVICE, or "
         "cpu)"},
        {"task", TOOL_STRING, &r.task, "NAME", "what is asked for (default stack_red_on_blue)"},
        {"split", TOOL_STRING, &r.split, "NAME", "seen (default) or unseen wording and layout"},
        {"seed", TOOL_INT, &r.seed, "S", "episode (default 0)"},
        {"fps", TOOL_INT, &r.fps, "N",
         "frames a second, 1 to 50 (default 5; the robot acts at 10 Hz)"},
        {"every", TOOL_INT, &r.every, "N",
         "frames between those on the sheet, 1 to 60 (default 3)"},
        {NULL, 0, NULL, NULL, NULL}};

    return watch_with(options, &r, argc, argv);
}
