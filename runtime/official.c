/* official.c - import of weights under official names. */
#include "runtime/official.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/file.h"
#include "runtime/model.h"

enum { MAX_TENSORS = 65536, MAX_LAYERS = 1024, MAX_CONFIG = 1 << 20 };

/* -1, which no range allows, when the field is missing or no integer an int can hold. */
static int field(const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);
    json_int_t n = json_is_integer(value) ? json_integer_value(value) : -1;

    return n >= 0 && n <= INT_MAX ? (int)n : -1;
}

/* Rows of a tensor, 0 when it is missing. */
static int rows_of(const safetensors *file, const char *name)
{
    const safetensor *t = safetensors_find(file, name);

    return t && t->rank ? (int)t->shape[0] : 0;
}

/* Rows of the first of `count` layers' tensors that exists: <prefix><i><suffix>. */
static int rows_of_layer(const safetensors *file, const char *prefix, int count, const char *suffix)
{
    char name[192];

    for (int i = 0; i < count && i < MAX_LAYERS; i++) {
        snprintf(name, sizeof name, "%s%d%s", prefix, i, suffix);
        if (safetensors_find(file, name))
            return rows_of(file, name);
    }
    return 0;
}

/* The pose MLP's structure: a matrix is a linear layer, a vector of weights is a LayerNorm. */
static void read_head_mlp(const safetensors *file, deer_config *c)
{
    char name[64];
    int linear = 0;

    for (int i = 0; i < 64; i++) {
        const safetensor *t;
        snprintf(name, sizeof name, "extra_exit.actions.mlp.%d.weight", i);
        t = safetensors_find(file, name);
        if (!t)
            continue;
        if (t->rank == 1)
            c->head_mlp_layernorm = true;
        else if (linear++ < DEER_MAX_MLP_LAYERS)
            c->head_mlp[linear - 1] = (int)t->shape[0];
    }
    c->head_mlp_layers = linear - 1; /* the last one is the output */
}

/* MPT-7B files call the first LayerNorm of a block norm_1, MPT-1B files ln_1. */
static bool is_mpt_7b(const safetensors *file)
{
    return safetensors_find(
               file, "lang_encoder.transformer.blocks.0.decoder_layer.norm_1.weight") != NULL;
}

static void read_lstm(const safetensors *file, deer_config *c)
{
    const char *format;
    char name[64];

    c->lstm = safetensors_find(file, "extra_exit.rnn.weight_ih_l0") ? DEER_LSTM_PLAIN
                                                                    : DEER_LSTM_LAYERNORM;
    format = c->lstm == DEER_LSTM_PLAIN ? "extra_exit.rnn.weight_ih_l%d"
                                        : "extra_exit.rnn.layers.%d.weight_ih_l0";
    do {
        snprintf(name, sizeof name, format,
                 c->lstm == DEER_LSTM_PLAIN ? c->lstm_layers : 3 * c->lstm_layers);
    } while (safetensors_find(file, name) && ++c->lstm_layers < 64);
    snprintf(name, sizeof name, format, 0);
    c->lstm_hidden = rows_of(file, name) / 4;
}

static void read_dimensions(const safetensors *file, const json_t *json, deer_config *c)
{
    static const char blocks[] = "lang_encoder.transformer.blocks.";
    static const char vision[] = "vision_encoder.visual.transformer.resblocks.";
    bool big = is_mpt_7b(file);

    c->image_size = field(json, "image_size");
    c->patch_size = field(json, "patch");
    c->vision_width = rows_of(file, "vision_encoder.visual.class_embedding");
    c->vision_layers = field(json, "vit_layers");
    c->vision_heads = field(json, "vit_heads");
    c->vision_mlp = rows_of_layer(file, vision, c->vision_layers, ".mlp.c_fc.weight");
    c->resampler_layers = field(json, "perc_depth");
    c->resampler_heads = field(json, "perc_heads");
    c->resampler_head_dim = field(json, "perc_dim_head");
    c->resampler_latents = rows_of(file, "perceiver.latents");
    c->resampler_mlp = rows_of_layer(file, "perceiver.layers.", c->resampler_layers, ".1.1.weight");
    c->block = big ? DEER_BLOCK_MPT_7B : DEER_BLOCK_MPT_1B;
    c->d_model = field(json, "d_model");
    c->heads = field(json, "n_heads");
    c->layers = field(json, "n_layers");
    c->mlp = rows_of_layer(file, blocks, c->layers,
                           big ? ".decoder_layer.ffn.up_proj.weight"
                               : ".decoder_layer.mlp.mlp_up.weight");
    c->vocab = rows_of(file, "lang_encoder.transformer.wte.weight");
    c->media_token = field(json, "media_id");
    c->cross_every = field(json, "xattn_every");
    c->cross_heads = field(json, "xattn_heads");
    c->cross_head_dim = field(json, "xattn_dim_head");
    c->cross_mlp = rows_of_layer(file, blocks, c->layers, ".gated_cross_attn_layer.ff.1.weight");
}

