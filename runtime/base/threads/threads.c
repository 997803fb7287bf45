/* SPDX-License-Identifier: MIT */
/* threads.c - pools: one generation of work after another.
 *
 * Nobody waits for a thread that the system has not put on a core. A ticket says that there is
 * work; a part of it belongs to whoever takes it first, its worker or, once its own part is done,
 * the caller. Where parts meet inside the job, those workers take part that answer a roll call.
 * What remains is a worker that is taken off its core inside a part, or that takes longer to wake
 * than its part does: a caller that lost more time than sharing saved works alone for a while,
 * longer each time. */
#include "runtime/base/threads/threads.h"

#include <linux/futex.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/options.h"

/* A ticket: generation << TICKET_BITS | TOGETHER or not | parts. */
enum { PARTS = (1 << 9) - 1, TOGETHER = 1 << 9, TICKET_BITS = 10 };

/* Seconds. */
static const double LOOK = 200e-6;     /* for work before sleeping */
static const double ROLL_CALL = 20e-6; /* for a worker to answer */
static const double LATE = 100e-6;     /* waiting that is no sign of a crowd */
static const double ALONE_FIRST = 0.02, ALONE_MOST = 30;

enum { JUDGED = 16 }; /* jobs: some steps of a small model */

typedef struct {
    deer_pool *pool;
    int part;
    pthread_t thread;
    _Atomic uint64_t taken; /* the last ticket of which somebody took this part */
    int rank;               /* the part among those that answered a roll call */
    char apart[24];         /* from the next one, in the cache */
} seat;

/* Whether sharing pays; touched by the owner only. */
typedef struct {
    double until;       /* when the calling thread no longer works alone */
    double pause;       /* how long it did the last time */
    double worth;       /* a job that takes so many seconds is shared all the same */
    bool paid;          /* sharing has since */
    double saved, lost; /* by the last jobs, seconds */
    int jobs;           /* that many */
} balance;

struct deer_pool {
    atomic_int count;        /* parts that may run at once; 0: not counted yet */
    atomic_bool busy;        /* owned by a caller */
    int workers;             /* threads started; touched by the owner only */
    _Atomic uint64_t ticket; /* what there is to do */
    atomic_int core;         /* where the owner was when it said so */
    _Atomic uint64_t roll;   /* the ticket whose roll call is over, with the parts that came */
    atomic_int pending;      /* parts that are not finished */
    atomic_int asleep;       /* threads that wait for a change of ticket or pending */
    atomic_bool ending;      /* workers return */
    threads_job *job;
    void *context;
    balance balance;
    double met;        /* seconds that the owner has waited in meetings of this job */
    atomic_bool stuck; /* its threads cannot be moved */
    bool pinned;       /* part i to the i-th of these: */
    cpu_set_t cores;
    atomic_int arrived;   /* parts that wait in threads_meet */
    atomic_uint meetings; /* that have ended */
    deer_pool *next;      /* of all that a child made by fork must forget */
    seat seats[THREADS_MOST];
};

static deer_pool own; /* the library's */
static _Thread_local deer_pool *entered;
static _Thread_local bool is_worker;

static struct {
    pthread_mutex_t lock;
    deer_pool *first;
} pools = {PTHREAD_MUTEX_INITIALIZER, NULL};

static deer_pool *here(void)
{
    return entered ? entered : &own;
}

deer_pool *threads_enter(deer_pool *pool)
{
    deer_pool *before = entered;

    if (pool)
        entered = pool;
    return before;
}

void threads_leave(deer_pool *before)
{
    entered = before;
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/* Sleeps while *word is `value`. Who changes the word looks at `asleep` afterwards; both orders are
 * sequentially consistent, so that one of the two sees the other. */
static void sleep_on(deer_pool *pool, void *word, unsigned value)
{
    atomic_fetch_add(&pool->asleep, 1);
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
    atomic_fetch_sub(&pool->asleep, 1);
}

static void wake(deer_pool *pool, void *word)
{
    if (atomic_load(&pool->asleep))
        syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, THREADS_MOST, NULL, NULL, 0);
}

