/* SPDX-License-Identifier: MIT */
/* cost.h - what a step costs, from the model's configuration alone.
 *
 *   deer_cost cost;
 *   deer_cost_of(deer_model_config(model), tokens, WEIGHT_F32, &cost);
 *   printf("exit 2: %.3f GFLOPs\n", deer_gflops(cost.exit[2].total));
 *
 * MACs are exact counts of multiply-adds in matrix products (linear layers, attention scores and
 * weighted sums, convolutions). Biases, normalisations, activations, softmax, pooling and the
 * resizing of images are not counted, as in the tools the paper used (fvcore, thop). Causal
 * self-attention counts its full square, tokens x tokens; what a session keeps of its instruction
 * alone from step to step (queries of the first cross-attention, layers before it) is counted at
 * every step. The paper reports one multiply-add as one
 * FLOP; so does every GFLOPs figure of this project. Hardware peak figures count two:
 * deer_hardware_flops.
 */
#ifndef BUDGETS_COST_H
#define BUDGETS_COST_H

#include <stdint.h>

#include "runtime/base/dtype.h"
#include "runtime/deer.h"

/* The type of a model's matrices. */
weight_dtype deer_dtype_of(const deer_model *model);

/* MACs and bytes of one step that takes a given exit. */
typedef struct {
    uint64_t vision;    /* both images */
    uint64_t resampler; /* both images */
    uint64_t llm;       /* decoder layers up to the exit with their cross-attention */
    uint64_t head; /* every head evaluation made: the pseudo exit and each exit up to this one */
    uint64_t total;
    uint64_t media_per_image; /* of llm: keys and values of one image's media, which are kept
                                 while the image is not encoded again */
    int head_evaluations;     /* exit index + 2 */
    uint64_t weight_bytes;    /* exact bytes of the weights that must be resident for this to be the
                                 deepest exit, as a model file of that dtype has them */
    uint64_t activation_bytes; /* scratch and state of a session */
    uint64_t memory_bytes;     /* the two together */
} deer_exit_cost;

typedef struct {
    int tokens; /* text tokens of the instruction, <image> and the end marks included */
    weight_dtype dtype;
    uint64_t vision_per_image;
    uint64_t resampler_per_image;
    uint64_t layer_with_cross; /* one decoder layer that has cross-attention */
    uint64_t layer_without_cross;
    uint64_t media_per_image; /* of a layer with cross-attention: one image's keys and values */
    uint64_t head_evaluation; /* one evaluation alone */
    uint64_t head_recurrent;  /* its share W_hh h: computed once a step, for all evaluations */
    int exits;
    deer_exit_cost exit[DEER_MAX_EXITS];
} deer_cost;

/* Fills cost for an instruction of `tokens` text tokens (cut to config->max_text). Pure arithmetic;
 * never fails for a configuration that deer_model_open accepted. */
void deer_cost_of(const deer_config *config, int tokens, weight_dtype dtype, deer_cost *cost);

/* MACs of all head evaluations of a step that makes n of them from the same recurrent state. */
uint64_t deer_cost_head(const deer_cost *cost, int n);

/* MACs of a step as it really ran, both cameras encoded: it took `exit` and evaluated the head as
 * often as deer_action.head_evaluations says. */
uint64_t deer_cost_step(const deer_cost *cost, int exit, int head_evaluations);

/* The deepest exit that ran since each camera, static first, was encoded: how far keys and values
 * of its media are kept. */
typedef struct {
    int deepest[2];
} deer_cost_kept;

/* What is not computed at a step. */
typedef struct {
    uint64_t vision, resampler, llm, total; /* MACs; total is the sum of them */
} deer_cost_saved;

/* Of a step that encodes the cameras in `views` (1: static, 2: wrist) and takes `exit`, against one
 * that encodes both; kept is brought up to date. At an episode's first step both are encoded. */
deer_cost_saved deer_cost_reuse(const deer_cost *cost, unsigned views, int exit,
                                deer_cost_kept *kept);

/* GFLOPs as the paper counts them: MACs / 1e9. */
double deer_gflops(uint64_t macs);

/* Operations as hardware data sheets count them: 2 per MAC. */
double deer_hardware_flops(uint64_t macs);

/* Configuration of a published model by name ("3b", "9b"), for costs without a file. Returns false
 * for an unknown name. */
bool deer_config_published(const char *name, deer_config *config);

/* The same, or the shape of a file *.json: an object with "like" (a published name) and the fields
 * of docs/model-file.md that differ, as {"like": "3b", "name": "ours", "image_size": 336}.
 * DEER_USAGE for another name; DEER_FAILED, by file and field, for a file that is no shape. */
deer_status deer_config_shape(const char *name, deer_config *config, deer_error *err);

#endif
