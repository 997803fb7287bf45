/* SPDX-License-Identifier: MIT */
/* test_run_commands.c - deer-run and deer-data as a user meets them: what they print for real
 * files, and that every kind of bad input ends in one line and the right status. BUILD: the build
 * folder. */
#include <fcntl.h>
#include <hdf5.h>
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
#include <jansson.h>

#include "budgets/cost/cost.h"
#include "datasets/demos/demos.h"
#include "runtime/base/dtype.h"
#include "runtime/base/file.h"
#include "runtime/import/official.h"
#include "runtime/thresholds/thresholds_format.h"

enum { DEMOS = 3, STEPS = 6, SIDE = 40, MOST_ARGUMENTS = 24, FILE_LIMIT = 64 << 20 };

static char folder[64];

/* The path of a file in the test's folder; lives as long as the test. */
static const char *in_folder(const char *name)
{
    static char paths[32][128];
    char path[128];
    size_t i = 0;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    while (*paths[i] && strcmp(paths[i], path))
        assert_true(++i < sizeof paths / sizeof *paths);
    return strcpy(paths[i], path);
}

/* ---------------------------------------------------------------- fixtures ----------------- */

/* Words 0..5 and the marks where golden_a has them. */
static const char tokenizer[] =
    "{\"normalizer\":{\"type\":\"Lowercase\"},\"model\":{\"type\":\"WordLevel\",\"vocab\":"
    "{\"<|endoftext|>\":0,\"push\":1,\"the\":2,\"red\":3,\"block\":4,"
    "\"<|endofchunk|>\":207,\"<image>\":208}}}";

/* A copy of a model file with a tokenizer in its header. */
static void add_tokenizer(const char *from, const char *to)
{
    char *data, *header, *out;
    size_t size, length, rest;
    uint64_t old, new;
    json_t *root;

    assert_int_equal(file_read(from, FILE_LIMIT, &data, &size, NULL), DEER_OK);
    memcpy(&old, data, sizeof old);
    root = json_loadb(data + 8, old, 0, NULL);
    assert_int_equal(json_object_set_new(json_object_get(root, "__metadata__"), "deer.tokenizer",
                                         json_string(tokenizer)),
                     0);
    header = json_dumps(root, JSON_COMPACT);
    length = strlen(header);
    new = (length + 63) / 64 * 64;
    rest = size - 8 - old;
    out = malloc(8 + new + rest);
    memcpy(out, &new, sizeof new);
    memset(out + 8, ' ', new);
    memcpy(out + 8, header, length);
    memcpy(out + 8 + new, data + 8 + old, rest);
    assert_int_equal(file_write(to, out, 8 + new + rest, NULL), DEER_OK);
    free(out);
    free(header);
    json_decref(root);
    free(data);
}

/* A copy of a file with bytes changed at an offset from its end, cut by so many. */
static void damaged_copy(const char *from, const char *to, size_t from_end, const void *bytes,
                         size_t count, size_t cut)
{
    char *data;
    size_t size;

    assert_int_equal(file_read(from, FILE_LIMIT, &data, &size, NULL), DEER_OK);
    if (count)
        memcpy(data + size - from_end, bytes, count);
    assert_int_equal(file_write(to, data, size - cut, NULL), DEER_OK);
    free(data);
}

/* Demonstrations of noise. */
static void write_demos(const char *to, const char *instruction)
{
    size_t pixels = (size_t)STEPS * SIDE * SIDE * 3;
    demo_episode e = {.steps = STEPS,
                      .static_height = SIDE,
                      .static_width = SIDE,
                      .gripper_height = SIDE,
                      .gripper_width = SIDE,
                      .static_rgb = malloc(pixels),
                      .gripper_rgb = malloc(pixels),
                      .actions = malloc(STEPS * DEMO_ACTION * sizeof(float))};
    demos_writer *w;
    deer_error err;
    uint32_t state = 1;

    snprintf(e.instruction, sizeof e.instruction, "%s", instruction);
    strcpy(e.task, "push");
    assert_int_equal(demos_writer_open(to, "{}", &w, &err), DEER_OK);
    for (int i = 0; i < DEMOS; i++) {
        for (size_t j = 0; j < 2 * pixels; j++) {
            state = state * 1664525u + 1013904223u;
            (j < pixels ? e.static_rgb : e.gripper_rgb)[j % pixels] = (uint8_t)(state >> 24);
        }
        for (int j = 0; j < STEPS * DEMO_ACTION; j++)
            e.actions[j] = sinf((float)(i + j));
        assert_int_equal(demos_writer_add(w, &e, &err), DEER_OK);
    }
    assert_int_equal(demos_writer_finish(w, &err), DEER_OK);
    demo_episode_free(&e);
}