/* The half of a ticket that changes with every one, as a word to sleep on. */
static void *changing_half(deer_pool *pool)
{
    return (uint32_t *)(void *)&pool->ticket + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

typedef struct {
    int turns;
    double end;
} patience;

/* Passes a moment; false once so many seconds are over. */
static bool patient(patience *p, double seconds)
{
    enum { TURNS = 64 }; /* between looks at the clock: a microsecond or two */
    double now;

    relax();
    if (++p->turns % TURNS)
        return true;
    now = clock_seconds();
    if (p->turns == TURNS)
        p->end = now + seconds;
    return now < p->end;
}

/* Moves the calling thread off a core. It may run on all others as before: as wide a mask as there
 * is follows the process when it is given other cores, one like the old mask would not; and what
 * somebody else has set meanwhile stays. Returns whether threads can be moved here. */
static bool leave_core(int core)
{
    cpu_set_t before, others, now, any;

    if (sched_getaffinity(0, sizeof before, &before))
        return false;
    others = before;
    CPU_CLR(core, &others);
    if (!CPU_COUNT(&others))
        return true;
    if (sched_setaffinity(0, sizeof others, &others))
        return false;
    if (sched_getaffinity(0, sizeof now, &now) || !CPU_EQUAL(&now, &others))
        return true;
    memset(&any, 0xff, sizeof any);
    sched_setaffinity(0, sizeof any, &any);
    if (sched_getaffinity(0, sizeof now, &now) || !CPU_EQUAL(&now, &before))
        sched_setaffinity(0, sizeof before, &before);
    return true;
}

/* A worker that is woken on the core of the one who woke it keeps that one from going on, and does
 * so every time: where cores share no cache that the system knows of, as in many virtual machines,
 * a thread wakes where it slept. So it moves. */
static void make_room(deer_pool *pool)
{
    int core = sched_getcpu();

    if (core >= 0 && core == atomic_load(&pool->core) && !pool->pinned &&
        !atomic_load(&pool->stuck) && !leave_core(core))
        atomic_store(&pool->stuck, true);
}

static uint64_t next_ticket(deer_pool *pool, uint64_t seen)
{
    for (;;) {
        patience p = {0};

        do {
            uint64_t now = atomic_load_explicit(&pool->ticket, memory_order_acquire);
            if (now != seen)
                return now;
        } while (patient(&p, LOOK));
        sleep_on(pool, changing_half(pool), (unsigned)seen);
        make_room(pool);
    }
}

/* Whether the caller is the one that does this part. A ticket that is over has been taken. */
static bool take(seat *s, uint64_t ticket)
{
    uint64_t before = atomic_load(&s->taken);

    return before < ticket && atomic_compare_exchange_strong(&s->taken, &before, ticket);
}

static void finish_part(deer_pool *pool)
{
    if (atomic_fetch_sub(&pool->pending, 1) == 1)
        wake(pool, &pool->pending);
}

/* Binds the calling thread; parts beyond the cores begin again with the first. A core that cannot
 * be had any more leaves the thread where it is. */
static void pin(const deer_pool *pool, int part)
{
    int count = CPU_COUNT(&pool->cores), core = 0;
    cpu_set_t one;

    CPU_ZERO(&one);
    for (int left = part % count;; core++)
        if (CPU_ISSET(core, &pool->cores) && left-- == 0)
            break;
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof one, &one);
}

static uint64_t roll_called(deer_pool *pool, uint64_t ticket)
{
    uint64_t roll;

    while ((roll = atomic_load_explicit(&pool->roll, memory_order_acquire)) >> TICKET_BITS !=
           ticket >> TICKET_BITS)
        relax();
    return roll;
}

/* Part numbers of workers begin at 1. The ticket says how many parts it has, so that a worker that
 * has none never looks at a job that may be over. */
