/* SPDX-License-Identifier: MIT */
/* test_demos.c - demonstrations: what is written is read back, and hostile files are refused. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "datasets/demos/demos.h"
#include "datasets/hdf5/hdf5_io.h"
#include "runtime/cli/tool.h"

enum { STEPS = 7, HEIGHT = 12, WIDTH = 10, WRIST = 8, OBJECT = 5 };

static char folder[64], path[96];

/* An episode whose every value depends on its index, the owner's to free. */
static demo_episode make_episode(int index, int steps)
{
    size_t n = (size_t)steps;
    demo_episode e = {.seed = 0x8000000000000001u + (uint64_t)index,
                      .steps = steps,
                      .static_height = HEIGHT,
                      .static_width = WIDTH,
                      .gripper_height = WRIST,
                      .gripper_width = WRIST,
                      .static_rgb = malloc(n * HEIGHT * WIDTH * 3),
                      .gripper_rgb = malloc(n * WRIST * WRIST * 3),
                      .actions = malloc(n * DEMO_ACTION * sizeof(float)),
                      .object_size = OBJECT,
                      .object = malloc(n * OBJECT * sizeof(float))};

    snprintf(e.instruction, sizeof e.instruction, "push block %d to the caf\xc3\xa9", index);
    snprintf(e.task, sizeof e.task, "push_%d", index % 2);
    for (size_t i = 0; i < n * HEIGHT * WIDTH * 3; i++)
        e.static_rgb[i] = (uint8_t)(i * 7 + (size_t)index);
    for (size_t i = 0; i < n * WRIST * WRIST * 3; i++)
        e.gripper_rgb[i] = (uint8_t)(i * 5 + (size_t)index);
    for (size_t i = 0; i < n * DEMO_ACTION; i++)
        e.actions[i] = sinf((float)i + (float)index);
    for (size_t i = 0; i < n * OBJECT; i++)
        e.object[i] = 100 * cosf((float)i + (float)index);
    return e;
}

static deer_status write_episodes(const char *to, int count, int steps, deer_error *err)
{
    demos_writer *w;

    if (demos_writer_open(to, "{\"env_name\":\"test\"}", &w, err))
        return DEER_FAILED;
    for (int i = 0; i < count; i++) {
        demo_episode e = make_episode(i, steps);
        deer_status status = demos_writer_add(w, &e, err);
        demo_episode_free(&e);
        if (status) {
            demos_writer_abandon(w);
            return status;
        }
    }
    return demos_writer_finish(w, err);
}

static demos *open_or_fail(const char *from)
{
    deer_error err;
    demos *d;

    if (demos_open(from, &d, &err))
        fail_msg("%s", err.message);
    return d;
}

/* Opening fails, with one line that holds `words`. */
static void assert_refused(const char *from, const char *words)
{
    deer_error err = {""};
    demos *d;

    assert_int_equal(demos_open(from, &d, &err), DEER_FAILED);
    assert_null(d);
    if (!strstr(err.message, words) || strchr(err.message, '\n'))
        fail_msg("'%s' does not say '%s'", err.message, words);
}

/* Number of entries of the test's folder. */
static int files_in_folder(void)
{
    char command[128];
    int count = -1;
    FILE *pipe;

    snprintf(command, sizeof command, "ls -A '%s' | wc -l", folder);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    return count;
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test_demos.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/demos.h5", folder);
    return 0;
}

