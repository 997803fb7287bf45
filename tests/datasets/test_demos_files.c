/* SPDX-License-Identifier: MIT */
/* test_demos_files.c - demonstrations as people have them: compression, types, texts, files that do
 * not open, several files. tests/data/demos is made by h5py (make_demos.py). */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "datasets/demos/demos.h"
#include "datasets/hdf5/hdf5_io.h"
#include "runtime/base/file.h"

static char folder[64], path[160];

static int make_folder(void **state)
{
    (void)state;
    hdf5_quiet();
    strcpy(folder, "/tmp/test_demos_files.XXXXXX");
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

static void assert_refused(const char *from, const char *words)
{
    deer_error err = {""};
    demos *d;

    assert_int_equal(demos_open(from, &d, &err), DEER_FAILED);
    if (!strstr(err.message, words) || strchr(err.message, '\n'))
        fail_msg("'%s' does not say '%s'", err.message, words);
}

static void copy_file(const char *from, const char *to)
{
    char command[512];

    snprintf(command, sizeof command, "cp '%s' '%s' && chmod u+w '%s'", from, to, to);
    assert_int_equal(system(command), 0);
}

static void write_bytes(const char *to, const void *bytes, size_t n)
{
    FILE *f = fopen(to, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* ---------------------------------------------------------------- storage ------------------ */

/* What make_demos.py wrote. */
static void assert_made_pixels(const demo_episode *e)
{
    assert_int_equal(e->steps, 3);
    assert_int_equal(e->static_height, 16);
    assert_int_equal(e->static_width, 12);
    for (int i = 0; i < 3 * 16 * 12 * 3; i++)
        assert_int_equal(e->static_rgb[i], i * 7 % 251);
    for (int i = 0; i < 3 * 8 * 8 * 3; i++)
        assert_int_equal(e->gripper_rgb[i], i * 5 % 251);
    for (int i = 0; i < 21; i++)
        assert_true(e->actions[i] == (float)(i % 19 / 10.0 - 0.9));
}

static void test_lzf_is_read(void **state)
{
    demos *d;
    demo_episode e;
    deer_error err = {""};

    (void)state;
    if (demos_open("tests/data/demos/lzf.h5", &d, &err) || demos_read(d, 0, &e, &err))
        fail_msg("%s", err.message);
    assert_made_pixels(&e);
    demo_episode_free(&e);
    demos_close(d);
}

/* A chunk of LZF with any byte changed may give an error or other pixels, nothing worse. */
static void test_damaged_lzf_does_not_kill(void **state)
{
    struct stat info;

    (void)state;
    assert_int_equal(stat("tests/data/demos/lzf.h5", &info), 0);
    for (long at = 40; at < info.st_size; at += 97) {
        FILE *f;
        demos *d;
        demo_episode e;
        deer_error err;

        copy_file("tests/data/demos/lzf.h5", path);
        f = fopen(path, "r+b");
        fseek(f, at, SEEK_SET);
        fputc(0xff, f);
        fclose(f);
        if (demos_open(path, &d, &err))
            continue;
        if (!demos_read(d, 0, &e, &err))
            demo_episode_free(&e);
        demos_close(d);
    }
}

static void add_dataset(hid_t file, const char *name, hid_t type, int rank, const hsize_t *size,
                        hid_t properties)
{
    hid_t links = H5Pcreate(H5P_LINK_CREATE), space = H5Screate_simple(rank, size, NULL), dataset;
    void *zeros = calloc((size_t)H5Sget_simple_extent_npoints(space), H5Tget_size(type));

    H5Pset_create_intermediate_group(links, 1);
    dataset = H5Dcreate2(file, name, type, space, links, properties, H5P_DEFAULT);
    assert_true(dataset >= 0);
    if (properties == H5P_DEFAULT)
        assert_true(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros) >= 0);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Pclose(links);
    free(zeros);
}

static const hsize_t actions_size[2] = {2, 7}, image_size[4] = {2, 4, 4, 3};

/* A file without texts: demonstrations demo_0 to demo_<n - 1>. */
static hid_t create(const char *to, int n)
{
    hid_t file = H5Fcreate(to, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    char name[64];

    assert_true(file >= 0);
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "data/demo_%d/actions", i);
        add_dataset(file, name, H5T_NATIVE_FLOAT, 2, actions_size, H5P_DEFAULT);
        snprintf(name, sizeof name, "data/demo_%d/obs/agentview_rgb", i);
        add_dataset(file, name, H5T_NATIVE_UINT8, 4, image_size, H5P_DEFAULT);
        snprintf(name, sizeof name, "data/demo_%d/obs/eye_in_hand_rgb", i);
        add_dataset(file, name, H5T_NATIVE_UINT8, 4, image_size, H5P_DEFAULT);
    }
    return file;
}

static void test_missing_filters_are_named(void **state)
{
    static const struct {
        int filter;
        const char *words;
    } all[] = {{32001, "filter 32001 (Blosc), which is not installed: install "
                       "hdf5-filter-plugin-blosc-serial"},
               {32015, "filter 32015 (Zstandard)"},
               {31999, "filter 31999 (not a registered one)"}};

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const hsize_t chunk[4] = {1, 4, 4, 3};
        hid_t file = create(path, 1), properties = H5Pcreate(H5P_DATASET_CREATE);

        if (H5Zfilter_avail(all[i].filter) > 0)
            continue;
        H5Ldelete(file, "data/demo_0/obs/agentview_rgb", H5P_DEFAULT);
        H5Pset_chunk(properties, 4, chunk);
        H5Pset_filter(properties, all[i].filter, H5Z_FLAG_OPTIONAL, 0, NULL);
        add_dataset(file, "data/demo_0/obs/agentview_rgb", H5T_NATIVE_UINT8, 4, image_size,
                    properties);
        H5Pclose(properties);
        H5Fclose(file);
        assert_refused(path, all[i].words);
    }
}

