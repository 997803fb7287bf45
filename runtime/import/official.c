/* SPDX-License-Identifier: MIT */
/* official.c - import of weights under official names. */
#include "runtime/import/official.h"

#include <math.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/json/json_build.h"
#include "runtime/base/json/json_file.h"
#include "runtime/base/text.h"
#include "runtime/import/weights.h"
#include "runtime/model/config.h"
#include "runtime/model/match.h"
#include "runtime/text/tokenizer.h"

enum { MAX_TENSORS = 65536, MAX_LAYERS = 1024, MAX_CONFIG = 1 << 20, MAX_TOKENIZER = 64 << 20 };

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
    for (int k = 0; k < c->exits && k < DEER_MAX_EXITS; k++) {
        const json_t *id = json_array_get(ids, (size_t)k);

        c->exit_layers[k] = json_is_integer(id) ? (int)json_integer_value(id) : -1;
    }
}

static void read_official(const safetensors *file, const json_t *json, deer_config *c)
{
    static const float mean[3] = {0.48145466f, 0.4578275f, 0.40821073f};
    static const float std[3] = {0.26862954f, 0.26130258f, 0.27577711f};
    const char *name = json_string_value(json_object_get(json, "llm_name"));

    memset(c, 0, sizeof *c);
    text_copy(c->name, sizeof c->name, name ? name : "official");
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

/* ---------------------------------------------------------------- dimensions of files ------ */

static int64_t extent(const safetensors *file, const char *name, int dimension)
{
    const safetensor *t = safetensors_find(file, name);

    return t && dimension < t->rank ? t->shape[dimension] : 0;
}

/* How many of <prefix>0<suffix>, <prefix>1<suffix>, .. there are. */
static int count_layers(const safetensors *file, const char *prefix, const char *suffix)
{
    char name[192];
    int n = 0;

    do
        snprintf(name, sizeof name, "%s%d%s", prefix, n, suffix);
    while (n < MAX_LAYERS && safetensors_find(file, name) && ++n);
    return n;
}

static int first_cross_layer(const safetensors *file, int layers)
{
    char name[128];

    for (int i = 0; i < layers; i++) {
        snprintf(name, sizeof name,
                 "lang_encoder.transformer.blocks.%d.gated_cross_attn_layer.attn_gate", i);
        if (safetensors_find(file, name))
            return i;
    }
    return 0;
}

int official_exit_layers(int64_t interval, int layers, int *layer)
{
    int exits = 0;

    for (int64_t i = interval - 1; interval > 0 && i < layers - 1 && exits < DEER_MAX_EXITS - 1;
         i += interval)
        layer[exits++] = (int)i;
    layer[exits++] = layers - 1;
    return exits;
}

static json_t *exits_json(int64_t interval, int layers)
{
    int layer[DEER_MAX_EXITS], exits = official_exit_layers(interval, layers, layer);
    json_t *ids = json_array();

    for (int k = 0; k < exits; k++)
        json_push(ids, json_integer(layer[k]));
    return ids;
}

/* What config.json would say of a published model: from the checkpoint's own fields and the shapes,
 * and, for numbers of heads and ids, what OpenFlamingo, MPT and ViT-L/14 always have. */
static json_t *published_config(const safetensors *file, const pickle_value *checkpoint,
                                deer_error *err)
{
    static const char blocks[] = "lang_encoder.transformer.blocks.";
    int layers = count_layers(file, blocks, ".decoder_layer.attn.Wqkv.weight");
    int64_t early = pickle_integer(checkpoint, "early_exit_layer", -1);
    int64_t d = extent(file, "lang_encoder.transformer.wte.weight", 1);
    int64_t patch = extent(file, "vision_encoder.visual.conv1.weight", 2);
    int64_t places = extent(file, "vision_encoder.visual.positional_embedding", 0);
    json_t *config;

    if (early >= 0 && early + 1 < layers)
        layers = (int)early + 1;
    if ((d != 2048 && d != 4096) ||
        extent(file, "lang_encoder.transformer.wte.weight", 0) != 50280 ||
        extent(file, "perceiver.layers.0.0.to_q.weight", 0) != 512) {
        deer_fail(err,
                  "%s has not the dimensions of a published model (MPT-1B or MPT-7B with "
                  "OpenFlamingo's 50280 tokens): say them with --config",
                  file->path);
        return NULL;
    }
    config = json_pack(
        "{s:s, s:I, s:I, s:i, s:I, s:i, s:i, s:i, s:i, s:I, s:i, s:i, s:i, s:i, s:i, s:o}",
        "llm_name", d == 2048 ? "mpt_dolly_3b" : "mpt_9b", "image_size",
        patch * (json_int_t)lround(sqrt(places > 1 ? (double)(places - 1) : 0)), "patch", patch,
        "vit_layers",
        count_layers(file, "vision_encoder.visual.transformer.resblocks.", ".ln_1.weight"),
        "vit_heads", extent(file, "vision_encoder.visual.class_embedding", 0) / 64, "perc_depth",
        count_layers(file, "perceiver.layers.", ".0.to_q.weight"), "perc_heads", 8, "perc_dim_head",
        64, "n_layers", layers, "d_model", d, "n_heads", d == 2048 ? 16 : 32, "media_id", 50278,
        "xattn_every", first_cross_layer(file, layers) + 1, "xattn_heads", 8, "xattn_dim_head", 64,
        "exit_ids", exits_json(pickle_integer(checkpoint, "exit_interval", 1), layers));
    if (!config)
        deer_fail(err, "out of memory importing %s", file->path);
    return config;
}

/* ---------------------------------------------------------------- sources ------------------ */

enum { CHECKPOINT, FLAMINGO, LLM, VISION, SOURCES };

/* All files as if they were one, under the names of the checkpoint without "module.". */
typedef struct {
    weights file[SOURCES];
    bool given[SOURCES];
    safetensors all; /* not a file: names and shapes, sorted; begin says which origin */
    struct {
        int source;
        size_t index;
    } * origin;
    char **names;
} collection;

static size_t origin_of(const safetensor *t)
{
    return t->begin / sizeof(float);
}

static const char *after(const char *text, const char *start)
{
    size_t n = strlen(start);

    return strncmp(text, start, n) ? NULL : text + n;
}

/* Without the names that wrappers put between the parts of a name: torch.compile, data parallel,
 * FSDP, activation checkpointing, Lightning. False when the rest does not fit. */
static bool without_wrappers(const char *given, char *name, size_t room)
{
    static const char *const wrappers[] = {"module",
                                           "model",
                                           "_orig_mod",
                                           "_fsdp_wrapped_module",
                                           "_checkpoint_wrapped_module",
                                           "_forward_module"};
    size_t used = 0;

    while (*given) {
        size_t n = strcspn(given, "."), dot = given[n] == '.';
        bool wrapper = false;

        for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers && dot; i++)
            wrapper = wrapper || (strlen(wrappers[i]) == n && !strncmp(given, wrappers[i], n));
        if (!wrapper && used + n + dot >= room)
            return false;
        if (!wrapper) {
            memcpy(name + used, given, n + dot);
            used += n + dot;
        }
        given += n + dot;
    }
    name[used] = 0;
    return true;
}

