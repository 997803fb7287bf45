/* SPDX-License-Identifier: MIT */
/* tool_policy.c - a model under thresholds or at a fixed exit. */
#include "runtime/cli/tool_policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "runtime/base/threads/threads.h"
#include "runtime/devices/devices.h"
#include "runtime/gpu/gpu.h"

deer_status policy_threads(long threads, bool pin, deer_error *err)
{
    const deer_pool_options options = {
        .size = sizeof options,
        .threads = threads == TOOL_NOT_GIVEN
                       ? 0
                       : (int32_t)(threads < THREADS_MOST ? threads : THREADS_MOST),
        .pin = pin};
    deer_pool *pool;
    deer_status status;

    if (threads == TOOL_NOT_GIVEN && !pin)
        return DEER_OK;
    status = deer_pool_new(&options, &pool, err);
    if (!status)
        threads_enter(pool);
    return status;
}

void policy_device(const char *device)
{
    if (device)
        setenv("DEER_DEVICE", device, 1); /* whoever opens a model looks there */
}

/* A wish for whatever there is may end on the processor: then that is said; and what a device
 * offers and does wrongly. */
void policy_say_device(const deer_model *model)
{
    const char *wish = getenv("DEER_DEVICE"), *note = gpu_note(model);

    if (wish && !strcasecmp(wish, "auto") && !strcmp(deer_model_device(model), "cpu"))
        fprintf(stderr, "no GPU can be used (deer-run devices says why): running on the CPU\n");
    if (note)
        fprintf(stderr, "%s: %s\n", deer_model_device(model), note);
}

static deer_status open_model(const policy_choice *choice, int exit, policy *p, deer_error *err)
{
    const deer_model_options options = {.size = sizeof options,
                                        .device = choice->forks ? "cpu" : NULL};

    return deer_model_open_with(choice->model, exit, &options, &p->model, err);
}

/* The deepest exit is in the thresholds file, and decides how much of the model is loaded; the file
 * can be checked against the model only then. */
static deer_status open_under_thresholds(const policy_choice *choice, policy *p, deer_error *err)
{
    const char *path = choice->thresholds;
    deer_status status;
    int deepest;

    status = deer_thresholds_load(path, NULL, &p->thresholds, err);
    if (status)
        return status;
    deepest = deer_thresholds_max_exit(p->thresholds);
    status = open_model(choice, deepest, p, err);
    if (status == DEER_USAGE)
        return deer_fail(err, "%s is for another model: it goes up to exit %d, which %s has not",
                         path, deepest, choice->model);
    deer_thresholds_free(p->thresholds);
    p->thresholds = NULL;
    return status ? status : deer_thresholds_load(path, p->model, &p->thresholds, err);
}

bool policy_contradicts(const tool_command *command, const policy_choice *choice)
{
    if (choice->thresholds && choice->exit != TOOL_NOT_GIVEN)
        tool_usage(command, "--thresholds and --exit exclude each other");
    else if (!isnan(choice->budget) && !choice->thresholds)
        tool_usage(command, "--budget needs --thresholds");
    else if (!isnan(choice->govern) && !choice->thresholds)
        tool_usage(command, "--govern needs --thresholds");
    else if (!isnan(choice->govern) && !isnan(choice->budget))
        tool_usage(command, "--govern and --budget exclude each other");
    else if (choice->horizon != TOOL_NOT_GIVEN && isnan(choice->govern))
        tool_usage(command, "--horizon needs --govern");
    else if (tool_outside(command, "horizon", choice->horizon, 200, 1000000000))
        return true;
    else
        return tool_outside(command, "exit", choice->exit, 0, DEER_MAX_EXITS - 1);
    return true;
}

static deer_status open_at_exit(const policy_choice *choice, policy *p, deer_error *err)
{
    int exit = choice->exit == TOOL_NOT_GIVEN ? DEER_ALL_EXITS : (int)choice->exit;
    deer_status status = open_model(choice, exit, p, err);

    return status ? status
                  : deer_thresholds_fixed(p->model, deer_model_max_exit(p->model), &p->thresholds,
                                          err);
}

deer_status policy_open(const policy_choice *choice, policy *p, deer_error *err)
{
    deer_status status;

    memset(p, 0, sizeof *p);
    status =
        choice->thresholds ? open_under_thresholds(choice, p, err) : open_at_exit(choice, p, err);
    if (!status && !isnan(choice->budget))
        status = deer_thresholds_set_budget(p->thresholds, choice->budget, err);
    if (status)
        policy_close(p);
    else if (!choice->forks)
        policy_say_device(p->model);
    return status;
}

deer_status policy_bring(deer_model *model, deer_error *err)
{
    return devices_bring(model, NULL, NULL, err);
}

deer_status policy_govern(const policy_choice *choice, deer_session *session, deer_error *err)
{
    if (isnan(choice->govern))
        return DEER_OK;
    return deer_session_set_governor(session, choice->govern,
                                     choice->horizon == TOOL_NOT_GIVEN ? 0 : choice->horizon, err);
}

deer_status policy_start(policy *p, deer_error *err)
{
    return deer_session_new(p->model, p->thresholds, NULL, &p->session, err);
}

void policy_close(policy *p)
{
    deer_session_free(p->session);
    deer_thresholds_free(p->thresholds);
    deer_model_close(p->model);
    memset(p, 0, sizeof *p);
}