/* Thresholds under which exits differ from step to step. */
static void write_thresholds(const char *model_path, const char *to)
{
    deer_error err;
    deer_model *model;
    deer_thresholds t;

    assert_int_equal(deer_model_open(model_path, DEER_ALL_EXITS, &model, &err), DEER_OK);
    thresholds_fix(model, 2, &t, NULL);
    t.tau[0] = 0.06f;
    t.tau[1] = 0.09f;
    t.expected.average_llm_gflops = 0.002;
    assert_int_equal(deer_thresholds_save(to, deer_model_config(model), &t, &err), DEER_OK);
    deer_model_close(model);
}

static int make_files(void **state)
{
    const float nan = NAN;
    deer_error err;

    (void)state;
    strcpy(folder, "/tmp/test_run_commands.XXXXXX");
    if (!mkdtemp(folder) ||
        official_import_folder("tests/data/golden_a", in_folder("mute"), &err) ||
        official_import_folder("tests/data/golden_c", in_folder("other"), &err))
        return -1;
    add_tokenizer(in_folder("mute"), in_folder("model"));
    damaged_copy(in_folder("model"), in_folder("short"), 0, NULL, 0, 1000);
    damaged_copy(in_folder("model"), in_folder("nan"), 4000, &nan, sizeof nan, 0);
    write_demos(in_folder("demos.h5"), "push the red block");
    write_demos(in_folder("silent.h5"), "");
    damaged_copy(in_folder("demos.h5"), in_folder("short.h5"), 0, NULL, 0, 100);
    write_thresholds(in_folder("model"), in_folder("t.json"));
    write_thresholds(in_folder("mute"), in_folder("mute.json")); /* another fingerprint */
    return file_write(in_folder("broken.json"), "{\"tau\":", 7, &err);
}

static int remove_files(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* ---------------------------------------------------------------- running ------------------ */

typedef struct {
    int status;
    char *out, *err;
} outcome;

static void redirect(const char *path, int to)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd < 0 || dup2(fd, to) < 0)
        _exit(126);
}

/* Runs BUILD/program; `disk` limits the size of files it writes (0: not). */
static outcome run_with_disk(long disk, char **argv)
{
    const char *build = getenv("BUILD");
    char program[256];
    outcome o;
    size_t size;
    pid_t child;

    snprintf(program, sizeof program, "%s/%s", build ? build : "build", argv[0]);
    child = fork();
    if (child == 0) {
        redirect(in_folder(".out"), STDOUT_FILENO);
        redirect(in_folder(".err"), STDERR_FILENO);
        if (disk) {
            struct rlimit limit = {(rlim_t)disk, (rlim_t)disk};
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &limit);
        }
        execv(program, argv);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &o.status, 0), child);
    if (!WIFEXITED(o.status))
        fail_msg("%s %s was killed by signal %d", program, argv[1], WTERMSIG(o.status));
    o.status = WEXITSTATUS(o.status);
    assert_int_equal(file_read(in_folder(".out"), FILE_LIMIT, &o.out, &size, NULL), DEER_OK);
    assert_int_equal(file_read(in_folder(".err"), FILE_LIMIT, &o.err, &size, NULL), DEER_OK);
    return o;
}

static void free_outcome(outcome *o)
{
    free(o->out);
    free(o->err);
}

/* Words up to NULL: program, sub-command, arguments. */
static void collect(va_list words, char **argv)
{
    int n = 0;

    do
        argv[n] = va_arg(words, char *);
    while (argv[n] && ++n < MOST_ARGUMENTS);
}

/* Succeeds and prints one JSON object on standard output; the caller's. */
static json_t *json_of(const char *first, ...)
{
    char *argv[MOST_ARGUMENTS + 1] = {(char *)(uintptr_t)first};
    json_error_t problem;
    json_t *root;
    va_list words;
    outcome o;

    va_start(words, first);
    collect(words, argv + 1);
    va_end(words);
    o = run_with_disk(0, argv);
    if (o.status || *o.err)
        fail_msg("%s %s ended with %d: %s", argv[0], argv[1], o.status, o.err);
    root = json_loads(o.out, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object(root))
        fail_msg("%s %s printed no JSON: %s", argv[0], argv[1], problem.text);
    free_outcome(&o);
    return root;
}

/* Ends with this status, nothing on standard output and one line on standard error that holds
 * `message`. The words go on up to NULL. */
