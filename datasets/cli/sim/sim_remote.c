/* SPDX-License-Identifier: MIT */
/* sim_remote.c - rollouts of a policy at the other end of a websocket. */
#include "datasets/cli/sim/sim_remote.h"

#ifdef DEER_WEBSOCKETS

#include <math.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/serve/remote.h"
#include "runtime/serve/server.h"

enum { PATIENCE = 5 }; /* seconds for a server that is about to listen */

/* The next request: its prompt and task are the running episode's. */
typedef struct {
    remote *server;
    protocol_request next;
} asker;

static deer_status copy(char to[PROTOCOL_TEXT], const char *text, deer_error *err)
{
    size_t size = strlen(text);

    if (size >= PROTOCOL_TEXT)
        return deer_fail(err, "an instruction of %zu bytes is too long for a policy server", size);
    memcpy(to, text, size + 1);
    return DEER_OK;
}

static deer_status begin(void *context, const char *instruction, const char *task, deer_error *err)
{
    asker *a = context;

    a->next.reset = true;
    return copy(a->next.prompt, instruction, err) ? DEER_FAILED : copy(a->next.task, task, err);
}

/* A server of another kind says no exit: 0 stands for it. */
static deer_status act(void *context, const deer_observation *seen, deer_action *action,
                       deer_error *err)
{
    const deer_camera camera = {.width = TABLETOP_IMAGE, .height = TABLETOP_IMAGE};
    asker *a = context;
    protocol_answer answer;

    a->next.static_view = a->next.gripper_view = camera;
    a->next.seen = *seen;
    if (remote_ask(a->server, &a->next, &answer, err))
        return DEER_FAILED;
    a->next.reset = false;
    *action = (deer_action){.exit = answer.exit < 0 ? 0 : answer.exit, .late = answer.late};
    memcpy(action->command, answer.command, sizeof action->command);
    memcpy(action->pose, answer.command, sizeof action->pose);
    return DEER_OK;
}

deer_status sim_remote_open(const char *url, const char *key, const rollout_policy **policy,
                            deer_error *err)
{
    static asker here;
    static const rollout_policy remote_policy = {&here, begin, act};
    double until = clock_seconds() + PATIENCE;
    deer_status status;

    *policy = &remote_policy;
    while ((status = remote_open(url, key, &here.server, err)) == DEER_FAILED &&
           clock_seconds() < until)
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    return status;
}

deer_status sim_remote_key(const char *path, char **key, deer_error *err)
{
    return server_key_read(path, key, err);
}

#else

deer_status sim_remote_open(const char *url, const char *key, const rollout_policy **policy,
                            deer_error *err)
{
    (void)key;
    *policy = NULL;
    return deer_fail(err,
                     "%s cannot be asked: this deer-sim was built without libwebsockets; "
                     "install Debian's libwebsockets-dev and build again",
                     url);
}

deer_status sim_remote_key(const char *path, char **key, deer_error *err)
{
    *key = NULL;
    return deer_fail(err, "%s is of no use without libwebsockets", path);
}

#endif
