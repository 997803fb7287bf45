/* SPDX-License-Identifier: MIT */
/* instruction.c - an instruction as the decoder takes it. */
#include "runtime/policy/instruction.h"

#include <string.h>

/* ids are there: looks them up. Until that is done there is no instruction. */
static deer_status embed(const deer_model *model, const int32_t *ids, int n, int *count,
                         float *embedded, deer_error *err)
{
    if (model_embed(model, ids, n, embedded, err))
        return DEER_FAILED;
    *count = n;
    return DEER_OK;
}

deer_status instruction_from_text(const deer_model *model, const char *text, int32_t *ids,
                                  int *count, float *embedded, deer_error *err)
{
    int n;

    *count = 0;
    if (!text)
        return deer_fail_with(DEER_USAGE, err, "no instruction is given");
    if (!model->words)
        return deer_fail(
            err, "%s holds no tokenizer; import it again with --tokenizer, or give token ids",
            model->file.path);
    n = tokenizer_prompt(model->words, text, ids, model->config.max_text, err);
    return n < 0 ? DEER_FAILED : embed(model, ids, n, count, embedded, err);
}

deer_status instruction_from_ids(const deer_model *model, const int32_t *from, int n, int32_t *ids,
                                 int *count, float *embedded, deer_error *err)
{
    const deer_config *c = &model->config;

    *count = 0;
    if (!from || n < 1)
        return deer_fail_with(DEER_USAGE, err, "an instruction needs at least one token");
    for (int i = 0; i < n; i++)
        if (from[i] < 0 || from[i] >= c->vocab)
            return deer_fail_with(DEER_USAGE, err, "token id %d lies outside the vocabulary of %d",
                                  (int)from[i], c->vocab);
    n = n < c->max_text ? n : c->max_text;
    memcpy(ids, from, (size_t)n * sizeof *ids);
    return embed(model, ids, n, count, embedded, err);
}

int32_t deer_unknown_words(const deer_model *model, const char *instruction)
{
    return model && model->words && instruction ? tokenizer_unknown(model->words, instruction) : 0;
}