static void *work(void *argument)
{
    seat *mine = argument;
    deer_pool *pool = mine->pool;
    uint64_t ticket = 0;

    entered = pool;
    is_worker = true;
    if (pool->pinned)
        pin(pool, mine->part);
    for (;;) {
        ticket = next_ticket(pool, ticket);
        if (atomic_load(&pool->ending))
            return NULL;
        if (mine->part >= (int)(ticket & PARTS) || !take(mine, ticket))
            continue;
        if (ticket & TOGETHER) {
            int parts = (int)(roll_called(pool, ticket) & PARTS);
            pool->job(pool->context, mine->rank, parts);
        } else {
            pool->job(pool->context, mine->part, (int)(ticket & PARTS));
        }
        finish_part(pool);
    }
}

/* ---------------------------------------------------------------- forks -------------------- */

static void forget(deer_pool *pool)
{
    if (pool->pinned)
        sched_setaffinity(0, sizeof pool->cores, &pool->cores);
    pool->pinned = false;
    pool->workers = 0;
    atomic_store(&pool->ticket, 0);
    atomic_store(&pool->roll, 0);
    for (int i = 0; i < THREADS_MOST; i++)
        atomic_store(&pool->seats[i].taken, 0);
    atomic_store(&pool->pending, 0);
    atomic_store(&pool->asleep, 0);
    atomic_store(&pool->arrived, 0);
    atomic_store(&pool->busy, false);
}

static void before_fork(void)
{
    pthread_mutex_lock(&pools.lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&pools.lock);
}

static void forget_in_child(void)
{
    for (deer_pool *p = pools.first; p; p = p->next)
        forget(p);
    after_fork();
}

static void register_fork(void)
{
    pthread_atfork(before_fork, after_fork, forget_in_child);
}

/* Before the pool has threads or pins one. */
static void watch_forks(deer_pool *pool)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    deer_pool *p;

    pthread_once(&once, register_fork);
    pthread_mutex_lock(&pools.lock);
    for (p = pools.first; p && p != pool; p = p->next)
        continue;
    if (!p) {
        pool->next = pools.first;
        pools.first = pool;
    }
    pthread_mutex_unlock(&pools.lock);
}

static void unwatch_forks(deer_pool *pool)
{
    pthread_mutex_lock(&pools.lock);
    for (deer_pool **p = &pools.first; *p; p = &(*p)->next)
        if (*p == pool) {
            *p = pool->next;
            break;
        }
    pthread_mutex_unlock(&pools.lock);
}

/* ---------------------------------------------------------------- life --------------------- */

bool threads_spawn(pthread_t *thread, void *(*run)(void *context), void *context)
{
    static const int caused[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
                                 SIGTRAP, SIGABRT, SIGSYS, SIGPROF};
    sigset_t others, before;
    bool started;

    sigfillset(&others);
    for (size_t i = 0; i < sizeof caused / sizeof *caused; i++)
        sigdelset(&others, caused[i]);
    pthread_sigmask(SIG_BLOCK, &others, &before);
    started = !pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static void start_workers(deer_pool *pool, int count)
{
    if (pool->workers >= count)
        return;
    watch_forks(pool);
    while (pool->workers < count) {
        seat *next = &pool->seats[pool->workers];
        next->pool = pool;
        next->part = pool->workers + 1;
        if (!threads_spawn(&next->thread, work, next))
            break;
        pool->workers++;
    }
}

static int at_most(int threads)
{
    return threads < THREADS_MOST ? threads : THREADS_MOST;
}

static int cores(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) ? 1 : at_most(CPU_COUNT(&set));
}

static int count_of(deer_pool *pool)
{
    int count = atomic_load_explicit(&pool->count, memory_order_relaxed);

    if (!count) {
        count = cores();
        atomic_store_explicit(&pool->count, count, memory_order_relaxed);
    }
    return count;
}

deer_pool *threads_single(void)
{
    static deer_pool single = {.count = 1};

    return &single;
}

int threads_count(void)
{
    return count_of(here());
}

