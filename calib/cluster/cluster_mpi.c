/* SPDX-License-Identifier: MIT */
/* cluster_mpi.c - the ranks of an MPI job. An error of MPI itself ends the job: its message is
 * MPI's. */
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <mpi.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "calib/cluster/cluster.h"

enum { AT_ONCE = 1 << 26 };

static const double patience = 10; /* seconds for the other ranks to come to the same end */

/* Without a launcher there is one rank, and MPI is not even started. */
static struct {
    bool begun;
    int rank, size;
    int said, errors; /* files: what a rank but 0 printed, and where its messages would go */
    MPI_Comm ending;
    MPI_Win counter;       /* of cluster_next, on rank 0 */
    _Atomic int64_t next;  /* the same of one rank */
    pthread_mutex_t mutex; /* MPI is entered by one thread at a time */
} here = {.size = 1, .said = -1, .errors = -1, .mutex = PTHREAD_MUTEX_INITIALIZER};

/* ---------------------------------------------------------------- life --------------------- */

static bool launched(void)
{
    return getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMIX_RANK") || getenv("PMI_RANK");
}

/* Rank 0 alone is heard; what others say on standard error is kept for the case that they fail. */
static void fall_silent(void)
{
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    here.errors = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    here.said = memfd_create("messages", MFD_CLOEXEC);
    if (nowhere >= 0)
        dup2(nowhere, STDOUT_FILENO);
    if (here.said >= 0 && here.errors >= 0)
        dup2(here.said, STDERR_FILENO);
    close(nowhere);
}

/* What this machine's mathematics makes of some numbers: its library chooses by the processor, and
 * last digits may differ. */
static uint64_t mathematics(void)
{
    uint64_t all = 0;

    for (int i = 1; i <= 4096; i++) {
        volatile double x = i * 0.0009765625 + 1e-7, y = sin(i);
        const double said[] = {
            exp(y), log(x), pow(x, y), lgamma(x), (double)powf((float)x, (float)y), sqrt(x)};

        for (size_t j = 0; j < sizeof said / sizeof *said; j++) {
            uint64_t bits;

            memcpy(&bits, &said[j], sizeof bits);
            all = (all ^ bits) * 0x9e3779b97f4a7c15u;
            all ^= all >> 29;
        }
    }
    return all;
}

/* Ranks decide alike by themselves all the time: one that rounds otherwise would leave the others
 * waiting. */
static void check_processors(void)
{
    uint64_t said = mathematics();

    if (cluster_alike(&said, sizeof said))
        return;
    if (!here.rank)
        fprintf(stderr,
                "the machines of this job have processors that round differently, so that ranks "
                "would not agree: use machines of one kind, or the same "
                "GLIBC_TUNABLES=glibc.cpu.hwcaps=-FMA,-AVX2 on all\n");
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
}

void cluster_begin(int *argc, char ***argv)
{
    int threads;
    int64_t *counter = NULL;

    if (!launched())
        return;
    MPI_Init_thread(argc, argv, MPI_THREAD_SERIALIZED, &threads);
    if (threads < MPI_THREAD_SERIALIZED) {
        fprintf(stderr, "this MPI allows no calls from more than one thread: use one built with "
                        "thread support\n");
        MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
    }
    MPI_Comm_rank(MPI_COMM_WORLD, &here.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &here.size);
    MPI_Comm_dup(MPI_COMM_WORLD, &here.ending);
    MPI_Win_allocate(here.rank ? 0 : sizeof *counter, sizeof *counter, MPI_INFO_NULL,
                     MPI_COMM_WORLD, &counter, &here.counter);
    MPI_Win_lock_all(0, here.counter);
    here.begun = true;
    cluster_meet();
    check_processors();
    if (here.rank)
        fall_silent();
}

static void wait_a_moment(double seconds)
{
    const struct timespec t = {(time_t)seconds, (long)(1e9 * (seconds - floor(seconds)))};

    nanosleep(&t, NULL);
}

/* Says what this rank said, unless rank 0 has ended all of them by then: it says the same. */
static _Noreturn void end_all(int status)
{
    char line[1024];
    off_t at = 0;

    fflush(NULL);
    if (here.rank)
        wait_a_moment(0.5 + 0.1 * fmin(here.rank, 20));
    for (ssize_t n; here.said >= 0 && (n = pread(here.said, line, sizeof line, at)) > 0; at += n)
        if (write(here.errors, line, (size_t)n) < n)
            break;
    MPI_Abort(MPI_COMM_WORLD, status);
    _exit(status);
}

/* Whether all ranks came to their end. */
static bool all_end(int status)
{
    MPI_Request request;
    int done = 0;

    MPI_Ibarrier(here.ending, &request);
    if (!status)
        return !MPI_Wait(&request, MPI_STATUS_IGNORE);
    for (double waited = 0; waited < patience && !done; waited += 0.01) {
        MPI_Test(&request, &done, MPI_STATUS_IGNORE);
        if (!done)
            wait_a_moment(0.01);
    }
    return done;
}

/* What is wrong with the command line or the budgets is wrong on every rank; what else fails may
 * fail on one. */
