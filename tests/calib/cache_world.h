/* SPDX-License-Identifier: MIT */
/* cache_world.h - a small world with the cache of an undisturbed replay, for tests of the cache.
 * The program that includes it is linked with --wrap=demos_read. */
#ifndef TESTS_CALIB_CACHE_WORLD_H
#define TESTS_CALIB_CACHE_WORLD_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "calib/cache/cache.h"
#include "calib/replay/replay.h"
#include "datasets/hdf5/hdf5_io.h"
#include "tests/calib/calib_world.h"

enum { EPISODES = 20, PER_SHARD = 3, SHARDS = 7 };

static world w;
static char whole[128]; /* the cache of an undisturbed replay */
static deer_error err;

/* How often each episode was read, whoever asked for it. */
static atomic_int reads[EPISODES];

deer_status __real_demos_read(demos *d, int i, demo_episode *e, deer_error *why);
deer_status __wrap_demos_read(demos *d, int i, demo_episode *e, deer_error *why);
deer_status __wrap_demos_read(demos *d, int i, demo_episode *e, deer_error *why)
{
    reads[i]++;
    return __real_demos_read(d, i, e, why);
}

static inline void ok(deer_status status)
{
    if (status)
        fail_msg("%s", err.message);
}

static inline const char *inside(const char *name)
{
    static char path[4][160];
    static int next;

    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", w.folder, name);
    return path[next];
}

/* Part `part` of `parts`; 0 of 0: all. */
static inline deer_status replay_part(const char *dir, int part, int parts, int threads,
                                      replay_report *report)
{
    replay_spec spec = {.model = w.model,
                        .demos = (const char *const[]){w.demos},
                        .files = 1,
                        .cache = dir,
                        .threads = threads,
                        .batch = 3,
                        .per_shard = PER_SHARD,
                        .part = part,
                        .parts = parts};

    return replay(&spec, report, &err);
}

static inline deer_status replay_into(const char *dir, int threads, replay_report *report)
{
    return replay_part(dir, 0, 0, threads, report);
}

static inline int cache_world_make(void **state)
{
    replay_report report;

    (void)state;
    hdf5_quiet();
    world_make(&w, "tests/data/golden_c", EPISODES);
    snprintf(whole, sizeof whole, "%s", inside("whole"));
    ok(replay_into(whole, 1, &report));
    assert_int_equal(report.shards, SHARDS);
    return 0;
}

static inline int cache_world_remove(void **state)
{
    (void)state;
    world_remove(&w);
    return 0;
}

/* ---------------------------------------------------------------- comparing ---------------- */

/* Every dataset of the two caches holds the same bytes; read as another program would, through the
 * virtual file. */
static inline void assert_same_dataset(hid_t a, hid_t b, const char *name)
{
    hid_t da = H5Dopen2(a, name, H5P_DEFAULT), db = H5Dopen2(b, name, H5P_DEFAULT);
    hid_t type = H5Dget_type(da), space = H5Dget_space(da), other = H5Dget_space(db);
    size_t bytes = H5Tget_size(type) * (size_t)H5Sget_simple_extent_npoints(space);
    uint8_t *x = malloc(bytes), *y = malloc(bytes);

    assert_true(H5Sextent_equal(space, other) > 0);
    assert_true(H5Dread(da, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    assert_true(H5Dread(db, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, y) >= 0);
    assert_memory_equal(x, y, bytes);
    free(x);
    free(y);
    H5Sclose(space);
    H5Sclose(other);
    H5Tclose(type);
    H5Dclose(da);
    H5Dclose(db);
}

static inline void assert_same_file(const char *dir, const char *name)
{
    char path[2][200], *bytes[2];
    size_t size[2];

    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof path[i], "%s/%s", i ? dir : whole, name);
        ok(file_read(path[i], 1 << 28, &bytes[i], &size[i], &err));
    }
    if (size[0] != size[1] || memcmp(bytes[0], bytes[1], size[0]))
        fail_msg("%s is not %s", path[1], path[0]);
    free(bytes[0]);
    free(bytes[1]);
}

static inline void assert_same_files(const char *dir)
{
    char name[32];

    assert_same_file(dir, "manifest.json");
    assert_same_file(dir, "cache.h5");
    for (int s = 0; s < SHARDS; s++) {
        snprintf(name, sizeof name, "shard-%05d.h5", s);
        assert_same_file(dir, name);
    }
}

static inline void assert_same_cache(const char *dir)
{
    static const char *const names[] = {
        "features",        "action",         "delta",        "demonstration", "episode",
        "episode_steps",   "episode_tokens", "episode_name", "episode_task",  "episode_instruction",
        "episode_identity"};
    char path[2][200];
    hid_t file[2];

    assert_same_files(dir);
    snprintf(path[0], sizeof path[0], "%s/cache.h5", whole);
    snprintf(path[1], sizeof path[1], "%s/cache.h5", dir);
    for (int i = 0; i < 2; i++) {
        file[i] = H5Fopen(path[i], H5F_ACC_RDONLY, H5P_DEFAULT);
        assert_true(file[i] >= 0);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_same_dataset(file[0], file[1], names[i]);
    H5Fclose(file[0]);
    H5Fclose(file[1]);
}

/* Nothing but the cache's own files: no temporary ones. */
static inline void assert_tidy(const char *dir)
{
    DIR *folder = opendir(dir);
    struct dirent *entry;

    assert_non_null(folder);
    while ((entry = readdir(folder)))
        assert_null(strstr(entry->d_name, ".tmp-"));
    closedir(folder);
}

/* ---------------------------------------------------------------- replaying ---------------- */

static inline void forget_reads(void)
{
    for (int e = 0; e < EPISODES; e++)
        reads[e] = 0;
}

/* Starts deer-calib replay as a process of its own. */
static inline pid_t start_replay(const char *dir)
{
    char program[512];
    pid_t child = fork();

    assert_true(child >= 0);
    if (child)
        return child;
    snprintf(program, sizeof program, "%s/deer-calib", getenv("BUILD") ? getenv("BUILD") : "build");
    if (!freopen("/dev/null", "w", stderr))
        _exit(126);
    execl(program, program, "replay", "--model", w.model, "--demos", w.demos, "--cache", dir,
          "--shard-episodes", "3", "--threads", "2", (char *)NULL);
    _exit(127);
}

static inline int end_of(pid_t child)
{
    int status;

    assert_true(waitpid(child, &status, 0) == child);
    return status;
}

static inline bool has_file(const char *dir, const char *name)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return !access(path, F_OK);
}

static inline void assert_refused(const char *dir, const char *says)
{
    replay_report report;

    assert_int_equal(replay_into(dir, 1, &report), DEER_FAILED);
    if (!strstr(err.message, says))
        fail_msg("'%s' does not say '%s'", err.message, says);
}

#endif
