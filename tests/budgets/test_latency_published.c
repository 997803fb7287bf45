/* SPDX-License-Identifier: MIT */
/* The assumptions about machines nobody measured, against published measurements.
 *
 * Prints the table that docs/hardware.md shows and holds it to what is written there: an assumption
 * that changes, changes the errors, and they must be stated anew. Every case is a transformer at
 * batch 1; its work comes from the published dimensions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "budgets/machines/latency.h"

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

typedef struct {
    const char *what, *machine, *mode, *source;
    weight_dtype dtype;
    stage_kind kind;
    stack model;
    double seconds; /* published */
    int error;      /* of the expected time against it, percent, as stated in docs/hardware.md */
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

static const char gr00t[] = "Isaac GR00T N1.5, deployment on Orin, trtexec (2025)";
static const char edge[] = "TensorRT-Edge-LLM issue 60 (2026-03)";
static const char lab[] = "NVIDIA Jetson AI Lab, Benchmarks (2024-12)";

static const measurement measurements[] = {
    {"GR00T N1.5 vision, SigLIP 400M, one image", "agx-orin-64", "MAXN", gr00t, WEIGHT_BF16,
     STAGE_VISION, VIT(27, 256, 1152, 4304, 14), 11.96e-3, 0},
    {"GR00T N1.5 language, 12 layers, 296 tokens", "agx-orin-64", "MAXN", gr00t, WEIGHT_BF16,
     STAGE_VISION, DECODER(12, 296, 2048, 2048, 1024, 6144, 296, 0, 16), 17.25e-3, 6},
    {"GR00T N1.5 self-attention, 4 layers, 296 tokens",
     "agx-orin-64",
     "MAXN",
     gr00t,
     WEIGHT_BF16,
     STAGE_VISION,
     {4, 296, 4.0 * 2048 * 2048 + 2.0 * 2048 * 8192, 2048, 296, 6, 0, 16},
     5.17e-3,
     15},
    {"GR00T N1.5 action head (DiT), 16 layers, 49 tokens", "agx-orin-64", "MAXN", gr00t,
     WEIGHT_BF16, STAGE_LAYER, DIT, 7.77e-3, 18},
    {"Qwen2.5-VL-3B, a token, f16", "agx-orin-64", "MAXN", edge, WEIGHT_BF16, STAGE_LAYER,
     QWEN25_3B(16), 1 / 27.2, 26},
    {"Qwen2.5-VL-3B, a token, 8-bit weights", "agx-orin-64", "MAXN", edge, WEIGHT_Q8, STAGE_LAYER,
     QWEN25_3B(8), 1 / 45.2, 12},
    {"Qwen3-VL-4B, a token, f16", "agx-orin-64", "MAXN", edge, WEIGHT_BF16, STAGE_LAYER,
     QWEN3_4B(16), 1 / 20.2, 20},
    {"Qwen3-VL-4B, a token, 8-bit weights", "agx-orin-64", "MAXN", edge, WEIGHT_Q8, STAGE_LAYER,
     QWEN3_4B(8), 1 / 35.5, 11},
    {"ViT-B/16, one image", "orin-nano-8", "15W", lab, WEIGHT_BF16, STAGE_VISION,
     VIT(12, 197, 768, 3072, 16), 1 / 98.0, -26},
    {"ViT-B/16, one image", "orin-nano-8-super", "MAXN_SUPER", lab, WEIGHT_BF16, STAGE_VISION,
     VIT(12, 197, 768, 3072, 16), 1 / 158.0, -22},
    {"DINOv2-B/14, one image", "orin-nano-8", "15W", lab, WEIGHT_BF16, STAGE_VISION,
     VIT(12, 257, 768, 3072, 14), 1 / 75.0, -27},
    {"DINOv2-B/14, one image", "orin-nano-8-super", "MAXN_SUPER", lab, WEIGHT_BF16, STAGE_VISION,
     VIT(12, 257, 768, 3072, 14), 1 / 126.0, -21},
    {"CLIP ViT-B/32, one image", "orin-nano-8", "15W", lab, WEIGHT_BF16, STAGE_VISION,
     VIT(12, 50, 768, 3072, 32), 1 / 196.0, -5},
    {"CLIP ViT-B/32, one image", "orin-nano-8-super", "MAXN_SUPER", lab, WEIGHT_BF16, STAGE_VISION,
     VIT(12, 50, 768, 3072, 32), 1 / 314.0, 9},
    {"Llama 3.2 3B, a token, 4-bit weights", "orin-nano-8", "15W", lab, WEIGHT_Q8, STAGE_LAYER,
     LLAMA_3B(4), 1 / 27.7, 1},
    {"Llama 3.2 3B, a token, 4-bit weights", "orin-nano-8-super", "MAXN_SUPER", lab, WEIGHT_Q8,
     STAGE_LAYER, LLAMA_3B(4), 1 / 43.07, 8},
    {"Llama 3.1 8B, a token, 4-bit weights", "orin-nano-8", "15W", lab, WEIGHT_Q8, STAGE_LAYER,
     LLAMA_8B(4), 1 / 14.0, 15},
    {"Llama 3.1 8B, a token, 4-bit weights", "orin-nano-8-super", "MAXN_SUPER", lab, WEIGHT_Q8,
     STAGE_LAYER, LLAMA_8B(4), 1 / 19.14, 6},
    {"Llama 7B, a token, f16", "h100", "700W", "TensorRT-LLM benchmark log (2023)", WEIGHT_BF16,
     STAGE_LAYER, DECODER(32, 1, 4096, 4096, 4096, 11008, 192, 32000.0 * 4096, 16), 1 / 148.1, 11},
    {"Llama 3 8B, a token, 6.56-bit weights", "rtx-4090", "450W",
     "LLM-inference-speed-benchmarks issue 10, llama.cpp Q6_K (2024-05)", WEIGHT_Q8, STAGE_LAYER,
     LLAMA_8B(6.56), 1 / 93.0, 1},
};

