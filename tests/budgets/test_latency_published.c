/* SPDX-License-Identifier: MIT */
/* The assumptions about machines nobody measured, against published measurements.
 *
 * Prints the tables that docs/hardware.md shows and holds them to what is written there: an
 * assumption that changes, changes the errors, and they must be stated anew. Every case is a
 * transformer at batch 1; its work comes from the published dimensions. The assumptions were set
 * before any of it; the factors of budgets/machines/runtimes.c are what comes out here, kind of
 * runtime by kind. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "budgets/machines/hardware_fit.h"
#include "budgets/machines/runtimes.h"

/* A stack of equal layers; tokens go through all of them at once. */
typedef struct {
    double layers, tokens;
    double weights;   /* of a layer's matrices */
    double attention; /* heads x head dimension */
    double context;   /* keys that a token attends to */
    double products;  /* a layer's, attention's two included */
    double around;    /* weights read once besides: patch embedding, output logits */
    double bits;      /* a weight, scales included */
} stack;

/* A part of a model: a stack that runs so many times. */
typedef struct {
    stage_kind kind;
    stack model;
    double times;
} part;

enum { MOST_PARTS = 4 };

typedef struct {
    const char *what, *machine, *mode, *source;
    weight_dtype dtype;
    double seconds; /* published */
    int error;      /* of the expected time against it, percent, as stated in docs/hardware.md */
    part parts[MOST_PARTS];
} measurement;

/* ViT of a width and MLP at so many tokens. */
#define VIT(layers, tokens, width, mlp, patch)                                                     \
    {                                                                                              \
        layers, tokens, 4.0 * (width) * (width) + 2.0 * (width) * (mlp), width, tokens, 6,         \
            3.0 * (patch) * (patch) * (width), 16                                                  \
    }
/* Decoder with grouped queries and a gated MLP, one token at a context of `ctx`. */
#define DECODER(layers, tokens, d, q, kv, mlp, ctx, logits, bits)                                  \
    {                                                                                              \
        layers, tokens, 2.0 * (d) * (q) + 2.0 * (d) * (kv) + 3.0 * (d) * (mlp), q, ctx, 9, logits, \
            bits                                                                                   \
    }

/* Self-attention and cross-attention to 296 tokens of width 2048 in turn, an MLP, and what shifts
 * and scales the norms. */
#define DIT                                                                                        \
    {                                                                                              \
        16, 49, 13.0 * 1536 * 1536 + 2048.0 * 1536, 1536, (49 + 296) / 2.0, 7, 0, 16               \
    }
/* A layer of the 3B model with its cross-attention. */
#define DEER_3B_LAYER                                                                              \
    {                                                                                              \
        1, 14, 20.0 * 2048 * 2048 + 2.0 * 512 * 2048 + 1024.0 * 1024, 2048, 14, 13, 0, 16          \
    }

#define QWEN25_3B(bits) DECODER(36, 1, 2048, 2048, 256, 11008, 256, 151936.0 * 2048, bits)
#define QWEN3_4B(bits) DECODER(36, 1, 2560, 4096, 1024, 9728, 256, 151936.0 * 2560, bits)
#define QWEN3_06B(bits) DECODER(28, 1, 1024, 2048, 1024, 3072, 256, 151936.0 * 1024, bits)
#define LLAMA_3B(bits) DECODER(28, 1, 3072, 3072, 1024, 8192, 256, 128256.0 * 3072, bits)
#define LLAMA_8B(bits) DECODER(32, 1, 4096, 4096, 1024, 14336, 256, 128256.0 * 4096, bits)

/* Whole policies at batch 1. SigLIP 400M looks at `views` pictures of 256 tokens, Gemma 2B reads
 * them with a prompt, and the action expert runs over `chunk` actions and the state, ten times. */
