/* SPDX-License-Identifier: MIT */
/* model_synth.c - deer-model synth: random weights, to measure models that are not here. */
#include <stdlib.h>
#include <string.h>

#include "budgets/cost/cost.h"
#include "runtime/base/json/json_file.h"
#include "runtime/cli/model/model_commands.h"
#include "runtime/import/official.h"
#include "runtime/import/synthesize.h"
#include "runtime/model/config.h"

enum { MAX_CONFIG = 1 << 20 };

static deer_status read_config(const char *path, deer_config *config, deer_error *err)
{
    json_t *json;
    deer_status status;

    if (deer_config_published(path, config))
        return DEER_OK;
    json = json_file_read(path, MAX_CONFIG, err);
    status = json ? config_from_json(path, json, config, err) : DEER_FAILED;
    json_decref(json);
    return status;
}

typedef struct {
    const char *config, *tokenizer;
    long layers, seed;
} request;

static deer_status keep_layers(const request *r, deer_config *config, deer_error *err)
{
    if (r->layers < 2 || r->layers > config->layers)
        return deer_fail_with(DEER_USAGE, err, "--layers must be 2 to %d for --config %s, not %ld",
                              config->layers, r->config, r->layers);
    synthesize_layers(config, (int)r->layers);
    return DEER_OK;
}

static deer_status make(const request *r, const model_output *to, deer_error *err)
{
    deer_config config;
    char *words = NULL;
    deer_status status = read_config(r->config, &config, err);

    if (!status && r->layers != TOOL_NOT_GIVEN)
        status = keep_layers(r, &config, err);
    if (!status && r->tokenizer)
        status = official_tokenizer(r->tokenizer, config.vocab, &words, err);
    if (!status)
        status = synthesize_model(to, &config, (uint64_t)r->seed, words, err);
    free(words);
    return status;
}

int command_synth(int argc, char **argv)
{
    const char *dtype = NULL;
    request r = {.layers = TOOL_NOT_GIVEN};
    tool_progress bar;
    model_output to = {.progress = command_progress, .progress_context = &bar};
    const tool_option options[] = {
        {"config", TOOL_STRING, &r.config, "3b|9b|FILE",
         "a published model's dimensions, or a model file's configuration as JSON (required)"},
        {"layers", TOOL_INT, &r.layers, "N",
         "keep N decoder layers, 2 to as many as configured (default: all)"},
        {"tokenizer", TOOL_STRING, &r.tokenizer, "FILE",
         "tokenizer.json to put in (default: the model takes ids only)"},
        {"dtype", TOOL_STRING, &dtype, "TYPE", "matrices as f32 (default), bf16 or q8"},
        {"seed", TOOL_INT, &r.seed, "S", "of the random numbers (default 0)"},
        {"out", TOOL_FILE, &to.path, "FILE", "model file to write (required)"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {
        "deer-model synth", "makes a model with random weights of real shapes, to measure with",
        "--config 3b|9b|FILE [options] --out FILE", options,
        "deer-model synth --config 3b --dtype bf16 --out 3b.safetensors\n"
        "deer-model synth --config 9b --layers 4 --dtype q8 --seed 1 --out 9b-4.safetensors"};
    deer_error err;
    deer_status status;
    int ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (!r.config || !to.path)
        return tool_usage(&self, "--config and --out are required");
    if (!command_dtype(dtype, &to.dtype))
        return tool_usage(&self, "--dtype is f32, bf16 or q8, not %s", dtype);
    tool_progress_start(&bar, "synth", "MB", 1);
    status = make(&r, &to, &err);
    tool_progress_end(&bar);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}
