/* SPDX-License-Identifier: MIT */
/* head.h - the action head shared by all exits: LSTM, then MLPs for pose and gripper.
 *
 * One evaluation for n rows (robots, or replayed steps). The part that depends on the previous step
 * alone (W_hh h + biases, of every LSTM layer) is computed once and shared by all exits'
 * evaluations. Source: official DeterministicDecoder; PyTorch LSTM, gate order i, f, g, o. */
#ifndef RUNTIME_HEAD_H
#define RUNTIME_HEAD_H

#include "runtime/model/model.h"

/* Scratch of an evaluation for up to `rows` rows. H lstm_hidden, N lstm_layers. */
typedef struct {
    float *recurrent; /* [N, rows, 4 H] W_hh h + b_hh + b_ih */
    float *gates;     /* [rows, 4 H] */
    float *out;       /* [rows, H] a layer's output, normed where the head has norms */
    float *h, *c;     /* [rows, N, H] the state after the last evaluation */
    float *mlp[2];    /* [rows, widest MLP layer] */
    workspace ws;
} head_scratch;

/* Floats of the scratch; with base, points the slices into it. The workspace is the last of them;
 * a scratch for one robot that borrows another part's instead gets threads 0. */
size_t head_layout(const deer_config *config, int rows, int threads, head_scratch *scratch,
                   float *base);

/* Prepares the evaluations of a step from the states before it, h [n, N, H]. */
void head_begin(const deer_model *model, head_scratch *s, int n, const float *h);

/* pooled [n, d] and the c before the step -> pose [n, 6], gripper [n] (probability of open); the
 * states after it are left in s->h and s->c [n, N, H]. The rows start from n states of their own
 * (c [n, N, H], as head_begin had h), or all from one (states 1, c [1, N, H]): several features of
 * one step, whose weights are then read once. */
void head_run(const deer_model *model, head_scratch *s, int n, int states, const float *pooled,
              const float *c, float *pose, float *gripper);

#endif
