/* SPDX-License-Identifier: MIT */
/* run_serve.c - deer-run serve: a policy for robots at the other end of a websocket. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/cli/run_commands.h"
#include "runtime/cli/tool_policy.h"
#include "runtime/serve/server.h"

enum { MOST_CONNECTIONS = 1000, MOST_PORT = 65535 };

typedef struct {
    policy_choice policy;
    server_options serve;
    protocol_keys keys;
    const char *key_file, *log, *device;
    long port, connections, workers, threads;
    double message, idle, rate;
} request;

#ifdef DEER_WEBSOCKETS

static void say_ready(const char *url)
{
    printf("deer-run serve: listening on %s\n", url);
    fflush(stdout);
}

/* What robots share; a drift watch where the thresholds have episodes to compare with, of the exits
 * that the file's own thresholds take: a governor does not keep those. */
static deer_status start_fleet(const request *r, const policy *p, metrics *counts, fleet *f,
                               deer_error *err)
{
    const policy_choice *choice = &r->policy;
    double budget = !isnan(choice->govern)   ? choice->govern
                    : !isnan(choice->budget) ? choice->budget
                                             : deer_thresholds_budget(p->thresholds);
    deer_status status;

    *f = (fleet){.model = p->model,
                 .thresholds = p->thresholds,
                 .keys = r->keys,
                 .rate = r->rate,
                 .govern = choice->govern,
                 .horizon = choice->horizon == TOOL_NOT_GIVEN ? 0 : choice->horizon,
                 .counts = counts};
    metrics_start(counts, deer_model_config(p->model)->exits, budget, !isnan(choice->govern));
    pthread_mutex_init(&f->drifts, NULL);
    status = isnan(choice->govern) ? deer_drift_new(p->thresholds, &f->drift, err) : DEER_OK;
    if (status && status != DEER_USAGE) /* thresholds without a reference, that is */
        return status;
    return r->log ? step_log_open(r->log, &f->log, err) : DEER_OK;
}

static deer_status end_fleet(fleet *f, deer_status status, deer_error *err)
{
    deer_error lost;
    deer_status closed = step_log_close(f->log, &lost);

    if (closed && !status)
        deer_fail(err, "%s", lost.message);
    deer_drift_free(f->drift);
    pthread_mutex_destroy(&f->drifts);
    metrics_end(f->counts);
    return status ? status : closed;
}

/* Threads a step, and steps side by side: together as many as there are cores, unless said. */
static void share_cores(const request *r, server_options *o)
{
    long cores = tool_cores();

    o->threads = (int)(r->threads == TOOL_NOT_GIVEN ? cores : r->threads);
    o->workers = (int)(r->workers != TOOL_NOT_GIVEN ? r->workers
                       : o->threads < cores         ? cores / o->threads
                                                    : 1);
}

static deer_status serve(const request *r, const policy *p, deer_error *err)
{
    server_options o = r->serve;
    metrics counts;
    fleet f;
    char *key = NULL;
    deer_status status = start_fleet(r, p, &counts, &f, err);

    if (!status && r->key_file)
        status = server_key_read(r->key_file, &key, err);
    o.key = key;
    o.robots = &f;
    o.ready = say_ready;
    o.port = (int)r->port;
    o.connections = (int)r->connections;
    o.message = (size_t)r->message;
    o.idle = r->idle;
    share_cores(r, &o);
    if (!status)
        status = server_run(&o, err);
    free(key);
    return end_fleet(&f, status, err);
}

#else

static deer_status serve(const request *r, const policy *p, deer_error *err)
{
    (void)r;
    (void)p;
    return deer_fail(err, "this deer-run was built without libwebsockets and cannot serve; install "
                          "Debian's libwebsockets-dev and build again");
}

#endif

/* A budget that cannot be kept is refused here, not to the first robot that comes. */
static deer_status try_budget(const request *r, policy *p, deer_error *err)
{
    deer_status status;

    if (isnan(r->policy.govern))
        return DEER_OK;
    status = policy_start(p, err);
    return status ? status : policy_govern(&r->policy, p->session, err);
}

static deer_status run(const request *r, deer_error *err)
{
    policy p;
    deer_status status;

    policy_device(r->device);
    status = policy_open(&r->policy, &p, err);
    if (!status)
        status = try_budget(r, &p, err);
    if (!status)
        status = serve(r, &p, err);
    policy_close(&p);
    return status;
}

