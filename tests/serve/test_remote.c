/* SPDX-License-Identifier: MIT */
/* test_remote.c - the client of the policy server: a deer-run serve of its own, asked side by side
 * with a session in this process. bench/serve.sh measures what that adds to a step. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/random.h"
#include "runtime/serve/remote.h"

enum { SIDE = 64, STEPS = 100 };

static const char policy[] = "datasets/tabletop/policy.safetensors";
static deer_error error;
static char url[64];
static pid_t server;

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", error.message);
}

/* A server of one thread; its first line of output says where. */
static int start(void **state)
{
    const char *build = getenv("BUILD");
    char program[4096], line[128] = "";
    const char *at;
    int out[2];
    FILE *said;

    (void)state;
    snprintf(program, sizeof program, "%s/deer-run", build ? build : "build");
    assert_int_equal(pipe(out), 0);
    server = fork();
    if (!server) {
        dup2(out[1], 1);
        close(out[0]);
        execl(program, program, "serve", "--model", policy, "--exit", "2", "--port", "0",
              "--threads", "1", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    said = fdopen(out[0], "r");
    assert_non_null(said);
    assert_non_null(fgets(line, sizeof line, said));
    fclose(said);
    at = strstr(line, "ws://");
    assert_non_null(at);
    snprintf(url, sizeof url, "%.*s", (int)strcspn(at, "\n"), at);
    return 0;
}

static int stop(void **state)
{
    int status;

    (void)state;
    if (server > 0) {
        kill(server, SIGTERM);
        waitpid(server, &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    return 0;
}

static void draw(uint8_t rgb[2][SIDE * SIDE * 3], uint64_t *random)
{
    for (int view = 0; view < 2; view++)
        for (int i = 0; i < SIDE * SIDE * 3; i++)
            rgb[view][i] = (uint8_t)(random_next(random) >> 56);
}

static deer_session *session_here(deer_model **model)
{
    static const deer_pool_options one = {.size = sizeof one, .threads = 1};
    static deer_pool *pool;
    deer_session_options options = {.size = sizeof options};
    deer_thresholds *fixed;
    deer_session *session;

    if (!pool)
        ok(deer_pool_new(&one, &pool, &error));
    options.pool = pool;
    ok(deer_model_open(policy, 2, model, &error));
    ok(deer_thresholds_fixed(*model, 2, &fixed, &error));
    ok(deer_session_new(*model, fixed, &options, &session, &error));
    ok(deer_session_set_instruction(session, "lift the red block", &error));
    deer_thresholds_free(fixed);
    return session;
}

/* The same actions, bit for bit, and times that can be. */
static void test_the_same_far_away(void **state)
{
    const deer_camera camera = {.width = SIDE, .height = SIDE};
    protocol_request request = {.static_view = camera, .gripper_view = camera};
    static uint8_t rgb[2][SIDE * SIDE * 3];
    uint64_t random = 1;
    deer_model *model;
    deer_session *session = session_here(&model);
    remote *far;

    (void)state;
    ok(remote_open(url, NULL, &far, &error));
    strcpy(request.prompt, "lift the red block");
    request.seen = (deer_observation){{rgb[0], sizeof rgb[0]}, {rgb[1], sizeof rgb[1]}};
    for (int i = 0; i < STEPS; i++) {
        protocol_answer answer;
        deer_action action;

        draw(rgb, &random);
        ok(deer_step(session, &request.seen, &action, &error));
        ok(remote_ask(far, &request, &answer, &error));
        assert_memory_equal(answer.command, action.command, sizeof answer.command);
        assert_int_equal(answer.exit, 2);
        assert_true(answer.infer_ms > 0 && answer.queue_ms >= 0);
        assert_true(i ? answer.prev_total_ms > 0 : isnan(answer.prev_total_ms));
    }
    remote_close(far);
    deer_session_free(session);
    deer_model_close(model);
}

/* What the server says is the error's text, and then there is no server to ask. */
static void test_errors(void **state)
{
    const deer_camera camera = {.width = 8, .height = 8};
    static uint8_t rgb[8 * 8 * 3];
    protocol_request request = {.static_view = camera,
                                .gripper_view = camera,
                                .seen = {{rgb, sizeof rgb}, {rgb, sizeof rgb}}};
    protocol_answer answer;
    remote *far;

    (void)state;
    ok(remote_open(url, "a key that nobody asks for", &far, &error));
    assert_int_equal(remote_ask(far, &request, &answer, &error), DEER_FAILED);
    assert_non_null(strstr(error.message, "says: the prompt is empty"));
    strcpy(request.prompt, "lift");
    assert_int_equal(remote_ask(far, &request, &answer, &error), DEER_FAILED);
    assert_non_null(strstr(error.message, "closed the connection"));
    remote_close(far);
    assert_int_equal(remote_open("http://127.0.0.1:1", NULL, &far, &error), DEER_USAGE);
    assert_int_equal(remote_open("ws://127.0.0.1:1", NULL, &far, &error), DEER_FAILED);
    assert_null(far);
    remote_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_far_away),
        cmocka_unit_test(test_errors),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
