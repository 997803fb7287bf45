/* SPDX-License-Identifier: MIT */
/* hostile.c - makes demonstrations that are valid HDF5, and hostile.
 *
 *   hostile FOLDER      one file a kind into it; prints "KIND VERDICT" for each, where VERDICT is
 *                       refused, or any where reading it would do no harm */
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { STEPS = 4, SIDE = 64 };

static hid_t file; /* the one being made */
static char folder[512];

/* ---------------------------------------------------------------- good parts --------------- */

static void make(const char *name, int rank, const hsize_t *size, hid_t type, hid_t creation)
{
    hid_t space = H5Screate_simple(rank, size, NULL), links = H5Pcreate(H5P_LINK_CREATE);

    H5Pset_create_intermediate_group(links, 1);
    H5Dclose(H5Dcreate2(file, name, type, space, links, creation, H5P_DEFAULT));
    H5Pclose(links);
    H5Sclose(space);
}

static void view(const char *name, hsize_t steps, hsize_t side, hid_t creation)
{
    make(name, 4, (hsize_t[]){steps, side, side, 3}, H5T_STD_U8LE, creation);
}

static void say(const char *object, const char *name, const char *text)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    hid_t at = H5Oopen(file, object, H5P_DEFAULT), attribute;

    H5Tset_size(type, strlen(text) + 1);
    attribute = H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attribute, type, text);
    H5Aclose(attribute);
    H5Oclose(at);
    H5Sclose(space);
    H5Tclose(type);
}

/* One demonstration but for its static camera. */
static void rest(hsize_t steps)
{
    make("data/demo_0/actions", 2, (hsize_t[]){steps, 7}, H5T_IEEE_F32LE, H5P_DEFAULT);
    view("data/demo_0/obs/rgb_gripper", steps, 8, H5P_DEFAULT);
    say("data/demo_0", "language", "lift the red block");
}

#define STATIC "data/demo_0/obs/rgb_static"

static hid_t chunked(int rank, const hsize_t *chunk, int filters)
{
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);

    H5Pset_chunk(creation, rank, chunk);
    for (int i = 0; i < filters; i++)
        H5Pset_deflate(creation, 9);
    return creation;
}

static hid_t outside(const char *path)
{
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);

    H5Pset_external(creation, path, 0, STEPS * SIDE * SIDE * 3);
    return creation;
}

/* ---------------------------------------------------------------- kinds -------------------- */

static void external_file(void)
{
    rest(STEPS);
    view(STATIC, STEPS, SIDE, outside("/etc/passwd"));
}

static void external_zeros(void)
{
    rest(STEPS);
    view(STATIC, STEPS, SIDE, outside("/dev/zero"));
}

static void external_pipe(void)
{
    char path[600];

    snprintf(path, sizeof path, "%s/pipe", folder);
    rest(STEPS);
    view(STATIC, STEPS, SIDE, outside(path));
}

static void external_link(void)
{
    rest(STEPS);
    H5Lcreate_external("plain.h5", STATIC, file, STATIC, H5P_DEFAULT, H5P_DEFAULT);
}

static void link_to_pipe(void)
{
    rest(STEPS);
    H5Lcreate_external("pipe", STATIC, file, STATIC, H5P_DEFAULT, H5P_DEFAULT);
}

static void linked_group(void)
{
    rest(STEPS);
    view(STATIC, STEPS, SIDE, H5P_DEFAULT);
    H5Lcreate_external("plain.h5", "data/demo_0", file, "data/demo_1", H5P_DEFAULT, H5P_DEFAULT);
}

static void virtual_from(const char *source)
{
    hsize_t size[] = {STEPS, SIDE, SIDE, 3};
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(4, size, NULL);

    H5Pset_virtual(creation, space, source, STATIC, space);
    rest(STEPS);
    view(STATIC, STEPS, SIDE, creation);
}

static void virtual_file(void)
{
    virtual_from("plain.h5");
}

static void virtual_itself(void)
{
    virtual_from(".");
}

