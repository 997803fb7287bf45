/* SPDX-License-Identifier: MIT */
/* instruction.h - an instruction as the decoder takes it: token ids and their embeddings. */
#ifndef RUNTIME_INSTRUCTION_H
#define RUNTIME_INSTRUCTION_H

#include "runtime/model/model.h"

/* Both fill ids [max_text] and embedded [max_text, d_model] up to *count tokens; the first turns
 * text into the official prompt, the second checks ids made elsewhere and cuts them to max_text.
 * Where they fail after they have begun to write, *count is 0. */
deer_status instruction_from_text(const deer_model *model, const char *text, int32_t *ids,
                                  int *count, float *embedded, deer_error *err);
deer_status instruction_from_ids(const deer_model *model, const int32_t *from, int n, int32_t *ids,
                                 int *count, float *embedded, deer_error *err);

#endif
