/* SPDX-License-Identifier: MIT */
/* work_json.c - work of a step by what it is given, and the rates of machines. */
#include "reports/formats/work_json.h"

#include <math.h>
#include <string.h>

#include "budgets/cost/weights.h"
#include "reports/formats/text.h"
#include "runtime/base/json/json_build.h"
#include "runtime/deer_replay.h"

enum { SIZES = 5, MOST_TOKENS = 128 };

/* ---------------------------------------------------------------- small pieces ------------- */

static json_t *integers(const uint64_t *value, int n)
{
    json_t *list = json_array();

    for (int i = 0; i < n; i++)
        json_push(list, json_integer((json_int_t)value[i]));
    return list;
}

static void set(json_t *object, const char *key, int64_t value)
{
    json_put(object, key, json_integer(value));
}

/* ---------------------------------------------------------------- what is given ------------ */

json_t *work_load_json(const report *r)
{
    deer_load load = fleet_load(r->q, r->tokens, r->q->dtype[0]);
    deer_config c = fleet_config(r->q, &r->config);
    json_t *json = json_object(), *parts = json_object();

    for (int s = 0; s < STAGE_KINDS; s++)
        json_put(parts, stage_kind_name((stage_kind)s),
                 r->q->load.has_part[s] ? json_string(weight_dtype_name(r->q->load.part[s]))
                                        : json_null());
    set(json, "cameras", load.cameras);
    set(json, "image_size", c.image_size);
    set(json, "tokens", load.tokens);
    json_put(json, "part_dtypes", parts);
    return json;
}

/* ---------------------------------------------------------------- work of a stage ---------- */

/* Bytes of one run's weights with f32, bf16 and q8. */
static json_t *weights_json(const deer_work work[WEIGHT_DTYPES])
{
    uint64_t bytes[WEIGHT_DTYPES];

    for (int d = 0; d < WEIGHT_DTYPES; d++)
        bytes[d] = work[d].weight_bytes;
    return integers(bytes, WEIGHT_DTYPES);
}

/* Of deer's own kernels on a GPU. */
static json_t *dispatches_json(const deer_work work[WEIGHT_DTYPES])
{
    uint64_t dispatches[WEIGHT_DTYPES];

    for (int d = 0; d < WEIGHT_DTYPES; d++)
        dispatches[d] = (uint64_t)work[d].dispatches;
    return integers(dispatches, WEIGHT_DTYPES);
}

/* With activations as 32-bit numbers: other types have half of that. */
static json_t *work_json(const deer_work work[WEIGHT_DTYPES])
{
    json_t *json = json_object();

    set(json, "macs", (int64_t)work[WEIGHT_F32].macs);
    set(json, "activation_bytes", (int64_t)work[WEIGHT_F32].activation_bytes);
    set(json, "products", work[WEIGHT_F32].products);
    json_put(json, "dispatches", dispatches_json(work));
    json_put(json, "weight_bytes", weights_json(work));
    return json;
}

typedef struct {
    deer_stages of[WEIGHT_DTYPES];
} stages_by_type;

static stages_by_type stages_for(const deer_config *c, int cameras, int tokens)
{
    stages_by_type all;

    for (int d = 0; d < WEIGHT_DTYPES; d++) {
        deer_load load = deer_load_of(tokens, (weight_dtype)d);

        load.cameras = cameras;
        deer_stages_of_load(c, &load, &all.of[d]);
    }
    return all;
}

/* A stage, at its place in deer_stages. */
static json_t *stage_json(const stages_by_type *all, size_t offset)
{
    deer_work work[WEIGHT_DTYPES];

    for (int d = 0; d < WEIGHT_DTYPES; d++)
        memcpy(&work[d], (const char *)&all->of[d] + offset, sizeof *work);
    return work_json(work);
}

/* ---------------------------------------------------------------- tables ------------------- */

/* By cameras, one first. */
static json_t *by_cameras(const deer_config *c, size_t offset)
{
    json_t *list = json_array();

    for (int n = 1; n <= DEER_MOST_CAMERAS; n++) {
        stages_by_type all = stages_for(c, n, 1);

        json_push(list, stage_json(&all, offset));
    }
    return list;
}

static json_t *size_json(const deer_config *like, int side)
{
    deer_config c = *like;
    json_t *json = json_object();

    c.image_size = side;
    set(json, "image_size", side);
    set(json, "session_bytes", (int64_t)deer_session_need(&c, 1));
    set(json, "kept_bytes", (int64_t)deer_session_need_reuse(&c));
    json_put(json, "vision", by_cameras(&c, offsetof(deer_stages, vision)));
    json_put(json, "resampler", by_cameras(&c, offsetof(deer_stages, resampler)));
    return json;
}

/* Half to twice the side there is, in whole patches, and what was asked. */
static json_t *sizes_json(const report *r, const deer_config *c)
{
    static const double factor[SIZES] = {0.5, 0.75, 1, 1.5, 2};
    int asked = fleet_config(r->q, c).image_size, before = 0;
    bool listed = false;
    json_t *list = json_array();

    for (int i = 0; i < SIZES; i++) {
        int patches = (int)lround(factor[i] * c->image_size / c->patch_size);
        int side = c->patch_size * (patches > 1 ? patches : 1);

        if (asked > before && asked < side && asked % c->patch_size == 0 && !listed)
            json_push(list, size_json(c, asked));
        listed = listed || asked <= side;
        if (side > before)
            json_push(list, size_json(c, side));
        before = side;
    }
    if (!listed && asked % c->patch_size == 0)
        json_push(list, size_json(c, asked));
    return list;
}

