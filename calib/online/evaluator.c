/* SPDX-License-Identifier: MIT */
/* evaluator.c - runs a command, with a limit on its time and on what it prints. */
#include "calib/online/evaluator.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/json/json_file.h"

enum { MOST_OUTPUT = 16 << 20, MOST_WORDS = 4096, MOST_COMMAND = 65536 };

/* ---------------------------------------------------------------- what it says ------------- */

deer_status evaluator_read(const evaluator *e, const char *name, const char *text, size_t n,
                           online_result *result, deer_error *err)
{
    json_error_t where;
    json_t *root = json_parse(text, n, 0, &where);
    const json_t *cost = json_object_get(root, "cost"), *rollouts;
    deer_status status = DEER_OK;

    if (!cost && e->cost)
        cost = json_object_get(root, e->cost);
    rollouts = json_object_get(root, "rollouts");
    result->success = json_number_value(json_object_get(root, "success"));
    result->cost = json_number_value(cost);
    result->rollouts = rollouts ? json_number_value(rollouts) : 1;
    if (!json_is_object(root))
        status = deer_fail(err, "%s: printed no JSON object%s%s", name, *where.text ? ": " : "",
                           where.text);
    else if (!json_is_number(json_object_get(root, "success")) ||
             !(result->success >= 0 && result->success <= 1))
        status = deer_fail(err, "%s: its JSON has no \"success\" from 0 to 1", name);
    else if (!json_is_number(cost) || !(result->cost > 0 && isfinite(result->cost)))
        status = deer_fail(err, "%s: its JSON has no \"cost\" above 0%s%s%s", name,
                           e->cost ? ", nor \"" : "", e->cost ? e->cost : "", e->cost ? "\"" : "");
    else if (!(result->rollouts >= 1 && result->rollouts <= 1e9))
        status = deer_fail(err, "%s: \"rollouts\" must be 1 or more", name);
    json_decref(root);
    return status;
}

/* ---------------------------------------------------------------- the command -------------- */

/* The command with its places filled in; NULL when it is too long or memory is out. */
static char *fill_in(const char *command, const char *thresholds, uint64_t seed, int episodes)
{
    char *text = malloc(MOST_COMMAND);
    size_t used = 0;

    while (text && *command && used + 1 < MOST_COMMAND) {
        size_t room = MOST_COMMAND - used;
        if (!strncmp(command, "{thresholds}", 12))
            used += (size_t)snprintf(text + used, room, "'%s'", thresholds), command += 12;
        else if (!strncmp(command, "{seed}", 6))
            used += (size_t)snprintf(text + used, room, "%llu", (unsigned long long)seed),
                command += 6;
        else if (!strncmp(command, "{episodes}", 10))
            used += (size_t)snprintf(text + used, room, "%d", episodes), command += 10;
        else
            text[used++] = *command++;
    }
    if (text && used + 1 >= MOST_COMMAND) {
        free(text);
        return NULL;
    }
    if (text)
        text[used] = 0;
    return text;
}

typedef struct {
    pid_t pid;
    int out, err;           /* what it prints */
    char *text;             /* [MOST_OUTPUT] */
    size_t n;               /* bytes of it */
    char words[MOST_WORDS]; /* the end of its standard error */
    size_t words_n;
} child;

static void end_group(int signal_number)
{
    (void)signal_number;
    kill(0, SIGKILL);
}

