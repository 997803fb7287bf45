/* SPDX-License-Identifier: MIT */
/* modules.h - the arithmetic of each part of the architecture, from arch.h.
 *
 *   arch_load at = {.images = 1, .tokens = 14, .exits = 1};
 *   uint64_t macs = module_work(config, ARCH_VISION, &at).macs;       // one image
 *
 * Shapes: matrices are [out, in]; n vectors through one cost n * out * in multiply-adds. */
#ifndef RUNTIME_MODULES_H
#define RUNTIME_MODULES_H

#include <stdint.h>

#include "runtime/model/arch.h"

/* Work of one kind. */
typedef struct {
    uint64_t macs;
    uint64_t activations; /* numbers read and written by products */
    int products;         /* of matrices, attention scores and weighted sums */
} module_sum;

/* The work of a part; of the decoder's, one layer's. The head's without W_hh h. */
module_sum module_work(const deer_config *config, arch_part part, const arch_load *at);

/* W_hh h of all LSTM layers. */
module_sum module_recurrent(const deer_config *config);

/* Of cross-attention before one decoder layer, what comes of the media alone: their keys and
 * values, of all images. */
module_sum module_media(const deer_config *config, const arch_load *at);

/* One product of a module, for those who want to check the sum: in all its layers. */
typedef struct {
    const char *what;
    uint64_t macs;
} module_term;

#define MODULE_TERMS 8

/* The products of a part in order of computation, W_hh h included; returns how many. */
int module_terms(const deer_config *config, arch_part part, const arch_load *at,
                 module_term terms[MODULE_TERMS]);

#endif
