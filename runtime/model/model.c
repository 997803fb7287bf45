/* SPDX-License-Identifier: MIT */
/* model.c - opening a model file: check its table, load the prefix, know who it is. */
#include "runtime/model/model.h"
#include "runtime/base/json/json_file.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/kernels/isa.h"
#include "runtime/model/bind.h"

deer_status model_read_config(const safetensors *file, deer_config *config, deer_error *err)
{
    const char *path = file->path, *text = safetensors_metadata(file, "deer.config");
    json_error_t problem;
    json_t *json;
    deer_status status;

    if (!text)
        return deer_fail(
            err, "%s holds no deer.config; is it a deer model? (see deer-model import)", path);
    json = json_parse(text, strlen(text), JSON_REJECT_DUPLICATES, &problem);
    if (!json)
        return deer_fail(err, "%s: deer.config is not JSON: %s", path, problem.text);
    status = config_from_json(path, json, config, err);
    json_decref(json);
    return status;
}

static deer_status read_tokenizer(deer_model *model, deer_error *err)
{
    const char *text = safetensors_metadata(&model->file, "deer.tokenizer");

    return text ? tokenizer_new(model->file.path, text, model->config.vocab, &model->words, err)
                : DEER_OK;
}

/* The arrays that the weights are bound into. */
static deer_status allocate(deer_model *model, deer_error *err)
{
    const deer_config *c = &model->config;
    model_weights *w = &model->weights;

    model->slopes = calloc((size_t)c->heads, sizeof *model->slopes);
    w->vision.block = calloc((size_t)c->vision_layers + 1, sizeof *w->vision.block);
    w->resampler.layer = calloc((size_t)c->resampler_layers + 1, sizeof *w->resampler.layer);
    w->head.lstm = calloc((size_t)c->lstm_layers, sizeof *w->head.lstm);
    w->decoder = calloc((size_t)c->layers, sizeof *w->decoder);
    if (!model->slopes || !w->vision.block || !w->resampler.layer || !w->head.lstm || !w->decoder)
        return deer_fail(err, "out of memory opening %s", model->file.path);
    config_alibi_slopes(c, model->slopes);
    return DEER_OK;
}

/* What is known of the weights without their values. */
static void note_tensors(deer_model *model, const match *m)
{
    for (size_t i = m->count; i-- > 0;) {
        const matched_tensor *t = &m->tensor[i];

        if (t->want.part == ARCH_EMBEDDING)
            model->embedding = t->is;
        if (t->want.part == ARCH_DECODER && t->want.role == ARCH_MATRIX)
            model->type = t->type; /* the first one's in the end */
    }
}

static deer_status read_weights(deer_model *model, const match *m, bool values, deer_error *err)
{
    const deer_config *c = &model->config;
    size_t first_exit_end = match_end(m, arch_layers(c, 0));
    deer_status status = DEER_OK;

    model->arena_bytes = model_arena_bytes(bind_bytes(m));
    status = values ? model_load(model, m, first_exit_end, err)
                    : model_fingerprint(&model->file, first_exit_end, model->fingerprint, err);
    return status ? status : safetensors_unchanged(&model->file, err);
}

static deer_status read_model(deer_model *model, int max_exit, bool values, deer_error *err)
{
    const deer_config *c = &model->config;
    match m;
    deer_status status;

    if (model_read_config(&model->file, &model->config, err) || read_tokenizer(model, err) ||
        allocate(model, err))
        return DEER_FAILED;
    if (max_exit < DEER_ALL_EXITS || max_exit >= c->exits)
        return deer_fail_with(DEER_USAGE, err, "%s has exits 0 to %d; there is no exit %d",
                              model->file.path, c->exits - 1, max_exit);
    model->max_exit = max_exit == DEER_ALL_EXITS ? c->exits - 1 : max_exit;
    status = match_tensors(&model->file, c, arch_layers(c, model->max_exit), &m, err);
    if (!status)
        status = match_verdict(&m, err);
    if (!status) {
        note_tensors(model, &m);
        status = read_weights(model, &m, values, err);
    }
    match_free(&m);
    return status;
}

static deer_status open_model(const char *path, int max_exit, bool values, deer_model **out,
                              deer_error *err)
{
    deer_model *model = calloc(1, sizeof *model);
    deer_status status;

    if (!model)
        return deer_fail(err, "out of memory opening %s", path);
    status = values ? isa_choose(err) : DEER_OK;
    if (!status)
        status = safetensors_open(path, &model->file, err);
    if (!status)
        status = read_model(model, max_exit, values, err);
    if (status)
        deer_model_close(model);
    else
        *out = model;
    return status;
}

deer_status model_open(const char *path, int max_exit, deer_model **out, deer_error *err)
{
    *out = NULL;
    return open_model(path, max_exit, true, out, err);
}

deer_status model_describe(const char *path, deer_model **out, deer_error *err)
{
    *out = NULL;
    return open_model(path, DEER_ALL_EXITS, false, out, err);
}

static void free_weights(deer_model *model)
{
    free(model->slopes);
    free(model->weights.vision.block);
    free(model->weights.resampler.layer);
    free(model->weights.head.lstm);
    free(model->weights.decoder);
}

void deer_model_close(deer_model *model)
{
    if (!model)
        return;
    if (model->leave_device)
        model->leave_device(model->device);
    tokenizer_free(model->words);
    model_unload(model);
    free_weights(model);
    if (model->file.path)
        safetensors_close(&model->file);
    free(model);
}

const deer_config *deer_model_config(const deer_model *model)
{
    return model ? &model->config : NULL;
}

int32_t deer_model_max_exit(const deer_model *model)
{
    return model ? model->max_exit : -1;
}

const char *deer_model_fingerprint(const deer_model *model)
{
    return model ? model->fingerprint : "";
}

const char *deer_model_type(const deer_model *model)
{
    return model ? weight_dtype_name(model->type) : "";
}

const char *deer_model_sums(const deer_model *model)
{
    const isa *set = model ? isa_of(model->type) : NULL;

    return set && set->own_sums[model->type] && !model->device_name ? set->name : "";
}

const char *deer_model_device(const deer_model *model)
{
    return !model ? "" : model->device_name ? model->device_name : "cpu";
}

uint64_t deer_model_bytes(const deer_model *model)
{
    return model ? model->arena_bytes : 0;
}