/* The calling thread becomes part 0. */
static void pin_pool(deer_pool *pool)
{
    if (sched_getaffinity(0, sizeof pool->cores, &pool->cores))
        return;
    watch_forks(pool);
    pool->pinned = true;
    pin(pool, 0);
}

deer_status deer_pool_new(const deer_pool_options *options, deer_pool **out, deer_error *err)
{
    deer_pool_options o;
    deer_pool *pool;

    if (!out)
        return deer_fail_with(DEER_USAGE, err, "deer_pool_new has nowhere to put the pool");
    *out = NULL;
    if (options_read("deer_pool_options", &o, sizeof o, options, err))
        return DEER_USAGE;
    if (o.threads < 0 || o.threads > THREADS_MOST || o.pin > 1)
        return deer_fail_with(DEER_USAGE, err, "a pool of %d threads (0 to %d), pin %u (0 or 1)",
                              o.threads, THREADS_MOST, o.pin);
    pool = calloc(1, sizeof *pool);
    if (!pool)
        return deer_fail(err, "out of memory for a pool of threads");
    atomic_store(&pool->count, o.threads ? o.threads : cores());
    if (o.pin)
        pin_pool(pool);
    *out = pool;
    return DEER_OK;
}

void deer_pool_free(deer_pool *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->ending, true);
    atomic_fetch_add(&pool->ticket, 1u << TICKET_BITS);
    wake(pool, changing_half(pool));
    for (int i = 0; i < pool->workers; i++)
        pthread_join(pool->seats[i].thread, NULL);
    unwatch_forks(pool);
    if (pool->pinned)
        sched_setaffinity(0, sizeof pool->cores, &pool->cores);
    if (entered == pool)
        entered = NULL;
    free(pool);
}

int32_t deer_pool_threads(const deer_pool *pool)
{
    return pool ? atomic_load_explicit(&pool->count, memory_order_relaxed) : count_of(&own);
}

/* ---------------------------------------------------------------- jobs --------------------- */

static void wait_for_workers(deer_pool *pool)
{
    for (;;) {
        patience p = {0};
        int left;

        do {
            left = atomic_load_explicit(&pool->pending, memory_order_acquire);
            if (!left)
                return;
        } while (patient(&p, LOOK));
        sleep_on(pool, &pool->pending, (unsigned)left);
    }
}

static void await_meeting(deer_pool *pool, unsigned before)
{
    patience p = {0};

    while (atomic_load(&pool->meetings) == before)
        if (!patient(&p, LOOK))
            sched_yield();
}

void threads_meet(int parts)
{
    deer_pool *pool = here();
    unsigned before = atomic_load(&pool->meetings);
    double began;

    if (parts < 2)
        return;
    if (atomic_fetch_add(&pool->arrived, 1) + 1 == parts) {
        atomic_store(&pool->arrived, 0);
        atomic_fetch_add(&pool->meetings, 1);
        return;
    }
    began = clock_seconds();
    await_meeting(pool, before);
    if (!is_worker)
        pool->met += clock_seconds() - began;
}

/* Alone for twice as long as the last time, unless sharing has paid and that is long over. */
static void go_alone(balance *b, double now, double worth)
{
    double pause = now - b->until < 8 * b->pause || !b->paid ? 2 * b->pause : 0;

    if (pause < ALONE_FIRST)
        pause = ALONE_FIRST;
    if (pause > ALONE_MOST)
        pause = ALONE_MOST;
    *b = (balance){.until = now + pause, .pause = pause, .worth = worth};
}

/* What sharing a job took, seconds. */
typedef struct {
    double called; /* until the own part began: waking others, a roll call */
    double part;   /* the own part, without meetings with others, */
    double met;    /* what it waited for them */
    double waited; /* for others behind it */
    int others;    /* parts that others did */
} sharing;

/* At once where cores are crowded, else by some jobs together: their losses do not matter to a job
 * that takes longer than all of them. */
