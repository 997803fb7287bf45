/* SPDX-License-Identifier: MIT */
/* model.c - opening a model file: check its table, load the prefix, know who it is. */
#include "runtime/model/model.h"
#include "runtime/base/json_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

int model_layers_for(const deer_config *config, int exit)
{
    return config->exit_layers[exit] + 1;
}

static deer_status read_config(deer_model *model, deer_error *err)
{
    const char *path = model->file.path, *text = safetensors_metadata(&model->file, "deer.config");
    json_error_t problem;
    json_t *json;
    deer_status status;

    if (!text)
        return deer_fail(
            err, "%s holds no deer.config; is it a deer model? (see deer-model import)", path);
    json = json_loads(text, JSON_REJECT_DUPLICATES, &problem);
    if (!json)
        return deer_fail(err, "%s: deer.config is not JSON: %s", path, json_reason(&problem));
    status = config_from_json(path, json, &model->config, err);
    json_decref(json);
    return status;
}

static deer_status read_tokenizer(deer_model *model, deer_error *err)
{
    const char *text = safetensors_metadata(&model->file, "deer.tokenizer");

    return text ? tokenizer_new(model->file.path, text, model->config.vocab, &model->words, err)
                : DEER_OK;
}

deer_status model_allocate(deer_model *model, deer_error *err)
{
    const deer_config *c = &model->config;

    model->slopes = calloc((size_t)c->heads, sizeof *model->slopes);
    model->vision.block = calloc((size_t)c->vision_layers + 1, sizeof *model->vision.block);
    model->resampler.layer =
        calloc((size_t)c->resampler_layers + 1, sizeof *model->resampler.layer);
    model->head.lstm = calloc((size_t)c->lstm_layers, sizeof *model->head.lstm);
    model->decoder = calloc((size_t)c->layers, sizeof *model->decoder);
    if (!model->slopes || !model->vision.block || !model->resampler.layer || !model->head.lstm ||
        !model->decoder)
        return deer_fail(err, "out of memory opening %s", model->file.path);
    config_alibi_slopes(c, model->slopes);
    return DEER_OK;
}

/* Who the model is: its header (configuration, tokenizer, tensor table) and the weights that are
 * needed whatever the deepest exit. Layers behind the first exit count through the header alone, so
 * that a prefix has the identity of the whole. */
void model_fingerprint(deer_model *model, size_t first_exit_end)
{
    XXH3_state_t state;
    XXH128_hash_t hash;

    XXH3_128bits_reset(&state);
    XXH3_128bits_update(&state, model->file.header_text, model->file.header_size);
    XXH3_128bits_update(&state, model->file.data, first_exit_end);
    hash = XXH3_128bits_digest(&state);
    snprintf(model->fingerprint, sizeof model->fingerprint, "%016llx%016llx",
             (unsigned long long)hash.high64, (unsigned long long)hash.low64);
}

/* Everything but the weights' values. */
static deer_status look(deer_model *model, size_t first_exit_end, size_t bytes)
{
    model_fingerprint(model, first_exit_end);
    model->arena_bytes = model_arena_bytes(bytes);
    return DEER_OK;
}

static deer_status read_model(deer_model *model, int max_exit, bool values, deer_error *err)
{
    const char *path = model->file.path;
    size_t first_exit_end, end, bytes;

    if (read_config(model, err) || read_tokenizer(model, err) || model_allocate(model, err))
        return DEER_FAILED;
    if (max_exit < DEER_ALL_EXITS || max_exit >= model->config.exits)
        return deer_fail_with(DEER_USAGE, err, "%s has exits 0 to %d; there is no exit %d", path,
                              model->config.exits - 1, max_exit);
    model->max_exit = 0;
    if (model_find(model, &first_exit_end, &bytes, err))
        return DEER_FAILED;
    model->max_exit = max_exit == DEER_ALL_EXITS ? model->config.exits - 1 : max_exit;
    if (model_find(model, &end, &bytes, err) || safetensors_map(&model->file, end, err))
        return DEER_FAILED;
    if (values ? model_load(model, bytes, first_exit_end, err) : look(model, first_exit_end, bytes))
        return DEER_FAILED;
    safetensors_unmap(&model->file);
    return DEER_OK;
}

static deer_status open_model(const char *path, int max_exit, bool values, deer_model **out,
                              deer_error *err)
{
    deer_model *model = calloc(1, sizeof *model);
    deer_status status;

    *out = NULL;
    if (!model)
        return deer_fail(err, "out of memory opening %s", path);
    status = safetensors_open(path, &model->file, err);
    if (!status)
        status = read_model(model, max_exit, values, err);
    if (status)
        deer_model_close(model);
    else
        *out = model;
    return status;
}

deer_status deer_model_open(const char *path, int max_exit, deer_model **out, deer_error *err)
{
    return open_model(path, max_exit, true, out, err);
}

deer_status model_describe(const char *path, deer_model **out, deer_error *err)
{
    return open_model(path, DEER_ALL_EXITS, false, out, err);
}

void model_free_weights(deer_model *model)
{
    free(model->slopes);
    free(model->vision.block);
    free(model->resampler.layer);
    free(model->head.lstm);
    free(model->decoder);
}

void deer_model_close(deer_model *model)
{
    if (!model)
        return;
    tokenizer_free(model->words);
    model_unload(model);
    model_free_weights(model);
    if (model->file.path)
        safetensors_close(&model->file);
    free(model);
}

const deer_config *deer_model_config(const deer_model *model)
{
    return &model->config;
}

int deer_model_max_exit(const deer_model *model)
{
    return model->max_exit;
}

const char *deer_model_fingerprint(const deer_model *model)
{
    return model->fingerprint;
}

const char *deer_model_type(const deer_model *model)
{
    return weight_dtype_name(model->decoder[0].qkv.w.type);
}

size_t deer_model_bytes(const deer_model *model)
{
    return model->arena_bytes;
}
