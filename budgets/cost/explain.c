/* SPDX-License-Identifier: MIT */
/* explain.c - where a model's GFLOPs come from, in words and numbers. */
#include "budgets/cost/explain.h"

#include "budgets/cost/cost.h"
#include "runtime/model/modules.h"

static const char counting[] =
    "How this is counted\n"
    "  A FLOP here is one multiply-add of a matrix product: linear layers, convolutions, "
    "attention\n"
    "  scores and weighted sums. So counts the DeeR-VLA paper (by fvcore and thop), and so does "
    "every\n"
    "  GFLOPs figure of these programs. Data sheets of hardware count a multiply and an add, two "
    "for\n"
    "  the same work: halve their peak before you divide by it.\n"
    "  Not counted, as in those tools: biases, normalisation, activations, softmax, pooling, and "
    "the\n"
    "  resizing of camera images. Causal attention counts its full square. The cost of a step "
    "grows\n"
    "  with its instruction: <image>, the words' tokens and two end marks.\n";

static const char scopes[] = "  llm    the decoder layers up to the exit with their "
                             "cross-attention: what the paper reports\n"
                             "  total  everything a step runs: both images through vision and "
                             "resampler, the decoder layers,\n"
                             "         and every evaluation of the action head\n";

static void print_module(FILE *out, const deer_config *c, arch_part part, int tokens,
                         const char *title)
{
    module_term terms[MODULE_TERMS];
    int count = module_terms(c, part, &(arch_load){1, tokens, 1}, terms);
    uint64_t sum = 0;

    for (int i = 0; i < count; i++)
        sum += terms[i].macs;
    fprintf(out, "\n  %-40s %14.6f GFLOPs\n", title, deer_gflops(sum));
    for (int i = 0; i < count; i++)
        fprintf(out, "    %-38s %14.6f  %5.1f%%\n", terms[i].what, deer_gflops(terms[i].macs),
                sum ? 100 * (double)terms[i].macs / (double)sum : 0);
}

static void print_modules(const deer_config *c, int tokens, FILE *out)
{
    fprintf(out, "\nModules of %s at %d tokens\n", c->name, tokens);
    print_module(out, c, ARCH_VISION, tokens, "vision tower, each of the two images");
    print_module(out, c, ARCH_RESAMPLER, tokens, "resampler, each of the two images");
    print_module(out, c, ARCH_DECODER, tokens, "decoder layer");
    print_module(out, c, ARCH_CROSS, tokens, "cross-attention before a decoder layer");
    if (c->cross_every == 1)
        fprintf(out, "    (before every decoder layer)\n");
    else
        fprintf(out, "    (before every decoder layer whose number, from 1, %d divides)\n",
                c->cross_every);
    print_module(out, c, ARCH_HEAD, tokens, "action head, one evaluation");
}

static void print_exits(const deer_config *c, const deer_cost *cost, FILE *out)
{
    fprintf(out, "\nA step, by the exit it takes (GFLOPs)\n%s\n", scopes);
    fprintf(out,
            "  exit  layer        llm     vision  resampler       head      total  head runs\n");
    for (int k = 0; k < c->exits; k++) {
        const deer_exit_cost *e = &cost->exit[k];
        fprintf(out, "  %4d  %5d %10.6f %10.6f %10.6f %10.6f %10.6f  %9d\n", k, c->exit_layers[k],
                deer_gflops(e->llm), deer_gflops(e->vision), deer_gflops(e->resampler),
                deer_gflops(e->head), deer_gflops(e->total), e->head_evaluations);
    }
    fprintf(
        out,
        "\n  The head runs once for the pseudo exit (the layer before the first exit) and once "
        "for\n"
        "  each exit up to the one taken: exit + 2 times. W_hh h depends on the step before alone\n"
        "  and is computed once for all of them. The official code runs the head exit + 3 times,\n"
        "  the last time to update its state, and computes W_hh h every time.\n");
}

/* Steps that encode fewer cameras, after one that went as deep with the encodings in use. */
static void print_encodings(FILE *out, const deer_config *c, const deer_cost *cost)
{
    static const unsigned views[] = {3, 2, 0};

    fprintf(
        out,
        "\nA step that uses encodings again (total GFLOPs; \"cameras\" of a thresholds file)\n\n"
        "  exit  both encoded  one encoded  none encoded\n");
    for (int k = 0; k < c->exits; k++) {
        fprintf(out, "  %4d", k);
        for (int i = 0; i < 3; i++) {
            deer_cost_kept kept = {{k, k}};
            deer_cost_saved saved = deer_cost_reuse(cost, views[i], k, &kept);
            fprintf(out, "  %*.6f", i == 1 ? 11 : 12,
                    deer_gflops(cost->exit[k].total - saved.total));
        }
        fputc('\n', out);
    }
    fprintf(out, "\n  Saved of a camera: its image through vision and resampler, and the keys and "
                 "values of its\n  media in layers that ran since it was encoded.\n");
}

static void print_memory(const deer_config *c, const deer_cost *cost, FILE *out)
{
    fprintf(out, "\nMemory when an exit is the deepest allowed (MB = 1e6 bytes, 32-bit weights)\n\n"
                 "  exit    weights    session      total\n");
    for (int k = 0; k < c->exits; k++) {
        const deer_exit_cost *e = &cost->exit[k];
        fprintf(out, "  %4d %10.3f %10.3f %10.3f\n", k, (double)e->weight_bytes / 1e6,
                (double)e->activation_bytes / 1e6, (double)e->memory_bytes / 1e6);
    }
}

/* The paper's figures, derived from its model's dimensions. */
static void print_paper(FILE *out)
{
    deer_config paper;
    deer_cost at_13, at_14;

    deer_config_published("3b", &paper);
    deer_cost_of(&paper, 13, WEIGHT_F32, &at_13);
    deer_cost_of(&paper, 14, WEIGHT_F32, &at_14);
    fprintf(
        out,
        "\nThe paper's 31.2 GFLOPs\n"
        "  are the llm scope of its 3B model before early exit: 24 decoder layers of 1.3. Counted "
        "as\n"
        "  above, such a layer with its cross-attention takes %.3f GFLOPs at 13 tokens and %.3f "
        "at\n"
        "  14, %.1f and %.1f for 24 layers; 1.3 is that, rounded. The paper leaves out the vision\n"
        "  tower (ViT-L/14: %.1f per image, two images a step), the resampler (%.2f per image) and "
        "the\n"
        "  action head (%.3f each time it runs), which early exit shortens little: in the total\n"
        "  scope its first exit costs %.1f and its sixth %.1f GFLOPs.\n",
        deer_gflops(at_13.layer_with_cross), deer_gflops(at_14.layer_with_cross),
        24 * deer_gflops(at_13.layer_with_cross), 24 * deer_gflops(at_14.layer_with_cross),
        deer_gflops(at_14.vision_per_image), deer_gflops(at_14.resampler_per_image),
        deer_gflops(at_14.head_evaluation), deer_gflops(at_14.exit[0].total),
        deer_gflops(at_14.exit[5].total));
}

void deer_cost_explain(const deer_config *config, int tokens, FILE *out)
{
    deer_cost cost;

    deer_cost_of(config, tokens, WEIGHT_F32, &cost);
    fputs(counting, out);
    print_modules(config, cost.tokens, out);
    print_exits(config, &cost, out);
    print_encodings(out, config, &cost);
    print_memory(config, &cost, out);
    print_paper(out);
}