/* Lengths of instructions that can be asked for. */
static int tokens_of(const deer_config *c)
{
    return c->max_text < MOST_TOKENS ? c->max_text : MOST_TOKENS;
}

/* [tokens 1..][cameras] of a layer with cross-attention, [tokens] of one without. */
static json_t *layers_json(const deer_config *c)
{
    json_t *with = json_array(), *without = json_array(), *json = json_object();

    for (int t = 1; t <= tokens_of(c); t++) {
        json_t *row = json_array();

        for (int n = 1; n <= DEER_MOST_CAMERAS; n++) {
            deer_load load = deer_load_of(t, WEIGHT_F32);
            deer_stages s;

            load.cameras = n;
            deer_stages_of_load(c, &load, &s);
            json_push(row, integers((uint64_t[]){s.layer_with_cross.macs,
                                                 s.layer_with_cross.activation_bytes},
                                    2));
            if (n == 1)
                json_push(without, integers((uint64_t[]){s.layer_without_cross.macs,
                                                         s.layer_without_cross.activation_bytes},
                                            2));
        }
        json_push(with, row);
    }
    json_put(json, "with_cross", with);
    json_put(json, "without_cross", without);
    return json;
}

/* Layers of each kind up to each exit. */
static json_t *plan_json(const deer_config *c)
{
    json_t *list = json_array();

    for (int k = 0; k < c->exits; k++) {
        uint64_t n[2] = {0, 0}; /* with, without */

        for (int i = 0; i <= c->exit_layers[k]; i++)
            n[arch_has_cross(c, i) ? 0 : 1]++;
        json_push(list, integers(n, 2));
    }
    return list;
}

/* ---------------------------------------------------------------- shapes ------------------- */

static json_t *shape_json(const report *r, const deer_config *c, const char *name)
{
    stages_by_type all = stages_for(c, 2, 1);
    json_t *json = json_object();
    char clean[sizeof c->name];

    text_copy_utf8(clean, sizeof clean, name);
    json_put(json, "name", json_string(clean));
    set(json, "image_size", c->image_size);
    set(json, "max_tokens", tokens_of(c));
    json_put(json, "layers_to_exit", plan_json(c));
    json_put(json, "sizes", sizes_json(r, c));
    json_put(json, "layers", layers_json(c));
    json_put(json, "layer_with_cross", stage_json(&all, offsetof(deer_stages, layer_with_cross)));
    json_put(json, "layer_without_cross",
             stage_json(&all, offsetof(deer_stages, layer_without_cross)));
    json_put(json, "head_recurrent", stage_json(&all, offsetof(deer_stages, head_recurrent)));
    json_put(json, "head_first", stage_json(&all, offsetof(deer_stages, head_first)));
    json_put(json, "head_evaluation", stage_json(&all, offsetof(deer_stages, head_evaluation)));
    return json;
}

json_t *work_shapes_json(const report *r)
{
    static const char *const published[] = {"3b", "9b"};
    json_t *list = json_array();
    deer_config c;

    json_push(list, shape_json(r, &r->config, r->config.name));
    for (int i = 0; i < 2; i++)
        if (deer_config_published(published[i], &c) && c.exits == r->config.exits &&
            strcmp(c.name, r->config.name))
            json_push(list, shape_json(r, &c, c.name));
    if (r->mapped)
        json_push(list, shape_json(r, &r->c->about.config, r->model_name));
    return list;
}

/* ---------------------------------------------------------------- machines ----------------- */

/* Six digits are enough of what is known to two. */
static json_t *range_json(deer_range x, double factor)
{
    json_t *list = json_array();

    if (isnan(x.expected)) {
        json_decref(list);
        return json_null();
    }
    json_push(list, json_real(factor * x.low));
    json_push(list, json_real(factor * x.expected));
    json_push(list, json_real(factor * x.high));
    return list;
}

static json_t *speed_json(const deer_stage_speed *x, const char *overhead)
{
    json_t *speed = json_object();

    json_put(speed, "gflops", range_json(x->flops, 1e-9));
    json_put(speed, "gbytes", range_json(x->bytes, 1e-9));
    json_put(speed, "cached_gbytes", range_json(x->cached, 1e-9));
    json_put(speed, overhead, range_json(x->overhead, 1e6));
    return speed;
}

json_t *work_speeds_json(const report *r, const deer_hardware *h, int mode, int dtype, bool own)
{
    json_t *json = json_object();

    for (int s = 0; s < STAGE_KINDS; s++) {
        deer_stage_speed x;
        deer_error ignored;

        if ((own ? deer_own_speed_of : deer_stage_speed_of)(h, mode, r->q->dtype[dtype],
                                                            (stage_kind)s, &x, &ignored)) {
            json_decref(json);
            return json_null();
        }
        json_put(json, stage_kind_name((stage_kind)s),
                 speed_json(&x, own ? "dispatch_us" : "product_us"));
    }
    return json;
}