static void fails(int status, const char *message, const char *first, ...)
{
    char *argv[MOST_ARGUMENTS + 1] = {(char *)(uintptr_t)first};
    va_list words;
    outcome o;
    char *newline;

    va_start(words, first);
    collect(words, argv + 1);
    va_end(words);
    o = run_with_disk(0, argv);
    newline = strchr(o.err, '\n');
    if (o.status != status || *o.out || !newline || newline[1] || !strstr(o.err, message))
        fail_msg("%s %s ended with %d (not %d, '%s'): %s%s", argv[0], argv[1], o.status, status,
                 message, o.out, o.err);
    free_outcome(&o);
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_number(value))
        fail_msg("%s is no number", key);
    return json_number_value(value);
}

/* ---------------------------------------------------------------- deer-data ---------------- */

static void test_data_info(void **state)
{
    json_t *root = json_of("deer-data", "info", in_folder("demos.h5"), "--json", NULL);
    json_t *task = json_array_get(json_object_get(root, "tasks"), 0);
    json_t *gripper = json_array_get(json_object_get(root, "actions"), 6);

    (void)state;
    assert_true(number(root, "demonstrations") == DEMOS);
    assert_true(number(root, "steps") == DEMOS * STEPS);
    assert_int_equal(json_string_length(json_object_get(root, "fingerprint")), 32);
    assert_string_equal(json_string_value(json_object_get(task, "task")), "push");
    assert_true(number(task, "steps") == DEMOS * STEPS);
    assert_string_equal(json_string_value(json_object_get(gripper, "name")), "gripper");
    assert_true(number(gripper, "min") >= -1 && number(gripper, "max") <= 1);
    json_decref(root);
}

/* demos.h5 with other actions in its first demonstration. */
static void write_wild_demos(const char *to)
{
    float actions[STEPS * DEMO_ACTION];
    hid_t file, data;

    damaged_copy(in_folder("demos.h5"), to, 0, NULL, 0, 0);
    for (int i = 0; i < STEPS * DEMO_ACTION; i++)
        actions[i] = 0;
    actions[0] = NAN;
    actions[DEMO_ACTION + 1] = 1.5f;
    file = H5Fopen(to, H5F_ACC_RDWR, H5P_DEFAULT);
    data = H5Dopen2(file, "data/demo_0/actions", H5P_DEFAULT);
    assert_true(H5Dwrite(data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, actions) >= 0);
    H5Dclose(data);
    H5Fclose(file);
}

static bool warns(const json_t *info, const char *words)
{
    const json_t *list = json_object_get(info, "warnings"), *text;
    size_t i;

    json_array_foreach(list, i, text)
    {
        if (strstr(json_string_value(text), words))
            return true;
    }
    return false;
}

/* What cannot be replayed can still be looked at, and info says what is wrong with it. */
static void test_data_warnings(void **state)
{
    json_t *info = json_of("deer-data", "info", in_folder("demos.h5"), "--json", NULL);

    (void)state;
    assert_true(warns(info, "demonstrations are few"));
    assert_int_equal(json_array_size(json_object_get(info, "warnings")), 1);
    json_decref(info);
    write_wild_demos(in_folder("wild.h5"));
    info = json_of("deer-data", "info", in_folder("wild.h5"), "--json", NULL);
    assert_true(warns(info, "x: 1 values are not finite"));
    assert_true(warns(info, "y: 1 values lie outside -1..1"));
    assert_int_equal(json_array_size(json_object_get(info, "warnings")), 3);
    json_decref(info);
    info = json_of("deer-data", "info", in_folder("silent.h5"), "--json", NULL);
    assert_true(warns(info, "have no instruction; deer-calib replay needs --instruction"));
    json_decref(info);
}

/* ---------------------------------------------------------------- deer-data import --------- */

/* A copy of the CALVIN split, in the folder. */
static void copy_split(void)
{
    char command[256];

    snprintf(command, sizeof command, "cp -r tests/data/calvin/training '%s'", in_folder("split"));
    assert_int_equal(system(command), 0);
}

static int import_split(const char *out, const char *skip)
{
    char *argv[] = {"deer-data", "import", "--calvin", NULL, "--part-episodes",
                    "1",         "--out",  NULL,       NULL, NULL};
    outcome o;

    argv[3] = strdup(in_folder("split"));
    argv[7] = strdup(in_folder(out));
    argv[8] = (char *)(uintptr_t)skip;
    o = run_with_disk(0, argv);
    if (o.status && !strstr(o.err, "episode_0358489.npz"))
        fail_msg("import failed: %s", o.err);
    free(argv[3]);
    free(argv[7]);
    free_outcome(&o);
    return o.status;
}

