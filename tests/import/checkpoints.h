/* SPDX-License-Identifier: MIT */
/* checkpoints.h - PyTorch checkpoints made by hand: archives, and pickles of pieces. */
#ifndef TESTS_CHECKPOINTS_H
#define TESTS_CHECKPOINTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/import/weights.h"

static deer_error error;
static char folder[32], path[64];

static inline int start(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/deer-test-XXXXXX");
    snprintf(path, sizeof path, "%s/x.pth", mkdtemp(folder));
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

/* ---------------------------------------------------------------- archives ----------------- */

typedef struct {
    const char *name;
    const void *data;
    size_t size;
} member;

typedef struct {
    uint8_t bytes[1 << 16];
    size_t size;
} buffer;

static inline void put(buffer *b, const void *data, size_t size)
{
    assert_true(b->size + size <= sizeof b->bytes);
    if (size)
        memcpy(b->bytes + b->size, data, size);
    b->size += size;
}

static inline void put_number(buffer *b, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        b->bytes[b->size + i] = i < 8 ? (uint8_t)(value >> 8 * i) : 0;
    b->size += size;
}

/* A stored zip archive; zip64: with a zip64 end, and offsets in extra fields. */
static inline void make_zip(const member *m, size_t n, bool zip64, buffer *b)
{
    size_t offset[16], begin, length;

    b->size = 0;
    for (size_t i = 0; i < n; i++) {
        offset[i] = b->size;
        put_number(b, 0x04034b50, 4);
        put_number(b, 0, 14);
        put_number(b, m[i].size, 4);
        put_number(b, m[i].size, 4);
        put_number(b, strlen(m[i].name), 2);
        put_number(b, 0, 2);
        put(b, m[i].name, strlen(m[i].name));
        put(b, m[i].data, m[i].size);
    }
    begin = b->size;
    for (size_t i = 0; i < n; i++) {
        put_number(b, 0x02014b50, 4);
        put_number(b, 0, 16);
        put_number(b, zip64 ? 0xffffffff : m[i].size, 4);
        put_number(b, zip64 ? 0xffffffff : m[i].size, 4);
        put_number(b, strlen(m[i].name), 2);
        put_number(b, zip64 ? 28 : 0, 2);
        put_number(b, 0, 10);
        put_number(b, zip64 ? 0xffffffff : offset[i], 4);
        put(b, m[i].name, strlen(m[i].name));
        if (zip64) {
            put_number(b, 1, 2);
            put_number(b, 24, 2);
            put_number(b, m[i].size, 8);
            put_number(b, m[i].size, 8);
            put_number(b, offset[i], 8);
        }
    }
    length = b->size - begin;
    if (zip64) {
        size_t at = b->size;

        put_number(b, 0x06064b50, 4);
        put_number(b, 44, 8);
        put_number(b, 0, 12);
        put_number(b, n, 8);
        put_number(b, n, 8);
        put_number(b, length, 8);
        put_number(b, begin, 8);
        put_number(b, 0x07064b50, 4);
        put_number(b, 0, 4);
        put_number(b, at, 8);
        put_number(b, 1, 4);
    }
    put_number(b, 0x06054b50, 4);
    put_number(b, 0, 4);
    put_number(b, n, 2);
    put_number(b, n, 2);
    put_number(b, zip64 ? 0xffffffff : length, 4);
    put_number(b, zip64 ? 0xffffffff : begin, 4);
    put_number(b, 0, 2);
}

static const float numbers[6] = {1, 2, 3, 4, 5, 6};

/* A checkpoint whose program is `text`, with six floats as storage 0. */
static inline void make_checkpoint(const void *text, size_t size, bool zip64, buffer *b)
{
    const member m[] = {{"x/data.pkl", text, size},
                        {"x/byteorder", "little", 6},
                        {"x/data/0", numbers, sizeof numbers}};

    make_zip(m, 3, zip64, b);
}

static inline void save(const buffer *b)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(b->bytes, 1, b->size, f), b->size);
    assert_int_equal(fclose(f), 0);
}

static inline deer_status open_it(weights *w)
{
    error.message[0] = 0;
    return weights_open(path, w, &error);
}

static inline void refused(const buffer *b, const char *words)
{
    weights w;

    save(b);
    if (!open_it(&w))
        fail_msg("accepted, but should say '%s'", words);
    assert_null(strchr(error.message, '\n'));
    assert_non_null(strstr(error.message, path));
    if (!strstr(error.message, words))
        fail_msg("'%s' does not say '%s'", error.message, words);
}

/* ---------------------------------------------------------------- programs ----------------- */

/* Pieces of pickles, protocol 2, as torch.save writes them. */
#define DICT "\200\2}q\x01"
#define KEY(name, length) "X" length "\0\0\0" name
#define STORAGE(type, count)                                                                       \
    "(X\7\0\0\0storagectorch\n" type "\nX\1\0\0\0000X\3\0\0\0cpuK" count "tQ"
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n("
#define HOOKS                                                                                      \
    "\x89"                                                                                         \
    "ccollections\nOrderedDict\n)R"
#define TENSOR(type, count, offset, shape, stride)                                                 \
    REBUILD STORAGE(type, count) "K" offset shape stride HOOKS "tR"
#define SHAPE(a, b) "K" a "K" b "\x86"
#define GOOD TENSOR("FloatStorage", "\6", "\0", SHAPE("\2", "\3"), SHAPE("\3", "\1"))
#define STATE(tensor) DICT KEY("a", "\1") tensor "s."

#endif
