/* deer_model.c - model files: what is in them, what they cost, where they come from. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "budgets/cost.h"
#include "budgets/explain.h"
#include "runtime/official.h"
#include "runtime/tool.h"

/* ---------------------------------------------------------------- info --------------------- */

static json_t *exit_json(const deer_config *c, const deer_cost *cost, int k)
{
    const deer_exit_cost *e = &cost->exit[k];

    return json_pack("{s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:I}", "exit", k, "layer",
                     c->exit_layers[k], "llm_gflops", deer_gflops(e->llm), "total_gflops",
                     deer_gflops(e->total), "vision_gflops", deer_gflops(e->vision),
                     "resampler_gflops", deer_gflops(e->resampler), "head_gflops",
                     deer_gflops(e->head), "memory_bytes", (json_int_t)e->memory_bytes);
}

static void print_json(const deer_model *model, const deer_cost *cost)
{
    const deer_config *c = deer_model_config(model);
    json_t *exits = json_array(), *root;

    for (int k = 0; k < c->exits; k++)
        json_array_append_new(exits, exit_json(c, cost, k));
    root =
        json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:I, s:o}", "name", c->name, "fingerprint",
                  deer_model_fingerprint(model), "image_size", c->image_size, "d_model", c->d_model,
                  "layers", c->layers, "vocab", c->vocab, "tokens", cost->tokens, "mapped_bytes",
                  (json_int_t)deer_model_mapped_bytes(model), "exits", exits);
    json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(root);
}

static void print_dimensions(const deer_model *model)
{
    const deer_config *c = deer_model_config(model);

    printf("model        %s (%s)\n", c->name, deer_model_fingerprint(model));
    printf("vision       %d x %d pixels, patches of %d; %d layers, width %d, %d heads, MLP %d\n",
           c->image_size, c->image_size, c->patch_size, c->vision_layers, c->vision_width,
           c->vision_heads, c->vision_mlp);
    printf("resampler    %d latents an image; %d layers, %d heads of %d, MLP %d\n",
           c->resampler_latents, c->resampler_layers, c->resampler_heads, c->resampler_head_dim,
           c->resampler_mlp);
    printf("decoder      %s: %d layers, width %d, %d heads, MLP %d, %d words; media in %s\n",
           c->block == DEER_BLOCK_MPT_1B ? "MPT-1B" : "MPT-7B", c->layers, c->d_model, c->heads,
           c->mlp, c->vocab, c->cross_every == 1 ? "every layer" : "some layers");
    printf("head         %s LSTM: %d layers of %d; MLP",
           c->lstm == DEER_LSTM_PLAIN ? "plain" : "layer-normed", c->lstm_layers, c->lstm_hidden);
    for (int i = 0; i < c->head_mlp_layers; i++)
        printf(" %d", c->head_mlp[i]);
    printf("\nweights      %.2f MB mapped\n", (double)deer_model_mapped_bytes(model) / 1e6);
}

static void print_exits(const deer_config *c, const deer_cost *cost)
{
    printf("\nexit  layer  LLM GFLOPs  total GFLOPs  memory MB   (a step with %d text tokens)\n",
           cost->tokens);
    for (int k = 0; k < c->exits; k++)
        printf("%4d  %5d  %10.5f  %12.5f  %9.2f\n", k, c->exit_layers[k],
               deer_gflops(cost->exit[k].llm), deer_gflops(cost->exit[k].total),
               (double)cost->exit[k].memory_bytes / 1e6);
    printf("one multiply-add counts as one FLOP, as in the paper; --explain says how they come "
           "about\n");
}

static int info(int argc, char **argv)
{
    bool json = false, explain = false;
    long tokens = 12;
    const tool_option options[] = {
        {"json", TOOL_FLAG, &json, NULL, "print JSON on standard output"},
        {"explain", TOOL_FLAG, &explain, NULL, "say how FLOPs are counted, product by product"},
        {"tokens", TOOL_INT, &tokens, "N", "text tokens of the instruction (default 12)"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {"deer-model info",
                               "shows a model's dimensions and what its exits cost",
                               "FILE|3b|9b [options]", options,
                               "deer-model info datasets/tabletop/policy.safetensors\n"
                               "deer-model info 3b --tokens 14 --explain"};
    const char *rest[256];
    deer_model *model;
    deer_config published;
    deer_cost cost;
    deer_error err;
    deer_status status;
    int n = 0, ended;

    if (argc > 256)
        return tool_usage(&self, "too many arguments");
    if (tool_parse(&self, argc, argv, rest, &n, &ended))
        return ended;
    if (n != 1)
        return tool_usage(&self, "which model file?");
    if (tokens < 1 || tokens > 100000)
        return tool_usage(&self, "--tokens must be positive");
    if (deer_config_published(rest[0], &published)) {
        deer_cost_of(&published, (int)tokens, DEER_F32, &cost);
        if (explain)
            deer_cost_explain(&published, (int)tokens, stdout);
        else
            print_exits(&published, &cost);
        return DEER_OK;
    }
    status = deer_model_open(rest[0], DEER_ALL_EXITS, &model, &err);
    if (status)
        return tool_fail(&self, status, &err);
    deer_cost_of(deer_model_config(model), (int)tokens, DEER_F32, &cost);
    if (json) {
        print_json(model, &cost);
    } else if (explain) {
        deer_cost_explain(deer_model_config(model), (int)tokens, stdout);
    } else {
        print_dimensions(model);
        print_exits(deer_model_config(model), &cost);
    }
    deer_model_close(model);
    return DEER_OK;
}

/* ---------------------------------------------------------------- import ------------------- */

static int import(int argc, char **argv)
{
    const char *official = NULL, *out = NULL;
    const tool_option options[] = {
        {"official", TOOL_STRING, &official, "DIR",
         "folder with config.json and weights.safetensors under official names (required)"},
        {"out", TOOL_STRING, &out, "FILE", "model file to write (required)"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {
        "deer-model import", "makes a model file from official weights",
        "--official DIR --out FILE", options,
        "deer-model import --official tests/data/golden_a --out a.safetensors"};
    deer_error err;
    deer_status status;
    int ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (!official || !out)
        return tool_usage(&self, "--official DIR and --out FILE are required");
    status = official_import(official, out, &err);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}

int main(int argc, char **argv)
{
    static const tool_subcommand commands[] = {
        {"info", "show a model's dimensions and what its exits cost", info},
        {"import", "make a model file from official weights", import},
        {NULL, NULL, NULL}};

    return tool_dispatch("deer-model", "model files", commands, argc, argv);
}