/* Runtimes that launch every operation from a processor as they go. */
static const measurement eager[] = {
    {"the official code, a decoder layer, 14 tokens", "v100", "300W",
     "DeeR-VLA, from 55 ms at 31.2 and 17.5 ms at 6.0 GFLOPs (2024)", WEIGHT_BF16, STAGE_LAYER,
     DEER_3B_LAYER, 1.93e-3, -81},
    {"Qwen3 0.6B, a token, 8.5-bit weights", "agx-orin-64", "MAXN",
     "Cross-Framework LLM Benchmark Results, llama.cpp Q8_0, power mode not stated (2025-07)",
     WEIGHT_Q8, STAGE_LAYER, QWEN3_06B(8.5), 1 / 37.4, -74},
};

enum { STATED_INSIDE = 19 }; /* published times within the range */

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

static deer_stage_time predict(const measurement *m)
{
    static deer_hardware machine;
    deer_work work = work_of(&m->model);
    deer_stage_time time = {0};
    deer_error error;

    if (deer_hardware_load(m->machine, &machine, &error) ||
        deer_work_time(&machine, deer_hardware_mode(&machine, m->mode), m->dtype, m->kind, &work,
                       &time, &error))
        fail_msg("%s", error.message);
    return time;
}

static void print_header(void)
{
    puts("| work | machine | published, ms | model, ms | range | error | source |\n"
         "|---|---|---|---|---|---|---|");
}

/* Prints a row; how far off, in percent. */
static double compare(const measurement *m)
{
    deer_range t = predict(m).total;
    double error = 100 * (t.expected / m->seconds - 1);

    printf("| %s | %s, %s | %.1f | %.1f | %.1f to %.1f | %+ld%% | %s |\n", m->what, m->machine,
           m->mode, 1e3 * m->seconds, 1e3 * t.expected, 1e3 * t.low, 1e3 * t.high, lround(error),
           m->source);
    if (lround(error) != m->error)
        fail_msg("%s on %s: %+.1f%% where %+d%% is stated", m->what, m->machine, error, m->error);
    return error;
}

static void test_optimised_runtimes(void **state)
{
    int inside = 0, count = sizeof measurements / sizeof *measurements;
    double sum = 0;

    (void)state;
    print_header();
    for (int i = 0; i < count; i++) {
        deer_range t = predict(&measurements[i]).total;

        sum += fabs(compare(&measurements[i]));
        inside += measurements[i].seconds >= t.low && measurements[i].seconds <= t.high;
    }
    printf("%d of %d within the range, mean error %.0f%%\n", inside, count, sum / count);
    assert_int_equal(inside, STATED_INSIDE);
}

/* The model is of what a machine allows: software that leaves it idle is several times slower. */
static void test_eager_runtimes(void **state)
{
    (void)state;
    print_header();
    for (size_t i = 0; i < sizeof eager / sizeof *eager; i++)
        compare(&eager[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_optimised_runtimes),
                                       cmocka_unit_test(test_eager_runtimes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
