/* SPDX-License-Identifier: MIT */
/* data_frame.c - deer-data frame: one camera image of a demonstration as a PNG. */
#include <string.h>

#include "datasets/cli/data_commands.h"
#include "datasets/cli/png_file.h"
#include "datasets/demos/demos.h"
#include "datasets/hdf5/hdf5_io.h"
#include "runtime/cli/tool.h"

/* The image of a camera at a step; steps below zero count from the end. */
static deer_status write_frame(demos *d, int i, long step, bool wrist, const char *out,
                               deer_error *err)
{
    demo_episode e;
    deer_observation seen;
    deer_status status;

    if (step < 0)
        step += demos_steps(d, i);
    if (step < 0 || step >= demos_steps(d, i))
        return deer_fail(err, "%s has steps 0 to %d", demos_name(d, i), demos_steps(d, i) - 1);
    if (demos_read(d, i, &e, err))
        return DEER_FAILED;
    seen = demo_episode_observation(&e, (int)step);
    if (wrist)
        status =
            png_file_write(out, e.gripper_width, e.gripper_height, seen.gripper_view.pixels, err);
    else
        status = png_file_write(out, e.static_width, e.static_height, seen.static_view.pixels, err);
    demo_episode_free(&e);
    return status;
}

static deer_status run(const char *path, const demos_options *reading, const char *name, long step,
                       bool wrist, const char *out, deer_error *err)
{
    demos *d;
    deer_status status;
    int i;

    if (demos_open_files(&path, 1, reading, &d, err))
        return DEER_FAILED;
    i = name ? demos_find(d, name) : 0;
    if (i < 0)
        status = deer_fail(err, "%s has no demonstration %s; the first is %s", path, name,
                           demos_name(d, 0));
    else
        status = write_frame(d, i, step, wrist, out, err);
    demos_close(d);
    return status;
}

int data_frame_main(int argc, char **argv)
{
    const char *name = NULL, *camera = "static", *out = NULL, *file = NULL, *rest[argc];
    demos_options reading = {NULL};
    long step = 0;
    const tool_option options[] = {
        {"demos", TOOL_STRING, &file, "FILE", "the same as naming it without --demos"},
        {"demo", TOOL_STRING, &name, "NAME", "demonstration (default the first)"},
        {"step", TOOL_INT, &step, "T", "step, -1 for the last (default 0)"},
        {"camera", TOOL_STRING, &camera, "NAME", "static or gripper (default static)"},
        {"static-camera", TOOL_STRING, &reading.static_camera, "NAME",
         "below obs/ (default: the usual names)"},
        {"gripper-camera", TOOL_STRING, &reading.gripper_camera, "NAME", "the same on the wrist"},
        {"follow-links", TOOL_FLAG, &reading.follow_links, NULL,
         "read links and virtual datasets into files of the same folder"},
        {"out", TOOL_FILE, &out, "FILE", "PNG file to write, a .png (required)"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {"deer-data frame", "writes one camera image as a PNG",
                               "DEMOS --out FILE [options]", options,
                               "deer-data frame demos.h5 --demo demo_3 --step 10 --out frame.png"};
    deer_error err;
    deer_status status;
    int ended, count;
    bool wrist;

    if (tool_parse(&self, argc, argv, rest, &count, &ended))
        return ended;
    wrist = !strcmp(camera, "gripper");
    file = tool_only(rest, count, file);
    if (!file || !out)
        return tool_usage(&self, "one demonstrations file and --out are needed");
    if (!wrist && strcmp(camera, "static"))
        return tool_usage(&self, "'%s' is no camera: static or gripper", camera);
    if (tool_ends_otherwise(&self, "out", out, ".png"))
        return TOOL_USAGE;
    status = run(file, &reading, name, step, wrist, out, &err);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}
