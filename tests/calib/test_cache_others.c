/* SPDX-License-Identifier: MIT */
/* test_cache_others.c - a feature cache and what is not its own: recordings, models, sums, shards.
 */
#include "runtime/kernels/isa.h"
#include "tests/calib/cache_world.h"

static void test_other_model_or_demos(void **state)
{
    world other = w;

    (void)state;
    snprintf(w.model, sizeof w.model, "%s/other-model", w.folder);
    ok(official_import_folder("tests/data/golden_c", w.model, &err));
    world_edit_model(w.model, "other");
    assert_refused(whole, "is of another model");
    w = other;
    snprintf(w.demos, sizeof w.demos, "%s/other.h5", w.folder);
    world_write_demos(w.demos, EPISODES, 2);
    assert_refused(whole, "is of other demonstrations");
    w = other;
}

/* From here on w's recordings are others, of the same names, tasks, instructions and lengths: a
 * pixel of one episode is. */
static void change_pixel(int episode)
{
    demos_writer *writer;
    demo_episode d;

    snprintf(w.demos, sizeof w.demos, "%s/pixel-%d.h5", w.folder, episode);
    ok(demos_writer_open(w.demos, "{}", &writer, &err));
    for (int e = 0; e < EPISODES; e++) {
        world_episode(e, 1, &d);
        if (e == episode)
            d.gripper_rgb[5] ^= 1;
        ok(demos_writer_add(writer, &d, &err));
    }
    ok(demos_writer_finish(writer, &err));
}

/* A cache that is not finished; the message says why. */
static void assert_not_opened(const char *dir, const char *says)
{
    cache *c;

    assert_int_equal(cache_open(dir, &c, &err), DEER_FAILED);
    if (!strstr(err.message, says) || strchr(err.message, '\n'))
        fail_msg("'%s' does not say '%s'", err.message, says);
}

/* No run goes on from shards of other recordings: the message names shard and episode. */
static void test_resumed_with_others(void **state)
{
    world own = w;
    replay_report report;

    (void)state;
    ok(replay_part(inside("half"), 0, 2, 1, &report));
    change_pixel(14); /* of shard 4, which is there */
    assert_refused(inside("half"), "shard-00004.h5 is of other demonstrations: its demo_14 is not");
    assert_refused(whole, "shard-00004.h5 is of other demonstrations");
    w = own;
    assert_not_opened(inside("half"), "is unfinished");
    ok(replay_into(inside("half"), 1, &report));
    assert_same_cache(inside("half"));
    ok(replay_into(whole, 1, &report));
    assert_int_equal(report.replayed, 0);
}

/* Two processes that were given other recordings, where none meets the other's shards before all
 * are there: who would finish the cache does not. */
static void test_parts_of_others(void **state)
{
    world own = w;
    replay_report report;
    char dir[160];

    (void)state;
    snprintf(dir, sizeof dir, "%s", inside("parts-of-others"));
    ok(replay_part(dir, 0, 2, 1, &report));
    change_pixel(0); /* of shard 0 */
    assert_int_equal(replay_part(dir, 1, 2, 1, &report), DEER_FAILED);
    assert_non_null(strstr(err.message, "shard-00000.h5 is of other demonstrations"));
    assert_false(has_file(dir, "cache.h5"));
    assert_not_opened(dir, "is unfinished: nobody has compared");
    w = own; /* all that is there is of these, as it happens */
    ok(replay_part(dir, 0, 2, 1, &report));
    assert_same_cache(dir);
}

/* Whoever is there when a cache is finished has it compared with his recordings, too. */
static void test_finished_by_others(void **state)
{
    world own = w;
    replay_report report;
    char dir[160];

    (void)state;
    snprintf(dir, sizeof dir, "%s", inside("finished-by-others"));
    ok(replay_part(dir, 0, 2, 1, &report));
    change_pixel(4); /* of shard 1: those of shard 0, 2, .. are the same */
    ok(replay_part(dir, 1, 2, 1, &report));
    w = own;
    assert_int_equal(replay_part(dir, 0, 2, 1, &report), DEER_FAILED);
    assert_non_null(strstr(err.message, "shard-00001.h5 is of other demonstrations"));
}

/* A shard that is deleted from a finished cache comes from the same recordings again, or the cache
 * is refused. */
static void test_mended_by_others(void **state)
{
    world own = w;
    replay_report report;

    (void)state;
    ok(replay_into(inside("mended-by"), 1, &report));
    assert_int_equal(unlink(inside("mended-by/shard-00002.h5")), 0);
    change_pixel(6);
    assert_refused(inside("mended-by"), "is of other demonstrations");
    assert_not_opened(inside("mended-by"), "is of other demonstrations");
    w = own;
    assert_refused(inside("mended-by"), "shard-00002.h5 is of other demonstrations");
    assert_int_equal(unlink(inside("mended-by/shard-00002.h5")), 0);
    ok(replay_into(inside("mended-by"), 1, &report));
    assert_same_cache(inside("mended-by"));
}

