/* SPDX-License-Identifier: MIT */
/* replay.c - deer-calib replay: demonstrations through a model into a feature cache. */
#include <stdio.h>

#include "calib/cli/commands.h"
#include "calib/cli/run_replay.h"
#include "calib/cli/settings.h"
#include "datasets/hdf5/hdf5_io.h"
#include "runtime/cli/tool_policy.h"

int calib_replay_main(int argc, char **argv)
{
    replay_spec spec = {0};
    file_list recorded = {.count = 0};
    const char *part = NULL, *ages = NULL, *device = NULL;
    long threads = tool_cores(), per_shard = REPLAY_PER_SHARD, batch = REPLAY_BATCH;
    const tool_option options[] = {
        {"model", TOOL_STRING, &spec.model, "FILE", "policy to run (required)"},
        {"demos", TOOL_FILES, &recorded, "FILE..",
         "recorded demonstrations, several as one set (required)"},
        {"cache", TOOL_STRING, &spec.cache, "DIR",
         "feature cache to write or to go on with (required)"},
        {"static-camera", TOOL_STRING, &spec.reading.static_camera, "NAME",
         "below obs/ (default: the usual names)"},
        {"gripper-camera", TOOL_STRING, &spec.reading.gripper_camera, "NAME",
         "the same on the wrist"},
        {"instruction", TOOL_STRING, &spec.reading.instruction, "TEXT",
         "instead of the recorded ones"},
        {"mask", TOOL_STRING, &spec.reading.mask, "KEY",
         "only the demonstrations that mask/KEY of the file lists"},
        {"follow-links", TOOL_FLAG, &spec.reading.follow_links, NULL,
         "read links and virtual datasets into files of the same folder"},
        {"threads", TOOL_INT, &threads, "N", "threads, 1 to 1024 (default one per core)"},
        {"device", TOOL_STRING, &device, "NAME",
         "cpu, gpu, auto, or part of a name that deer-run devices lists (default $DEER_DEVICE, or "
         "cpu)"},
        {"batch", TOOL_INT, &batch, "N",
         "observations that go through the model together (default 8)"},
        {"shard-episodes", TOOL_INT, &per_shard, "N",
         "episodes of a shard of a new cache (default 8)"},
        {"ages", TOOL_STRING, &ages, "S,..:G,..",
         "also what exits see of encodings so many steps old: static camera's, wrist's"},
        {"part", TOOL_STRING, &part, "I/N", "write only every N-th shard, beginning with the I-th"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {
        "deer-calib replay", "runs a policy over demonstrations and caches what its exits see",
        "--model FILE --demos FILE.. --cache DIR [options]", options,
        "deer-calib replay --model policy.safetensors --demos demos.h5 --cache cache\n"
        "deer-calib replay --model policy.safetensors --demos demos.h5 --cache cache --part 0/4\n"
        "deer-calib replay --model policy.safetensors --demos demos.h5 --cache aged --ages "
        "1,2,4,9:1,2"};
    replay_report report;
    deer_error err;
    deer_status status;
    int ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (!spec.model || !recorded.count || !spec.cache)
        return tool_usage(&self, "--model, --demos and --cache are required");
    if (tool_outside(&self, "threads", threads, 1, TOOL_MOST_THREADS) ||
        tool_outside(&self, "batch", batch, 1, 4096) ||
        tool_outside(&self, "shard-episodes", per_shard, 1, 1000000))
        return TOOL_USAGE;
    if (part && settings_part(part, &spec.part, &spec.parts, &err))
        return tool_usage(&self, "%s", err.message);
    if (ages && settings_ages(ages, spec.ages, spec.age, &err))
        return tool_usage(&self, "%s", err.message);
    policy_device(device);
    spec.demos = recorded.name;
    spec.files = recorded.count;
    spec.threads = (int)threads;
    spec.batch = (int)batch;
    spec.per_shard = (int)per_shard;
    status = run_replay(&spec, &report, &err);
    if (status)
        return tool_fail(&self, status, &err);
    return DEER_OK;
}