/* ---------------------------------------------------------------- types -------------------- */

static void test_types_are_said(void **state)
{
    const hsize_t flat[1] = {14}, stacked[5] = {2, 2, 4, 4, 3};
    hid_t file;

    (void)state;
    assert_refused("tests/data/demos/int8.h5",
                   "agentview_image is i1 [3,16,12,3], need u1 [T,H,W,3]");
    assert_refused("tests/data/demos/float.h5",
                   "is f4 [3,16,12,3], need u1 [T,H,W,3]; deer-data import --hdf5 converts it");
    assert_refused("tests/data/demos/first.h5",
                   "is u1 [3,3,16,12], need u1 [T,H,W,3]; deer-data import --hdf5 converts it");
    file = create(path, 1);
    H5Ldelete(file, "data/demo_0/obs/agentview_rgb", H5P_DEFAULT);
    add_dataset(file, "data/demo_0/obs/agentview_rgb", H5T_STD_U8LE, 5, stacked, H5P_DEFAULT);
    H5Fclose(file);
    assert_refused(path, "is u1 [2,2,4,4,3], need");
    file = create(path, 1);
    H5Ldelete(file, "data/demo_0/actions", H5P_DEFAULT);
    add_dataset(file, "data/demo_0/actions", H5T_IEEE_F64BE, 1, flat, H5P_DEFAULT);
    H5Fclose(file);
    assert_refused(path, "data/demo_0/actions is >f8 [14], need floats [T,7]");
}

static void test_cameras_present_are_listed(void **state)
{
    hid_t file = create(path, 1);

    (void)state;
    H5Lmove(file, "data/demo_0/obs/agentview_rgb", file, "data/demo_0/obs/front", H5P_DEFAULT,
            H5P_DEFAULT);
    H5Fclose(file);
    assert_refused(path, "has no static camera");
    assert_refused(path, "there are: eye_in_hand_rgb, front");
    file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    H5Ldelete(file, "data/demo_0/obs", H5P_DEFAULT);
    H5Fclose(file);
    assert_refused(path, "it has no group obs");
}

/* ---------------------------------------------------------------- opening ------------------ */

static void test_files_of_other_kinds_are_named(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *words;
    } kinds[] = {
        {"", 0, "is empty"},
        {"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 1\n", 64,
         "is a Git LFS pointer, not the file; get that with git lfs pull"},
        {"<!DOCTYPE html><html>Quota exceeded</html>", 42, "is a web page"},
        {"\n  <HTML><body>", 15, "is a web page"},
        {"PAR1\x15\x04\x15\x10", 8, "is a Parquet table"},
        {"\x09\0\0\0\0\0\0\0\x2a\xf4\xe1\xef....", 16, "begins with 09 00"},
        {"PK\x03\x04....", 8, "is a zip archive"},
        {"\0\0\0\0\0\0\0\0\0\0\0\0", 12, "begins with zeros"},
        {"hello, world", 12, "begins with 'hello, w' and has 12 bytes"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        write_bytes(path, kinds[i].bytes, kinds[i].size);
        assert_refused(path, "is no HDF5 file: it ");
        assert_refused(path, kinds[i].words);
    }
    assert_refused(folder, "not a regular file");
}