static int remove_folder(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* ---------------------------------------------------------------- round trip --------------- */

static void assert_same_episode(const demo_episode *a, const demo_episode *b)
{
    size_t n = (size_t)a->steps;

    assert_string_equal(a->instruction, b->instruction);
    assert_string_equal(a->task, b->task);
    assert_true(a->seed == b->seed);
    assert_int_equal(a->steps, b->steps);
    assert_int_equal(a->static_height, b->static_height);
    assert_int_equal(a->static_width, b->static_width);
    assert_int_equal(a->object_size, b->object_size);
    assert_memory_equal(a->static_rgb, b->static_rgb, n * HEIGHT * WIDTH * 3);
    assert_memory_equal(a->gripper_rgb, b->gripper_rgb, n * WRIST * WRIST * 3);
    assert_memory_equal(a->actions, b->actions, n * DEMO_ACTION * sizeof(float));
    assert_memory_equal(a->object, b->object, n * OBJECT * sizeof(float));
}

static void test_round_trip(void **state)
{
    enum { COUNT = 12 };
    deer_error err;
    demos *d;
    char name[32];

    (void)state;
    assert_int_equal(write_episodes(path, COUNT, STEPS, &err), DEER_OK);
    assert_int_equal(files_in_folder(), 1);
    d = open_or_fail(path);
    assert_int_equal(demos_count(d), COUNT);
    assert_int_equal(demos_total_steps(d), COUNT * STEPS);
    for (int i = 0; i < COUNT; i++) {
        demo_episode wanted = make_episode(i, STEPS), e;
        snprintf(name, sizeof name, "demo_%d", i); /* demo_2 comes before demo_10 */
        assert_string_equal(demos_name(d, i), name);
        assert_int_equal(demos_find(d, name), i);
        assert_int_equal(demos_steps(d, i), STEPS);
        assert_int_equal(demos_read(d, i, &e, &err), DEER_OK);
        assert_same_episode(&e, &wanted);
        demo_episode_free(&e);
        demo_episode_free(&wanted);
    }
    assert_int_equal(demos_find(d, "demo_12"), -1);
    demos_close(d);
}

static void test_observation_points_into_episode(void **state)
{
    demo_episode e = make_episode(0, STEPS);
    deer_observation o = demo_episode_observation(&e, 3);
    deer_camera one, other;

    (void)state;
    assert_ptr_equal(o.static_view.pixels, e.static_rgb + 3 * HEIGHT * WIDTH * 3);
    assert_ptr_equal(o.gripper_view.pixels, e.gripper_rgb + 3 * WRIST * WRIST * 3);
    assert_int_equal(o.static_view.bytes, 3 * HEIGHT * WIDTH);
    assert_int_equal(o.gripper_view.bytes, 3 * WRIST * WRIST);
    demo_episode_cameras(&e, &one, &other);
    assert_true(one.height == HEIGHT && one.width == WIDTH);
    assert_true(other.height == WRIST && other.width == WRIST);
    demo_episode_free(&e);
}

static void fingerprint_of(const char *from, char fingerprint[DEER_FINGERPRINT])
{
    deer_error err;
    demos *d = open_or_fail(from);

    assert_int_equal(demos_fingerprint(d, fingerprint, &err), DEER_OK);
    assert_int_equal(strlen(fingerprint), 32);
    demos_close(d);
}

/* Changes one byte of one frame. */
static void change_pixel(const char *in)
{
    uint8_t frames[STEPS * HEIGHT * WIDTH * 3];
    hid_t file = H5Fopen(in, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t dataset = H5Dopen2(file, "data/demo_1/obs/rgb_static", H5P_DEFAULT);

    assert_true(H5Dread(dataset, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, frames) >= 0);
    frames[1000]++;
    assert_true(H5Dwrite(dataset, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, frames) >= 0);
    H5Dclose(dataset);
    H5Fclose(file);
}

/* Puts text in place of an attribute of the second episode. */
static void change_text(const char *in, const char *attribute, const char *text)
{
    deer_error err;
    hid_t file = H5Fopen(in, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t demo = H5Gopen2(file, "data/demo_1", H5P_DEFAULT);

    assert_true(H5Adelete(demo, attribute) >= 0);
    assert_int_equal(hdf5_text_set(demo, attribute, text, &err), DEER_OK);
    H5Gclose(demo);
    H5Fclose(file);
}

static void rename_episode(const char *in, const char *from, const char *to)
{
    hid_t file = H5Fopen(in, H5F_ACC_RDWR, H5P_DEFAULT);

    assert_true(H5Lmove(file, from, file, to, H5P_DEFAULT, H5P_DEFAULT) >= 0);
    H5Fclose(file);
}

static void test_fingerprint_follows_content(void **state)
{
    char a[DEER_FINGERPRINT], b[DEER_FINGERPRINT], c[DEER_FINGERPRINT], other[128];
    deer_error err;

    (void)state;
    snprintf(other, sizeof other, "%s/other.h5", folder);
    assert_int_equal(write_episodes(path, 2, STEPS, &err), DEER_OK);
    assert_int_equal(write_episodes(other, 2, STEPS, &err), DEER_OK);
    fingerprint_of(path, a);
    fingerprint_of(other, b);
    change_pixel(other);
    fingerprint_of(other, c);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    change_text(other, "task", "something else");
    fingerprint_of(other, b);
    assert_string_not_equal(b, c);
    change_text(other, "language", "do something else");
    fingerprint_of(other, c);
    assert_string_not_equal(b, c);
    rename_episode(other, "data/demo_1", "data/demo_9");
    fingerprint_of(other, b);
    assert_string_not_equal(b, c);
}

/* ---------------------------------------------------------------- files of others ---------- */

/* A dataset of zeros. */
static void add_zeros(hid_t file, const char *name, hid_t type, int rank, const hsize_t *size)
{
    hid_t links = H5Pcreate(H5P_LINK_CREATE), space = H5Screate_simple(rank, size, NULL), dataset;
    size_t bytes = H5Tget_size(type) * (size_t)H5Sget_simple_extent_npoints(space);
    void *zeros = calloc(1, bytes + 1);

    H5Pset_create_intermediate_group(links, 1);
    dataset = H5Dcreate2(file, name, type, space, links, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(dataset >= 0);
    assert_true(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros) >= 0);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Pclose(links);
    free(zeros);
}

static void set_text(hid_t file, const char *group_name, const char *name, const char *text)
{
    hid_t group = H5Gopen2(file, group_name, H5P_DEFAULT);

    assert_int_equal(hdf5_text_set(group, name, text, NULL), DEER_OK);
    H5Gclose(group);
}

typedef struct {
    const char *static_name, *gripper_name;
    hid_t action_type;
    hsize_t actions[2], static_size[4], gripper_size[4];
    int static_rank;
} layout;

static layout good_layout(void)
{
    return (layout){"agentview_rgb",
                    "eye_in_hand_rgb",
                    H5T_NATIVE_DOUBLE,
                    {4, 7},
                    {4, 6, 6, 3},
                    {4, 5, 5, 3},
                    4};
}

/* A file of another tool with one demonstration, "demo_3". */
static hid_t create_foreign(const layout *l)
{
    char name[96];
    hid_t file;

    hdf5_quiet();
    file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(file >= 0);
    add_zeros(file, "data/demo_3/actions", l->action_type, 2, l->actions);
    snprintf(name, sizeof name, "data/demo_3/obs/%s", l->static_name);
    add_zeros(file, name, H5T_NATIVE_UINT8, l->static_rank, l->static_size);
    snprintf(name, sizeof name, "data/demo_3/obs/%s", l->gripper_name);
    add_zeros(file, name, H5T_NATIVE_UINT8, 4, l->gripper_size);
    return file;
}

static void assert_instruction(const char *wanted)
{
    demos *d = open_or_fail(path);
    demo_episode e;
    deer_error err;

    if (demos_read(d, 0, &e, &err))
        fail_msg("%s", err.message);
    assert_string_equal(e.name, "demo_3");
    assert_string_equal(e.instruction, wanted);
    demo_episode_free(&e);
    demos_close(d);
}

/* Where a demonstration states no task, what the file's environment is called. */
static void assert_task(const char *wanted)
{
    demos *d = open_or_fail(path);
    demo_episode e;
    deer_error err;

    assert_int_equal(demos_describe(d, 0, &e, &err), DEER_OK);
    assert_string_equal(e.task, wanted);
    demos_close(d);
}

static void test_libero_names_and_language(void **state)
{
    layout l = good_layout();
    hid_t file = create_foreign(&l);

    (void)state;
    set_text(file, "data", "problem_info",
             "{\"problem_name\": \"libero_kitchen\", \"language_instruction\": "
             "[\"\\\"open the \", \"top drawer\\\"\"]}");
    H5Fclose(file);
    assert_instruction("open the top drawer");
}

static void test_robomimic_names_and_language(void **state)
{
    layout l = good_layout();
    hid_t file;

    (void)state;
    l.static_name = "agentview_image";
    l.gripper_name = "robot0_eye_in_hand_image";
    file = create_foreign(&l);
    set_text(file, "data", "env_args", "{\"env_name\": \"Lift\", \"lang\": \"lift the cube\"}");
    H5Fclose(file);
    assert_instruction("lift the cube");
    assert_task("Lift");
}

static deer_status open_as(const demos_options *options, demos **d, deer_error *err)
{
    return demos_open_files((const char *const[]){path}, 1, options, d, err);
}

/* Any names, when they are said; only those then. */
static void test_named_cameras(void **state)
{
    const demos_options named = {"frontview_image", "wrist2"}, wrong = {"rgb_static", NULL},
                        bad = {"../actions", NULL};
    layout l = good_layout();
    deer_error err;
    demos *d;

    (void)state;
    l.static_name = "frontview_image";
    l.gripper_name = "wrist2";
    H5Fclose(create_foreign(&l));
    assert_refused(path, "say its name with --static-camera");
    if (open_as(&named, &d, &err))
        fail_msg("%s", err.message);
    demos_close(d);
    assert_int_equal(open_as(&wrong, &d, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "has no camera obs/rgb_static"));
    assert_int_equal(open_as(&bad, &d, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "no name of a camera"));
}

static void test_own_language_wins(void **state)
{
    layout l = good_layout();
    hid_t file = create_foreign(&l);

    (void)state;
    set_text(file, "data", "env_args", "{\"lang\": \"lift the cube\"}");
    set_text(file, "data/demo_3", "ep_meta", "{\"lang\": \"turn the tap\"}");
    H5Fclose(file);
    assert_instruction("turn the tap");
}

static void test_language_is_made_printable(void **state)
{
    layout l = good_layout();
    hid_t file = create_foreign(&l);

    (void)state;
    set_text(file, "data/demo_3", "language", "  lift\tthe\n red\x1b block ");
    H5Fclose(file);
    assert_instruction("lift the  red  block");
}

static void test_broken_json_is_no_language(void **state)
{
    layout l = good_layout();
    hid_t file = create_foreign(&l);

    (void)state;
    set_text(file, "data", "env_args", "{\"lang\": [1, {\"");
    set_text(file, "data", "problem_info", "{\"language_instruction\": 7}");
    H5Fclose(file);
    assert_instruction("");
}

/* ---------------------------------------------------------------- hostile files ------------ */

static void assert_layout_refused(const layout *l, const char *words)
{
    H5Fclose(create_foreign(l));
    assert_refused(path, words);
}

static void test_wrong_shapes_are_refused(void **state)
{
    layout l;

    (void)state;
    l = good_layout(), l.static_rank = 3;
    assert_layout_refused(&l, "need u1 [T,H,W,3]");
    l = good_layout(), l.static_size[3] = 4;
    assert_layout_refused(&l, "need u1 [T,H,W,3]");
    l = good_layout(), l.gripper_size[1] = 0;
    assert_layout_refused(&l, "0 x 5 pixels");
    l = good_layout(), l.gripper_size[0] = 5;
    assert_layout_refused(&l, "4 actions but 5 images");
    l = good_layout(), l.actions[1] = 6;
    assert_layout_refused(&l, "[T,7]");
    l = good_layout(), l.action_type = H5T_NATIVE_INT;
    assert_layout_refused(&l, "[T,7]");
    l = good_layout(), l.actions[0] = 0;
    assert_layout_refused(&l, "0 steps");
    l = good_layout(), l.gripper_name = "some_other_camera";
    assert_layout_refused(&l, "no wrist camera");
}

/* Datasets that declare far more than the file could hold. */
static void test_declared_bytes_are_not_believed(void **state)
{
    const hsize_t actions[2] = {4, 7}, wrist[4] = {4, 5, 5, 3};
    const hsize_t sides[2] = {4000, 1u << 31};

    (void)state;
    for (int i = 0; i < 2; i++) {
        const hsize_t size[4] = {4, sides[i], 4000, 3}, chunk[4] = {1, 10, 10, 3};
        hid_t file, space, properties, group;
        hdf5_quiet();
        file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        add_zeros(file, "data/demo_3/actions", H5T_NATIVE_FLOAT, 2, actions);
        add_zeros(file, "data/demo_3/obs/rgb_gripper", H5T_NATIVE_UINT8, 4, wrist);
        group = H5Gopen2(file, "data/demo_3/obs", H5P_DEFAULT);
        space = H5Screate_simple(4, size, NULL);
        properties = H5Pcreate(H5P_DATASET_CREATE);
        H5Pset_chunk(properties, 4, chunk);
        H5Dclose(H5Dcreate2(group, "rgb_static", H5T_NATIVE_UINT8, space, H5P_DEFAULT, properties,
                            H5P_DEFAULT));
        H5Pclose(properties);
        H5Sclose(space);
        H5Gclose(group);
        H5Fclose(file);
        assert_refused(path, i ? "pixels" : "declares 192000000 bytes of pixels but stores 0");
    }
}

static void set_action(const char *in, int index, float value)
{
    float actions[STEPS * DEMO_ACTION];
    hid_t file = H5Fopen(in, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t dataset = H5Dopen2(file, "data/demo_0/actions", H5P_DEFAULT);

    assert_true(H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, actions) >= 0);
    actions[index] = value;
    assert_true(H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, actions) >= 0);
    H5Dclose(dataset);
    H5Fclose(file);
}

static void test_wild_actions_are_refused(void **state)
{
    const float wild[] = {NAN, INFINITY, -INFINITY, 1.5f};
    deer_error err;
    demo_episode e;

    (void)state;
    for (int i = 0; i < 4; i++) {
        demos *d;
        assert_int_equal(write_episodes(path, 1, STEPS, &err), DEER_OK);
        set_action(path, 10, wild[i]);
        d = open_or_fail(path);
        assert_int_equal(demos_read(d, 0, &e, &err), DEER_FAILED);
        assert_non_null(strstr(err.message, "action 3 of step 1 in demo_0"));
        assert_null(e.actions);
        demos_close(d);
    }
}

static void test_other_files_are_refused(void **state)
{
    char name[128];
    FILE *f;

    (void)state;
    snprintf(name, sizeof name, "%s/missing.h5", folder);
    assert_refused(name, "No such file");
    assert_refused(folder, "not a regular file");
    snprintf(name, sizeof name, "%s/text.h5", folder);
    f = fopen(name, "w");
    fputs("these are not demonstrations", f);
    fclose(f);
    assert_refused(name, "is no HDF5 file: it begins with 'these ar'");
    snprintf(name, sizeof name, "%s/pipe", folder);
    assert_int_equal(mkfifo(name, 0600), 0);
    assert_refused(name, "not a regular file");
}

static void test_empty_files_are_refused(void **state)
{
    hid_t file;

    (void)state;
    hdf5_quiet();
    file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    assert_refused(path, "no group /data");
    file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Gclose(H5Gcreate2(file, "data", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Fclose(file);
    assert_refused(path, "holds no demonstrations");
    file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Gclose(H5Gcreate2(file, "data", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Gclose(H5Gcreate2(file, "data/two\nlines", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Fclose(file);
    assert_refused(path, "cannot be read or used");
}

/* Opens, describes and reads whatever there is; nothing may crash, errors are fine. */
static void use_file(const char *from)
{
    deer_error err;
    demos *d;

    if (demos_open(from, &d, &err))
        return;
    for (int i = 0; i < demos_count(d); i++) {
        demo_episode e;
        if (!demos_read(d, i, &e, &err))
            demo_episode_free(&e);
    }
    demos_close(d);
}

static void test_truncated_files_are_refused(void **state)
{
    struct stat info;
    deer_error err;

    (void)state;
    assert_int_equal(write_episodes(path, 2, STEPS, &err), DEER_OK);
    assert_int_equal(stat(path, &info), 0);
    for (off_t size = info.st_size - 1; size > 0; size = size * 3 / 4) {
        assert_int_equal(truncate(path, size), 0);
        assert_refused(path, size < 8 ? "is no HDF5 file" : "is cut off: ");
    }
}

/* One wrong byte anywhere may give an error or other values, nothing worse. */
static void test_damaged_bytes_do_not_hang_or_kill(void **state)
{
    enum { TRIES = 60 };
    struct stat info;
    deer_error err;
    unsigned random = 1;

    (void)state;
    for (int i = 0; i < TRIES; i++) {
        FILE *f;
        long at;
        assert_int_equal(write_episodes(path, 1, 2, &err), DEER_OK);
        assert_int_equal(stat(path, &info), 0);
        random = random * 1103515245u + 12345u;
        at = (long)((random >> 8) % (unsigned long)info.st_size);
        f = fopen(path, "r+b");
        fseek(f, at, SEEK_SET);
        fputc((int)(random >> 3) & 0xff, f);
        fclose(f);
        use_file(path);
    }
}

/* ---------------------------------------------------------------- writing ------------------ */

static void test_abandoned_writer_leaves_nothing(void **state)
{
    demo_episode e = make_episode(0, STEPS);
    deer_error err;
    demos_writer *w;

    (void)state;
    assert_int_equal(demos_writer_open(path, "{}", &w, &err), DEER_OK);
    assert_int_equal(demos_writer_add(w, &e, &err), DEER_OK);
    assert_int_equal(files_in_folder(), 1);
    demos_writer_abandon(w);
    assert_int_equal(files_in_folder(), 0);
    demo_episode_free(&e);
}

static void test_empty_recording_is_an_error(void **state)
{
    deer_error err;
    demos_writer *w;

    (void)state;
    assert_int_equal(demos_writer_open(path, "{}", &w, &err), DEER_OK);
    assert_int_equal(demos_writer_finish(w, &err), DEER_FAILED);
    assert_int_equal(files_in_folder(), 0);
}

static void test_wild_actions_are_not_written(void **state)
{
    demo_episode e = make_episode(0, STEPS);
    deer_error err;
    demos_writer *w;

    (void)state;
    e.actions[9] = NAN;
    assert_int_equal(demos_writer_open(path, "{}", &w, &err), DEER_OK);
    assert_int_equal(demos_writer_add(w, &e, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "action 2 of step 1"));
    demos_writer_abandon(w);
    demo_episode_free(&e);
}

/* The recording may say how long an episode could have been: itself, or as robomimic does. */
static void test_horizon(void **state)
{
    static const struct {
        const char *env_args;
        int horizon;
    } said[] = {
        {"{\"env_name\":\"a\",\"horizon\":60}", 60},
        {"{\"env_name\":\"a\",\"env_kwargs\":{\"horizon\":400}}", 400},
        {"{\"env_name\":\"a\",\"horizon\":\"long\"}", 0},
        {"{\"env_name\":\"a\",\"horizon\":-3}", 0},
        {"{}", 0},
        {"no JSON", 0},
    };
    deer_error err;

    (void)state;
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        demo_episode e = make_episode(0, 2);
        demos_writer *w;
        demos *d;

        assert_int_equal(demos_writer_open(path, said[i].env_args, &w, &err), DEER_OK);
        assert_int_equal(demos_writer_add(w, &e, &err), DEER_OK);
        assert_int_equal(demos_writer_finish(w, &err), DEER_OK);
        demo_episode_free(&e);
        d = open_or_fail(path);
        assert_int_equal(demos_horizon(d), said[i].horizon);
        demos_close(d);
    }
}

static void test_missing_folder_is_named(void **state)
{
    char name[128];
    deer_error err;
    demos_writer *w;

    (void)state;
    snprintf(name, sizeof name, "%s/no/such/folder.h5", folder);
    assert_int_equal(demos_writer_open(name, "{}", &w, &err), DEER_FAILED);
    assert_null(w);
    assert_non_null(strstr(err.message, name));
}

/* Records under a limit on the size of files; exits 0 when that fails with a message as it should.
 */
static void record_on_full_disk(long limit)
{
    struct rlimit size = {(rlim_t)limit, (rlim_t)limit};
    deer_error err = {""};

    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &size);
    _exit(write_episodes(path, 40, STEPS, &err) == DEER_FAILED &&
                  strstr(err.message, "disk full") && strstr(err.message, path)
              ? 0
              : 1);
}

/* At whatever byte the disk becomes full, the recorder says so, ends in order and leaves nothing.
 */
static void test_full_disk_leaves_nothing(void **state)
{
    struct stat info;
    deer_error err;
    int ended;

    (void)state;
    assert_int_equal(write_episodes(path, 40, STEPS, &err), DEER_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(unlink(path), 0);
    for (long limit = info.st_size - 1; limit > 50; limit = limit * 2 / 3) {
        pid_t child = fork();
        if (child == 0)
            record_on_full_disk(limit);
        assert_int_equal(waitpid(child, &ended, 0), child);
        assert_true(WIFEXITED(ended));
        assert_int_equal(WEXITSTATUS(ended), 0);
        assert_int_equal(files_in_folder(), 0);
    }
}

/* HDF5 1.10 leaks a little of its own memory when a damaged file makes it give up. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),
        TEST(test_observation_points_into_episode),
        TEST(test_fingerprint_follows_content),
        TEST(test_libero_names_and_language),
        TEST(test_robomimic_names_and_language),
        TEST(test_named_cameras),
        TEST(test_own_language_wins),
        TEST(test_language_is_made_printable),
        TEST(test_broken_json_is_no_language),
        TEST(test_wrong_shapes_are_refused),
        TEST(test_declared_bytes_are_not_believed),
        TEST(test_wild_actions_are_refused),
        TEST(test_other_files_are_refused),
        TEST(test_empty_files_are_refused),
        TEST(test_truncated_files_are_refused),
        TEST(test_damaged_bytes_do_not_hang_or_kill),
        TEST(test_abandoned_writer_leaves_nothing),
        TEST(test_empty_recording_is_an_error),
        TEST(test_wild_actions_are_not_written),
        TEST(test_horizon),
        TEST(test_missing_folder_is_named),
        TEST(test_full_disk_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