#define PI0(views, prompt, chunk)                                                                  \
    {                                                                                              \
        {STAGE_VISION,                                                                             \
         {27, 256.0 * (views), 4.0 * 1152 * 1152 + 2.0 * 1152 * 4304, 1152, 256, 6,                \
          3.0 * 14 * 14 * 1152, 16},                                                               \
         1},                                                                                       \
            {STAGE_VISION,                                                                         \
             DECODER(18, 256.0 * (views) + (prompt), 2048, 2048, 256, 16384,                       \
                     256.0 * (views) + (prompt), 0, 16),                                           \
             1},                                                                                   \
        {                                                                                          \
            STAGE_LAYER,                                                                           \
                DECODER(18, (chunk) + 1.0, 1024, 2048, 256, 4096,                                  \
                        256.0 * (views) + (prompt) + (chunk) + 1, 0, 16),                          \
                10                                                                                 \
        }                                                                                          \
    }
/* Two pictures of 1,024 patches, 16 layers of SmolLM2 over 64 tokens each, 48 of text and the
 * state, and an expert over 50 actions, ten times. */
#define SMOLVLA                                                                                    \
    {                                                                                              \
        {STAGE_VISION,                                                                             \
         {12, 2048, 4.0 * 768 * 768 + 2.0 * 768 * 3072, 768, 1024, 6, 3.0 * 16 * 16 * 768, 16},    \
         1},                                                                                       \
            {STAGE_VISION, DECODER(16, 177, 960, 960, 320, 2560, 177, 0, 16), 1},                  \
        {                                                                                          \
            STAGE_LAYER, DECODER(16, 50, 720, 960, 320, 2048, 227, 0, 16), 10                      \
        }                                                                                          \
    }
/* The parts of GR00T N1.5 as below, for two pictures, with the action head four times. */
#define GR00T                                                                                      \
    {                                                                                              \
        {STAGE_VISION,                                                                             \
         {27, 512, 4.0 * 1152 * 1152 + 2.0 * 1152 * 4304, 1152, 256, 6, 3.0 * 14 * 14 * 1152, 16}, \
         1},                                                                                       \
            {STAGE_VISION, DECODER(12, 552, 2048, 2048, 1024, 6144, 552, 0, 16), 1},               \
            {STAGE_VISION,                                                                         \
             {4, 552, 4.0 * 2048 * 2048 + 2.0 * 2048 * 8192, 2048, 552, 6, 0, 16},                 \
             1},                                                                                   \
        {                                                                                          \
            STAGE_LAYER,                                                                           \
                {16, 49, 13.0 * 1536 * 1536 + 2048.0 * 1536, 1536, (49 + 552) / 2.0, 7, 0, 16}, 4  \
        }                                                                                          \
    }

#define QWEN3_17B(bits) DECODER(28, 1, 2048, 2048, 1024, 6144, 256, 151936.0 * 2048, bits)
#define LLAMA_1B(bits) DECODER(16, 1, 2048, 2048, 512, 8192, 256, 128256.0 * 2048, bits)
#define LLAMA_7B(tokens, context)                                                                  \
    DECODER(32, tokens, 4096, 4096, 4096, 11008, context, 32000.0 * 4096, 16)
#define VISION(...)                                                                                \
    {                                                                                              \
        {                                                                                          \
            STAGE_VISION, __VA_ARGS__, 1                                                           \
        }                                                                                          \
    }
#define LAYER(...)                                                                                 \
    {                                                                                              \
        {                                                                                          \
            STAGE_LAYER, __VA_ARGS__, 1                                                            \
        }                                                                                          \
    }

static const char gr00t[] = "Isaac GR00T N1.5, deployment on Orin, trtexec (2025)";
static const char edge[] = "TensorRT-Edge-LLM issue 60 (2026-03)";
static const char lab[] = "NVIDIA Jetson AI Lab, Benchmarks (2024-12)";
static const char embedl[] = "Embedl, Edge Inference Benchmarks, vLLM (2026)";
static const char triton[] = "Dexmal realtime-vla, Triton, 10 flow steps (2026-02)";
static const char trt[] = "TensorRT-LLM performance, v0.5 (2023)";
static const char vla_cpp[] = "vla.cpp, arXiv 2606.08094, power mode not stated (2026-06)";