static void judge(balance *b, const sharing *s, double now)
{
    double saved = s->part * s->others;

    b->saved += saved;
    b->lost += s->called + s->met + s->waited;
    b->jobs++;
    if (s->waited > saved + LATE)
        go_alone(b, now, INFINITY);
    else if (b->jobs == JUDGED && b->saved <= b->lost)
        go_alone(b, now, b->lost);
    else if (b->jobs == JUDGED)
        *b = (balance){.until = b->until, .pause = b->pause, .paid = true};
}

static uint64_t post(deer_pool *pool, threads_job *job, void *context, int parts, bool together)
{
    uint64_t generation =
        (atomic_load_explicit(&pool->ticket, memory_order_relaxed) >> TICKET_BITS) + 1;
    uint64_t ticket = generation << TICKET_BITS | (together ? TOGETHER : 0) | (unsigned)parts;

    pool->job = job;
    pool->context = context;
    atomic_store_explicit(&pool->core, sched_getcpu(), memory_order_relaxed);
    atomic_store_explicit(&pool->pending, parts - 1, memory_order_relaxed);
    atomic_store(&pool->ticket, ticket);
    wake(pool, changing_half(pool));
    return ticket;
}

/* Gives ranks to the workers that come in time, and the places of the others away. How many parts
 * that makes. */
static int call_roll(deer_pool *pool, uint64_t ticket, int parts)
{
    int present = 1;
    patience p = {0};

    for (int part = 1; part < parts; part++) {
        seat *s = &pool->seats[part - 1];
        while (atomic_load(&s->taken) != ticket && patient(&p, ROLL_CALL))
            continue;
        if (take(s, ticket))
            atomic_fetch_sub(&pool->pending, 1);
        else
            s->rank = present++;
    }
    atomic_store(&pool->roll, (ticket & ~(uint64_t)PARTS) | (unsigned)present);
    return present;
}

static void share(deer_pool *pool, threads_job *job, void *context, int parts, bool together)
{
    double start = clock_seconds(), began, ended, now;
    uint64_t ticket = post(pool, job, context, parts, together);
    sharing s = {0};

    if (together)
        parts = call_roll(pool, ticket, parts);
    began = clock_seconds();
    s.called = began - start;
    pool->met = 0;
    job(context, 0, parts);
    s.met = pool->met;
    s.part = clock_seconds() - began - s.met;
    for (int part = 1; part < parts; part++)
        if (take(&pool->seats[part - 1], ticket)) {
            job(context, part, parts);
            finish_part(pool);
        } else {
            s.others++;
        }
    ended = clock_seconds();
    wait_for_workers(pool);
    now = clock_seconds();
    s.waited = now - ended;
    judge(&pool->balance, &s, now);
}

/* While sharing does not pay. */
static void work_alone(deer_pool *pool, threads_job *job, void *context, double began)
{
    job(context, 0, 1);
    if (clock_seconds() - began > pool->balance.worth)
        pool->balance.until = 0;
}

static void run(threads_job *job, void *context, int limit, bool together)
{
    deer_pool *pool = here();
    int count = count_of(pool), parts = count < limit ? count : limit;
    double now;

    if (parts < 2 || atomic_exchange_explicit(&pool->busy, true, memory_order_acquire)) {
        job(context, 0, 1);
        return;
    }
    start_workers(pool, parts - 1);
    if (parts > pool->workers + 1)
        parts = pool->workers + 1;
    if (parts < 2)
        job(context, 0, 1);
    else if (pool->balance.until > 0 && (now = clock_seconds()) < pool->balance.until)
        work_alone(pool, job, context, now);
    else
        share(pool, job, context, parts, together);
    atomic_store_explicit(&pool->busy, false, memory_order_release);
}

void threads_run(threads_job *job, void *context, int limit)
{
    run(job, context, limit, false);
}

void threads_run_together(threads_job *job, void *context, int limit)
{
    run(job, context, limit, true);
}

static void nothing(void *context, int part, int parts)
{
    (void)context;
    (void)part;
    (void)parts;
}

void threads_start(void)
{
    threads_run(nothing, NULL, threads_count());
}