static bool is_wrong(const tool_command *self, const request *r)
{
    if (!r->policy.model)
        tool_usage(self, "--model is required");
    else if (!(r->idle > 0 && r->idle <= 1e6))
        tool_usage(self, "--idle must be above 0 and at most a million seconds");
    else if (!(r->message >= 1e3 && r->message <= 1e9))
        tool_usage(self, "--max-message must be from 1K to 1G");
    else
        return policy_contradicts(self, &r->policy) || tool_rate_outside(self, r->rate) ||
               tool_outside(self, "port", r->port, 0, MOST_PORT) ||
               tool_outside(self, "connections", r->connections, 1, MOST_CONNECTIONS) ||
               tool_outside(self, "threads", r->threads, 1, TOOL_MOST_THREADS) ||
               tool_outside(self, "workers", r->workers, 1, TOOL_MOST_THREADS);
    return true;
}

/* What is asked for by options, which fill r. */
static int serve_with(const tool_option *options, request *r, int argc, char **argv)
{
    const tool_command self = {
        "deer-run serve", "serves a policy to robots by openpi's websocket protocol",
        "--model FILE [--thresholds FILE] [options]", options,
        "deer-run serve --model policy.safetensors --thresholds t.json\n"
        "deer-run serve --model policy.safetensors --thresholds t.json --threads 1 --connections "
        "8\n"
        "deer-run serve --model policy.safetensors --exit 2 --host 0.0.0.0 --key-file key"};
    deer_error err;
    deer_status status;
    int ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (is_wrong(&self, r))
        return TOOL_USAGE;
    status = run(r, &err);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}

int run_serve_main(int argc, char **argv)
{
    request r = {.policy = POLICY_DEEPEST,
                 .serve = {.host = "127.0.0.1"},
                 .keys = PROTOCOL_KEYS,
                 .port = 8000,
                 .connections = 16,
                 .workers = TOOL_NOT_GIVEN,
                 .threads = TOOL_NOT_GIVEN,
                 .message = 16 << 20,
                 .idle = 300,
                 .rate = NAN};
    const tool_option options[] = {
        {"model", TOOL_STRING, &r.policy.model, "FILE", "policy to serve (required)"},
        {"thresholds", TOOL_STRING, &r.policy.thresholds, "FILE", "when to exit"},
        {"exit", TOOL_INT, &r.policy.exit, "K",
         "or: always this exit, from 0 (default the deepest)"},
        {"budget", TOOL_DOUBLE, &r.policy.budget, "X",
         "turn the thresholds' dial to X GFLOPs a step"},
        {"govern", TOOL_DOUBLE, &r.policy.govern, "X",
         "turn the dial before each step, so that every robot's steps take X on average"},
        {"horizon", TOOL_INT, &r.policy.horizon, "N",
         "with --govern: within 2% over any N steps, 200 or more (default 500)"},
        {"host", TOOL_STRING, &r.serve.host, "NAME",
         "address to listen on (default 127.0.0.1: this machine only)"},
        {"port", TOOL_INT, &r.port, "N", "default 8000; 0: any that is free"},
        {"key-file", TOOL_STRING, &r.key_file, "FILE",
         "clients must say the key in it (Authorization: Api-Key)"},
        {"insecure", TOOL_FLAG, &r.serve.insecure, NULL, "listen for other machines without a key"},
        {"image-key", TOOL_STRING, &r.keys.image, "NAME",
         "static camera in messages (default observation/image)"},
        {"wrist-key", TOOL_STRING, &r.keys.wrist_image, "NAME",
         "camera on the wrist (default observation/wrist_image)"},
        {"prompt-key", TOOL_STRING, &r.keys.prompt, "NAME", "instruction (default prompt)"},
        {"rate", TOOL_DOUBLE, &r.rate, "HZ",
         "control steps a second: take an earlier exit where a step would last longer"},
        {"connections", TOOL_INT, &r.connections, "N", "robots at once (default 16)"},
        {"max-message", TOOL_BYTES, &r.message, "BYTES", "longest message (default 16.8M)"},
        {"idle", TOOL_DOUBLE, &r.idle, "SECONDS",
         "close a connection without a message for so long (default 300)"},
        {"threads", TOOL_INT, &r.threads, "N", "for the products of a step (default one per core)"},
        {"device", TOOL_STRING, &r.device, "NAME",
         "cpu, gpu, auto, or part of a name that deer-run devices lists (default $DEER_DEVICE, or "
         "cpu)"},
        {"workers", TOOL_INT, &r.workers, "N",
         "steps side by side (default: what cores the threads leave)"},
        {"log", TOOL_FILE, &r.log, "FILE", "append every step to it, a JSON line each"},
        {NULL, 0, NULL, NULL, NULL}};

    return serve_with(options, &r, argc, argv);
}