/* The checkpoint's name for a tensor of a source; false when the runtime has no use for it. */
static bool official_name(int source, const char *given, char *name, size_t room)
{
    char plain[600];
    const char *rest, *dot;

    if (!without_wrappers(given, plain, sizeof plain))
        return false;
    given = plain;
    if (source == VISION) {
        rest = after(given, "vision_encoder.");
        rest = rest ? rest : given;
        return after(rest, "visual.") &&
               (size_t)snprintf(name, room, "vision_encoder.%s", rest) < room;
    }
    if (source == LLM && after(given, "transformer."))
        snprintf(name, room, "lang_encoder.%s", given);
    else
        snprintf(name, room, "%s", given);
    given = strdup(name); /* the same tensors under second names */
    if (!given)
        return false;
    if ((rest = after(given, "lang_encoder.old_decoder_blocks.")) && (dot = strchr(rest, '.')))
        snprintf(name, room, "lang_encoder.transformer.blocks.%.*s.decoder_layer%s",
                 (int)(dot - rest), rest, dot);
    else if ((rest = after(given, "lang_encoder.gated_cross_attn_layers.")) &&
             (dot = strchr(rest, '.')))
        snprintf(name, room, "lang_encoder.transformer.blocks.%.*s.gated_cross_attn_layer%s",
                 (int)(dot - rest), rest, dot);
    else if (source == LLM && (rest = after(given, "lang_encoder.transformer.blocks.")) &&
             (dot = strchr(rest, '.')) && !after(dot, ".decoder_layer."))
        snprintf(name, room, "lang_encoder.transformer.blocks.%.*s.decoder_layer%s",
                 (int)(dot - rest), rest, dot);
    free((char *)(uintptr_t)given);
    return true;
}

