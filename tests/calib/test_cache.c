/* SPDX-License-Identifier: MIT */
/* test_cache.c - the feature cache: killed, shared, damaged, on a full disk. */
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/calib/cache_world.h"

/* ---------------------------------------------------------------- reading ------------------ */

/* The virtual file shows what the shards hold, with its rows in the order of the episodes. */
static void test_view(void **state)
{
    cache *c;
    hid_t file = H5Fopen(inside("whole/cache.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    float *action;
    int32_t *episode;
    size_t n;

    (void)state;
    assert_true(file >= 0);
    ok(cache_open(whole, &c, &err));
    n = (size_t)c->steps * (size_t)(1 + c->exits) * CACHE_ACTION;
    action = malloc(n * sizeof *action);
    episode = malloc((size_t)c->steps * sizeof *episode);
    assert_true(hdf5_read(file, "cache.h5", "action", H5T_NATIVE_FLOAT, action, &err) != DEER_OK);
    hdf5_follow_links(); /* what it is made of lies in the same folder */
    ok(hdf5_read(file, "cache.h5", "action", H5T_NATIVE_FLOAT, action, &err));
    ok(hdf5_read(file, "cache.h5", "episode", H5T_NATIVE_INT32, episode, &err));
    assert_memory_equal(action, c->action, n * sizeof *action);
    for (int e = 0; e < EPISODES; e++)
        for (int i = 0; i < c->episode[e].steps; i++)
            assert_int_equal(episode[c->episode[e].first + i], e);
    free(action);
    free(episode);
    cache_close(c);
    H5Fclose(file);
}

/* Threads write the same cache as one alone, and a second replay has nothing to do. */
static void test_threads_and_repetition(void **state)
{
    replay_report report;

    (void)state;
    ok(replay_into(inside("threads"), 3, &report));
    assert_same_cache(inside("threads"));
    ok(replay_into(inside("threads"), 3, &report));
    assert_int_equal(report.replayed, 0);
    assert_int_equal(report.missing, 0);
    assert_tidy(inside("threads"));
}

/* ---------------------------------------------------------------- reading once ------------- */

/* Once those of the shards s with s % parts == part, or of all; the others not at all. */
static void assert_read_once(int part, int parts)
{
    for (int e = 0; e < EPISODES; e++)
        assert_int_equal(reads[e], !parts || e / PER_SHARD % parts == part);
    forget_reads();
}

/* To be replayed, or to be compared with the shard that is there. */
static void test_demonstrations_are_read_once(void **state)
{
    replay_report report;

    (void)state;
    forget_reads();
    ok(replay_into(inside("once"), 2, &report));
    assert_read_once(0, 0);
    ok(replay_into(inside("once"), 2, &report));
    assert_read_once(0, 0);
    ok(replay_part(inside("in-parts"), 0, 3, 2, &report));
    assert_read_once(0, 3);
    ok(replay_part(inside("in-parts"), 1, 3, 2, &report));
    assert_read_once(1, 3);
    ok(replay_part(inside("in-parts"), 2, 3, 2, &report)); /* who finishes it looks at all */
    assert_read_once(0, 0);
    assert_same_cache(inside("in-parts"));
}

/* A finished cache is of the recordings, as their own fingerprint names them. */
static void test_fingerprint(void **state)
{
    char fingerprint[DEER_FINGERPRINT];
    cache *c;
    demos *d;

    (void)state;
    ok(cache_open(whole, &c, &err));
    ok(demos_open(w.demos, &d, &err));
    ok(demos_fingerprint(d, fingerprint, &err));
    assert_string_equal(c->about.demos, fingerprint);
    demos_close(d);
    cache_close(c);
}

/* ---------------------------------------------------------------- kills -------------------- */

static void wait_ms(double ms)
{
    long seconds = (long)(ms / 1000);
    struct timespec t = {seconds, (long)((ms - 1000 * (double)seconds) * 1e6)};

    nanosleep(&t, NULL);
}

static double duration_of_replay(void)
{
    struct timespec a, b;

    clock_gettime(CLOCK_MONOTONIC, &a);
    assert_int_equal(end_of(start_replay(inside("timed"))), 0);
    clock_gettime(CLOCK_MONOTONIC, &b);
    return 1e3 * (double)(b.tv_sec - a.tv_sec) + 1e-6 * (double)(b.tv_nsec - a.tv_nsec);
}

/* Killed at moments spread over a whole replay, resumed and killed again, it ends as the same
 * cache. */
static void test_killed_replay_resumes(void **state)
{
    double duration = duration_of_replay();
    int killed = 0;

    (void)state;
    assert_same_cache(inside("timed"));
    for (int round = 0; round < 12; round++) {
        char dir[160];

        snprintf(dir, sizeof dir, "%s", inside("killed"));
        for (int kill_number = 0; kill_number < 3; kill_number++) {
            pid_t child = start_replay(dir);

            wait_ms(duration * (round + 1) / 13 * (kill_number + 2) / 4);
            kill(child, SIGKILL);
            if (WIFSIGNALED(end_of(child)))
                killed++;
            else
                duration *= 0.8; /* the one that was timed had more company */
        }
        assert_int_equal(end_of(start_replay(dir)), 0);
        assert_same_cache(dir);
        assert_tidy(dir);
        world_remove_folder(dir);
    }
    print_message("killed %d replays of about %.0f ms\n", killed, duration);
    assert_true(killed > 12);
}

/* Interrupted with some shards there, and gone on with: the same bytes. */
static void test_resumed_replay_is_the_same(void **state)
{
    replay_report report;

    (void)state;
    ok(replay_part(inside("resumed"), 1, 2, 1, &report));
    assert_int_equal(report.missing, 4);
    ok(replay_into(inside("resumed"), 2, &report));
    assert_true(report.replayed > 0 && report.replayed < report.steps);
    assert_same_cache(inside("resumed"));
    assert_tidy(inside("resumed"));
}

/* Parts of a cache, one after the other: it opens when the last one is there. */
static void test_unfinished_cache_says_so(void **state)
{
    replay_spec spec = {.model = w.model,
                        .demos = (const char *const[]){w.demos},
                        .files = 1,
                        .cache = inside("part"),
                        .threads = 1,
                        .batch = 3,
                        .per_shard = PER_SHARD,
                        .part = 1,
                        .parts = 3};
    replay_report report;
    cache *c;

    (void)state;
    ok(replay(&spec, &report, &err));
    assert_int_equal(report.missing, 5);
    assert_int_equal(cache_open(spec.cache, &c, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "5 of 7 shards are missing"));
    spec.part = 0;
    ok(replay(&spec, &report, &err));
    spec.part = 2;
    ok(replay(&spec, &report, &err));
    assert_int_equal(report.missing, 0);
    assert_same_cache(inside("part"));
    ok(cache_open(spec.cache, &c, &err));
    assert_int_equal(unlink(inside("part/shard-00004.h5")), 0);
    ok(cache_load_features(c, 0, 4, &err));
    assert_int_equal(cache_load_features(c, 4, 1, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "shard 4"));
    cache_close(c);
}

/* Several processes on one cache, at once. */
static void test_processes_share_the_work(void **state)
{
    pid_t child[4];
    char dir[160];

    (void)state;
    snprintf(dir, sizeof dir, "%s", inside("shared"));
    for (int i = 0; i < 4; i++)
        child[i] = start_replay(dir);
    for (int i = 0; i < 4; i++)
        assert_int_equal(end_of(child[i]), 0);
    assert_same_cache(dir);
    assert_tidy(dir);
}

static void leave_file(const char *dir, const char *name)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    ok(file_write(path, "", 0, &err));
}

/* What a killed writer left is swept from the folder of exactly that name, and nothing else. */
static void test_sweep(void **state)
{
    static const char *const mine[] = {"manifest.json.tmp-7", "cache.h5.tmp-7",
                                       "shard-00001.h5.tmp-7"};
    char dir[160], other[160];

    (void)state;
    snprintf(dir, sizeof dir, "%s", inside("c[12]"));
    snprintf(other, sizeof other, "%s", inside("c1"));
    assert_int_equal(mkdir(dir, 0777) | mkdir(other, 0777), 0);
    for (int i = 0; i < 3; i++) {
        leave_file(dir, mine[i]);
        leave_file(other, mine[i]);
    }
    leave_file(dir, "shard-00001.h5");
    cache_sweep(dir, -1);
    assert_false(has_file(dir, mine[0]) || has_file(dir, mine[1]));
    assert_true(has_file(dir, mine[2]));
    cache_sweep(dir, 1);
    assert_false(has_file(dir, mine[2]));
    assert_true(has_file(dir, "shard-00001.h5"));
    for (int i = 0; i < 3; i++)
        assert_true(has_file(other, mine[i]));
}

/* ---------------------------------------------------------------- damage ------------------- */

enum { WHOLE, REFUSED, WRONG };

/* Opens the cache with all features: as good, or refused in one line, or wrong data came through.
 */
static int judge_damaged(const char *dir, const cache *good)
{
    cache *c;
    int verdict = WHOLE;

    if (cache_open(dir, &c, &err))
        return strchr(err.message, '\n') || !err.message[0] ? WRONG : REFUSED;
    if (cache_load_features(c, 0, c->about.shards, &err))
        verdict = strchr(err.message, '\n') || !err.message[0] ? WRONG : REFUSED;
    else if (memcmp(c->action, good->action,
                    (size_t)c->steps * (size_t)(1 + c->exits) * CACHE_ACTION * sizeof(float)))
        verdict = WRONG;
    for (int e = 0; e < EPISODES && verdict == WHOLE; e++)
        if (memcmp(cache_features(c, e, 0), cache_features(good, e, 0),
                   (size_t)c->episode[e].steps * (size_t)(1 + c->exits) * (size_t)c->width * 2))
            verdict = WRONG;
    cache_close(c);
    return verdict;
}

/* Flipped bytes anywhere in a shard: refused, or harmless; never wrong data, never a crash. */
static void test_flipped_bytes(void **state)
{
    replay_report report;
    char dir[160], path[200], *bytes;
    size_t size;
    uint64_t random = 77;
    int refused = 0, harmless = 0;
    cache *good;

    (void)state;
    snprintf(dir, sizeof dir, "%s", inside("flipped"));
    ok(replay_into(dir, 1, &report));
    ok(cache_open(whole, &good, &err));
    ok(cache_load_features(good, 0, SHARDS, &err));
    snprintf(path, sizeof path, "%s/shard-00003.h5", dir);
    ok(file_read(path, 1 << 28, &bytes, &size, &err));
    for (int i = 0; i < 150; i++) {
        size_t at = (size_t)(world_random(&random) * size >> 31);
        int verdict;

        bytes[at] = (char)(bytes[at] ^ (1 << i % 8));
        ok(file_write(path, bytes, size, &err));
        verdict = judge_damaged(dir, good);
        if (verdict == WRONG)
            fail_msg("byte %zu of %zu flipped: wrong data, or '%s'", at, size, err.message);
        refused += verdict == REFUSED;
        harmless += verdict == WHOLE;
        bytes[at] = (char)(bytes[at] ^ (1 << i % 8));
    }
    print_message("of 150 flips %d were refused, %d hit nothing that is used\n", refused, harmless);
    assert_true(refused > 75);
    for (size_t part = 0; part < 8; part++) {
        ok(file_write(path, bytes, size * part / 8, &err));
        assert_int_equal(judge_damaged(dir, good), REFUSED);
    }
    cache_close(good);
    free(bytes);
}

/* Numbers that another program wrote into a shard, whole to HDF5, are not those that were cached.
 */
static void test_changed_numbers(void **state)
{
    replay_report report;
    hid_t file, dataset, space;
    float *action;
    cache *c;

    (void)state;
    ok(replay_into(inside("edited"), 1, &report));
    file = H5Fopen(inside("edited/shard-00001.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
    dataset = H5Dopen2(file, "action", H5P_DEFAULT);
    space = H5Dget_space(dataset);
    action = malloc((size_t)H5Sget_simple_extent_npoints(space) * sizeof *action);
    H5Sclose(space);
    assert_true(H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, action) >= 0);
    action[3] += 0.125f;
    assert_true(H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, action) >= 0);
    assert_true(H5Dclose(dataset) >= 0 && H5Fclose(file) >= 0);
    free(action);
    assert_int_equal(cache_open(inside("edited"), &c, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "dataset action is damaged"));
}

/* A damaged shard is named; deleting it and replaying again mends the cache. */
static void test_damaged_shard_is_mended(void **state)
{
    replay_report report;
    cache *c;
    char path[200];

    (void)state;
    snprintf(path, sizeof path, "%s", inside("mended/shard-00004.h5"));
    ok(replay_into(inside("mended"), 1, &report));
    ok(file_write(path, "no shard", 8, &err));
    assert_int_equal(cache_open(inside("mended"), &c, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "shard-00004.h5"));
    assert_refused(inside("mended"), "delete it and replay again");
    assert_int_equal(unlink(path), 0);
    ok(replay_into(inside("mended"), 1, &report));
    assert_true(report.replayed > 0 && report.replayed < report.steps);
    assert_same_cache(inside("mended"));
}

static void write_manifest(const char *text)
{
    ok(file_write(inside("broken/manifest.json"), text, strlen(text), &err));
}

static void test_damaged_manifest(void **state)
{
    static const char *const wrong[] = {
        "",
        "{",
        "[]",
        "{\"deer_cache\": 1}",
        "{\"deer_cache\": 3, \"model\": \"x\"}",
        "{\"deer_cache\": 3, \"model\": \"00000000000000000000000000000000\", \"demos\": "
        "3, \"episodes_per_shard\": 3, \"episode_steps\": [4]}",
        "{\"deer_cache\": 3, \"model\": \"00000000000000000000000000000000\", \"demos\": "
        "\"00000000000000000000000000000000\", \"episodes_per_shard\": 3, \"episode_steps\": [-1]}",
        "{\"deer_cache\": 3, \"model\": \"00000000000000000000000000000000\", \"demos\": "
        "\"00000000000000000000000000000000\", \"episodes_per_shard\": 3, \"episode_steps\": [4]}"};
    cache *c;

    (void)state;
    assert_int_equal(mkdir(inside("broken"), 0777), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        write_manifest(wrong[i]);
        assert_int_equal(cache_open(inside("broken"), &c, &err), DEER_FAILED);
        assert_non_null(strstr(err.message, "manifest.json"));
        assert_null(strchr(err.message, '\n'));
    }
}

/* What an earlier program wrote is not read and not filled up. */
static void test_other_format(void **state)
{
    char path[200], *text, *format;
    replay_report report;
    size_t size;
    cache *c;

    (void)state;
    ok(replay_into(inside("older"), 1, &report));
    snprintf(path, sizeof path, "%s", inside("older/manifest.json"));
    ok(file_read(path, 1 << 20, &text, &size, &err));
    format = strstr(text, "\"deer_cache\": 3");
    assert_non_null(format);
    format[strlen("\"deer_cache\": ")] = '2';
    ok(file_write(path, text, size, &err));
    free(text);
    assert_int_equal(cache_open(inside("older"), &c, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "is of cache format 2, not 3"));
    assert_refused(inside("older"), "delete the cache and replay again");
}

/* ---------------------------------------------------------------- full disk ---------------- */

/* With room for less than a shard, replay fails in one line and leaves no half-written shard. */
static void test_full_disk(void **state)
{
    (void)state;
    for (rlim_t room = 512; room <= 40000; room *= 3) {
        char dir[160];
        pid_t child;
        int status;

        snprintf(dir, sizeof dir, "%s", inside("full"));
        child = fork();
        if (!child) {
            struct rlimit limit = {room, room};
            replay_report report;

            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &limit);
            status = replay_into(dir, 2, &report);
            _exit(status && !strchr(err.message, '\n') ? 11 : 12);
        }
        assert_true(waitpid(child, &status, 0) == child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 11);
        assert_tidy(dir);
        {
            replay_report report;
            ok(replay_into(dir, 2, &report)); /* with room again it goes on */
        }
        assert_same_cache(dir);
        world_remove_folder(dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view),
        cmocka_unit_test(test_threads_and_repetition),
        cmocka_unit_test(test_demonstrations_are_read_once),
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_killed_replay_resumes),
        cmocka_unit_test(test_resumed_replay_is_the_same),
        cmocka_unit_test(test_unfinished_cache_says_so),
        cmocka_unit_test(test_processes_share_the_work),
        cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_flipped_bytes),
        cmocka_unit_test(test_changed_numbers),
        cmocka_unit_test(test_damaged_shard_is_mended),
        cmocka_unit_test(test_damaged_manifest),
        cmocka_unit_test(test_other_format),
        cmocka_unit_test(test_full_disk),
    };

    return cmocka_run_group_tests(tests, cache_world_make, cache_world_remove);
}
