/* SPDX-License-Identifier: MIT */
/* weights.c - the tensors of a part, counted. */
#include "budgets/cost/weights.h"

deer_weights weights_add(deer_weights a, deer_weights b)
{
    return (deer_weights){a.matrices + b.matrices, a.rows + b.rows, a.tables + b.tables,
                          a.vectors + b.vectors};
}

uint64_t weights_count(deer_weights w)
{
    return w.matrices + w.tables + w.vectors;
}

uint64_t weights_bytes(deer_weights w, weight_dtype dtype)
{
    const weight_form *f = &weight_forms[dtype];

    return (uint64_t)f->weight * w.matrices + (uint64_t)f->row * w.rows +
           (uint64_t)f->table * w.tables + 4 * w.vectors;
}

typedef struct {
    deer_weights all, recurrent;
} sums;

static void add_tensor(void *context, const arch_tensor *t)
{
    sums *s = context;
    uint64_t rows = arch_matrix_rows(t), n = rows * arch_matrix_columns(t);
    deer_weights w = {0};

    if (t->role == ARCH_MATRIX)
        w = (deer_weights){.matrices = n, .rows = rows};
    else if (t->role == ARCH_TABLE)
        w.tables = n;
    else
        w.vectors = n;
    s->all = weights_add(s->all, w);
    if (t->role == ARCH_MATRIX && t->rows == ARCH_STEP)
        s->recurrent = weights_add(s->recurrent, w);
}

static sums sum_up(const deer_config *config, arch_part part)
{
    sums s = {.all = {0}};

    arch_visit_part(config, part, 0,
                    &(arch_visitor){.tensor = add_tensor, .context = &s, .nameless = true});
    return s;
}

deer_weights weights_of(const deer_config *config, arch_part part)
{
    return sum_up(config, part).all;
}

deer_weights weights_recurrent(const deer_config *config)
{
    return sum_up(config, ARCH_HEAD).recurrent;
}

deer_weights weights_layer(const deer_config *config, int i)
{
    deer_weights w = weights_of(config, ARCH_DECODER);

    return arch_has_cross(config, i) ? weights_add(w, weights_of(config, ARCH_CROSS)) : w;
}