static void soft_loop(void)
{
    rest(STEPS);
    H5Lcreate_soft("/data/b", file, "data/a", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/data/a", file, "data/b", H5P_DEFAULT, H5P_DEFAULT);
}

static void hard_loop(void)
{
    rest(STEPS);
    view(STATIC, STEPS, SIDE, H5P_DEFAULT);
    H5Lcreate_hard(file, "data", file, "data/demo_0/obs/again", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(file, "data", file, "data/demo_7", H5P_DEFAULT, H5P_DEFAULT);
}

static void declared(void)
{
    rest(1000000);
    view(STATIC, 1000000, 4096, chunked(4, (hsize_t[]){1, 64, 64, 3}, 1));
}

static void sparse(void)
{
    rest(STEPS);
    view(STATIC, STEPS, 4096, chunked(4, (hsize_t[]){1, 4096, 4096, 3}, 1));
}

/* Frames of zeros, compressed a thousandfold. */
static void zeros(hsize_t steps, hsize_t side, hsize_t frames)
{
    size_t bytes = (size_t)frames * side * side * 3;
    char *data = calloc(bytes, 1);
    uLongf room = compressBound(bytes);
    Bytef *packed = malloc(room);
    hid_t creation = chunked(4, (hsize_t[]){frames, side, side, 3}, 1), dataset;

    compress2(packed, &room, (const Bytef *)data, bytes, 9);
    rest(steps);
    view(STATIC, steps, side, creation);
    dataset = H5Dopen2(file, STATIC, H5P_DEFAULT);
    for (hsize_t t = 0; t < steps; t += frames)
        H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, (hsize_t[]){t, 0, 0, 0}, room, packed);
    H5Dclose(dataset);
    free(packed);
    free(data);
}

static void bomb(void)
{
    zeros(160, 4000, 1);
}

static void one_large_chunk(void)
{
    zeros(16, 4000, 16);
}

/* A stored chunk that inflates to 800 MB although the dataset says 12 KB. */
static void longer_than_said(void)
{
    size_t bytes = (size_t)800 << 20, piece = 1 << 20;
    char *data = calloc(piece, 1);
    uLongf room = compressBound(bytes) / 500;
    Bytef *packed = malloc(room);
    z_stream z = {.next_out = packed, .avail_out = (uInt)room};
    hid_t dataset;

    deflateInit(&z, 9);
    for (size_t at = 0; at < bytes; at += piece) {
        z.next_in = (Bytef *)data;
        z.avail_in = (uInt)piece;
        deflate(&z, at + piece < bytes ? Z_NO_FLUSH : Z_FINISH);
    }
    deflateEnd(&z);
    rest(1);
    view(STATIC, 1, SIDE, chunked(4, (hsize_t[]){1, SIDE, SIDE, 3}, 1));
    dataset = H5Dopen2(file, STATIC, H5P_DEFAULT);
    H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, (hsize_t[]){0, 0, 0, 0}, z.total_out, packed);
    H5Dclose(dataset);
    free(packed);
    free(data);
}

static void deflated_twice(void)
{
    rest(STEPS);
    view(STATIC, STEPS, SIDE, chunked(4, (hsize_t[]){1, SIDE, SIDE, 3}, 2));
}

static void many_chunks(void)
{
    rest(100000);
    view(STATIC, 100000, 16, chunked(4, (hsize_t[]){1, 1, 1, 1}, 0));
}

