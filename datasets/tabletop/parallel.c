/* SPDX-License-Identifier: MIT */
/* parallel.c - forked workers, one pipe each; the parent reads results in job order. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "datasets/tabletop/parallel.h"

struct parallel_result {
    char *data;
    size_t size, room;
};

/* What precedes a result in the pipe. */
typedef struct {
    deer_status status; /* not DEER_OK: the bytes are the error message */
    size_t size;
} result_header;

typedef struct {
    pid_t pid;
    int pipe; /* the reading end */
} worker;

deer_status parallel_append(parallel_result *out, const void *data, size_t size, deer_error *err)
{
    if (out->size + size > out->room) {
        size_t room = 2 * (out->size + size);
        char *grown = realloc(out->data, room);
        if (!grown)
            return deer_fail(err, "out of memory for the result of a rollout");
        out->data = grown;
        out->room = room;
    }
    memcpy(out->data + out->size, data, size);
    out->size += size;
    return DEER_OK;
}

static bool write_all(int fd, const void *data, size_t size)
{
    const char *p = data;

    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

static bool read_all(int fd, void *data, size_t size)
{
    char *p = data;

    while (size > 0) {
        ssize_t n = read(fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

static bool send_result(int fd, deer_status status, const parallel_result *out,
                        const deer_error *err)
{
    result_header header = {status, status ? sizeof err->message : out->size};

    return write_all(fd, &header, sizeof header) &&
           write_all(fd, status ? err->message : out->data, header.size);
}

static _Noreturn void work(int n, int first, int step, int fd, parallel_start start,
                           parallel_job job, void *context)
{
    parallel_result out = {0};
    deer_error err = {""};
    deer_status status = start ? start(context, &err) : DEER_OK;

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* do not outlive the parent */
    for (int i = first; i < n; i += step) {
        out.size = 0;
        if (!status)
            status = job(context, i, &out, &err);
        if (!send_result(fd, status, &out, &err) || status)
            break;
    }
    _exit(0); /* not exit: buffers and handlers belong to the parent */
}

static deer_status start_workers(worker *workers, int count, int n, parallel_start start,
                                 parallel_job job, void *context, deer_error *err)
{
    fflush(NULL);
    for (int w = 0; w < count; w++) {
        int ends[2];
        if (pipe(ends))
            return deer_fail(err, "cannot create a pipe: %s", strerror(errno));
        workers[w].pipe = ends[0];
        workers[w].pid = fork();
        if (workers[w].pid < 0) {
            close(ends[1]);
            return deer_fail(err, "cannot start a worker process: %s", strerror(errno));
        }
        if (workers[w].pid == 0) {
            for (int other = 0; other <= w; other++)
                close(workers[other].pipe);
            work(n, w, count, ends[1], start, job, context);
        }
        close(ends[1]);
    }
    return DEER_OK;
}

static deer_status receive(int fd, int i, parallel_collect collect, void *context, deer_error *err)
{
    result_header header;
    char *data;
    deer_status status = DEER_FAILED;

    if (!read_all(fd, &header, sizeof header))
        return deer_fail(err, "a worker process died during rollout %d", i);
    data = malloc(header.size + 1);
    if (!data)
        return deer_fail(err, "out of memory for the result of rollout %d", i);
    if (!read_all(fd, data, header.size))
        deer_fail(err, "a worker process died during rollout %d", i);
    else if (header.status)
        status = deer_fail_with(header.status, err, "%s", data);
    else
        status = collect(context, i, data, header.size, err);
    free(data);
    return status;
}

static void stop_workers(worker *workers, int count)
{
    for (int w = 0; w < count; w++) {
        if (workers[w].pipe >= 0)
            close(workers[w].pipe);
        if (workers[w].pid > 0) {
            kill(workers[w].pid, SIGKILL);
            waitpid(workers[w].pid, NULL, 0);
        }
    }
}

deer_status parallel_run(int n, int workers, parallel_start start, parallel_job job,
                         parallel_collect collect, void *context, deer_error *err)
{
    worker pool[PARALLEL_MOST];
    deer_status status;
    int count = workers < 1 ? 1 : workers > PARALLEL_MOST ? PARALLEL_MOST : workers;

    if (count > n)
        count = n > 0 ? n : 1;
    for (int w = 0; w < count; w++)
        pool[w] = (worker){-1, -1};
    status = start_workers(pool, count, n, start, job, context, err);
    for (int i = 0; i < n && !status; i++)
        status = receive(pool[i % count].pipe, i, collect, context, err);
    stop_workers(pool, count);
    return status;
}
