/* batch.c - features of many observations at once. */
#include <stdlib.h>
#include <string.h>

#include "runtime/session.h"

struct deer_batch {
    const deer_model *model;
    deer_session *session;
    int room, count;
    float *pooled;
};

deer_status deer_batch_new(const deer_model *model, int room, deer_batch **out, deer_error *err)
{
    deer_batch *b = calloc(1, sizeof *b);
    deer_thresholds deepest;

    *out = NULL;
    deer_thresholds_fixed(model, model->max_exit, &deepest);
    if (!b || room < 1 || deer_session_new(model, &deepest, &b->session, err)) {
        free(b);
        return deer_fail(err, "cannot make a batch of %d observations", room);
    }
    b->model = model;
    b->room = room;
    b->pooled = malloc((size_t)room * (size_t)(2 + model->max_exit) *
                       (size_t)model->config.d_model * sizeof *b->pooled);
    *out = b;
    return DEER_OK;
}

void deer_batch_free(deer_batch *b)
{
    if (!b)
        return;
    deer_session_free(b->session);
    free(b->pooled);
    free(b);
}

deer_status deer_batch_set_instruction(deer_batch *b, const char *instruction, deer_error *err)
{
    return deer_session_set_instruction(b->session, instruction, err);
}

deer_status deer_batch_set_tokens(deer_batch *b, const int32_t *ids, int count, deer_error *err)
{
    return deer_session_set_tokens(b->session, ids, count, err);
}

int deer_batch_tokens(const deer_batch *b)
{
    return deer_session_tokens(b->session);
}

int deer_batch_count(const deer_batch *b)
{
    return b->count;
}

deer_status deer_batch_add(deer_batch *b, const deer_observation *observation, deer_error *err)
{
    size_t each = (size_t)(2 + b->model->max_exit) * (size_t)b->model->config.d_model;

    if (b->count == b->room)
        return deer_fail(err, "the batch is full with %d observations", b->room);
    return deer_step_features(b->session, observation, b->pooled + (size_t)b->count++ * each, err);
}

int deer_batch_run(deer_batch *b, float *pooled)
{
    size_t each = (size_t)(2 + b->model->max_exit) * (size_t)b->model->config.d_model;
    int count = b->count;

    memcpy(pooled, b->pooled, (size_t)count * each * sizeof *pooled);
    b->count = 0;
    return count;
}