static void expect_same_file(const char *a, const char *b)
{
    char *x, *y;
    size_t n, m;

    assert_int_equal(file_read(in_folder(a), FILE_LIMIT, &x, &n, NULL), DEER_OK);
    assert_int_equal(file_read(in_folder(b), FILE_LIMIT, &y, &m, NULL), DEER_OK);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

/* An import that fails half-way goes on where it was, also when what it had kept was damaged, and
 * comes to the same bytes. The frame that is missing is of the second episode alone. */
static void test_import_goes_on(void **state)
{
    char frame[128], away[128];

    (void)state;
    copy_split();
    snprintf(frame, sizeof frame, "%s", in_folder("split/episode_0358489.npz"));
    snprintf(away, sizeof away, "%s", in_folder("away.npz"));
    assert_int_equal(import_split("whole.h5", NULL), 0);
    assert_int_equal(access(in_folder("whole.h5.parts"), F_OK), -1);
    for (int damaged = 0; damaged < 2; damaged++) {
        const char *kept = "later.h5.parts/part-00000.h5";

        assert_int_equal(rename(frame, away), 0);
        assert_int_equal(import_split("later.h5", NULL), 1);
        assert_int_equal(access(in_folder("later.h5"), F_OK), -1);
        assert_int_equal(access(in_folder(kept), F_OK), 0);
        if (damaged)
            damaged_copy(in_folder(kept), in_folder(kept), 100, "x", 1, 0);
        assert_int_equal(rename(away, frame), 0);
        assert_int_equal(import_split("later.h5", NULL), 0);
        expect_same_file("later.h5", "whole.h5");
        assert_int_equal(access(in_folder("later.h5.parts"), F_OK), -1);
        assert_int_equal(unlink(in_folder("later.h5")), 0);
    }
}

/* A part that left an episode out, of an import that was killed: the episode may have been
 * repaired, so the part is done again, and the result is that of an import that was never
 * interrupted. */
static void test_import_skips_nothing_repaired(void **state)
{
    static const char note[] = "{\"hash\": \"\", \"kept\": 0, \"skipped\": 1, \"steps\": 0}";
    char frame[128], away[128];

    (void)state;
    snprintf(frame, sizeof frame, "%s", in_folder("split/episode_0358489.npz"));
    snprintf(away, sizeof away, "%s", in_folder("away.npz"));
    assert_int_equal(rename(frame, away), 0);
    assert_int_equal(import_split("later.h5", NULL), 1); /* leaves the first part */
    assert_int_equal(
        file_write(in_folder("later.h5.parts/part-00001.json"), note, sizeof note - 1, NULL),
        DEER_OK);
    assert_int_equal(rename(away, frame), 0);
    assert_int_equal(import_split("later.h5", "--skip-bad"), 0);
    expect_same_file("later.h5", "whole.h5");
    assert_int_equal(unlink(in_folder("later.h5")), 0);
}

static void test_import_of_another_kind(void **state)
{
    (void)state;
    fails(1, "is a dataset for --lerobot, not --calvin", "deer-data", "import", "--calvin",
          "tests/data/lerobot/v21", "--out", in_folder("none.h5"), NULL);
    fails(2, "one kind of source at a time", "deer-data", "import", "--calvin", "a", "--hdf5", "b",
          "--out", in_folder("none.h5"), NULL);
    fails(2, "has no use for --mask", "deer-data", "import", "--calvin", in_folder("split"),
          "--mask", "train", "--out", in_folder("none.h5"), NULL);
    assert_int_equal(access(in_folder("none.h5.parts"), F_OK), -1);
}

/* Missing, no file at all, cut off, not finite: each is left out with --skip-bad. */
static void test_import_skips(void **state)
{
    char frame[128];
    demos *d;
    deer_error err;

    (void)state;
    snprintf(frame, sizeof frame, "%s", in_folder("split/episode_0358489.npz"));
    for (int kind = 0; kind < 3; kind++) {
        unlink(frame);
        if (kind == 1)
            assert_int_equal(mkdir(frame, 0700), 0);
        if (kind == 2)
            assert_int_equal(file_write(frame, "PK", 2, NULL), DEER_OK);
        assert_int_equal(import_split("some.h5", NULL), 1);
        assert_int_equal(import_split("some.h5", "--skip-bad"), 0);
        assert_int_equal(demos_open(in_folder("some.h5"), &d, &err), DEER_OK);
        assert_int_equal(demos_count(d), 1);
        demos_close(d);
        rmdir(frame);
    }
    assert_int_equal(access(in_folder("some.h5.parts"), F_OK), -1);
}

/* What the machine lacks ends an import: the episodes are not bad. */
static void test_import_skips_nothing_for_want_of_files(void **state)
{
    char command[512], out[96], said_by[96], *said;
    size_t n;

    (void)state;
    snprintf(out, sizeof out, "%s/few.h5", folder);
    snprintf(said_by, sizeof said_by, "%s/.err", folder);
    snprintf(command, sizeof command,
             "exec 2>'%s'; ulimit -n 5; exec \"${BUILD:-build}\"/deer-data import --calvin "
             "tests/data/calvin/training --skip-bad --threads 1 --out '%s'",
             said_by, out);
    assert_int_not_equal(system(command), 0);
    assert_int_equal(file_read(said_by, FILE_LIMIT, &said, &n, NULL), DEER_OK);
    if (!strstr(said, "Too many open files") || strstr(said, "skipped"))
        fail_msg("%s", said);
    assert_int_equal(access(out, F_OK), -1);
    free(said);
}

/* The PNG that deer-data frame writes, on a disk of so many bytes. */
static int write_frame(const char *out, long disk)
{
    char *argv[] = {"deer-data", "frame",   NULL,    "--step", "-1",
                    "--camera",  "gripper", "--out", NULL,     NULL};
    outcome o;

    argv[2] = (char *)(uintptr_t)in_folder("demos.h5");
    argv[8] = (char *)(uintptr_t)out;
    o = run_with_disk(disk, argv);
    free_outcome(&o);
    return o.status;
}

static void test_data_frame(void **state)
{
    static const char signature[] = "\x89PNG\r\n\x1a\n";
    const char *out = in_folder("frame.png");
    char *data;
    size_t size;

    (void)state;
    assert_int_equal(write_frame(out, 1000), 1);
    assert_int_equal(access(out, F_OK), -1);
    assert_int_equal(write_frame(out, 0), 0);
    assert_int_equal(file_read(out, FILE_LIMIT, &data, &size, NULL), DEER_OK);
    assert_true(size > 1000 && !memcmp(data, signature, 8));
    free(data);
}

static void test_data_failures(void **state)
{
    const char *d = in_folder("demos.h5"), *png = in_folder("no.png");

    (void)state;
    fails(2, "see deer-data info --help", "deer-data", "info", NULL);
    fails(1, "No such file", "deer-data", "info", in_folder("no.h5"), NULL);
    fails(1, "is cut off", "deer-data", "info", in_folder("short.h5"), NULL);
    fails(2, "--out", "deer-data", "frame", d, NULL);
    fails(2, "static or gripper", "deer-data", "frame", d, "--camera", "top", "--out", png, NULL);
    fails(1, "steps 0 to 5", "deer-data", "frame", d, "--step", "6", "--out", png, NULL);
    fails(1, "no demonstration demo_9", "deer-data", "frame", d, "--demo", "demo_9", "--out", png,
          NULL);
    fails(1, "/nowhere/f.png", "deer-data", "frame", d, "--out", "/nowhere/f.png", NULL);
    assert_int_equal(access(png, F_OK), -1);
}

/* ---------------------------------------------------------------- deer-run ----------------- */

/* The exits a session takes on a demonstration, by the library itself. */
static void exits_by_library(const char *demo, int exits[STEPS])
{
    deer_error err;
    deer_model *model;
    deer_session *session;
    deer_thresholds t;
    deer_camera camera[2];
    demo_episode e;
    demos *d;

    assert_int_equal(demos_open(in_folder("demos.h5"), &d, &err), DEER_OK);
    assert_int_equal(demos_read(d, demos_find(d, demo), &e, &err), DEER_OK);
    assert_int_equal(deer_model_open(in_folder("model"), DEER_ALL_EXITS, &model, &err), DEER_OK);
    assert_int_equal(thresholds_read(in_folder("t.json"), model, &t, &err), DEER_OK);
    assert_int_equal(deer_session_new(model, &t, NULL, &session, &err), DEER_OK);
    demo_episode_cameras(&e, &camera[0], &camera[1]);
    assert_int_equal(deer_session_set_cameras(session, &camera[0], &camera[1], &err), DEER_OK);
    assert_int_equal(deer_session_set_instruction(session, e.instruction, &err), DEER_OK);
    for (int i = 0; i < STEPS; i++) {
        deer_observation seen = demo_episode_observation(&e, i);
        deer_action action;
        assert_int_equal(deer_step(session, &seen, &action, &err), DEER_OK);
        exits[i] = action.exit;
    }
    deer_session_free(session);
    deer_model_close(model);
    demo_episode_free(&e);
    demos_close(d);
}

/* Costs of the model's exits at the demonstrations' seven tokens. */
static void cost_of_model(deer_cost *cost)
{
    deer_error err;
    deer_model *model;

    assert_int_equal(deer_model_open(in_folder("model"), DEER_ALL_EXITS, &model, &err), DEER_OK);
    deer_cost_of(deer_model_config(model), 7, WEIGHT_F32, cost);
    deer_model_close(model);
}

/* Every step as the library takes it, and averages that follow from the steps. */
static void test_episode_under_thresholds(void **state)
{
    json_t *root = json_of("deer-run", "episode", "--model", in_folder("model"), "--thresholds",
                           in_folder("t.json"), "--demos", in_folder("demos.h5"), "--demo",
                           "demo_1", "--json", NULL);
    json_t *episode = json_array_get(json_object_get(root, "episodes"), 0);
    json_t *steps = json_object_get(episode, "step"), *expected = json_object_get(root, "expected");
    int exits[STEPS], taken[3] = {0};
    double total = 0;
    deer_cost cost;

    (void)state;
    exits_by_library("demo_1", exits);
    cost_of_model(&cost);
    assert_int_equal(json_array_size(steps), STEPS);
    assert_true(number(episode, "tokens") == 7);
    for (int i = 0; i < STEPS; i++) {
        json_t *step = json_array_get(steps, (size_t)i);
        assert_true(number(step, "exit") == exits[i]);
        assert_true(fabs(number(step, "total_gflops") - deer_gflops(cost.exit[exits[i]].total)) <
                    1e-8);
        assert_true(number(step, "ms") > 0);
        total += number(step, "total_gflops") / STEPS;
        taken[exits[i]]++;
    }
    assert_true(fabs(number(root, "average_total_gflops") - total) < 1e-8);
    for (size_t k = 0; k < 3; k++) {
        json_t *fraction = json_array_get(json_object_get(root, "exit_fraction"), k);
        assert_true(fabs(json_number_value(fraction) - (double)taken[k] / STEPS) < 1e-6);
    }
    assert_true(number(expected, "average_llm_gflops") == 0.002);
    json_decref(root);
}

static void test_episode_at_fixed_exit(void **state)
{
    json_t *root = json_of("deer-run", "episode", "--model", in_folder("model"), "--exit", "1",
                           "--demos", in_folder("demos.h5"), "--all", "--json", NULL);
    json_t *fraction = json_object_get(root, "exit_fraction");

    (void)state;
    assert_int_equal(json_array_size(json_object_get(root, "episodes")), DEMOS);
    assert_true(number(root, "steps") == DEMOS * STEPS);
    assert_int_equal(json_array_size(fraction), 2);
    assert_true(json_number_value(json_array_get(fraction, 1)) == 1);
    assert_true(json_is_null(json_object_get(root, "expected")));
    assert_null(json_object_get(root, "profile"));
    json_decref(root);
}

/* The stage of that name; fails without one. */
static json_t *stage_of(const json_t *profile, const char *name)
{
    json_t *stages = json_object_get(profile, "stages"), *stage;
    size_t i;

    json_array_foreach(stages, i, stage)
    {
        if (!strcmp(json_string_value(json_object_get(stage, "stage")), name))
            return stage;
    }
    fail_msg("no stage '%s'", name);
    return NULL;
}

/* Stages ran as often as the exits of the steps that were played want, warm-ups not counted. */
static void test_episode_profile(void **state)
{
    json_t *root = json_of("deer-run", "episode", "--model", in_folder("model"), "--thresholds",
                           in_folder("t.json"), "--demos", in_folder("demos.h5"), "--all",
                           "--profile", "--threads", "1", "--json", NULL);
    json_t *profile = json_object_get(root, "profile"), *stage;
    const char *const layers[] = {"decoder layer 1", "decoder layer 3", "decoder layer 5"};
    int exits[STEPS], deeper[3] = {0}, evaluations = 0;
    double shares = 0;
    size_t i;

    (void)state;
    for (int demo = 0; demo < DEMOS; demo++) {
        exits_by_library((const char *[]){"demo_0", "demo_1", "demo_2"}[demo], exits);
        for (int t = 0; t < STEPS; t++) {
            for (int k = 0; k <= exits[t]; k++)
                deeper[k]++;
            evaluations += exits[t] + 1;
        }
    }
    assert_true(deeper[0] > deeper[2]); /* they do differ */
    assert_true(number(profile, "steps") == DEMOS * STEPS);
    assert_true(number(stage_of(profile, "vision tower, 2 images"), "runs") == DEMOS * STEPS);
    assert_true(number(stage_of(profile, "head, an evaluation"), "runs") == evaluations);
    for (int k = 0; k < 3 && deeper[k]; k++)
        assert_true(number(stage_of(profile, layers[k]), "runs") == deeper[k]);
    json_array_foreach(json_object_get(profile, "stages"), i, stage)
    {
        assert_true(number(stage, "ms_p10") <= number(stage, "ms_p90"));
        shares += number(stage, "share");
    }
    assert_true(fabs(shares - 1) < 1e-5);
    assert_true(number(json_object_get(profile, "step"), "ms_median") > 0);
    assert_true(number(json_object_get(profile, "limits"), "threads") == 1);
    json_decref(root);
}

/* The same as a table, behind everything that is printed without it. */
static void test_episode_profile_table(void **state)
{
    char *argv[] = {"deer-run", "episode", "--model", NULL, "--demos", NULL,
                    "--exit",   "1",       "--all",   NULL, NULL};
    outcome plain, profiled;

    (void)state;
    argv[3] = (char *)(uintptr_t)in_folder("model");
    argv[5] = (char *)(uintptr_t)in_folder("demos.h5");
    plain = run_with_disk(0, argv);
    argv[9] = "--profile";
    profiled = run_with_disk(0, argv);
    assert_int_equal(plain.status, 0);
    assert_int_equal(profiled.status, 0);
    assert_null(strstr(plain.out, "decoder layer"));
    assert_non_null(strstr(profiled.out, "gripper agrees"));
    assert_non_null(strstr(profiled.out, "\nthe stages of 18 steps, "));
    assert_non_null(strstr(profiled.out, ", leaving at exit 0: 0, 1: 18\n"));
    assert_non_null(strstr(profiled.out, "\ndecoder layer 3          1.000 "));
    assert_null(strstr(profiled.out, "\ndecoder layer 4"));
    assert_non_null(strstr(profiled.out, "\nhead, an evaluation      2.000 "));
    assert_non_null(strstr(profiled.out, "\nall of them, a step      1.000 "));
    free_outcome(&plain);
    free_outcome(&profiled);
}

static void test_episode_with_given_instruction(void **state)
{
    json_t *root =
        json_of("deer-run", "episode", "--model", in_folder("model"), "--demos",
                in_folder("silent.h5"), "--instruction", "push the block", "--json", NULL);
    json_t *episode = json_array_get(json_object_get(root, "episodes"), 0);

    (void)state;
    assert_string_equal(json_string_value(json_object_get(episode, "instruction")),
                        "push the block");
    assert_true(number(episode, "tokens") == 6);
    json_decref(root);
}

static void test_bench(void **state)
{
    json_t *root = json_of("deer-run", "bench", "--model", in_folder("mute"), "--steps", "3",
                           "--threads", "1", "--json", NULL);
    json_t *exits = json_object_get(root, "exits"), *exit;
    double before = 0;
    size_t k;

    (void)state;
    assert_int_equal(json_array_size(exits), 3);
    json_array_foreach(exits, k, exit)
    {
        assert_true(number(exit, "exit") == (double)k);
        assert_true(number(exit, "ms_p10") <= number(exit, "ms_median"));
        assert_true(number(exit, "ms_median") <= number(exit, "ms_p90"));
        assert_true(number(exit, "model_bytes") > before);
        assert_true(number(exit, "process_bytes") > number(exit, "session_bytes"));
        before = number(exit, "model_bytes");
    }
    json_decref(root);
}

/* The instruction set is the environment's, and the times of all sets are there. */
static void test_bench_sets(void **state)
{
    const json_t *used, *us;
    json_t *root;

    (void)state;
    setenv("DEER_ISA", "generic", 1);
    root = json_of("deer-run", "bench", "--model", in_folder("mute"), "--steps", "1", "--exit", "0",
                   "--json", NULL);
    for (int type = 0; type < WEIGHT_DTYPES; type++) {
        const json_t *of = json_object_get(json_object_get(root, "instruction_sets"),
                                           weight_dtype_name((weight_dtype)type));
        used = json_object_get(of, "used");
        us = json_object_get(of, "us");
        assert_string_equal(json_string_value(used), "generic");
        assert_true(json_object_size(us) == 1 ||
                    json_number_value(json_object_get(us, "generic")) > 0);
    }
    json_decref(root);
    setenv("DEER_ISA", "abacus", 1);
    fails(2, "this processor has", "deer-run", "bench", "--model", in_folder("mute"), NULL);
    unsetenv("DEER_ISA");
}

/* Of one encoding a step and of none: less work, and more memory for what is kept. */
static void test_bench_encodings(void **state)
{
    const char *const encodings[] = {"0", "1", "2"};
    double total[3], session[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        json_t *root =
            json_of("deer-run", "bench", "--model", in_folder("mute"), "--steps", "3", "--exit",
                    "1", "--threads", "1", "--encodings", encodings[i], "--json", NULL);
        json_t *exit = json_array_get(json_object_get(root, "exits"), 0);

        total[i] = number(exit, "total_gflops");
        session[i] = number(exit, "session_bytes");
        json_decref(root);
    }
    assert_true(fabs((total[2] - total[1]) - (total[1] - total[0])) < 1e-9 && total[1] < total[2]);
    assert_true(session[0] == session[1] && session[1] > session[2]);
}

static void test_run_wrong_usage(void **state)
{
    const char *m = in_folder("model"), *d = in_folder("demos.h5"), *t = in_folder("t.json");

    (void)state;
    fails(2, "--model and --demos", "deer-run", "episode", "--model", m, NULL);
    fails(2, "exclude", "deer-run", "episode", "--model", m, "--demos", d, "--thresholds", t,
          "--exit", "1", NULL);
    fails(2, "exclude", "deer-run", "episode", "--model", m, "--demos", d, "--all", "--demo", "x",
          NULL);
    fails(2, "there is no exit 3", "deer-run", "episode", "--model", m, "--demos", d, "--exit", "3",
          NULL);
    fails(2, "--exit", "deer-run", "episode", "--model", m, "--demos", d, "--exit", "-2", NULL);
    fails(2, "is no value", "deer-run", "bench", "--model", m, "--steps", "many", NULL);
    fails(2, "--steps must be 1 to", "deer-run", "bench", "--model", m, "--steps", "0", NULL);
    fails(2, "--encodings must be 0 to 2", "deer-run", "bench", "--model", m, "--encodings", "3",
          NULL);
    fails(2, "there is no exit 7", "deer-run", "bench", "--model", m, "--exit", "7", NULL);
    fails(2, "--model", "deer-run", "bench", NULL);
}

static void episode_fails(const char *words, const char *model, const char *thresholds,
                          const char *demonstrations)
{
    fails(1, words, "deer-run", "episode", "--model", in_folder(model), "--demos",
          in_folder(demonstrations), thresholds ? "--thresholds" : NULL,
          thresholds ? in_folder(thresholds) : NULL, NULL);
}

static void test_run_failures(void **state)
{
    (void)state;
    episode_fails("No such file", "no-model", NULL, "demos.h5");
    episode_fails("No such file", "model", NULL, "no.h5");
    episode_fails("No such file", "model", "no.json", "demos.h5");
    episode_fails("broken.json", "model", "broken.json", "demos.h5");
    episode_fails("another model", "other", "t.json", "demos.h5");
    episode_fails("another model", "model", "mute.json", "demos.h5");
    episode_fails("no tokenizer", "mute", NULL, "demos.h5");
    episode_fails("no instruction", "model", NULL, "silent.h5");
    episode_fails("is cut off", "model", NULL, "short.h5");
    episode_fails("not finite", "nan", NULL, "demos.h5");
    episode_fails("short", "short", NULL, "demos.h5");
    episode_fails("demos.h5", "demos.h5", NULL, "demos.h5");
    fails(1, "the word 'paint'", "deer-run", "episode", "--model", in_folder("model"), "--demos",
          in_folder("demos.h5"), "--instruction", "paint the block", NULL);
    fails(1, "no demonstration demo_7", "deer-run", "episode", "--model", in_folder("model"),
          "--demos", in_folder("demos.h5"), "--demo", "demo_7", NULL);
    fails(1, "not finite", "deer-run", "bench", "--model", in_folder("nan"), NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_info),
        cmocka_unit_test(test_data_warnings),
        cmocka_unit_test(test_import_goes_on),
        cmocka_unit_test(test_import_skips_nothing_repaired),
        cmocka_unit_test(test_import_of_another_kind),
        cmocka_unit_test(test_import_skips),
        cmocka_unit_test(test_import_skips_nothing_for_want_of_files),
        cmocka_unit_test(test_data_frame),
        cmocka_unit_test(test_data_failures),
        cmocka_unit_test(test_episode_under_thresholds),
        cmocka_unit_test(test_episode_at_fixed_exit),
        cmocka_unit_test(test_episode_profile),
        cmocka_unit_test(test_episode_profile_table),
        cmocka_unit_test(test_episode_with_given_instruction),
        cmocka_unit_test(test_bench),
        cmocka_unit_test(test_bench_sets),
        cmocka_unit_test(test_bench_encodings),
        cmocka_unit_test(test_run_wrong_usage),
        cmocka_unit_test(test_run_failures),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