static int by_name(const void *a, const void *b)
{
    const safetensor *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : (x->begin > y->begin) - (x->begin < y->begin);
}

/* Of tensors of one name the first source's stays; in one source they must have the same shape. */
static deer_status drop_duplicates(collection *c, deer_error *err)
{
    safetensor *t = c->all.tensor;
    size_t kept = 0;

    qsort(t, c->all.count, sizeof *t, by_name);
    for (size_t i = 0; i < c->all.count; i++) {
        const safetensor *had = kept ? &t[kept - 1] : NULL;

        if (!had || strcmp(had->name, t[i].name)) {
            t[kept++] = t[i];
            continue;
        }
        if (c->origin[origin_of(had)].source == c->origin[origin_of(&t[i])].source &&
            (had->rank != t[i].rank || memcmp(had->shape, t[i].shape, sizeof had->shape)))
            return deer_fail(err, "%s has %s twice, in two shapes", c->all.path, had->name);
    }
    c->all.count = kept;
    return DEER_OK;
}

static deer_status list_tensors(collection *c, deer_error *err)
{
    size_t total = 1, n = 0;
    char name[640];

    for (int s = 0; s < SOURCES; s++)
        total += c->given[s] ? c->file[s].count : 0;
    if (total > MAX_TENSORS)
        return deer_fail(err, "%s and what comes with it have more than %d tensors", c->all.path,
                         MAX_TENSORS);
    c->all.tensor = calloc(total, sizeof *c->all.tensor);
    c->origin = calloc(total, sizeof *c->origin);
    c->names = calloc(total, sizeof *c->names);
    if (!c->all.tensor || !c->origin || !c->names)
        return deer_fail(err, "out of memory importing %s", c->all.path);
    for (int s = 0; s < SOURCES; s++)
        for (size_t i = 0; c->given[s] && i < c->file[s].count; i++) {
            const weights_tensor *t = &c->file[s].tensor[i];
            safetensor *to = &c->all.tensor[n];

            if (t->rank > SAFETENSORS_RANK || !official_name(s, t->name, name, sizeof name))
                continue;
            c->names[n] = strdup(name);
            if (!c->names[n])
                return deer_fail(err, "out of memory importing %s", c->all.path);
            *to = (safetensor){
                .name = c->names[n], .readable = true, .type = NUMBER_F32, .rank = t->rank};
            memcpy(to->shape, t->shape, sizeof to->shape);
            c->origin[n].source = s;
            c->origin[n++].index = i;
        }
    c->all.count = n;
    for (size_t i = 0; i < n; i++) /* no place in a file, but aligned like one */
        c->all.tensor[i].begin = i * sizeof(float);
    return drop_duplicates(c, err);
}

static deer_status collect(const official_sources *from, collection *c, deer_error *err)
{
    const char *path[SOURCES] = {from->checkpoint, from->flamingo, from->llm, from->vision};

    *c = (collection){.all = {.fd = -1}};
    c->all.path = strdup(from->checkpoint);
    if (!c->all.path)
        return deer_fail(err, "out of memory importing %s", from->checkpoint);
    for (int s = 0; s < SOURCES; s++) {
        if (path[s] && weights_open(path[s], &c->file[s], err))
            return DEER_FAILED;
        c->given[s] = path[s] != NULL;
    }
    return list_tensors(c, err);
}