/* Compiled for the machine. */
static const measurement tuned[] = {
    {"GR00T N1.5 vision, SigLIP 400M, one image", "agx-orin-64", "MAXN", gr00t, WEIGHT_BF16,
     11.96e-3, 0, VISION(VIT(27, 256, 1152, 4304, 14))},
    {"GR00T N1.5 language, 12 layers, 296 tokens", "agx-orin-64", "MAXN", gr00t, WEIGHT_BF16,
     17.25e-3, 6, VISION(DECODER(12, 296, 2048, 2048, 1024, 6144, 296, 0, 16))},
    {"GR00T N1.5 self-attention, 4 layers, 296 tokens", "agx-orin-64", "MAXN", gr00t, WEIGHT_BF16,
     5.17e-3, 15, VISION({4, 296, 4.0 * 2048 * 2048 + 2.0 * 2048 * 8192, 2048, 296, 6, 0, 16})},
    {"GR00T N1.5 action head (DiT), 16 layers, 49 tokens", "agx-orin-64", "MAXN", gr00t,
     WEIGHT_BF16, 7.77e-3, 18, LAYER(DIT)},
    {"Qwen2.5-VL-3B, a token, f16", "agx-orin-64", "MAXN", edge, WEIGHT_BF16, 1 / 27.2, 26,
     LAYER(QWEN25_3B(16))},
    {"Qwen2.5-VL-3B, a token, 8-bit weights", "agx-orin-64", "MAXN", edge, WEIGHT_Q8, 1 / 45.2, 12,
     LAYER(QWEN25_3B(8))},
    {"Qwen3-VL-4B, a token, f16", "agx-orin-64", "MAXN", edge, WEIGHT_BF16, 1 / 20.2, 20,
     LAYER(QWEN3_4B(16))},
    {"Qwen3-VL-4B, a token, 8-bit weights", "agx-orin-64", "MAXN", edge, WEIGHT_Q8, 1 / 35.5, 11,
     LAYER(QWEN3_4B(8))},
    {"ViT-B/16, one image", "orin-nano-8", "15W", lab, WEIGHT_BF16, 1 / 98.0, -24,
     VISION(VIT(12, 197, 768, 3072, 16))},
    {"ViT-B/16, one image", "orin-nano-8", "MAXN_SUPER", lab, WEIGHT_BF16, 1 / 158.0, -22,
     VISION(VIT(12, 197, 768, 3072, 16))},
    {"DINOv2-B/14, one image", "orin-nano-8", "15W", lab, WEIGHT_BF16, 1 / 75.0, -25,
     VISION(VIT(12, 257, 768, 3072, 14))},
    {"DINOv2-B/14, one image", "orin-nano-8", "MAXN_SUPER", lab, WEIGHT_BF16, 1 / 126.0, -21,
     VISION(VIT(12, 257, 768, 3072, 14))},
    {"CLIP ViT-B/32, one image", "orin-nano-8", "15W", lab, WEIGHT_BF16, 1 / 196.0, -5,
     VISION(VIT(12, 50, 768, 3072, 32))},
    {"CLIP ViT-B/32, one image", "orin-nano-8", "MAXN_SUPER", lab, WEIGHT_BF16, 1 / 314.0, 9,
     VISION(VIT(12, 50, 768, 3072, 32))},
    {"Llama 3.2 3B, a token, 4-bit weights", "orin-nano-8", "15W", lab, WEIGHT_Q8, 1 / 27.7, 1,
     LAYER(LLAMA_3B(4))},
    {"Llama 3.2 3B, a token, 4-bit weights", "orin-nano-8", "MAXN_SUPER", lab, WEIGHT_Q8, 1 / 43.07,
     8, LAYER(LLAMA_3B(4))},
    {"Llama 3.1 8B, a token, 4-bit weights", "orin-nano-8", "15W", lab, WEIGHT_Q8, 1 / 14.0, 15,
     LAYER(LLAMA_8B(4))},
    {"Llama 3.1 8B, a token, 4-bit weights", "orin-nano-8", "MAXN_SUPER", lab, WEIGHT_Q8, 1 / 19.14,
     6, LAYER(LLAMA_8B(4))},
    {"Llama 3.2 1B, a token, bf16", "agx-orin-64", "MAXN", embedl, WEIGHT_BF16, 1 / 65.02, 22,
     LAYER(LLAMA_1B(16))},
    {"Llama 3.2 3B, a token, bf16", "agx-orin-64", "MAXN", embedl, WEIGHT_BF16, 1 / 25.64, 21,
     LAYER(LLAMA_3B(16))},
    {"Qwen3 0.6B, a token, bf16", "agx-orin-64", "MAXN", embedl, WEIGHT_BF16, 1 / 117.52, 28,
     LAYER(QWEN3_06B(16))},
    {"Qwen3 1.7B, a token, bf16", "agx-orin-64", "MAXN", embedl, WEIGHT_BF16, 1 / 45.83, 22,
     LAYER(QWEN3_17B(16))},
    {"Llama 3.2 1B, a token, bf16", "agx-thor", "MAXN", embedl, WEIGHT_BF16, 1 / 77.30, 11,
     LAYER(LLAMA_1B(16))},
    {"Llama 3.2 3B, a token, bf16", "agx-thor", "MAXN", embedl, WEIGHT_BF16, 1 / 34.21, 24,
     LAYER(LLAMA_3B(16))},
    {"Qwen3 0.6B, a token, bf16", "agx-thor", "MAXN", embedl, WEIGHT_BF16, 1 / 140.38, 23,
     LAYER(QWEN3_06B(16))},
    {"Qwen3 1.7B, a token, bf16", "agx-thor", "MAXN", embedl, WEIGHT_BF16, 1 / 49.31, 1,
     LAYER(QWEN3_17B(16))},
    {"SmolVLA, two cameras, whole step", "orin-nano-8", "MAXN_SUPER",
     "SmolVLA split ONNX, ONNX Runtime on TensorRT (2026)", WEIGHT_BF16, 189.89e-3, -44, SMOLVLA},
    {"Llama 7B, a token, f16", "h100", "700W", "TensorRT-LLM benchmark log (2023)", WEIGHT_BF16,
     1 / 148.1, 11, LAYER(LLAMA_7B(1, 192))},
    {"Llama 7B, a token, f16", "a100", "400W", "LMDeploy 0.2, a100_fp16 (2024)", WEIGHT_BF16,
     1 / 100.02, 14, LAYER(LLAMA_7B(1, 64))},
    {"Llama 7B, first token of 128, f16", "a100", "400W", trt, WEIGHT_BF16, 16e-3, -6,
     VISION(LLAMA_7B(128, 128))},
    {"Llama 7B, first token of 2,048, f16", "a100", "400W", trt, WEIGHT_BF16, 133e-3, 77,
     VISION(LLAMA_7B(2048, 2048))},
    {"pi0, 1 camera, prompt of 20, 50 actions", "rtx-4090", "450W", triton, WEIGHT_BF16, 23.6e-3,
     70, PI0(1, 20, 50)},
    {"pi0, 2 cameras, prompt of 20, 50 actions", "rtx-4090", "450W", triton, WEIGHT_BF16, 32.9e-3,
     82, PI0(2, 20, 50)},
    {"pi0, 3 cameras, prompt of 20, 50 actions", "rtx-4090", "450W", triton, WEIGHT_BF16, 39.2e-3,
     104, PI0(3, 20, 50)},
    {"pi0, 1 camera, no prompt, 63 actions", "rtx-5090", "575W", triton, WEIGHT_BF16, 17.6e-3, 98,
     PI0(1, 0, 63)},
    {"pi0, 2 cameras, no prompt, 63 actions", "rtx-5090", "575W", triton, WEIGHT_BF16, 24.0e-3, 110,
     PI0(2, 0, 63)},
    {"pi0, 3 cameras, no prompt, 63 actions", "rtx-5090", "575W", triton, WEIGHT_BF16, 31.9e-3, 108,
     PI0(3, 0, 63)},
};

