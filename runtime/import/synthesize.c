/* SPDX-License-Identifier: MIT */
/* synthesize.c - random models of given dimensions. */
#include "runtime/import/synthesize.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/model/arch.h"
#include "runtime/model/config.h"

/* ---------------------------------------------------------------- tensors ------------------ */

/* All tensors of a configuration, in order of execution. */
typedef struct {
    arch_tensor *tensor;
    size_t count, room;
    bool failed; /* out of memory */
} listing;

static void add(void *context, const arch_tensor *t)
{
    listing *l = context;
    char *name = l->failed ? NULL : strdup(t->name);

    if (name && l->count == l->room) {
        size_t room = l->room ? 2 * l->room : 512;
        arch_tensor *grown = realloc(l->tensor, room * sizeof *grown);

        l->failed = !grown;
        l->tensor = grown ? grown : l->tensor;
        l->room = grown ? room : l->room;
    }
    if (!name || l->failed) {
        l->failed = true;
        free(name);
        return;
    }
    l->tensor[l->count] = *t;
    l->tensor[l->count++].name = name;
}

static void listing_free(listing *l)
{
    for (size_t i = 0; i < l->count; i++)
        free((char *)(uintptr_t)l->tensor[i].name);
    free(l->tensor);
}

/* ---------------------------------------------------------------- values ------------------- */

typedef struct {
    const listing *list;
    uint64_t seed;
} generator;

/* A well mixed number of a counter. Source: the finalizer of MurmurHash3 (Appleby). */
static inline uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x85ebca6b;
    x ^= x >> 13;
    x *= 0xc2b2ae35;
    return x ^ x >> 16;
}

static uint32_t key_of(uint64_t seed, size_t tensor, size_t piece)
{
    uint32_t key = mix((uint32_t)seed ^ 0x9e3779b9) ^ (uint32_t)(seed >> 32);

    key = mix(key + (uint32_t)tensor);
    return mix(key + (uint32_t)piece);
}

/* Elements [first, first + n): uniform, mean 0. Counters start anew every 2^24 elements. */
static void fill_uniform(const generator *g, size_t tensor, size_t first, size_t n, float deviation,
                         float *out)
{
    float step = deviation * sqrtf(3) * 0x1p-31f; /* of a signed 32-bit number */

    while (n) {
        size_t left = ((size_t)1 << 24) - (first & 0xffffff), run = n < left ? n : left;
        uint32_t key = key_of(g->seed, tensor, first >> 24), at = (uint32_t)(first & 0xffffff);

        for (size_t i = 0; i < run; i++)
            out[i] = step * (float)(int32_t)mix((at + (uint32_t)i) * 0x9e3779b9 ^ key);
        first += run;
        out += run;
        n -= run;
    }
}

static deer_status generate(void *context, size_t i, size_t first, size_t rows, float *room,
                            const float **data, deer_error *err)
{
    const generator *g = context;
    const arch_tensor *t = &g->list->tensor[i];
    size_t columns = arch_matrix_columns(t);

    (void)err;
    *data = room;
    if (t->rank > 1)
        fill_uniform(g, i, first * columns, rows * columns, 1 / sqrtf((float)columns), room);
    else if (strstr(t->name, "bias"))
        fill_uniform(g, i, first, rows, 0.02f, room);
    else if (strstr(t->name, "class_embedding"))
        fill_uniform(g, i, first, rows, 1 / sqrtf((float)t->shape[0]), room);
    else
        for (size_t k = 0; k < rows; k++)
            room[k] = strstr(t->name, "_gate") ? 0.5f : 1.0f;
    return DEER_OK;
}

/* ---------------------------------------------------------------- whole -------------------- */

void synthesize_layers(deer_config *config, int layers)
{
    int apart = config->exit_layers[0] + 1;

    config->layers = layers;
    config->exits = 0;
    for (int i = apart - 1; i < layers - 1 && config->exits < DEER_MAX_EXITS - 1; i += apart)
        config->exit_layers[config->exits++] = i;
    config->exit_layers[config->exits++] = layers - 1;
}

deer_status synthesize_model(const model_output *to, const deer_config *config, uint64_t seed,
                             const char *words, deer_error *err)
{
    listing list = {NULL};
    generator g = {&list, seed};
    model_source source = {generate, &g};
    json_t *json = config_to_json(config);
    deer_config checked;
    deer_status status = json ? config_from_json(to->path, json, &checked, err)
                              : deer_fail(err, "out of memory writing %s", to->path);

    json_decref(json);
    if (!status) {
        arch_visit(&checked, arch_layers(&checked, checked.exits - 1),
                   &(arch_visitor){.tensor = add, .context = &list});
        status = list.failed ? deer_fail(err, "out of memory writing %s", to->path)
                             : model_write(to, to->path, list.tensor, list.count, &checked, words,
                                           &source, err);
    }
    listing_free(&list);
    return status;
}