static void collection_free(collection *c)
{
    for (size_t i = 0; c->names && c->names[i]; i++)
        free(c->names[i]);
    free(c->names);
    free(c->origin);
    for (int s = 0; s < SOURCES; s++)
        if (c->given[s])
            weights_close(&c->file[s]);
    safetensors_close(&c->all);
}

/* ---------------------------------------------------------------- writing ------------------ */

typedef struct {
    const collection *c;
    const match *found;
} reading;

static deer_status read_rows(void *context, size_t i, size_t first, size_t rows, float *room,
                             const float **data, deer_error *err)
{
    const reading *r = context;
    const collection *c = r->c;
    size_t at = origin_of(r->found->tensor[i].is);

    *data = room;
    return weights_read_rows(&c->file[c->origin[at].source], c->origin[at].index, first, rows, room,
                             err);
}

deer_status official_tokenizer(const char *path, int vocab, char **text, deer_error *err)
{
    char *plain;
    size_t size;
    tokenizer *t;
    deer_status status;

    if (file_read(path, MAX_TOKENIZER, &plain, &size, err))
        return DEER_FAILED;
    status = tokenizer_complete(path, plain, text, err);
    free(plain);
    if (status)
        return status;
    status = tokenizer_new(path, *text, vocab, &t, err);
    tokenizer_free(t);
    return status;
}

static deer_status write_model(const collection *c, const deer_config *config, const char *words,
                               const match *found, const model_output *to, deer_error *err)
{
    arch_tensor *tensors = calloc(found->count, sizeof *tensors);
    reading r = {c, found};
    model_source source = {read_rows, &r};
    deer_status status;

    if (!tensors)
        return deer_fail(err, "out of memory importing %s", c->all.path);
    for (size_t i = 0; i < found->count; i++)
        tensors[i] = found->tensor[i].want;
    status = model_write(to, c->all.path, tensors, found->count, config, words, &source, err);
    free(tensors);
    return status;
}

/* Whole parts that are missing, with where they come from. */
static deer_status check_parts(const collection *c, deer_error *err)
{
    static const struct {
        const char *tensor, *advice;
    } parts[] = {
        {"extra_exit.actions.mlp.", "the exits' action head: is it a DeeR checkpoint?"},
        {"lang_encoder.transformer.wte.weight", "the token embedding: is it a DeeR checkpoint?"},
        {"vision_encoder.visual.class_embedding", "the vision tower: give CLIP's with --vision"},
        {"perceiver.latents", "the resampler: give OpenFlamingo's with --flamingo"},
        {"lang_encoder.transformer.blocks.0.decoder_layer.",
         "the language model: give MPT's with --llm"}};

    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
        bool there = false;

        for (size_t i = 0; i < c->all.count && !there; i++)
            there = after(c->all.tensor[i].name, parts[p].tensor) != NULL;
        if (!there)
            return deer_fail(err, "%s lacks %s", c->all.path, parts[p].advice);
    }
    return DEER_OK;
}

/* Whether a tensor under the name of a part that runs is known not to. */
static bool never_runs(const char *name, const deer_config *c)
{
    static const char *const known[] = {
        "vision_encoder.visual.ln_post.", "vision_encoder.visual.proj",
        "lang_encoder.transformer.ln_f.", "lang_encoder.transformer.norm_f."};
    const char *rest = after(name, "lang_encoder.transformer.blocks.");

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (after(name, known[i]))
            return true;
    return rest && strtol(rest, NULL, 10) > c->exit_layers[c->exits - 1];
}

static bool looks_needed(const char *name)
{
    static const char *const parts[] = {"vision_encoder.visual.", "perceiver.",
                                        "lang_encoder.transformer.", "extra_exit."};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (after(name, parts[i]))
            return true;
    return false;
}

/* Complains about the tensors that look like part of the model but fill nothing in it. Those that
 * were found in another shape than they should have are complained about already. */