/* llama.cpp and what is built on it. */
static const measurement ggml[] = {
    {"SmolVLA, two cameras, whole step", "agx-orin-64", "MAXN", vla_cpp, WEIGHT_BF16, 206e-3, -73,
     SMOLVLA},
    {"pi0, two cameras, whole step", "agx-orin-64", "MAXN", vla_cpp, WEIGHT_BF16, 580e-3, -67,
     PI0(2, 48, 50)},
    {"GR00T, two cameras, whole step", "agx-orin-64", "MAXN", vla_cpp, WEIGHT_BF16, 410e-3, -75,
     GR00T},
    {"SmolVLA, two cameras, whole step", "orin-nano-8", "MAXN_SUPER", vla_cpp, WEIGHT_BF16, 510e-3,
     -79, SMOLVLA},
    {"pi0, two cameras, whole step", "orin-nano-8", "MAXN_SUPER", vla_cpp, WEIGHT_BF16, 1485e-3,
     -71, PI0(2, 48, 50)},
    {"GR00T, two cameras, whole step", "orin-nano-8", "MAXN_SUPER", vla_cpp, WEIGHT_BF16, 1183e-3,
     -80, GR00T},
    {"Qwen3 0.6B, a token, 8.5-bit weights", "agx-orin-64", "MAXN",
     "Cross-Framework LLM Benchmark Results, llama.cpp Q8_0, power mode not stated (2025-07)",
     WEIGHT_Q8, 1 / 37.4, -74, LAYER(QWEN3_06B(8.5))},
    {"Llama 3.2 3B, a token, 4.8-bit weights", "orin-nano-8", "25W",
     "WayfindR, Jetson Orin Nano LLM benchmarks, Ollama (2026)", WEIGHT_Q8, 1 / 30.0, -11,
     LAYER(LLAMA_3B(4.8))},
    {"Llama 3 8B, a token, 6.56-bit weights", "rtx-4090", "450W",
     "LLM-inference-speed-benchmarks issue 10, llama.cpp Q6_K (2024-05)", WEIGHT_Q8, 1 / 93.0, 1,
     LAYER(LLAMA_8B(6.56))},
};

