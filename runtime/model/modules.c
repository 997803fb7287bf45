/* SPDX-License-Identifier: MIT */
/* modules.c - the tensors and attentions of a part, with how much goes through them. */
#include "runtime/model/modules.h"

#include <string.h>

/* A part being gone through. */
typedef struct {
    const deer_config *c;
    const arch_load *at;
    module_sum each_exit, each_step, of_media;
    module_term *terms; /* [MODULE_TERMS] or NULL */
    int count;
} tally;

/* Each image has vectors of its own, a text sees the media of both cameras. */
static uint64_t rows_of(const tally *t, arch_rows rows)
{
    return arch_vectors(t->c, rows, t->at);
}

/* Adds to the term of that name. */
static void name_term(tally *t, const char *what, uint64_t macs)
{
    int i = 0;

    if (!t->terms)
        return;
    while (i < t->count && strcmp(t->terms[i].what, what) != 0)
        i++;
    if (i == t->count)
        t->terms[t->count++] = (module_term){what, 0};
    t->terms[i].macs += macs;
}

static void add(module_sum *sum, uint64_t macs, uint64_t activations, int products)
{
    sum->macs += macs;
    sum->activations += activations;
    sum->products += products;
}

static void add_tensor(void *context, const arch_tensor *w)
{
    tally *t = context;
    uint64_t rows = rows_of(t, w->rows), out = arch_matrix_rows(w), in = arch_matrix_columns(w);

    if (!w->what)
        return;
    add(w->rows == ARCH_STEP ? &t->each_step : &t->each_exit, rows * out * in, rows * (in + out),
        1);
    if (w->rows == ARCH_MEDIA)
        add(&t->of_media, rows * out * in, rows * (in + out), 1);
    name_term(t, w->what, rows * out * in);
}

/* Scores and weighted sum. Images attend one after the other, each to itself. */
static void add_attention(void *context, const arch_attention *a)
{
    tally *t = context;
    uint64_t times = a->keys == ARCH_TOKENS || a->keys == ARCH_SEEN ? (uint64_t)t->at->images : 1;
    uint64_t queries = rows_of(t, a->queries) / times, keys = rows_of(t, a->keys) / times;
    uint64_t macs = times * queries * keys * (uint64_t)a->width;

    add(&t->each_exit, 2 * macs, times * (2 * queries + 2 * keys) * (uint64_t)a->width, 2);
    name_term(t, a->causal ? "attention scores (full square)" : "attention scores", macs);
    name_term(t, a->causal ? "weighted sum (full square)" : "weighted sum", macs);
}

static void visit(tally *t, arch_part part)
{
    arch_visit_part(
        t->c, part, 0,
        &(arch_visitor){
            .tensor = add_tensor, .attention = add_attention, .context = t, .nameless = true});
}

module_sum module_work(const deer_config *config, arch_part part, const arch_load *at)
{
    tally t = {.c = config, .at = at};

    visit(&t, part);
    return t.each_exit;
}

module_sum module_recurrent(const deer_config *config)
{
    tally t = {.c = config, .at = &(arch_load){.exits = 1}};

    visit(&t, ARCH_HEAD);
    return t.each_step;
}

module_sum module_media(const deer_config *config, const arch_load *at)
{
    tally t = {.c = config, .at = at};

    visit(&t, ARCH_CROSS);
    return t.of_media;
}

int module_terms(const deer_config *config, arch_part part, const arch_load *at,
                 module_term terms[MODULE_TERMS])
{
    tally t = {.c = config, .at = at, .terms = terms};

    visit(&t, part);
    return t.count;
}
