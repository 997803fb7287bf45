/* SPDX-License-Identifier: MIT */
/* deer_model.c - model files: what is in them, what they cost, where they come from. */
#include <jansson.h>
#include <stdio.h>

#include "budgets/cost/cost.h"
#include "budgets/cost/explain.h"
#include "budgets/cost/weights.h"
#include "runtime/base/json/json_build.h"
#include "runtime/cli/model/model_commands.h"
#include "runtime/cli/tool.h"
#include "runtime/model/model.h"

enum { MAX_TOKENS = 4096 }; /* of any model */

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

/* What is shown: a model file, or the published dimensions of one that is not here. */
typedef struct {
    const deer_config *config;
    const deer_model *model; /* NULL: published dimensions alone */
    deer_cost cost;
} subject;

/* Numbers in each part of the model, biases and norms included. */
typedef struct {
    uint64_t vision, resampler, embedding, head, decoder;
} parameters;

static parameters count_parameters(const deer_config *c)
{
    parameters p = {
        weights_count(weights_of(c, ARCH_VISION)), weights_count(weights_of(c, ARCH_RESAMPLER)),
        weights_count(weights_of(c, ARCH_EMBEDDING)), weights_count(weights_of(c, ARCH_HEAD)), 0};

    for (int i = 0; i <= c->exit_layers[c->exits - 1]; i++)
        p.decoder += weights_count(weights_layer(c, i));
    return p;
}

static json_t *parameters_json(const deer_config *c)
{
    parameters p = count_parameters(c);

    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "vision", (json_int_t)p.vision, "resampler",
                     (json_int_t)p.resampler, "embedding", (json_int_t)p.embedding, "head",
                     (json_int_t)p.head, "decoder", (json_int_t)p.decoder);
}

static deer_status print_json(const subject *s, deer_error *err)
{
    const deer_config *c = s->config;
    json_t *exits = json_array(), *root;

    for (int k = 0; k < c->exits; k++)
        json_push(exits, exit_json(c, &s->cost, k));
    root = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:o, s:o}", "name", c->name, "image_size",
                     c->image_size, "d_model", c->d_model, "layers", c->layers, "vocab", c->vocab,
                     "tokens", s->cost.tokens, "parameters", parameters_json(c), "exits", exits);
    if (s->model) {
        json_put(root, "dtype", json_string(deer_model_type(s->model)));
        json_put(root, "fingerprint", json_string(deer_model_fingerprint(s->model)));
        json_put(root, "checksums", json_boolean(safetensors_has_sums(&s->model->file)));
        json_put(root, "weight_bytes", json_integer((json_int_t)deer_model_bytes(s->model)));
    }
    return json_print(root, JSON_INDENT(1) | JSON_REAL_PRECISION(6), err);
}

static void print_head(const deer_config *c)
{
    printf("head         %s LSTM: %d layers of %d; MLP",
           c->lstm == DEER_LSTM_PLAIN ? "plain" : "layer-normed", c->lstm_layers, c->lstm_hidden);
    for (int i = 0; i < c->head_mlp_layers; i++)
        printf(" %d", c->head_mlp[i]);
    putchar('\n');
}

static void print_parameters(const deer_config *c)
{
    parameters p = count_parameters(c);

    printf("parameters   vision %.3f M, resampler %.3f M, embedding %.3f M, head %.3f M, "
           "decoder %.3f M\n",
           (double)p.vision / 1e6, (double)p.resampler / 1e6, (double)p.embedding / 1e6,
           (double)p.head / 1e6, (double)p.decoder / 1e6);
}

static void print_dimensions(const subject *s)
{
    const deer_config *c = s->config;

    printf("model        %s (%s)\n", c->name,
           s->model ? deer_model_fingerprint(s->model) : "published dimensions, no file");
    printf("vision       %d x %d pixels, patches of %d; %d layers, width %d, %d heads, MLP %d\n",
           c->image_size, c->image_size, c->patch_size, c->vision_layers, c->vision_width,
           c->vision_heads, c->vision_mlp);
    printf("resampler    %d latents an image; %d layers, %d heads of %d, MLP %d\n",
           c->resampler_latents, c->resampler_layers, c->resampler_heads, c->resampler_head_dim,
           c->resampler_mlp);
    printf("decoder      %s: %d layers, width %d, %d heads, MLP %d, %d words; media in ",
           c->block == DEER_BLOCK_MPT_1B ? "MPT-1B" : "MPT-7B", c->layers, c->d_model, c->heads,
           c->mlp, c->vocab);
    printf(c->cross_every == 1 ? "every layer\n" : "one layer of %d\n", c->cross_every);
    print_head(c);
    print_parameters(c);
    if (s->model)
        printf("weights      matrices in %s; %.2f MB in memory\n", deer_model_type(s->model),
               (double)deer_model_bytes(s->model) / 1e6);
    if (s->model && !safetensors_has_sums(&s->model->file))
        printf(
            "checksums    none: written before there were any; deer-model convert or import adds "
            "them\n");
}