/* Eager: a processor launches every operation. */
static const measurement pytorch[] = {
    {"the official code, a decoder layer, 14 tokens", "v100", "300W",
     "DeeR-VLA, from 55 ms at 31.2 and 17.5 ms at 6.0 GFLOPs (2024)", WEIGHT_BF16, 1.93e-3, -81,
     LAYER(DEER_3B_LAYER)},
    {"pi0, two cameras, no prompt, 63 actions", "rtx-4090", "450W",
     "Running VLAs at Real-time Speed, before CUDA graphs: over 100 ms (2025-10)", WEIGHT_BF16,
     100e-3, -39, PI0(2, 0, 63)},
    {"SmolVLA, two cameras assumed, whole step", "rtx-4090", "450W",
     "sentinel-evc-lab, batch 1 on an RTX 4090 D, 11% fewer units (2026-10)", WEIGHT_BF16,
     229.26e-3, -92, SMOLVLA},
};

#define COUNT(list) (int)(sizeof(list) / sizeof *(list))

static deer_work work_of(const stack *s)
{
    double weights = s->layers * s->weights + s->around;
    double attention = 2 * s->tokens * s->context * s->attention * s->layers;
    double moved = s->layers * s->tokens * 2 * s->weights / s->attention; /* in and out, roughly */

    return (deer_work){.macs = (uint64_t)(weights * s->tokens + attention),
                       .weight_bytes = (uint64_t)(weights * s->bits / 8),
                       .activation_bytes = (uint64_t)(2 * moved),
                       .products = (int)(s->layers * s->products + (s->around > 0))};
}

