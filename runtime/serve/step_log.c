/* SPDX-License-Identifier: MIT */
/* step_log.c - JSON lines. */
#include "runtime/serve/step_log.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/json/json_build.h"

struct step_log {
    int fd;
    char *path;
    pthread_mutex_t lock; /* guards lost */
    deer_error lost;      /* what befell the first line that was; or "" */
};

deer_status step_log_open(const char *path, step_log **out, deer_error *err)
{
    step_log *log = calloc(1, sizeof *log);
    struct stat info;

    *out = NULL;
    if (!log || !(log->path = strdup(path))) {
        free(log);
        return deer_fail(err, "out of memory for a log");
    }
    pthread_mutex_init(&log->lock, NULL);
    log->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
    if (log->fd < 0) {
        deer_fail(err, "cannot open %s to append to it: %s", path, strerror(errno));
        step_log_close(log, NULL);
        return DEER_FAILED;
    }
    if (fstat(log->fd, &info) || !S_ISREG(info.st_mode)) {
        deer_fail(err, "%s is not a regular file: a log is appended to one", path);
        step_log_close(log, NULL);
        return DEER_FAILED;
    }
    *out = log;
    return DEER_OK;
}

deer_status step_log_close(step_log *log, deer_error *err)
{
    deer_status status = DEER_OK;

    if (!log)
        return DEER_OK;
    if (*log->lost.message)
        status = deer_fail(err, "%s", log->lost.message);
    if (log->fd >= 0 && close(log->fd) && !status)
        status = deer_fail(err, "cannot write %s: %s", log->path, strerror(errno));
    pthread_mutex_destroy(&log->lock);
    free(log->path);
    free(log);
    return status;
}

/* JSON has no NaN. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *numbers(const float *value, int n)
{
    json_t *list = json_array();

    for (int i = 0; i < n; i++)
        json_push(list, json_real((double)value[i]));
    return list;
}

static double time_of_day(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static json_t *line_of(const step_log_about *s, const deer_action *a)
{
    json_t *line = json_object();

    json_put(line, "time", json_real(time_of_day()));
    json_put(line, "episode", json_string(s->episode));
    json_put(line, "step", json_integer(s->step));
    if (s->step == 0)
        json_put(line, "instruction", json_string(s->instruction));
    json_put(line, "exit", json_integer(a->exit));
    json_put(line, "exit_layer", json_integer(a->exit_layer));
    json_put(line, "delta", number((double)a->delta[a->exit]));
    json_put(line, "llm_gflops", number(s->llm_gflops));
    json_put(line, "total_gflops", number(s->total_gflops));
    json_put(line, "ms", number(s->ms));
    json_put(line, "late", json_boolean(a->late));
    json_put(line, "command", numbers(a->command, DEER_COMMAND));
    return line;
}

/* Keeps what befell the first line that was lost. */
static deer_status lose(step_log *log, const char *why, deer_error *err)
{
    deer_error lost;

    deer_fail(&lost, "cannot write %s: %s", log->path, why);
    pthread_mutex_lock(&log->lock);
    if (!*log->lost.message)
        log->lost = lost;
    pthread_mutex_unlock(&log->lock);
    return deer_fail(err, "%s", lost.message);
}

deer_status step_log_write(step_log *log, const step_log_about *about, const deer_action *action,
                           deer_error *err)
{
    char *text = json_text(line_of(about, action), JSON_COMPACT | JSON_REAL_PRECISION(17));
    size_t size = text ? strlen(text) : 0;
    deer_status status = DEER_OK;
    ssize_t written;

    if (!text)
        return lose(log, "out of memory for a line, or a text in it is not UTF-8", err);
    text[size] = '\n'; /* in place of the zero */
    written = write(log->fd, text, size + 1);
    if (written != (ssize_t)(size + 1))
        status = lose(log, written < 0 ? strerror(errno) : "the line was cut", err);
    free(text);
    return status;
}