static void print_exits(const subject *s)
{
    printf("\nexit  layer  LLM GFLOPs  total GFLOPs  memory MB   (a step with %d text tokens)\n",
           s->cost.tokens);
    for (int k = 0; k < s->config->exits; k++)
        printf("%4d  %5d  %10.5f  %12.5f  %9.2f\n", k, s->config->exit_layers[k],
               deer_gflops(s->cost.exit[k].llm), deer_gflops(s->cost.exit[k].total),
               (double)s->cost.exit[k].memory_bytes / 1e6);
    printf("one multiply-add counts as one FLOP, as in the paper; --explain says how they come "
           "about\n");
}

typedef struct {
    bool json, explain;
    long tokens;
} shown_as;

static deer_status show(const char *name, const deer_config *config, const deer_model *model,
                        const shown_as *as, deer_error *err)
{
    subject s = {.config = config, .model = model};

    if (as->tokens > config->max_text)
        return deer_fail_with(DEER_USAGE, err, "%s takes at most %d tokens; --tokens is %ld", name,
                              config->max_text, as->tokens);
    deer_cost_of(config, (int)as->tokens, model ? deer_dtype_of(model) : WEIGHT_F32, &s.cost);
    if (as->json)
        return print_json(&s, err);
    if (as->explain) {
        deer_cost_explain(config, (int)as->tokens, stdout);
    } else {
        print_dimensions(&s);
        print_exits(&s);
    }
    return DEER_OK;
}

/* A published model's name, or a model file. */
static deer_status show_named(const char *name, const shown_as *as, deer_error *err)
{
    deer_config published;
    deer_model *model;
    deer_status status;

    if (deer_config_published(name, &published))
        return show(name, &published, NULL, as, err);
    status = model_describe(name, &model, err);
    if (status)
        return status;
    status = show(name, deer_model_config(model), model, as, err);
    deer_model_close(model);
    return status;
}

static int info(int argc, char **argv)
{
    shown_as as = {.tokens = 12};
    const char *model = NULL;
    const tool_option options[] = {
        {"model", TOOL_STRING, &model, "FILE|3b|9b", "the same as naming it without --model"},
        {"json", TOOL_FLAG, &as.json, NULL, "print JSON on standard output"},
        {"explain", TOOL_FLAG, &as.explain, NULL, "say how FLOPs are counted, product by product"},
        {"tokens", TOOL_INT, &as.tokens, "N",
         "text tokens of the instruction, 1 to as many as the model takes (default 12)"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {"deer-model info",
                               "shows a model's dimensions and what its exits cost",
                               "FILE|3b|9b [options]", options,
                               "deer-model info datasets/tabletop/policy.safetensors\n"
                               "deer-model info 3b --tokens 14 --explain"};
    const char *rest[256];
    deer_error err;
    deer_status status;
    int n = 0, ended;

    if (argc > 256)
        return tool_usage(&self, "too many arguments");
    if (tool_parse(&self, argc, argv, rest, &n, &ended))
        return ended;
    model = tool_only(rest, n, model);
    if (!model)
        return tool_usage(&self, "which model file?");
    if (tool_outside(&self, "tokens", as.tokens, 1, MAX_TOKENS))
        return TOOL_USAGE;
    status = show_named(model, &as, &err);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}

int main(int argc, char **argv)
{
    static const tool_subcommand commands[] = {
        {"info", "show a model's dimensions and what its exits cost", info},
        {"import", "make a model file from official weights", command_import},
        {"convert", "make a model file of another number type", command_convert},
        {"synth", "make a model with random weights of real shapes", command_synth},
        {NULL, NULL, NULL}};

    return tool_dispatch("deer-model", "model files", commands, argc, argv);
}
