/* test_cost.c - the cost model against published figures, and against itself. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "budgets/cost.h"

static void published(const char *name, int tokens, deer_config *config, deer_cost *cost)
{
    assert_true(deer_config_published(name, config));
    deer_cost_of(config, tokens, DEER_F32, cost);
}

/* GFLOPs rounded to `digits` decimals equal the reference figure. */
static void assert_gflops(uint64_t macs, double reference, int digits)
{
    double unit = pow(10, -digits), rounded = round(deer_gflops(macs) / unit) * unit;

    if (fabs(rounded - reference) > unit / 100)
        fail_msg("%.6f GFLOPs; %.*f expected", deer_gflops(macs), digits, reference);
}

/* 31.2 GFLOPs for 24 layers is the paper's 1.3 a layer, which is 1.254 to 1.341 in full. */
static void test_published_3b(void **state)
{
    deer_config config;
    deer_cost cost;

    (void)state;
    published("3b", 14, &config, &cost);
    assert_gflops(cost.layer_with_cross, 1.341, 3);
    assert_gflops(cost.vision_per_image, 81.0, 1);
    assert_gflops(cost.resampler_per_image, 5.76, 2);
    assert_gflops(cost.head_evaluation, 0.041, 3);
    published("3b", 13, &config, &cost);
    assert_gflops(cost.layer_with_cross, 1.254, 3);
}

/* One layer of the 3B decoder at 14 tokens, written out by hand. */
static void test_layer_by_hand(void **state)
{
    const uint64_t d = 2048, t = 14, media = 128;
    deer_config config;
    deer_cost cost;

    (void)state;
    published("3b", 14, &config, &cost);
    assert_int_equal(cost.layer_without_cross, t * 12 * d * d + 2 * t * t * d);
    assert_int_equal(cost.layer_with_cross - cost.layer_without_cross,
                     t * 2 * d * 512 + media * 1024 * 1024 + 2 * t * media * 512 + t * 8 * d * d);
}

/* The 9B model has cross-attention in every fourth layer only. */
static void test_cross_every_fourth_layer(void **state)
{
    deer_config config;
    deer_cost cost;

    (void)state;
    published("9b", 14, &config, &cost);
    assert_int_equal(cost.exits, 8);
    assert_int_equal(cost.exit[0].llm, 2 * cost.layer_without_cross);
    assert_int_equal(cost.exit[1].llm, 3 * cost.layer_without_cross + cost.layer_with_cross);
    assert_int_equal(cost.exit[7].llm, 12 * cost.layer_without_cross + 4 * cost.layer_with_cross);
}

/* Weights as counted from the shapes of the published checkpoints: 893.1 + 604.1 million without
 * the vision tower, of which the six auxiliary heads (40.95 million each) are never run. */
static void test_weights_of_published_checkpoint(void **state)
{
    const double vision = 303.2e6, heads = 6 * 40.95e6, checkpoint = 1497.2e6;
    deer_config config;
    deer_cost cost;
    double weights;

    (void)state;
    published("3b", 14, &config, &cost);
    weights = (double)cost.exit[5].weight_bytes / 4;
    assert_true(fabs(weights - (vision + checkpoint - heads)) < 0.5e6);
}

static void test_costs_grow_with_depth(void **state)
{
    const char *const names[] = {"3b", "9b"};
    deer_config config;
    deer_cost cost;

    (void)state;
    for (int m = 0; m < 2; m++) {
        published(names[m], 12, &config, &cost);
        for (int k = 0; k < cost.exits; k++) {
            const deer_exit_cost *e = &cost.exit[k], *before = k ? e - 1 : NULL;
            assert_int_equal(e->total, e->vision + e->resampler + e->llm + e->head);
            assert_int_equal(e->memory_bytes, e->weight_bytes + e->activation_bytes);
            assert_int_equal(e->total, deer_cost_step(&cost, k, e->head_evaluations));
            if (before) {
                assert_true(e->llm > before->llm && e->head > before->head);
                assert_true(e->weight_bytes > before->weight_bytes);
            }
        }
    }
}

/* n evaluations from the same state share W_hh h. */
static void test_head_shares_recurrent_product(void **state)
{
    deer_config config;
    deer_cost cost;

    (void)state;
    published("3b", 14, &config, &cost);
    assert_int_equal(deer_cost_head(&cost, 0), 0);
    assert_int_equal(deer_cost_head(&cost, 1), cost.head_evaluation);
    assert_int_equal(deer_cost_head(&cost, 7), 7 * cost.head_evaluation - 6 * cost.head_recurrent);
    assert_int_equal(cost.head_recurrent, 4 * 4096 * 1024);
}

/* Instructions are cut to max_text tokens, and so is their cost; types change bytes only. */
static void test_tokens_and_types(void **state)
{
    deer_config config;
    deer_cost a, b;

    (void)state;
    published("3b", 32, &config, &a);
    deer_cost_of(&config, 400, DEER_BF16, &b);
    assert_int_equal(b.tokens, 32);
    assert_int_equal(a.exit[5].total, b.exit[5].total);
    assert_int_equal(a.exit[5].weight_bytes, 2 * b.exit[5].weight_bytes);
    assert_false(deer_config_published("5b", &config));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_3b),
        cmocka_unit_test(test_layer_by_hand),
        cmocka_unit_test(test_cross_every_fourth_layer),
        cmocka_unit_test(test_weights_of_published_checkpoint),
        cmocka_unit_test(test_costs_grow_with_depth),
        cmocka_unit_test(test_head_shares_recurrent_product),
        cmocka_unit_test(test_tokens_and_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