/* A TFRecord of 3 bytes as TensorFlow writes it: length, masked CRC-32C of that, data, its CRC. */
static void test_tfrecord_is_named(void **state)
{
    static const unsigned char record[] = {3,    0,    0,   0,   0,   0,    0,    0,    0xb0, 0x99,
                                           0x49, 0x0e, 'a', 'b', 'c', 0x44, 0x33, 0x22, 0x11};
    (void)state;
    write_bytes(path, record, sizeof record);
    assert_refused(path, "is a TFRecord file");
}

static void test_open_for_writing_is_said(void **state)
{
    int fd;

    (void)state;
    H5Fclose(create(path, 1));
    fd = open(path, O_RDONLY);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_refused(path, "is open for writing in another process");
    close(fd);
}

/* A writer of the newest format that was killed leaves its mark in the superblock. */
static void test_not_closed_is_said(void **state)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), file;
    char command[256];

    (void)state;
    H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Gclose(H5Gcreate2(file, "data", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Fflush(file, H5F_SCOPE_GLOBAL);
    snprintf(command, sizeof command, "cp '%s' '%s/killed.h5'", path, folder);
    assert_int_equal(system(command), 0);
    H5Fclose(file);
    H5Pclose(access);
    snprintf(path, sizeof path, "%s/killed.h5", folder);
    assert_refused(path, "was not closed by the program that wrote it");
    assert_refused(path, "h5clear -s ");
}

/* Cut anywhere: how much is there, and of how much. Behind a user's block, too. */
static void test_cut_off_is_counted(void **state)
{
    struct stat info;
    char words[64];

    (void)state;
    for (int block = 0; block < 2; block++) {
        hid_t creation = H5Pcreate(H5P_FILE_CREATE), file;

        H5Pset_userblock(creation, block ? 512 : 0);
        file = H5Fcreate(path, H5F_ACC_TRUNC, creation, H5P_DEFAULT);
        add_dataset(file, "data/demo_0/actions", H5T_NATIVE_FLOAT, 2, actions_size, H5P_DEFAULT);
        H5Fclose(file);
        H5Pclose(creation);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(truncate(path, info.st_size - 100), 0);
        snprintf(words, sizeof words, "is cut off: %ld of %ld bytes", (long)info.st_size - 100,
                 (long)info.st_size);
        assert_refused(path, words);
    }
}

/* ---------------------------------------------------------------- texts -------------------- */

/* Writes texts as an attribute or a scalar or one-dimensional dataset, of variable length. */
static void put_texts(hid_t file, const char *group, const char *name, bool attribute,
                      const char *const *texts, hsize_t n)
{
    hid_t type = H5Tcopy(H5T_C_S1), space, object = H5Gopen2(file, group, H5P_DEFAULT), at;

    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    space = n ? H5Screate_simple(1, &n, NULL) : H5Screate(H5S_SCALAR);
    if (attribute) {
        at = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
        assert_true(H5Awrite(at, type, texts) >= 0);
        H5Aclose(at);
    } else {
        at = H5Dcreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        assert_true(H5Dwrite(at, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts) >= 0);
        H5Dclose(at);
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Gclose(object);
}

static demo_episode described(const char *from, const demos_options *options)
{
    deer_error err = {""};
    demos *d;
    demo_episode e;

    if (demos_open_files(&from, 1, options, &d, &err))
        fail_msg("%s", err.message);
    assert_int_equal(demos_describe(d, 0, &e, &err), DEER_OK);
    demos_close(d);
    return e;
}

static void assert_place(const char *group, const char *name, bool attribute, const char *text,
                         const char *wanted)
{
    hid_t file = create(path, 1);

    put_texts(file, group, name, attribute, &text, 0);
    H5Fclose(file);
    if (strcmp(described(path, NULL).instruction, wanted) != 0)
        fail_msg("%s of %s gives '%s'", name, group, described(path, NULL).instruction);
}

static void test_every_place_of_instructions(void **state)
{
    static const char wanted[] = "turn on the stove";
    static const char *const names[] = {"language", "language_instruction", "lang", "language_raw"};

    (void)state;
    for (int i = 0; i < 4; i++) {
        char below[64];

        assert_place("data/demo_0", names[i], true, wanted, wanted);
        assert_place("data/demo_0", names[i], false, wanted, wanted);
        assert_place("data/demo_0/obs", names[i], false, wanted, wanted);
        assert_place("data", names[i], true, wanted, wanted);
        snprintf(below, sizeof below, "{\"a\": 1, \"%s\": \"turn on the stove\"}", names[i]);
        assert_place("data/demo_0", "ep_meta", true, below, wanted);
        assert_place("data", "problem_info", true, below, wanted);
        assert_place("data", "env_args", true, below, wanted);
    }
    assert_place("data", "env_args", true, "{\"env_kwargs\": {\"lang\": \"turn on the stove\"}}",
                 wanted);
    assert_place("data", "bddl_file_content", true,
                 "(define (problem X) (:domain d) (:language turn on the stove) (:regions))",
                 wanted);
    assert_place("data/demo_0", "language", true, "[\"turn on the stove\"]", wanted);
    assert_place("data", "problem_info", true,
                 "{\"language_instruction\": [\"t\",\"u\",\"r\",\"n\",\" \",\"o\",\"n\"]}",
                 "turn on");
    assert_place("data", "problem_info", true,
                 "{\"language_instruction\": [\"turn\", \"on\", \"the\", \"stove\"]}", wanted);
    assert_place("data/demo_0", "language", true, "  \xc2\xa0\xe3\x80\x80 stove \xe2\x80\xa8\n",
                 "stove");
}

/* A control character is neither a mark of damage nor part of a word. */
static void test_delete_is_a_space(void **state)
{
    (void)state;
    assert_place("data/demo_0", "language", true, "lift\x7fit", "lift it");
    assert_place("data/demo_0", "ep_meta", true, "{\"lang\": \"lift\x7fit\"}", "lift it");
}

static void assert_garbled(const char *group, const char *name, bool attribute, const char *text)
{
    const char *from = path;
    hid_t file = create(path, 1);
    deer_error err = {""};
    demo_episode e;
    demos *d;

    put_texts(file, group, name, attribute, &text, 0);
    H5Fclose(file);
    assert_int_equal(demos_open_files(&from, 1, NULL, &d, &err), DEER_OK);
    assert_int_equal(demos_describe(d, 0, &e, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "the instruction of data/demo_0 is no UTF-8"));
    demos_close(d);
    assert_string_equal(
        described(path, &(demos_options){.instruction = "a caf\xc3\xa9"}).instruction,
        "a caf\xc3\xa9");
}

/* Latin-1 is neither guessed at nor cut: "caf". */
static void test_other_encodings_are_refused(void **state)
{
    (void)state;
    assert_garbled("data/demo_0", "language", true, "go to the caf\xe9");
    assert_garbled("data/demo_0/obs", "lang", false, "go to the caf\xe9");
    assert_garbled("data/demo_0", "ep_meta", true, "{\"x\": \"\xe9\", \"lang\": \"the caf\xe9\"}");
    assert_garbled("data", "problem_info", true,
                   "{\"language_instruction\": [\"caf\xe9\", \"x\"]}");
    assert_place("data/demo_0", "ep_meta", true, "{\"x\": \"\xe9\", \"lang\": \"the caf\xc3\xa9\"}",
                 "the caf\xc3\xa9");
}

/* Python's json writes NaN and numbers without end; RoboCasa's texts pass a megabyte. */
static void test_odd_json_is_read(void **state)
{
    size_t n = 3 << 20;
    char *large = malloc(n + 200);

    (void)state;
    assert_place("data", "env_args", true,
                 "{\"a\": NaN, \"b\": [-Infinity, 1e999, 123456789012345678901234567890], "
                 "\"NaN 1\": \"x\", \"lang\": \"push it 1e999 NaN\"}",
                 "push it 1e999 NaN");
    strcpy(large, "{\"xml\": \"");
    memset(large + strlen(large), 'x', n);
    strcpy(large + 9 + n, "\", \"lang\": \"lift it\"}");
    assert_place("data/demo_0", "ep_meta", true, large, "lift it");
    free(large);
}

/* Python writes half a character, and the file's other numbers do not matter to the one wanted. */
static void test_odd_json_is_mended(void **state)
{
    static const char *const text =
        "{\"x\": NaN, \"y\": 1e999, \"env_kwargs\": {\"horizon\": 400, \"low\": -Infinity}, "
        "\"lang\": \"\\ud83d push \\ud83d\\ude00 \\\\ud83d\"}";
    hid_t file = create(path, 1);
    deer_error err = {""};
    demos *d;

    (void)state;
    put_texts(file, "data", "env_args", true, &text, 0);
    H5Fclose(file);
    assert_string_equal(described(path, NULL).instruction,
                        "\xef\xbf\xbd push \xf0\x9f\x98\x80 \\ud83d");
    assert_int_equal(demos_open(path, &d, &err), DEER_OK);
    assert_int_equal(demos_horizon(d), 400);
    demos_close(d);
}

/* A file of a few hundred kilobytes whose texts would take gigabytes: each is the same one. */
static void test_repeated_texts_are_bounded(void **state)
{
    enum { TEXTS = 2000, LENGTH = 400000 };
    static char *texts[TEXTS], text[LENGTH + 1];
    deer_error err = {""};
    uint8_t reference[16];
    hid_t file = create(path, 1);
    char *bytes;
    size_t size, at = 0;
    demos *d;

    (void)state;
    memset(text, 'x', LENGTH);
    for (int i = 0; i < TEXTS; i++)
        texts[i] = i ? "y" : text;
    put_texts(file, "data/demo_0", "language", false, (const char *const *)texts, TEXTS);
    H5Fclose(file);
    assert_int_equal(file_read(path, 16 << 20, &bytes, &size, &err), DEER_OK);
    while (at + 16 < size && (memcmp(bytes + at, (uint32_t[]){LENGTH}, 4) != 0 ||
                              memcmp(bytes + at + 16, (uint32_t[]){1}, 4) != 0))
        at++;
    assert_true(at + 16 * TEXTS < size);
    memcpy(reference, bytes + at, 16); /* length, place and number of the long one */
    for (int i = 1; i < TEXTS; i++)
        memcpy(bytes + at + 16 * i, reference, 16);
    assert_int_equal(file_write(path, bytes, size, &err), DEER_OK);
    free(bytes);
    assert_int_equal(demos_open(path, &d, &err), DEER_OK);
    {
        demo_episode e;

        assert_int_equal(demos_describe(d, 0, &e, &err), DEER_FAILED);
        assert_non_null(strstr(err.message, "cannot be read: damaged, or no memory"));
    }
    demos_close(d);
}

static void test_several_wordings(void **state)
{
    static const char *const wordings[] = {"turn on the stove", "switch it on", "activate it"};
    bool seen[3] = {false};
    hid_t file = create(path, 1);

    (void)state;
    put_texts(file, "data/demo_0", "language", true, wordings, 3);
    H5Fclose(file);
    for (uint64_t seed = 0; seed < 64; seed++) {
        demo_episode e = described(path, &(demos_options){.seed = seed});

        assert_int_equal(e.wordings, 3);
        for (int i = 0; i < 3; i++)
            seen[i] = seen[i] || !strcmp(e.instruction, wordings[i]);
        assert_string_equal(e.instruction,
                            described(path, &(demos_options){.seed = seed}).instruction);
    }
    assert_true(seen[0] && seen[1] && seen[2]);
}

static void test_name_of_file_is_the_last_resort(void **state)
{
    demo_episode e;

    (void)state;
    snprintf(path, sizeof path, "%s/KITCHEN_SCENE3_turn_on_the_stove_demo.hdf5", folder);
    H5Fclose(create(path, 1));
    e = described(path, NULL);
    assert_string_equal(e.instruction, "turn on the stove");
    assert_true(e.guessed);
    e = described(path, &(demos_options){.instruction = "lift it"});
    assert_string_equal(e.instruction, "lift it");
    assert_false(e.guessed);
    snprintf(path, sizeof path, "%s/turn_on_the_stove.hdf5", folder);
    H5Fclose(create(path, 1));
    assert_string_equal(described(path, NULL).instruction, "");
}

static void test_long_instructions_are_whole_or_refused(void **state)
{
    char text[1100];
    deer_error err = {""};
    demo_episode e;
    demos *d;

    (void)state;
    memset(text, 'a', sizeof text);
    text[DEMO_INSTRUCTION - 1] = 0;
    assert_place("data/demo_0", "language", true, text, text);
    text[DEMO_INSTRUCTION - 1] = 'a';
    text[DEMO_INSTRUCTION] = 0;
    H5Fclose(create(path, 1));
    assert_int_equal(demos_open_files((const char *const[]){path}, 1,
                                      &(demos_options){.instruction = text}, &d, &err),
                     DEER_OK);
    assert_int_equal(demos_read(d, 0, &e, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "has 1024 bytes; at most 1023 are read"));
    demos_close(d);
}

/* ---------------------------------------------------------------- several files ------------ */

static void test_several_files_are_one_set(void **state)
{
    char other[128], one[DEER_FINGERPRINT], both[DEER_FINGERPRINT], swapped[DEER_FINGERPRINT];
    const char *paths[2] = {path, other};
    static const char *const texts[2] = {"open the drawer", "close it"};
    deer_error err = {""};
    demo_episode e;
    demos *d;

    (void)state;
    snprintf(other, sizeof other, "%s/other.h5", folder);
    for (int i = 0; i < 2; i++) {
        hid_t file = create(paths[i], 2 + i);

        put_texts(file, "data", "language", true, &texts[i], 0);
        H5Fclose(file);
    }
    assert_int_equal(demos_open_files(paths, 2, NULL, &d, &err), DEER_OK);
    assert_int_equal(demos_count(d), 5);
    assert_string_equal(demos_name(d, 0), "1:demo_0");
    assert_string_equal(demos_name(d, 4), "2:demo_2");
    assert_int_equal(demos_find(d, "2:demo_1"), 3);
    assert_int_equal(demos_read(d, 3, &e, &err), DEER_OK);
    assert_string_equal(e.instruction, "close it");
    assert_string_equal(e.name, "2:demo_1");
    demo_episode_free(&e);
    assert_int_equal(demos_fingerprint(d, both, &err), DEER_OK);
    demos_close(d);
    assert_int_equal(demos_open(path, &d, &err), DEER_OK);
    assert_string_equal(demos_name(d, 0), "demo_0");
    assert_int_equal(demos_fingerprint(d, one, &err), DEER_OK);
    demos_close(d);
    assert_int_equal(demos_open_files((const char *const[]){other, path}, 2, NULL, &d, &err),
                     DEER_OK);
    assert_int_equal(demos_fingerprint(d, swapped, &err), DEER_OK);
    demos_close(d);
    assert_string_not_equal(one, both);
    assert_string_not_equal(swapped, both);
}

static void test_masks(void **state)
{
    static const char *const train[] = {"demo_2", "demo_0"}, *const wrong[] = {"demo_0", "demo_7"};
    hid_t file = create(path, 4);
    const char *p = path;
    deer_error err = {""};
    demos *d;

    (void)state;
    H5Gclose(H5Gcreate2(file, "mask", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    put_texts(file, "mask", "train", false, train, 2);
    put_texts(file, "mask", "wrong", false, wrong, 2);
    add_dataset(file, "mask/none", H5T_C_S1, 1, &(hsize_t){0}, H5P_DEFAULT);
    H5Fclose(file);
    assert_int_equal(demos_open_files(&p, 1, &(demos_options){.mask = "train"}, &d, &err), DEER_OK);
    assert_int_equal(demos_count(d), 2);
    assert_string_equal(demos_name(d, 0), "demo_0");
    assert_string_equal(demos_name(d, 1), "demo_2");
    demos_close(d);
    assert_int_equal(demos_open_files(&p, 1, &(demos_options){.mask = "wrong"}, &d, &err),
                     DEER_FAILED);
    assert_non_null(strstr(err.message, "mask wrong lists demo_7, which is not there"));
    assert_int_equal(demos_open_files(&p, 1, &(demos_options){.mask = "valid"}, &d, &err),
                     DEER_FAILED);
    assert_non_null(strstr(err.message, "has no mask 'valid'; there are: none, train, wrong"));
    assert_int_equal(demos_open_files(&p, 1, &(demos_options){.mask = "none"}, &d, &err),
                     DEER_FAILED);
    assert_non_null(strstr(err.message, "mask none lists no names"));
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
        TEST(test_lzf_is_read),
        TEST(test_damaged_lzf_does_not_kill),
        TEST(test_missing_filters_are_named),
        TEST(test_types_are_said),
        TEST(test_cameras_present_are_listed),
        TEST(test_files_of_other_kinds_are_named),
        TEST(test_tfrecord_is_named),
        TEST(test_open_for_writing_is_said),
        TEST(test_not_closed_is_said),
        TEST(test_cut_off_is_counted),
        TEST(test_every_place_of_instructions),
        TEST(test_other_encodings_are_refused),
        TEST(test_odd_json_is_read),
        TEST(test_delete_is_a_space),
        TEST(test_odd_json_is_mended),
        TEST(test_repeated_texts_are_bounded),
        TEST(test_several_wordings),
        TEST(test_name_of_file_is_the_last_resort),
        TEST(test_long_instructions_are_whole_or_refused),
        TEST(test_several_files_are_one_set),
        TEST(test_masks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
