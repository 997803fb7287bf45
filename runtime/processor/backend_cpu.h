/* SPDX-License-Identifier: MIT */
/* backend_cpu.h - inside the processor's backend, for tests and benchmarks of its parts. */
#ifndef RUNTIME_BACKEND_CPU_H
#define RUNTIME_BACKEND_CPU_H

#include "runtime/processor/backbone.h"
#include "runtime/processor/head.h"

/* The `work` of backend_cpu. */
typedef struct {
    const deer_model *model;
    backend_text text;
    float *h, *c;  /* [lstm_layers, lstm_hidden] */
    float *pooled; /* [head rows, d_model] */
    backbone_scratch backbone;
    head_scratch head;
    float *arena;
    size_t arena_bytes;
} cpu_work;

#endif
