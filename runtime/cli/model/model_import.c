/* SPDX-License-Identifier: MIT */
/* model_import.c - deer-model import: official weights to a model file. */
#include "runtime/cli/model/model_commands.h"
#include "runtime/import/official.h"

int command_import(int argc, char **argv)
{
    const char *dtype = NULL, *out = NULL;
    tool_progress bar;
    official_sources from = {.progress = command_progress, .progress_context = &bar};
    const tool_option options[] = {
        {"checkpoint", TOOL_STRING, &from.checkpoint, "FILE",
         "DeeR checkpoint: .pth, .safetensors or an .index.json of shards"},
        {"flamingo", TOOL_STRING, &from.flamingo, "FILE", "OpenFlamingo's checkpoint.pt"},
        {"llm", TOOL_STRING, &from.llm, "FILE", "MPT's pytorch_model.bin or .index.json"},
        {"vision", TOOL_STRING, &from.vision, "FILE", "CLIP ViT-L/14 as open_clip names it"},
        {"tokenizer", TOOL_STRING, &from.tokenizer, "FILE",
         "tokenizer.json (GPT-NeoX's for a published model)"},
        {"config", TOOL_STRING, &from.config, "FILE",
         "dimensions as JSON (default: a published model's)"},
        {"official", TOOL_STRING, &from.folder, "DIR",
         "instead: a folder with config.json and weights.safetensors"},
        {"allow-left-over", TOOL_FLAG, &from.allow_left_over, NULL,
         "import although tensors that look like part of the model fill nothing in it"},
        {"dtype", TOOL_STRING, &dtype, "TYPE", "matrices as f32 (default), bf16 or q8"},
        {"out", TOOL_FILE, &out, "FILE", "model file to write (required)"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {
        "deer-model import", "makes a model file from official weights",
        "--checkpoint FILE [options] --out FILE", options,
        "deer-model import --checkpoint deer.pth --flamingo checkpoint.pt --llm pytorch_model.bin "
        "\\\n"
        "      --vision open_clip_pytorch_model.bin --tokenizer tokenizer.json --out "
        "deer.safetensors\n"
        "deer-model import --official tests/data/golden_a --dtype bf16 --out a.safetensors"};
    deer_error err;
    deer_status status;
    int ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if ((!from.folder && !from.checkpoint) || !out || (from.folder && from.checkpoint))
        return tool_usage(&self,
                          "--checkpoint FILE (or --official DIR) and --out FILE are required");
    if (!command_dtype(dtype, &from.dtype))
        return tool_usage(&self, "--dtype is f32, bf16 or q8, not %s", dtype);
    tool_progress_start(&bar, "import", "MB", 1);
    status = official_import(&from, out, &err);
    tool_progress_end(&bar);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}
