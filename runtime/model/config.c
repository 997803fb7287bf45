/* SPDX-License-Identifier: MIT */
/* config.c - the model's dimensions: JSON, checks. */
#include "runtime/model/config.h"

#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "runtime/base/json/json_build.h"
#include "runtime/base/json/json_file.h"
#include "runtime/base/text.h"

/* Every count of deer_config with its range. One table serves reading, checking and writing. */
static const struct {
    const char *name;
    size_t offset;
    int low, high;
} counts[] = {
#define COUNT(field, low, high)                                                                    \
    {                                                                                              \
#field, offsetof(deer_config, field), low, high                                            \
    }
    COUNT(image_size, 1, 4096),
    COUNT(patch_size, 1, 1024),
    COUNT(vision_width, 1, 16384),
    COUNT(vision_layers, 0, 1024),
    COUNT(vision_heads, 1, 1024),
    COUNT(vision_mlp, 1, 65536),
    COUNT(resampler_layers, 0, 256),
    COUNT(resampler_heads, 1, 1024),
    COUNT(resampler_head_dim, 1, 4096),
    COUNT(resampler_latents, 1, 4096),
    COUNT(resampler_mlp, 1, 65536),
    COUNT(d_model, 1, 16384),
    COUNT(heads, 1, 1024),
    COUNT(layers, 1, 1024),
    COUNT(mlp, 1, 131072),
    COUNT(vocab, 1, 10000000),
    COUNT(max_text, 1, 4096),
    COUNT(media_token, 0, 9999999),
    COUNT(cross_every, 1, 1024),
    COUNT(cross_heads, 1, 1024),
    COUNT(cross_head_dim, 1, 4096),
    COUNT(cross_mlp, 1, 131072),
    COUNT(lstm_layers, 1, 64),
    COUNT(lstm_hidden, 1, 16384),
    COUNT(head_mlp_layers, 0, DEER_MAX_MLP_LAYERS),
    COUNT(exits, 1, DEER_MAX_EXITS),
#undef COUNT
};

enum { COUNTS = sizeof counts / sizeof *counts };

static int *count_at(const deer_config *config, int i)
{
    return (int *)((char *)(uintptr_t)config + counts[i].offset);
}

/* ---------------------------------------------------------------- reading ------------------ */

static deer_status read_counts(const char *where, const json_t *json, deer_config *c,
                               deer_error *err)
{
    for (int i = 0; i < COUNTS; i++) {
        const json_t *value = json_object_get(json, counts[i].name);
        json_int_t n = json_integer_value(value);
        if (!json_is_integer(value) || n < counts[i].low || n > counts[i].high)
            return deer_fail(err, "%s: configuration field %s must be an integer from %d to %d",
                             where, counts[i].name, counts[i].low, counts[i].high);
        *count_at(c, i) = (int)n;
    }
    return DEER_OK;
}

static deer_status read_ints(const char *where, const json_t *json, const char *name, int count,
                             int low, int high, int *out, deer_error *err)
{
    const json_t *list = json_object_get(json, name);

    for (int i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, (size_t)i);
        json_int_t n = json_integer_value(value);
        if (!json_is_integer(value) || n < low || n > high)
            return deer_fail(err, "%s: configuration field %s must hold %d integers from %d to %d",
                             where, name, count, low, high);
        out[i] = (int)n;
    }
    return DEER_OK;
}

static deer_status read_floats(const char *where, const json_t *json, const char *name, int count,
                               float *out, deer_error *err)
{
    const json_t *list = json_object_get(json, name);

    for (int i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, (size_t)i);
        out[i] = (float)json_number_value(value);
        if (!json_is_number(value) || !isfinite(out[i]))
            return deer_fail(err, "%s: configuration field %s must hold %d numbers", where, name,
                             count);
    }
    return DEER_OK;
}

static deer_status read_choice(const char *where, const json_t *json, const char *name,
                               const char *zero, const char *one, int *out, deer_error *err)
{
    const char *value = json_string_value(json_object_get(json, name));

    if (!value || (strcmp(value, zero) && strcmp(value, one)))
        return deer_fail(err, "%s: configuration field %s must be \"%s\" or \"%s\"", where, name,
                         zero, one);
    *out = !strcmp(value, one);
    return DEER_OK;
}

/* Matrices are indexed by int where their rows and columns are: none may have more elements. */
static bool fits_in_int(const deer_config *c)
{
    int64_t grid = c->image_size / c->patch_size, rows = 2 * (grid * grid + 1);
    int64_t vision = 3 * (int64_t)c->vision_width, widest = vision;
    int64_t inner = (int64_t)c->resampler_heads * c->resampler_head_dim;
    int64_t cross = (int64_t)c->cross_heads * c->cross_head_dim;

    widest = c->vision_mlp > widest ? c->vision_mlp : widest;
    widest = 2 * inner > widest ? 2 * inner : widest;
    rows = rows > 2 * (int64_t)c->resampler_latents ? rows : 2 * (int64_t)c->resampler_latents;
    return rows * (widest > rows ? widest : rows) <= INT_MAX &&
           2 * cross * c->resampler_latents * 2 <= INT_MAX && c->max_text * cross <= INT_MAX &&
           (int64_t)c->max_text * c->mlp <= INT_MAX;
}