/* Two at once with other recordings, of which every episode differs: at most one succeeds, and
 * then every shard is of its. */
static void test_race_with_others(void **state)
{
    world own = w;
    char dir[160];
    pid_t child[2];
    int good = 0;
    cache *c;

    (void)state;
    snprintf(dir, sizeof dir, "%s", inside("race"));
    child[0] = start_replay(dir);
    snprintf(w.demos, sizeof w.demos, "%s/race.h5", w.folder);
    world_write_demos(w.demos, EPISODES, 3);
    child[1] = start_replay(dir);
    w = own;
    for (int i = 0; i < 2; i++)
        good += end_of(child[i]) == 0;
    assert_true(good < 2);
    if (cache_open(dir, &c, &err))
        assert_int_equal(good, 0);
    else
        cache_close(c);
}

/* Of other lengths: at once. */
static void test_others_of_other_lengths(void **state)
{
    world own = w;

    (void)state;
    snprintf(w.demos, sizeof w.demos, "%s/fewer.h5", w.folder);
    world_write_demos(w.demos, EPISODES - 1, 1);
    forget_reads();
    assert_refused(whole, "is of other demonstrations (of other lengths)");
    for (int e = 0; e < EPISODES; e++)
        assert_int_equal(reads[e], 0);
    w = own;
}

/* Features are of one kind of sums; plain C on x86-64 does not fuse them. */
static void test_other_sums(void **state)
{
    const isa *list[ISA_MOST];
    const isa *plain = list[isa_list(list) - 1];

    (void)state;
    if (list[0] == plain || !plain->own_sums[WEIGHT_F32])
        skip();
    isa_use(plain);
    assert_refused(whole, "has sums of fused multiply-adds, and this processor's are of generic");
    isa_use(list[0]);
}

/* A shard of another cache, put in place of one's own. */
static void test_foreign_shard(void **state)
{
    world own = w;
    replay_report report;
    cache *c;

    (void)state;
    snprintf(w.demos, sizeof w.demos, "%s/foreign.h5", w.folder);
    world_write_demos(w.demos, EPISODES, 5);
    ok(replay_into(inside("foreign"), 1, &report));
    w = own;
    ok(replay_into(inside("mine"), 1, &report));
    assert_int_equal(rename(inside("foreign/shard-00002.h5"), inside("mine/shard-00002.h5")), 0);
    assert_int_equal(cache_open(inside("mine"), &c, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "is of other demonstrations"));
    assert_refused(inside("mine"), "is of other demonstrations");
    assert_int_equal(rename(inside("mine/shard-00001.h5"), inside("mine/shard-00002.h5")), 0);
    assert_int_equal(cache_open(inside("mine"), &c, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "is not shard"));
}

/* The same of a cache of another model. */
static void test_shard_of_another_model(void **state)
{
    world own = w;
    replay_report report;
    cache *c;

    (void)state;
    snprintf(w.model, sizeof w.model, "%s/stranger", w.folder);
    ok(official_import_folder("tests/data/golden_c", w.model, &err));
    world_edit_model(w.model, "stranger");
    ok(replay_into(inside("strange"), 1, &report));
    w = own;
    ok(replay_into(inside("ours"), 1, &report));
    assert_int_equal(rename(inside("strange/shard-00002.h5"), inside("ours/shard-00002.h5")), 0);
    assert_int_equal(cache_open(inside("ours"), &c, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "is of another model"));
}

static void test_no_cache(void **state)
{
    cache *c;

    (void)state;
    assert_int_equal(cache_open("/nowhere", &c, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "is no feature cache"));
    assert_refused("/nowhere/at/all", "cannot create the cache");
    assert_refused(w.demos, "cannot"); /* a file where a folder should be */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_model_or_demos),
        cmocka_unit_test(test_resumed_with_others),
        cmocka_unit_test(test_parts_of_others),
        cmocka_unit_test(test_finished_by_others),
        cmocka_unit_test(test_mended_by_others),
        cmocka_unit_test(test_race_with_others),
        cmocka_unit_test(test_others_of_other_lengths),
        cmocka_unit_test(test_other_sums),
        cmocka_unit_test(test_foreign_shard),
        cmocka_unit_test(test_shard_of_another_model),
        cmocka_unit_test(test_no_cache),
    };

    return cmocka_run_group_tests(tests, cache_world_make, cache_world_remove);
}
