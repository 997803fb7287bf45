/* SPDX-License-Identifier: MIT */
/* sim_picture.c - deer-sim picture: what the two cameras see, as a PNG. */
#include <stdlib.h>
#include <string.h>

#include "datasets/cli/png_file.h"
#include "datasets/cli/sim/sim_commands.h"
#include "datasets/tabletop/rollout.h"
#include "runtime/cli/tool.h"

enum { SIDE = 256 };

/* Moments of one expert episode side by side: the static camera above, the wrist camera below. */
static deer_status draw(int task, uint64_t seed, int moments, int steps, uint8_t *rgb,
                        deer_error *err)
{
    rollout_stage stage;
    size_t stride = (size_t)moments * SIDE * 3;
    uint8_t view[SIDE * SIDE * 3];
    float action[DEER_COMMAND];

    if (rollout_stage_open(&stage, NULL, NULL, err))
        return DEER_FAILED;
    tabletop_reset(stage.world, seed, task, TABLETOP_SEEN);
    for (int m = 0; m < moments; m++) {
        for (int camera = 0; camera < 2; camera++) {
            tabletop_render(stage.eye, stage.world, (tabletop_camera)camera, SIDE, view);
            for (int y = 0; y < SIDE; y++)
                memcpy(rgb + (size_t)(camera * SIDE + y) * stride + (size_t)m * SIDE * 3,
                       view + (size_t)y * SIDE * 3, SIDE * 3);
        }
        for (int s = 0; s < steps && !tabletop_succeeded(stage.world); s++) {
            tabletop_expert(stage.world, action);
            tabletop_step(stage.world, action);
        }
    }
    rollout_stage_close(&stage);
    return DEER_OK;
}

int sim_picture_main(int argc, char **argv)
{
    const char *out = NULL, *task = "stack_red_on_blue";
    long seed = 0, moments = 4, steps = 6;
    const tool_option options[] = {
        {"out", TOOL_FILE, &out, "FILE", "PNG file to write, a .png (required)"},
        {"task", TOOL_STRING, &task, "NAME", "what the expert does (default stack_red_on_blue)"},
        {"seed", TOOL_INT, &seed, "S", "episode (default 0)"},
        {"moments", TOOL_INT, &moments, "N", "pictures side by side, 1 to 16 (default 4)"},
        {"steps", TOOL_INT, &steps, "N", "control steps between them, 1 to 60 (default 6)"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {"deer-sim picture", "draws moments of an expert episode",
                               "--out FILE [options]", options,
                               "deer-sim picture --task store_green --seed 3 --out scene.png"};
    deer_error err;
    deer_status status;
    uint8_t *rgb;
    int ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (!out)
        return tool_usage(&self, "--out FILE is required");
    if (tabletop_task_find(task) < 0)
        return tool_usage(&self, "there is no task '%s'; deer-sim tasks lists them", task);
    if (tool_outside(&self, "moments", moments, 1, 16) ||
        tool_outside(&self, "steps", steps, 1, TABLETOP_MAX_STEPS) ||
        tool_ends_otherwise(&self, "out", out, ".png"))
        return TOOL_USAGE;
    rgb = malloc((size_t)moments * 2 * SIDE * SIDE * 3);
    if (!rgb)
        return tool_fail(&self, deer_fail(&err, "out of memory"), &err);
    status = draw(tabletop_task_find(task), (uint64_t)seed, (int)moments, (int)steps, rgb, &err);
    if (!status)
        status = png_file_write(out, (int)moments * SIDE, 2 * SIDE, rgb, &err);
    free(rgb);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}
