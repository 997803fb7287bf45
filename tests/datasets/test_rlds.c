/* SPDX-License-Identifier: MIT */
/* test_rlds.c - RLDS datasets: actions bit for bit, pixels within the codec's error, damage
 * refused. tests/data/make_rlds.py says what is in there. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "datasets/sources/source.h"
#include "datasets/tfrecord/tfrecord.h"
#include "runtime/base/file.h"
#include "runtime/base/machine_failure.h"

static const char given[] = "tests/data/rlds", first_file[] = "bowls-train.tfrecord-00000-of-00002";
static deer_error error;
static char folder[64], file[128], features[128];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test_rlds.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(file, sizeof file, "%s/x.tfrecord", folder);
    snprintf(features, sizeof features, "%s/features.json", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(file);
    unlink(features);
    return rmdir(folder);
}

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", error.message);
}

static void says(const char *words)
{
    assert_null(strchr(error.message, '\n'));
    if (!strstr(error.message, words))
        fail_msg("'%s' does not say '%s'", error.message, words);
}

/* ---------------------------------------------------------------- good --------------------- */

static void check_episode(const demo_episode *e, int index, int pixel_error[2])
{
    static const int steps[3] = {5, 4, 3};

    assert_int_equal(e->steps, steps[index]);
    assert_string_equal(e->instruction, index == 1 ? "open the drawer" : "pick up the bowl");
    assert_string_equal(e->task, e->instruction);
    assert_true(e->static_height == 32 && e->static_width == 48);
    assert_true(e->gripper_height == 32 && e->gripper_width == 48);
    for (int t = 0; t < e->steps; t++) {
        for (int c = 0; c < 6; c++)
            assert_true(e->actions[7 * t + c] == (float)((index * 5 + t) * 0.1 - 0.9 + c * 0.01));
        assert_true(e->actions[7 * t + 6] == (t % 2 ? 1.0f : -1.0f));
        for (int i = 0; i < 32 * 48 * 3; i++) {
            int grey = 40 + 15 * (5 * index + t) - (i / 3 % 48 >= 24 ? 10 : 0);
            size_t at = (size_t)(t * 32 * 48 * 3 + i);
            int a = abs(e->static_rgb[at] - grey), b = abs(e->gripper_rgb[at] - grey);

            pixel_error[0] = a > pixel_error[0] ? a : pixel_error[0];
            pixel_error[1] = b > pixel_error[1] ? b : pixel_error[1];
        }
    }
}

static void test_episodes(void **state)
{
    const char *path = given;
    const source_options o = {.path = &path, .paths = 1};
    int pixel_error[2] = {0, 0};
    void *s;

    (void)state;
    assert_true(source_rlds.probe(given) && !source_rlds.probe("tests/data/lerobot/v21"));
    ok(source_rlds.open(&o, &s, &error));
    assert_int_equal(source_rlds.count(s), 3);
    for (int i = 2; i >= 0; i--) {
        demo_episode e;

        ok(source_rlds.read(s, i, &e, &error));
        check_episode(&e, i, pixel_error);
        demo_episode_free(&e);
    }
    source_rlds.close(s);
    print_message("pixels differ by at most %d and %d\n", pixel_error[0], pixel_error[1]);
    assert_true(pixel_error[0] <= 6 && pixel_error[1] == 0);
}

static deer_status open_with(source_options o)
{
    const char *path = o.path ? *o.path : given;
    void *s;
    deer_status status;

    o.path = &path;
    o.paths = 1;
    status = source_rlds.open(&o, &s, &error);
    if (!status)
        source_rlds.close(s);
    return status;
}

/* Cameras and columns by name; what there is is said. */
static void test_options(void **state)
{
    (void)state;
    ok(open_with(
        (source_options){.static_camera = "observation/wrist_image", .gripper_camera = "image"}));
    assert_int_equal(open_with((source_options){.static_camera = "front"}), DEER_FAILED);
    says("--static-camera takes one of: steps/observation/image, steps/observation/wrist_image");
    assert_int_equal(open_with((source_options){.actions = "0,1,2,3,4,5,7"}), DEER_USAGE);
    says("there is no column 7 of actions of 7");
    assert_int_equal(open_with((source_options){.mask = "train"}), DEER_USAGE);
    assert_int_equal(open_with((source_options){.scale = "minmax"}), DEER_USAGE);
}

/* ---------------------------------------------------------------- files ------------------- */