/* As the shell ended. */
static _Noreturn void end_as(int status)
{
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* The leader of the command's group: nothing in it outlives the thread that waits for it, however
 * that ends. */
static _Noreturn void become(const char *command, const int out[2], const int err[2])
{
    int nothing = open("/dev/null", O_RDWR), status = 0;
    pid_t shell;

    setpgid(0, 0);
    signal(SIGTERM, end_group);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGXFSZ, SIG_DFL);
    dup2(nothing, 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    shell = fork();
    if (shell == 0) {
        signal(SIGTERM, SIG_DFL);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    dup2(nothing, 1); /* the pipes are the shell's alone: they end with it */
    dup2(nothing, 2);
    while (waitpid(shell, &status, 0) < 0 && errno == EINTR)
        ;
    end_as(status);
}

static deer_status start(child *c, const char *command, deer_error *err)
{
    int out[2], errors[2];

    if (pipe2(out, O_CLOEXEC))
        return deer_fail(err, "cannot create a pipe: %s", strerror(errno));
    if (pipe2(errors, O_CLOEXEC)) {
        close(out[0]);
        close(out[1]);
        return deer_fail(err, "cannot create a pipe: %s", strerror(errno));
    }
    c->pid = fork();
    if (c->pid == 0)
        become(command, out, errors);
    close(out[1]);
    close(errors[1]);
    c->out = out[0];
    c->err = errors[0];
    if (c->pid > 0) {
        setpgid(c->pid, c->pid);
        return DEER_OK;
    }
    close(c->out);
    close(c->err);
    return deer_fail(err, "cannot start a process: %s", strerror(errno));
}

/* The last of what is said is kept. */
static void hear(child *c, const char *text, size_t n)
{
    size_t room = sizeof c->words - 1, drop;

    if (n > room) {
        text += n - room;
        n = room;
    }
    drop = c->words_n + n > room ? c->words_n + n - room : 0;
    memmove(c->words, c->words + drop, c->words_n - drop);
    memcpy(c->words + c->words_n - drop, text, n);
    c->words_n += n - drop;
    c->words[c->words_n] = 0;
}

/* Reads what there is; closes the pipe and sets it to -1 at its end. */
static void drain(child *c, int *fd)
{
    char buffer[4096];
    ssize_t n = read(*fd, buffer, sizeof buffer);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        close(*fd);
        *fd = -1;
    } else if (fd == &c->err) {
        hear(c, buffer, (size_t)n);
    } else if (c->n + (size_t)n <= MOST_OUTPUT) {
        memcpy(c->text + c->n, buffer, (size_t)n);
        c->n += (size_t)n;
    } else {
        c->n = MOST_OUTPUT + 1; /* too much */
    }
}

/* Until both pipes are closed, there is too much, or time is up (false). */
static bool listen_until(child *c, double deadline)
{
    while ((c->out >= 0 || c->err >= 0) && c->n <= MOST_OUTPUT) {
        struct pollfd ends[2] = {{c->out, POLLIN, 0}, {c->err, POLLIN, 0}};
        double left = deadline - clock_seconds();
        if (left <= 0)
            return false;
        poll(ends, 2, (int)fmin(1e3 * left + 1, 1e6));
        if (c->out >= 0 && ends[0].revents)
            drain(c, &c->out);
        if (c->err >= 0 && ends[1].revents)
            drain(c, &c->err);
    }
    return true;
}

/* Waits for its end; false when time is up before. */
static bool has_ended(const child *c, double deadline, int *status)
{
    const struct timespec pause = {0, 2000000};
    pid_t ended;

    while ((ended = waitpid(c->pid, status, WNOHANG)) == 0 && clock_seconds() < deadline)
        nanosleep(&pause, NULL);
    return ended == c->pid;
}

/* Its exit status; it and what it started are killed where they have not ended in time. */
static int stop(child *c, double deadline, bool *done)
{
    int status = 0;
    bool ended = *done && c->n <= MOST_OUTPUT && has_ended(c, deadline, &status);

    kill(-c->pid, SIGKILL); /* what it left in the background, too */
    while (!ended && waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        ;
    *done = ended || c->n > MOST_OUTPUT;
    if (c->out >= 0)
        close(c->out);
    if (c->err >= 0)
        close(c->err);
    return status;
}

static const char *last_line(child *c)
{
    char *line;

    while (c->words_n && (unsigned char)c->words[c->words_n - 1] <= ' ')
        c->words[--c->words_n] = 0;
    line = strrchr(c->words, '\n');
    return line ? line + 1 : c->words;
}

/* What is wrong with how it ended. */
static deer_status complain(const evaluator *e, child *c, int status, bool done, deer_error *err)
{
    if (!done)
        return deer_fail(err, "the evaluator took more than %g seconds (--timeout): %.200s",
                         e->timeout, e->command);
    if (c->n > MOST_OUTPUT)
        return deer_fail(err, "the evaluator printed more than %d MB: %.200s", MOST_OUTPUT >> 20,
                         e->command);
    if (WIFSIGNALED(status))
        return deer_fail(err, "the evaluator was killed by signal %d: %.200s", WTERMSIG(status),
                         e->command);
    if (status)
        return deer_fail(err, "the evaluator ended with status %d (%.200s): %.150s",
                         WEXITSTATUS(status), last_line(c), e->command);
    return DEER_OK;
}

deer_status evaluator_run(const evaluator *e, const char *thresholds, uint64_t seed, int episodes,
                          online_result *result, deer_error *err)
{
    char *command = fill_in(e->command, thresholds, seed, episodes), name[260];
    child c = {.text = malloc(MOST_OUTPUT)};
    deer_status status;
    double deadline;
    bool done;
    int ended;

    snprintf(name, sizeof name, "the evaluator (%.200s)", e->command);
    if (!command || !c.text)
        status = deer_fail(err, "no room for the evaluator's command, or for what it prints");
    else
        status = start(&c, command, err);
    if (!status) {
        deadline = clock_seconds() + e->timeout;
        done = listen_until(&c, deadline);
        ended = stop(&c, deadline, &done);
        status = complain(e, &c, ended, done, err);
    }
    if (!status)
        status = evaluator_read(e, name, c.text, c.n, result, err);
    free(command);
    free(c.text);
    return status;
}