int cluster_end(int status)
{
    if (!here.begun)
        return status;
    if (status == EXIT_FAILURE || !all_end(status))
        end_all(status);
    MPI_Win_unlock_all(here.counter);
    MPI_Win_free(&here.counter);
    MPI_Comm_free(&here.ending);
    MPI_Finalize();
    return status;
}

int cluster_rank(void)
{
    return here.rank;
}

int cluster_size(void)
{
    return here.size;
}

/* ---------------------------------------------------------------- together ----------------- */

/* In pieces: counts of MPI are ints, and it copies what it adds. */
static void reduce(void *x, int64_t n, size_t size, MPI_Datatype type, MPI_Op how)
{
    int64_t most = AT_ONCE / (int64_t)size;

    for (int64_t at = 0; here.size > 1 && at < n; at += most)
        MPI_Allreduce(MPI_IN_PLACE, (char *)x + at * (int64_t)size,
                      (int)(n - at < most ? n - at : most), type, how, MPI_COMM_WORLD);
}

void cluster_sum(double *x, int64_t n)
{
    reduce(x, n, sizeof *x, MPI_DOUBLE, MPI_SUM);
}

void cluster_count(int64_t *x, int64_t n)
{
    reduce(x, n, sizeof *x, MPI_INT64_T, MPI_SUM);
}

void cluster_least(float *x, int64_t n)
{
    reduce(x, n, sizeof *x, MPI_FLOAT, MPI_MIN);
}

void cluster_most(float *x, int64_t n)
{
    reduce(x, n, sizeof *x, MPI_FLOAT, MPI_MAX);
}

int64_t cluster_before(int64_t mine)
{
    int64_t before = 0;

    if (here.size > 1)
        MPI_Exscan(&mine, &before, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    return here.rank ? before : 0; /* MPI leaves rank 0's alone */
}

/* Data of any size, in pieces, from one rank to all. */
static void tell(void *data, size_t size, int from)
{
    for (size_t at = 0; at < size; at += AT_ONCE)
        MPI_Bcast((char *)data + at, (int)(size - at < AT_ONCE ? size - at : AT_ONCE), MPI_BYTE,
                  from, MPI_COMM_WORLD);
}

/* Everybody's number, on everybody: each [size] allocated by the caller. */
static void tell_numbers(uint64_t mine, uint64_t *each)
{
    MPI_Allgather(&mine, 1, MPI_UINT64_T, each, 1, MPI_UINT64_T, MPI_COMM_WORLD);
}

/* Every rank's bytes, sizes[rank] of them, at their places of `all`: in one go where counts of MPI
 * suffice. */
static void place(char *all, const uint64_t *at, const uint64_t *sizes)
{
    int count[here.size], offset[here.size];
    bool fits = true;

    for (int r = 0; r < here.size; r++) {
        fits &= at[r] + sizes[r] < INT_MAX;
        count[r] = (int)(fits ? sizes[r] : 0);
        offset[r] = (int)(fits ? at[r] : 0);
    }
    if (fits)
        MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_BYTE, all, count, offset, MPI_BYTE, MPI_COMM_WORLD);
    for (int r = 0; r < here.size && !fits; r++)
        tell(all + at[r], sizes[r], r);
}

void cluster_gather(const void *mine, size_t size, void *all)
{
    uint64_t sizes[here.size], at[here.size], sum = 0;

    sizes[0] = size;
    if (here.size > 1)
        tell_numbers(size, sizes);
    for (int r = 0; r < here.size; r++) {
        at[r] = sum;
        sum += sizes[r];
    }
    memmove((char *)all + at[here.rank], mine, size);
    if (here.size > 1)
        place(all, at, sizes);
}

void cluster_place(void *all, size_t size, int64_t first, int64_t count)
{
    uint64_t sizes[here.size], at[here.size];

    if (here.size == 1)
        return;
    tell_numbers((uint64_t)count * size, sizes);
    tell_numbers((uint64_t)first * size, at);
    place(all, at, sizes);
}

void cluster_tell(void *data, size_t size)
{
    if (here.size > 1)
        tell(data, size, 0);
}

bool cluster_alike(const void *mine, size_t size)
{
    char first[size];
    float differs;

    memcpy(first, mine, size);
    cluster_tell(first, size);
    differs = memcmp(first, mine, size) ? 1 : 0;
    cluster_most(&differs, 1);
    return differs == 0;
}

/* ---------------------------------------------------------------- one by one --------------- */

int64_t cluster_next(void)
{
    static const int64_t one = 1;
    int64_t number;

    if (!here.begun)
        return atomic_fetch_add(&here.next, 1);
    pthread_mutex_lock(&here.mutex);
    MPI_Fetch_and_op(&one, &number, MPI_INT64_T, 0, 0, MPI_SUM, here.counter);
    MPI_Win_flush(0, here.counter);
    pthread_mutex_unlock(&here.mutex);
    return number;
}

void cluster_meet(void)
{
    static const int64_t zero;
    int64_t before;

    atomic_store(&here.next, 0);
    if (!here.begun)
        return;
    MPI_Barrier(MPI_COMM_WORLD);
    if (!here.rank) {
        MPI_Fetch_and_op(&zero, &before, MPI_INT64_T, 0, 0, MPI_REPLACE, here.counter);
        MPI_Win_flush(0, here.counter);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}