static void many_demos(void)
{
    char name[32];

    rest(STEPS);
    for (int i = 1; i < 30000; i++) {
        snprintf(name, sizeof name, "data/demo_%d", i);
        H5Gclose(H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    }
}

static void wide_objects(void)
{
    rest(STEPS);
    view(STATIC, STEPS, SIDE, H5P_DEFAULT);
    make("data/demo_0/obs/object", 2, (hsize_t[]){STEPS, 4096}, H5T_IEEE_F64LE,
         chunked(2, (hsize_t[]){STEPS, 4096}, 1));
}

static void actions_of(hid_t type)
{
    make("data/demo_0/actions", 2, (hsize_t[]){STEPS, 7}, type, H5P_DEFAULT);
    view("data/demo_0/obs/rgb_gripper", STEPS, 8, H5P_DEFAULT);
    view(STATIC, STEPS, SIDE, H5P_DEFAULT);
    say("data/demo_0", "language", "lift the red block");
}

static void actions_variable(void)
{
    actions_of(H5Tvlen_create(H5T_IEEE_F32LE));
}

static void actions_compound(void)
{
    hid_t type = H5Tcreate(H5T_COMPOUND, 8);

    H5Tinsert(type, "a", 0, H5T_IEEE_F32LE);
    actions_of(type);
}

static void dataset_for_group(void)
{
    make("data", 1, (hsize_t[]){3}, H5T_IEEE_F32LE, H5P_DEFAULT);
}

static void long_texts(void)
{
    char *text = malloc(60001);

    memset(text, '[', 60000);
    text[60000] = 0;
    rest(STEPS);
    view(STATIC, STEPS, SIDE, H5P_DEFAULT);
    say("data", "problem_info", text);
    say("data", "env_args", text);
    free(text);
}

static void escapes(void)
{
    rest(STEPS);
    view(STATIC, STEPS, SIDE, H5P_DEFAULT);
    say("data/demo_0", "task", "\033]0;x\007\n\xff");
    H5Lmove(file, "data/demo_0", file, "data/demo\033[31m", H5P_DEFAULT, H5P_DEFAULT);
}

static void unknown_filter(void)
{
    hid_t creation = chunked(4, (hsize_t[]){1, SIDE, SIDE, 3}, 0);

    H5Pset_filter(creation, 32015, H5Z_FLAG_OPTIONAL, 0, NULL);
    rest(STEPS);
    view(STATIC, STEPS, SIDE, creation);
}

static const struct {
    const char *name, *verdict;
    void (*make)(void);
} kinds[] = {
    {"external_file", "refused", external_file},
    {"external_zeros", "refused", external_zeros},
    {"external_pipe", "refused", external_pipe},
    {"external_link", "refused", external_link},
    {"link_to_pipe", "refused", link_to_pipe},
    {"linked_group", "refused", linked_group},
    {"virtual_file", "refused", virtual_file},
    {"virtual_itself", "refused", virtual_itself},
    {"soft_loop", "refused", soft_loop},
    {"hard_loop", "refused", hard_loop},
    {"declared", "refused", declared},
    {"sparse", "refused", sparse},
    {"bomb", "refused", bomb},
    {"one_large_chunk", "refused", one_large_chunk},
    {"longer_than_said", "refused", longer_than_said},
    {"deflated_twice", "refused", deflated_twice},
    {"many_chunks", "refused", many_chunks},
    {"many_demos", "refused", many_demos},
    {"wide_objects", "any", wide_objects},
    {"actions_variable", "refused", actions_variable},
    {"actions_compound", "refused", actions_compound},
    {"dataset_for_group", "refused", dataset_for_group},
    {"long_texts", "any", long_texts},
    {"escapes", "refused", escapes},
    {"unknown_filter", "any", unknown_filter},
};

static void make_plain(void)
{
    rest(STEPS);
    view(STATIC, STEPS, SIDE, H5P_DEFAULT);
}

static void create(const char *name, void (*make_it)(void))
{
    char path[600];

    snprintf(path, sizeof path, "%s/%s.h5", folder, name);
    file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    make_it();
    if (file < 0 || H5Fclose(file) < 0)
        exit(1);
}

int main(int argc, char **argv)
{
    if (argc != 2 || strlen(argv[1]) >= sizeof folder)
        return 2;
    strcpy(folder, argv[1]);
    create("plain", make_plain);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        create(kinds[i].name, kinds[i].make);
        printf("%s %s\n", kinds[i].name, kinds[i].verdict);
    }
    return 0;
}
