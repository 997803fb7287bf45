/* SPDX-License-Identifier: MIT */
/* modules.h - MACs of each module of the architecture, term by term.
 *
 * Every function is a sum of products of dimensions; the order of the terms is the order of
 * computation. Shapes: linear layers are [out, in]; n tokens through one cost n * out * in MACs.
 * Source of the architecture: DeeR-VLA's official code as listed in its model classes. */
#ifndef BUDGETS_MODULES_H
#define BUDGETS_MODULES_H

#include <stdint.h>

#include "runtime/deer.h"

/* Patches of one image, the class token not included. */
uint64_t module_patches(const deer_config *c);

/* One product of a module, for those who want to check the sum. */
typedef struct {
    const char *what;
    uint64_t macs;
} module_term;

#define MODULE_TERMS 8

/* The products of a module in order of computation; returns how many. */
int module_vision_terms(const deer_config *c, module_term terms[MODULE_TERMS]);    /* one image */
int module_resampler_terms(const deer_config *c, module_term terms[MODULE_TERMS]); /* one image */
int module_cross_terms(const deer_config *c, int tokens, module_term terms[MODULE_TERMS]);
int module_decoder_terms(const deer_config *c, int tokens, module_term terms[MODULE_TERMS]);
int module_head_terms(const deer_config *c, module_term terms[MODULE_TERMS]); /* one evaluation */

/* Their sums. */
uint64_t module_vision_macs(const deer_config *c);              /* one image */
uint64_t module_resampler_macs(const deer_config *c);           /* one image */
uint64_t module_cross_macs(const deer_config *c, int tokens);   /* one layer's cross-attention */
uint64_t module_decoder_macs(const deer_config *c, int tokens); /* one layer without it */
uint64_t module_head_macs(const deer_config *c);                /* one evaluation */
uint64_t module_head_recurrent_macs(const deer_config *c);      /* W_hh h of all LSTM layers */

/* True when decoder layer i (0-based) has cross-attention. */
bool module_has_cross(const deer_config *c, int layer);

#endif