/* Seconds that the machine allows, all parts together. */
static deer_range predict(const measurement *m, hardware_kind *kind)
{
    static deer_hardware machine;
    deer_range sum = {0, 0, 0};
    deer_error error;

    if (deer_hardware_load(m->machine, &machine, &error))
        fail_msg("%s", error.message);
    for (const part *p = m->parts; p < m->parts + MOST_PARTS && p->times > 0; p++) {
        deer_work work = work_of(&p->model);
        deer_stage_time time;

        if (deer_work_time(&machine, deer_hardware_mode(&machine, m->mode), m->dtype, p->kind,
                           &work, &time, &error))
            fail_msg("%s: %s", m->what, error.message);
        sum = deer_range_add(sum, deer_range_scale(time.total, p->times));
    }
    *kind = machine.kind;
    return sum;
}

/* ---------------------------------------------------------------- tables ------------------- */

enum { MOST_ROWS = 64, ALL_GPUS = HARDWARE_KINDS, GROUPS };

/* Published over expected, by kind of machine. */
typedef struct {
    int n;
    double ratio[MOST_ROWS];
} group;

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void add(group *g, double ratio)
{
    g->ratio[g->n++] = ratio;
    qsort(g->ratio, (size_t)g->n, sizeof *g->ratio, ascending);
}

static double median(const group *g)
{
    return (g->ratio[(g->n - 1) / 2] + g->ratio[g->n / 2]) / 2;
}

/* Prints a row; how far off, in percent. */
static double compare(const measurement *m, group *groups)
{
    hardware_kind kind;
    deer_range t = predict(m, &kind);
    double error = 100 * (t.expected / m->seconds - 1);

    printf("| %s | %s, %s | %.1f | %.1f | %+ld%% | %s |\n", m->what, m->machine, m->mode,
           1e3 * m->seconds, 1e3 * t.expected, lround(error), m->source);
    if (lround(error) != m->error)
        print_error("%s on %s: %+.1f%% where %+d%% is stated\n", m->what, m->machine, error,
                    m->error);
    add(&groups[kind], m->seconds / t.expected);
    add(&groups[ALL_GPUS], m->seconds / t.expected);
    return lround(error) == m->error ? error : NAN;
}

static bool agrees(double stated, double found)
{
    return fabs(stated - found) <= 0.0051;
}

/* Holds runtimes.c to a group. A group of fewer than RUNTIME_LEAST is not used. */
static void check_spread(runtime_kind runtime, hardware_kind kind, const group *groups)
{
    const group *g = groups[kind].n >= RUNTIME_LEAST ? &groups[kind] : &groups[ALL_GPUS];
    runtime_spread s;

    if (kind == HARDWARE_CPU) {
        assert_int_equal(groups[kind].n, 0);
        assert_false(deer_runtime_spread(runtime, kind, &s));
        return;
    }
    printf("%s on %s: %d measurements, %.2f to %.2f of what is expected, median %.2f\n",
           runtime_name(runtime), hardware_kind_name(kind), g->n, g->ratio[0], g->ratio[g->n - 1],
           median(g));
    assert_true(deer_runtime_spread(runtime, kind, &s));
    assert_int_equal(s.measurements, g->n);
    assert_true(s.all_gpus == (g == &groups[ALL_GPUS]));
    if (!agrees(s.factor.low, g->ratio[0]) || !agrees(s.factor.high, g->ratio[g->n - 1]) ||
        !agrees(s.factor.expected, median(g)))
        fail_msg("budgets/machines/runtimes.c states %g %g %g", s.factor.low, s.factor.expected,
                 s.factor.high);
}

