/* SPDX-License-Identifier: MIT */
/* config.h - deer_config from and to the JSON of a model file (docs/model-file.md). */
#ifndef RUNTIME_CONFIG_H
#define RUNTIME_CONFIG_H

#include <jansson.h>

#include "runtime/deer_replay.h"

/* Reads and checks a configuration: every field present, in range and consistent with the others.
 * `where` (a file name) starts the messages. */
deer_status config_from_json(const char *where, const json_t *json, deer_config *config,
                             deer_error *err);

/* A new JSON object with every field; NULL when out of memory. */
json_t *config_to_json(const deer_config *config);

/* ALiBi slopes of the decoder's heads into slopes[heads].
 * Source: MPT-1B attention.py (2^-(8 (h + 1) / heads)); llm-foundry gen_slopes for MPT-7B. */
void config_alibi_slopes(const deer_config *config, float *slopes);

#endif
