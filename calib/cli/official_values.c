/* SPDX-License-Identifier: MIT */
/* official_values.c - what the official code cached, solved and judged. */
#include "calib/cli/official_values.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budgets/cost/cost.h"
#include "runtime/base/json/json_build.h"
#include "runtime/base/tau.h"
#include "runtime/import/official.h"
#include "runtime/import/pth.h"

enum { MOST_SAMPLES = 1 << 27 };

typedef struct {
    steps s; /* no losses; cost in LLM GFLOPs, or in layers over layers when not known */
    bool gflops;
    int layer[DEER_MAX_EXITS];
    int layers;
} problem;

/* ---------------------------------------------------------------- reading ------------------ */

static deer_status find_layers(const char *path, const pickle_value *root, problem *p,
                               deer_error *err)
{
    int64_t last = pickle_integer(root, "early_exit_layer", -1);
    int64_t interval = pickle_integer(root, "exit_interval", 1);
    int exits;

    if (last < 0 || last >= 1024 || interval < 1)
        return deer_fail(err, "%s does not say which layers have exits (early_exit_layer)", path);
    p->layers = (int)last + 1;
    exits = official_exit_layers(interval, p->layers, p->layer);
    if (exits != p->s.exits)
        return deer_fail(err, "%s has values of %d exits, but an exit every %lld of %d layers",
                         path, p->s.exits, (long long)interval, p->layers);
    return DEER_OK;
}

/* Columns of the token embedding: which published model it is. */
static int64_t width_of(const pickle_value *root)
{
    const pickle_value *state = pickle_get(root, "model_state_dict");
    const pickle_value *wte = pickle_get(state, "module.lang_encoder.transformer.wte.weight");

    wte = wte ? wte : pickle_get(state, "lang_encoder.transformer.wte.weight");
    return wte && wte->kind == PICKLE_TENSOR && wte->as.tensor.rank == 2 ? wte->as.tensor.shape[1]
                                                                         : 0;
}

static void fill_costs(const pickle_value *root, problem *p)
{
    int64_t width = width_of(root);
    deer_config config;
    deer_cost cost;

    p->gflops = (width == 2048 && deer_config_published("3b", &config)) ||
                (width == 4096 && deer_config_published("9b", &config));
    if (p->gflops) {
        config.layers = p->layers;
        config.exits = p->s.exits;
        memcpy(config.exit_layers, p->layer, sizeof p->layer);
        deer_cost_of(&config, OFFICIAL_TOKENS, WEIGHT_F32, &cost);
    }
    for (int k = 0; k < p->s.exits; k++)
        p->s.cost[k] = p->gflops ? deer_gflops(cost.exit[k].llm) : (p->layer[k] + 1.0) / p->layers;
}

static deer_status read_problem(const char *path, const pth *file, problem *p, deer_error *err)
{
    const pickle_value *values = pickle_get(file->pickle.root, "values");
    int64_t exits, n;

    if (!values || (values->kind != PICKLE_TENSOR && values->kind != PICKLE_ARRAY))
        return deer_fail(err,
                         "%s has no criterion values: the official code stores them with its first "
                         "evaluation",
                         path);
    exits = values->as.tensor.shape[0];
    n = values->as.tensor.shape[1];
    if (values->as.tensor.rank != 2 || exits < 1 || exits > DEER_MAX_EXITS || n < 1 ||
        n > MOST_SAMPLES)
        return deer_fail(err, "%s: values has not the shape [exits, samples]", path);
    if (steps_alloc(n, (int)exits, 1, &p->s, err) || pth_read(file, values, p->s.delta, err) ||
        find_layers(path, file->pickle.root, p, err))
        return DEER_FAILED;
    p->s.episodes = 1; /* samples of windows: nothing is known of episodes */
    fill_costs(file->pickle.root, p);
    return steps_check(&p->s, err);
}

/* ---------------------------------------------------------------- thresholds --------------- */

static deer_status parse(const char *text, int exits, float *tau, deer_error *err)
{
    int n = 0;

    for (const char *at = text; *at;) {
        char *end;
        float value;

        errno = 0;
        value = strtof(at, &end);
        if (end == at || isnan(value) || n == exits)
            return deer_fail_with(DEER_USAGE, err,
                                  "--thresholds takes %d numbers, one per exit, like \"0.02 0.01 "
                                  "100000.0\"",
                                  exits);
        tau[n++] = value;
        at = end + strspn(end, " ,\t");
    }
    if (n != exits && n != exits - 1)
        return deer_fail_with(DEER_USAGE, err,
                              "--thresholds has %d numbers; the checkpoint has %d "
                              "exits",
                              n, exits);
    tau[exits - 1] = INFINITY;
    return DEER_OK;
}