static deer_status check(const char *where, const deer_config *c, deer_error *err)
{
    if (!fits_in_int(c))
        return deer_fail(err, "%s: the configuration describes matrices of more than 2^31 elements",
                         where);
    if (c->image_size % c->patch_size)
        return deer_fail(err, "%s: image_size is no multiple of patch_size", where);
    if (c->vision_width % c->vision_heads || c->d_model % c->heads)
        return deer_fail(err, "%s: a width is no multiple of its number of heads", where);
    if (c->media_token >= c->vocab)
        return deer_fail(err, "%s: media_token lies outside the vocabulary", where);
    for (int i = 0; i < 3; i++)
        if (c->image_std[i] <= 0)
            return deer_fail(err, "%s: image_std must be positive", where);
    for (int k = 0; k < c->exits; k++)
        if (c->exit_layers[k] >= c->layers || (k && c->exit_layers[k] <= c->exit_layers[k - 1]))
            return deer_fail(err, "%s: exit_layers must ascend and lie below layers", where);
    return DEER_OK;
}

deer_status config_from_json(const char *where, const json_t *json, deer_config *c, deer_error *err)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    const json_t *layernorm = json_object_get(json, "head_mlp_layernorm");
    int block = 0, lstm = 0;

    memset(c, 0, sizeof *c);
    if (!json_is_object(json))
        return deer_fail(err, "%s: the configuration is no JSON object", where);
    text_copy(c->name, sizeof c->name, name ? name : "unnamed");
    if (read_counts(where, json, c, err) ||
        read_floats(where, json, "image_mean", 3, c->image_mean, err) ||
        read_floats(where, json, "image_std", 3, c->image_std, err) ||
        read_floats(where, json, "action_scale", DEER_POSE, c->action_scale, err) ||
        read_ints(where, json, "head_mlp", c->head_mlp_layers, 1, 65536, c->head_mlp, err) ||
        read_ints(where, json, "exit_layers", c->exits, 1, 1023, c->exit_layers, err) ||
        read_choice(where, json, "block", "mpt-1b", "mpt-7b", &block, err) ||
        read_choice(where, json, "lstm", "layernorm", "plain", &lstm, err))
        return DEER_FAILED;
    if (!json_is_boolean(layernorm))
        return deer_fail(err, "%s: configuration field head_mlp_layernorm must be true or false",
                         where);
    c->head_mlp_layernorm = json_is_true(layernorm);
    c->block = block ? DEER_BLOCK_MPT_7B : DEER_BLOCK_MPT_1B;
    c->lstm = lstm ? DEER_LSTM_PLAIN : DEER_LSTM_LAYERNORM;
    return check(where, c, err);
}

/* ---------------------------------------------------------------- writing ------------------ */

static json_t *floats_json(const float *values, int count)
{
    json_t *list = json_array();

    for (int i = 0; i < count; i++)
        json_push(list, json_real(values[i]));
    return list;
}

/* A count that is out of range is written as it is, for config_from_json to refuse. */
static json_t *ints_json(const int *values, int count, int room)
{
    json_t *list = json_array();

    for (int i = 0; i < count && i < room; i++)
        json_push(list, json_integer(values[i]));
    return list;
}

json_t *config_to_json(const deer_config *c)
{
    json_t *json = json_object();

    json_put(json, "name", json_string(c->name));
    for (int i = 0; i < COUNTS; i++)
        json_put(json, counts[i].name, json_integer(*count_at(c, i)));
    json_put(json, "image_mean", floats_json(c->image_mean, 3));
    json_put(json, "image_std", floats_json(c->image_std, 3));
    json_put(json, "action_scale", floats_json(c->action_scale, DEER_POSE));
    json_put(json, "head_mlp", ints_json(c->head_mlp, c->head_mlp_layers, DEER_MAX_MLP_LAYERS));
    json_put(json, "exit_layers", ints_json(c->exit_layers, c->exits, DEER_MAX_EXITS));
    json_put(json, "block", json_string(c->block == DEER_BLOCK_MPT_7B ? "mpt-7b" : "mpt-1b"));
    json_put(json, "lstm", json_string(c->lstm == DEER_LSTM_PLAIN ? "plain" : "layernorm"));
    json_put(json, "head_mlp_layernorm", json_boolean(c->head_mlp_layernorm));
    return json;
}

/* ---------------------------------------------------------------- derived ------------------ */

void config_alibi_slopes(const deer_config *c, float *slopes)
{
    int power = 1, n = c->heads;

    while (power < n)
        power *= 2;
    for (int h = 0; h < n; h++) {
        if (c->block == DEER_BLOCK_MPT_1B) {
            slopes[h] = (float)exp2(-8.0 * (h + 1) / n);
        } else if (power == n) {
            slopes[h] = (float)exp2(-8.0 * (h + 1) / power);
        } else { /* the odd ones first, then the even ones, of the next power of two */
            int i = h < power / 2 ? 2 * h + 1 : 2 * (h - power / 2);
            slopes[h] = (float)exp2(-8.0 * (i + 1) / power);
        }
    }
}

deer_status deer_config_write(const deer_config *config, char **text, deer_error *err)
{
    json_t *json;

    if (!config || !text)
        return deer_fail_with(DEER_USAGE, err, "writing a configuration lacks an argument");
    json = config_to_json(config);
    *text = json_text(json, JSON_COMPACT | JSON_REAL_PRECISION(17));
    return *text
               ? DEER_OK
               : deer_fail(err, "out of memory writing a configuration, or its name is not UTF-8");
}

deer_status deer_config_read(const char *where, const char *text, deer_config *config,
                             deer_error *err)
{
    json_error_t problem;
    json_t *json;
    deer_status status;

    if (!where || !text || !config)
        return deer_fail_with(DEER_USAGE, err, "reading a configuration lacks an argument");
    json = json_parse(text, strlen(text), JSON_REJECT_DUPLICATES, &problem);
    if (!json)
        return deer_fail(err, "%s: the configuration is no JSON object: %s", where, problem.text);
    status = config_from_json(where, json, config, err);
    json_decref(json);
    return status;
}