static void read_exits(const json_t *json, deer_config *c)
{
    const json_t *ids = json_object_get(json, "exit_ids");

    c->exits = (int)json_array_size(ids);
    for (int k = 0; k < c->exits && k < DEER_MAX_EXITS; k++)
        c->exit_layers[k] = (int)json_integer_value(json_array_get(ids, (size_t)k));
}

static void read_official(const safetensors *file, const json_t *json, deer_config *c)
{
    static const float mean[3] = {0.48145466f, 0.4578275f, 0.40821073f};
    static const float std[3] = {0.26862954f, 0.26130258f, 0.27577711f};
    const char *name = json_string_value(json_object_get(json, "llm_name"));

    memset(c, 0, sizeof *c);
    strncpy(c->name, name ? name : "official", sizeof c->name - 1);
    memcpy(c->image_mean, mean, sizeof mean);
    memcpy(c->image_std, std, sizeof std);
    c->max_text = 32; /* official preprocess_text_calvin */
    for (int i = 0; i < DEER_POSE; i++)
        c->action_scale[i] = i < 3 ? 0.02f : 0.05f; /* CALVIN's rel_actions */
    read_dimensions(file, json, c);
    read_lstm(file, c);
    read_head_mlp(file, c);
    read_exits(json, c);
}

/* ---------------------------------------------------------------- writing ------------------ */

static deer_status write_model(deer_model *model, const safetensor **list, safetensors_item *items,
                               const char *out, deer_error *err)
{
    size_t count, end = 0;
    char *text;
    json_t *metadata, *config;
    deer_status status;

    if (model_list(model, list, MAX_TENSORS, &count, err))
        return DEER_FAILED;
    for (size_t i = 0; i < count; i++)
        end = list[i]->end > end ? list[i]->end : end;
    if (safetensors_map(&model->file, end, err) || model_check_finite(model, end, err))
        return DEER_FAILED;
    for (size_t i = 0; i < count; i++) {
        items[i] =
            (safetensors_item){list[i]->name,
                               list[i]->rank,
                               {0},
                               (const float *)(const void *)(model->file.data + list[i]->begin)};
        memcpy(items[i].shape, list[i]->shape, sizeof items[i].shape);
    }
    config = config_to_json(&model->config);
    text = json_dumps(config, JSON_COMPACT | JSON_REAL_PRECISION(9));
    metadata = json_pack("{s:s, s:s}", "format", "pt", "deer.config", text);
    status = safetensors_write(out, items, count, metadata, err);
    json_decref(metadata);
    json_decref(config);
    free(text);
    return status;
}

/* Checks the configuration as a model file's is checked, then writes. */
static deer_status convert(deer_model *model, const char *out, deer_error *err)
{
    const safetensor **list = calloc(MAX_TENSORS, sizeof *list);
    safetensors_item *items = calloc(MAX_TENSORS, sizeof *items);
    json_t *json = config_to_json(&model->config);
    deer_status status = DEER_FAILED;

    if (!list || !items || !json)
        deer_fail(err, "out of memory importing %s", model->file.path);
    else if (!config_from_json(model->file.path, json, &model->config, err) &&
             !model_allocate(model, err)) {
        model->max_exit = model->config.exits - 1;
        status = write_model(model, list, items, out, err);
    }
    json_decref(json);
    free(list);
    free(items);
    return status;
}

static json_t *load_config(const char *folder, deer_error *err)
{
    char path[4096], *text;
    size_t size;
    json_error_t problem;
    json_t *json;

    snprintf(path, sizeof path, "%s/config.json", folder);
    if (file_read(path, MAX_CONFIG, &text, &size, err))
        return NULL;
    json = json_loadb(text, size, 0, &problem);
    free(text);
    if (!json)
        deer_fail(err, "%s is not JSON: %s (line %d)", path, problem.text, problem.line);
    return json;
}

deer_status official_import(const char *folder, const char *out, deer_error *err)
{
    char path[4096];
    json_t *json = load_config(folder, err);
    deer_model model = {.max_exit = 0};
    deer_status status;

    if (!json)
        return DEER_FAILED;
    snprintf(path, sizeof path, "%s/weights.safetensors", folder);
    status = safetensors_open(path, &model.file, err);
    if (!status) {
        read_official(&model.file, json, &model.config);
        status = convert(&model, out, err);
        model_free_weights(&model);
        safetensors_close(&model.file);
    }
    json_decref(json);
    return status;
}