/* A kind of runtime: its table, its mean and worst error, its spread. */
static void check_runtime(runtime_kind runtime, const measurement *list, int n, int mean, int worst)
{
    static group groups[GROUPS];
    double sum = 0, most = 0;

    for (int i = 0; i < GROUPS; i++)
        groups[i].n = 0;
    puts("| work | machine | published, ms | allowed, ms | error | source "
         "|\n|---|---|---|---|---|---|");
    for (int i = 0; i < n; i++) {
        double error = fabs(compare(&list[i], groups));

        sum += error;
        most = fmax(most, error);
    }
    printf("%s: %d measurements, mean error %.0f%%, worst %.0f%%\n", runtime_name(runtime), n,
           sum / n, most);
    for (int k = 0; k < HARDWARE_KINDS; k++)
        check_spread(runtime, (hardware_kind)k, groups);
    assert_int_equal(lround(sum / n), mean);
    assert_int_equal(lround(most), worst);
}

static void test_tuned_runtimes(void **state)
{
    (void)state;
    check_runtime(RUNTIME_TUNED, tuned, COUNT(tuned), 30, 110);
}

static void test_ggml(void **state)
{
    (void)state;
    check_runtime(RUNTIME_GGML, ggml, COUNT(ggml), 59, 80);
}

static void test_pytorch(void **state)
{
    (void)state;
    check_runtime(RUNTIME_PYTORCH, pytorch, COUNT(pytorch), 70, 92);
}

/* ---------------------------------------------------------------- deer --------------------- */

/* The one machine that was measured with deer, as if nobody had: what is assumed of processors. */
static void forget_measurements(const char *path, deer_hardware *machine)
{
    const deer_figure unknown = {.value = NAN, .low = NAN, .high = NAN};
    deer_error error;

    machine->measured = false;
    machine->samples = 0;
    machine->step_overhead = unknown;
    for (int s = 0; s < STAGE_KINDS; s++)
        for (int d = 0; d < WEIGHT_DTYPES; d++)
            machine->efficiency[s][d] = (stage_efficiency){unknown, unknown, unknown};
    if (deer_hardware_save(path, machine, &error) || deer_hardware_load(path, machine, &error))
        fail_msg("%s", error.message);
}

/* A step of 3B dimensions on one core with deer: the assumptions against what was measured. */
static void test_deer_on_a_processor(void **state)
{
    static const int stated[WEIGHT_DTYPES] = {29, 44, 156}; /* percent, as in docs/hardware.md */
    static deer_hardware measured, assumed;
    char path[] = "/tmp/test_published.XXXXXX.json";
    deer_latency is, expected;
    deer_config config;
    deer_error error;

    (void)state;
    close(mkstemps(path, 5));
    assert_true(deer_config_published("3b", &config));
    assert_int_equal(deer_hardware_load("epyc-1-thread", &measured, &error), DEER_OK);
    assumed = measured;
    forget_measurements(path, &assumed);
    unlink(path);
    for (int d = 0; d < WEIGHT_DTYPES; d++) {
        deer_range *x = &expected.exit[5].total, *y = &is.exit[5].total;
        double off;

        assert_int_equal(deer_latency_of(&measured, 0, &config, 14, (weight_dtype)d, &is, &error),
                         DEER_OK);
        assert_int_equal(
            deer_latency_of(&assumed, 0, &config, 14, (weight_dtype)d, &expected, &error), DEER_OK);
        off = 100 * (x->expected / y->expected - 1);
        printf("deer, %s: measured %.0f ms, expected %.0f (%.0f to %.0f), %+.0f%%\n",
               weight_dtype_name((weight_dtype)d), 1e3 * y->expected, 1e3 * x->expected,
               1e3 * x->low, 1e3 * x->high, off);
        assert_int_equal(lround(off), stated[d]);
        assert_true(y->expected <= x->high);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tuned_runtimes),
                                       cmocka_unit_test(test_ggml), cmocka_unit_test(test_pytorch),
                                       cmocka_unit_test(test_deer_on_a_processor)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
