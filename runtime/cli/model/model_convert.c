/* SPDX-License-Identifier: MIT */
/* model_convert.c - deer-model convert: a float32 model file in another number type. */
#include "runtime/cli/model/model_commands.h"

int command_convert(int argc, char **argv)
{
    const char *model = NULL, *dtype = NULL;
    tool_progress bar;
    model_output to = {.progress = command_progress, .progress_context = &bar};
    const tool_option options[] = {
        {"model", TOOL_STRING, &model, "FILE", "float32 model file (required)"},
        {"dtype", TOOL_STRING, &dtype, "TYPE", "matrices as f32, bf16 or q8 (required)"},
        {"out", TOOL_FILE, &to.path, "FILE", "model file to write (required)"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {
        "deer-model convert", "makes a model file of another number type",
        "--model FILE --dtype TYPE --out FILE", options,
        "deer-model convert --model deer.safetensors --dtype q8 --out small.safetensors"};
    deer_error err;
    deer_status status;
    int ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (!model || !dtype || !to.path)
        return tool_usage(&self, "--model, --dtype and --out are required");
    if (!command_dtype(dtype, &to.dtype))
        return tool_usage(&self, "--dtype is f32, bf16 or q8, not %s", dtype);
    tool_progress_start(&bar, "convert", "MB", 1);
    status = model_convert(model, &to, &err);
    tool_progress_end(&bar);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}
