/* SPDX-License-Identifier: MIT */
/* synthesize.h - models with random weights: the shapes, sizes and speed of real ones. */
#ifndef RUNTIME_SYNTHESIZE_H
#define RUNTIME_SYNTHESIZE_H

#include "runtime/import/model_file.h"

/* Keeps `layers` decoder layers, with exits as far apart as before and one behind the last. The
 * result is checked when it is written. */
void synthesize_layers(deer_config *config, int layers);

/* Writes a model of this configuration. Matrices are uniform with a standard deviation of 1 /
 * sqrt(columns), biases small, norms 1, gates 0.5: activations stay of order 1 through any number
 * of layers. The same configuration and seed give the same values, whatever to->dtype rounds them
 * to. words: text of a tokenizer.json, or NULL. */
deer_status synthesize_model(const model_output *to, const deer_config *config, uint64_t seed,
                             const char *words, deer_error *err);

#endif