/* A copy of the dataset, changed by a command; how many episodes there are, -1: refused. */
static int changed(const char *command, source_options o)
{
    char line[1024], set[128];
    const char *path = set;
    void *s;
    int n;

    snprintf(set, sizeof set, "%s/d", folder);
    snprintf(line, sizeof line, "rm -rf %s && cp -r %s %s && cd %s && %s", set, given, set, set,
             command);
    assert_int_equal(system(line), 0);
    o.path = &path;
    o.paths = 1;
    n = source_rlds.open(&o, &s, &error) ? -1 : source_rlds.count(s);
    if (n >= 0)
        source_rlds.close(s);
    snprintf(line, sizeof line, "rm -rf %s", set);
    assert_int_equal(system(line), 0);
    return n;
}

/* A part is read when it is asked for. */
static void test_missing_shards(void **state)
{
    const source_options plain = {.path = NULL}, partial = {.partial = true};
    static const char second[] = "rm bowls-train.tfrecord-00001-of-00002",
                      both[] = "rm dataset_info.json && mv bowls-train.tfrecord-00000-of-00002 "
                               "bowls-train.tfrecord-00007-of-00016 && mv "
                               "bowls-train.tfrecord-00001-of-00002 "
                               "bowls-train.tfrecord-00009-of-00016";

    (void)state;
    assert_int_equal(changed("true", plain), 3);
    assert_int_equal(changed(second, plain), -1);
    says("1 of 2 shards are missing, the first is bowls-train.tfrecord-00001-of-00002; copy or");
    assert_int_equal(changed(second, partial), 2);
    assert_int_equal(changed("rm bowls-train.tfrecord-00000-of-00002", partial), 1);
    assert_int_equal(changed(both, plain), -1);
    says("14 of 16 shards are missing, the first is bowls-train.tfrecord-00000-of-00016");
    assert_int_equal(changed(both, partial), 3);
    assert_int_equal(
        changed("cp bowls-train.tfrecord-00000-of-00002 bowls-train.tfrecord-00000-of-00003",
                plain),
        -1);
    says("are not of one set of shards");
}

/* dataset_info.json: as many shards, with as many records. */
static void test_counts(void **state)
{
    const source_options plain = {.path = NULL}, train = {.split = "train"};

    (void)state;
    assert_int_equal(changed("sed -i 's/\"1\"/\"2\"/' dataset_info.json", plain), -1);
    says("bowls-train.tfrecord-00001-of-00002 has 1 records, dataset_info.json counts 2");
    assert_int_equal(changed("sed -i 's/\"1\"]/\"1\", \"4\"]/' dataset_info.json", plain), -1);
    says("dataset_info.json counts 3 shards of train, bowls-train.tfrecord-00000-of-00002 says 2");
    assert_int_equal(changed("sed -i 's/{\"name\": \"train\"/{\"name\": \"val\", "
                             "\"shardLengths\": [\"3\"]}, &/' dataset_info.json",
                             plain),
                     -1);
    says("dataset_info.json lists a split val, which has no files there");
    assert_int_equal(changed("sed -i 's/{\"name\": \"train\"/{\"name\": \"val\", "
                             "\"shardLengths\": [\"3\"]}, &/' dataset_info.json",
                             train),
                     3);
}

static void test_splits(void **state)
{
    static const char two[] =
        "cp bowls-train.tfrecord-00001-of-00002 bowls-val.tfrecord-00000-of-00001";

    (void)state;
    assert_int_equal(changed(two, (source_options){.path = NULL}), -1);
    says("has several splits: train, val; say with --split which (all: every one)");
    assert_int_equal(changed(two, (source_options){.split = "train"}), 3);
    assert_int_equal(changed(two, (source_options){.split = "val"}), 1);
    assert_int_equal(changed(two, (source_options){.split = "all"}), 4);
    assert_int_equal(changed(two, (source_options){.split = "test"}), -1);
    says("has no split test: train, val");
}

/* ---------------------------------------------------------------- damage ------------------- */

static char *bytes;
static size_t size;

/* The folder as a dataset, whose one file has these bytes, and this in place of features.json. */
static void put(const void *data, size_t n, const char *meta)
{
    char path[128], *text;
    size_t length;

    snprintf(path, sizeof path, "%s/features.json", given);
    ok(file_read(path, 1 << 20, &text, &length, &error));
    ok(file_write(features, meta ? meta : text, meta ? strlen(meta) : length, &error));
    ok(file_write(file, data, n, &error));
    free(text);
}

static void load(void)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", given, first_file);
    ok(file_read(path, 1 << 20, &bytes, &size, &error));
}

static void refused(const char *words)
{
    const char *path = folder;

    assert_int_not_equal(open_with((source_options){.path = &path}), DEER_OK);
    says(words);
}