static deer_status find(const official_request *r, const problem *p, solution *x, deer_error *err)
{
    solve_spec spec = {.max_exit = p->s.exits - 1, .method = r->method};
    double full = p->s.cost[p->s.exits - 1];

    if (isnan(r->average) && isnan(r->fraction))
        return deer_fail_with(DEER_USAGE, err, "give a budget: --avg-gflops or --avg-fraction");
    if (!isnan(r->average) && !p->gflops)
        return deer_fail_with(DEER_USAGE, err,
                              "%s is no published model, so that its GFLOPs are not known: use "
                              "--avg-fraction",
                              r->path);
    if (!solve_method_official(spec.method))
        spec.method = SOLVE_OFFICIAL_EXP;
    spec.budget = isnan(r->average) ? r->fraction * full : r->average;
    return solve(&p->s, &spec, x, err);
}

/* ---------------------------------------------------------------- output ------------------- */

static void print_official(const solution *x, int exits)
{
    printf("--thresholds");
    for (int k = 0; k < exits - 1; k++)
        printf(" %.9g", tau_official(x->at.tau[k]));
    printf(" 100000.0\n");
}

static void print_people(const official_request *r, const problem *p, const solution *x)
{
    double full = p->s.cost[p->s.exits - 1];

    printf("%s: criterion values of %lld samples, %d exits\n", r->path, (long long)p->s.n,
           p->s.exits);
    if (p->gflops)
        printf(
            "average %.4g LLM GFLOPs an action at %d text tokens, %.1f%% of full depth (%.4g)\n\n",
            x->at.cost, OFFICIAL_TOKENS, 100 * x->at.cost / full, full);
    else
        printf("average %.1f%% of full depth, counted in layers\n\n", 100 * x->at.cost / full);
    printf("exit  layer   threshold   %% of samples\n");
    for (int k = 0; k < p->s.exits; k++) {
        printf("%4d %6d ", k, p->layer[k]);
        if (k == p->s.exits - 1)
            printf("     always");
        else if (tau_word(x->at.tau[k]))
            printf("%11s", tau_word(x->at.tau[k]));
        else
            printf("%11.6g", (double)x->at.tau[k]);
        printf(" %14.1f\n", 100 * x->at.fraction[k]);
    }
    if (!r->thresholds)
        printf("\n%s; for the official code:\n", x->at.name);
    if (!r->thresholds)
        print_official(x, p->s.exits);
}

static deer_status print_machines(const problem *p, const solution *x, deer_error *err)
{
    json_t *tau = json_array(), *share = json_array(), *json;

    for (int k = 0; k < p->s.exits; k++) {
        json_push(tau, json_real(tau_official(x->at.tau[k])));
        json_push(share, json_real(x->at.fraction[k]));
    }
    json = json_pack("{s:o, s:o, s:f, s:f, s:I, s:s}", "tau", tau, "exit_fraction", share,
                     p->gflops ? "average_llm_gflops" : "average_layers_share", x->at.cost,
                     "share_of_full_depth", x->at.cost / p->s.cost[p->s.exits - 1], "samples",
                     (json_int_t)p->s.n, "solver", x->at.name);
    return json_print(json, JSON_INDENT(2) | JSON_REAL_PRECISION(9), err);
}

deer_status official_values(const official_request *r, deer_error *err)
{
    problem p = {.gflops = false};
    solution x;
    deer_status status;
    pth file;

    if (pth_open(r->path, &file, err))
        return DEER_FAILED;
    status = read_problem(r->path, &file, &p, err);
    if (!status && r->thresholds) {
        x.at = operating_point_new(p.s.exits - 1);
        strcpy(x.at.name, "given");
        status = parse(r->thresholds, p.s.exits, x.at.tau, err);
        if (!status)
            operating_point_evaluate(&p.s, &x.at);
    } else if (!status) {
        status = find(r, &p, &x, err);
    }
    if (!status && r->print_official)
        print_official(&x, p.s.exits);
    else if (!status && r->json)
        status = print_machines(&p, &x, err);
    else if (!status)
        print_people(r, &p, &x);
    steps_free(&p.s);
    pth_close(&file);
    return status;
}