static deer_status check_left_over(const collection *c, const deer_config *config, match *found,
                                   deer_error *err)
{
    bool *used = calloc(c->all.count + 1, sizeof *used);

    if (!used)
        return deer_fail(err, "out of memory importing %s", c->all.path);
    for (size_t i = 0; i < found->count; i++)
        if (found->tensor[i].is)
            used[found->tensor[i].is - c->all.tensor] = true;
    for (size_t i = 0; i < c->all.count; i++) {
        const char *name = c->all.tensor[i].name;

        if (!used[i] && looks_needed(name) && !never_runs(name, config))
            match_complain(found, name, "is left over");
    }
    free(used);
    return DEER_OK;
}

/* Where a tensor that is missing is there, but of a kind that is not read, says which. */
static void name_foreign(const collection *c, deer_error *err)
{
    char name[640], what[200], missing[700];

    for (int s = 0; s < SOURCES; s++)
        for (size_t i = 0; c->given[s] && i < c->file[s].foreigns; i++) {
            const weights_foreign *f = &c->file[s].foreign[i];

            if (!official_name(s, f->name, name, sizeof name))
                continue;
            snprintf(missing, sizeof missing, "%s is missing", name);
            if (!strstr(err->message, missing))
                continue;
            deer_fail(err, "%s: tensor %.200s comes from %s, which is not read", c->file[s].path,
                      name, pickle_opaque_name(f->is, what, sizeof what));
            return;
        }
}

/* Finds every tensor, then writes. */
static deer_status convert(const collection *c, const deer_config *config,
                           const official_sources *from, const model_output *to, deer_error *err)
{
    char *words = NULL;
    match found;
    deer_status status =
        match_tensors(&c->all, config, arch_layers(config, config->exits - 1), &found, err);

    if (!status && !from->allow_left_over)
        status = check_left_over(c, config, &found, err);
    if (!status && (status = match_verdict(&found, err)))
        name_foreign(c, err);
    if (!status && from->tokenizer)
        status = official_tokenizer(from->tokenizer, config->vocab, &words, err);
    if (!status)
        status = write_model(c, config, words, &found, to, err);
    free(words);
    match_free(&found);
    return status;
}

/* A configuration is checked as a model file's is. */
static deer_status check_config(const collection *c, deer_config *config, deer_error *err)
{
    json_t *json = config_to_json(config);
    deer_status status = json ? config_from_json(c->all.path, json, config, err)
                              : deer_fail(err, "out of memory importing %s", c->all.path);

    json_decref(json);
    return status;
}

static deer_status read_config(const collection *c, const char *path, deer_config *config,
                               deer_error *err)
{
    json_t *json = path ? json_file_read(path, MAX_CONFIG, err)
                        : published_config(&c->all, weights_checkpoint(&c->file[CHECKPOINT]), err);

    if (!json)
        return DEER_FAILED;
    read_official(&c->all, json, config);
    json_decref(json);
    return check_config(c, config, err);
}

static deer_status import_files(const official_sources *from, const char *out, deer_error *err)
{
    model_output to = {out, from->dtype, from->progress, from->progress_context};
    collection c;
    deer_config config;
    deer_status status = collect(from, &c, err);

    if (!status)
        status = check_parts(&c, err);
    if (!status)
        status = read_config(&c, from->config, &config, err);
    if (!status)
        status = convert(&c, &config, from, &to, err);
    collection_free(&c);
    return status;
}

deer_status official_import(const official_sources *from, const char *out, deer_error *err)
{
    char config[4096], weights_file[4096];
    official_sources files = *from;

    if (!from->folder)
        return import_files(from, out, err);
    if (strlen(from->folder) > 4000)
        return deer_fail(err, "the name of the folder is too long");
    snprintf(config, sizeof config, "%s/config.json", from->folder);
    snprintf(weights_file, sizeof weights_file, "%s/weights.safetensors", from->folder);
    files.config = config;
    files.checkpoint = weights_file;
    return import_files(&files, out, err);
}

deer_status official_import_folder(const char *folder, const char *out, deer_error *err)
{
    official_sources from = {.folder = folder};

    return official_import(&from, out, err);
}