static void test_damaged_files(void **state)
{
    (void)state;
    load();
    put(bytes, size - 1, NULL);
    refused("is cut off in record 1");
    put(bytes, size + 0, "{}");
    refused("has no steps: this is no RLDS dataset");
    put("version https://git-lfs.github.com/spec/v1", 42, NULL);
    refused(
        "is no TFRecord file: it is a Git LFS pointer, not the file; get that with git lfs pull");
    put("", 0, NULL);
    refused("is empty");
    free(bytes);
}

/* Reads both episodes of the folder; how many could not be. */
static int failures(void)
{
    const char *path = folder;
    const source_options o = {.path = &path, .paths = 1};
    int failed = 0;
    void *s;

    ok(source_rlds.open(&o, &s, &error));
    for (int i = 0; i < source_rlds.count(s); i++) {
        demo_episode e;

        if (source_rlds.read(s, i, &e, &error))
            failed++;
        else
            demo_episode_free(&e);
    }
    source_rlds.close(s);
    return failed;
}

/* A flipped bit in an episode is noticed, and concerns that one alone. */
static void test_flipped_bits(void **state)
{
    (void)state;
    load();
    for (size_t at = 12; at < 2000; at += 97) {
        bytes[at] ^= 4;
        put(bytes, size, NULL);
        assert_int_equal(failures(), 1);
        says("is damaged (its checksum is another)");
        bytes[at] ^= 4;
    }
    free(bytes);
}

/* What fails for want of files is told from what is damaged. */
static void test_failures_of_the_machine(void **state)
{
    const char *path = folder;
    const source_options o = {.path = &path, .paths = 1};
    struct rlimit was, none;
    unsigned before = machine_failures();
    demo_episode e;
    void *s;

    (void)state;
    load();
    bytes[100] ^= 4;
    put(bytes, size, NULL);
    free(bytes);
    assert_int_equal(failures(), 1);
    assert_int_equal(machine_failures(), before);
    ok(source_rlds.open(&o, &s, &error));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    none = (struct rlimit){0, was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(source_rlds.read(s, 1, &e, &error), DEER_FAILED);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    says("Too many open files");
    assert_int_equal(machine_failures(), before + 1);
    source_rlds.close(s);
}

/* Damage with right checksums: read, or refused in one line. */
static void test_hostile_examples(void **state)
{
    uint32_t random = 1;
    uint64_t length;
    int refusals = 0;
    uint8_t *data;

    (void)state;
    load();
    memcpy(&length, bytes, sizeof length);
    data = (uint8_t *)bytes + 12;
    for (int i = 0; i < 400; i++) {
        uint8_t was[3];
        size_t place[3];
        uint32_t sum;

        for (int k = 0; k < 3; k++) { /* near the beginning of a feature, often */
            random = random * 1664525u + 1013904223u;
            place[k] = (random >> 8) % (i % 2 ? 256 : length);
            was[k] = data[place[k]];
            data[place[k]] ^= (uint8_t)(1u << (random >> 5 & 7));
        }
        sum = tfrecord_sum(data, length);
        memcpy(data + length, &sum, sizeof sum);
        put(bytes, size, NULL);
        error.message[0] = 0;
        if (failures()) {
            refusals++;
            assert_null(strchr(error.message, '\n'));
            assert_non_null(strstr(error.message, file));
        }
        for (int k = 2; k >= 0; k--)
            data[place[k]] = was[k];
    }
    assert_true(refusals > 50);
    free(bytes);
}

/* An instruction in Latin-1 is refused, not cut. */
static void test_other_encoding(void **state)
{
    uint64_t length;
    uint32_t sum;
    int put_in = 0;

    (void)state;
    load();
    memcpy(&length, bytes, sizeof length);
    for (char *at = bytes + 12; at < bytes + 12 + length - 16; at++)
        if (!memcmp(at, "pick up the bowl", 16)) {
            at[15] = '\xe9';
            put_in++;
        }
    assert_int_equal(put_in, 5);
    sum = tfrecord_sum(bytes + 12, length);
    memcpy(bytes + 12 + length, &sum, sizeof sum);
    put(bytes, size, NULL);
    assert_int_equal(failures(), 1);
    says("x.tfrecord: record 0 has an instruction that is no UTF-8");
    free(bytes);
}

/* The published values of CRC-32C, as they are stored. */
static void test_checksum(void **state)
{
    const uint32_t crc = 0xe3069283; /* of "123456789", RFC 3720 */

    (void)state;
    assert_int_equal(tfrecord_sum("123456789", 9),
                     (uint32_t)((crc >> 15 | crc << 17) + 0xa282ead8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_episodes),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_hostile_examples),
        cmocka_unit_test(test_other_encoding),
        cmocka_unit_test(test_missing_shards),
        cmocka_unit_test(test_failures_of_the_machine),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_splits),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
