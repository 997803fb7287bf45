/* SPDX-License-Identifier: MIT */
/* test_archives.c - archives of checkpoints: damaged, lying, changing; views; checksums. */
#include "runtime/import/crc.h"
#include "tests/import/checkpoints.h"

static void test_missing_data(void **state)
{
    static const char good[] = STATE(GOOD);
    static const char more[] =
        STATE(TENSOR("FloatStorage", "\7", "\0", SHAPE("\2", "\3"), SHAPE("\3", "\1")));
    const member alone[] = {{"x/data.pkl", good, sizeof good - 1}};
    buffer *b = malloc(sizeof *b);
    float got[6];
    weights w;

    (void)state;
    make_zip(alone, 1, false, b);
    save(b);
    assert_int_equal(open_it(&w), DEER_OK);
    assert_int_equal(weights_read(&w, 0, got, &error), DEER_FAILED);
    weights_close(&w);
    make_checkpoint(more, sizeof more - 1, false, b);
    save(b);
    assert_int_equal(open_it(&w), DEER_OK);
    assert_int_equal(weights_read(&w, 0, got, &error), DEER_FAILED);
    assert_non_null(strstr(error.message, "missing or too short"));
    weights_close(&w);
    free(b);
}

static void test_refused_archives(void **state)
{
    static const char good[] = STATE(GOOD);
    const size_t n = sizeof good - 1;
    const struct {
        member m[3];
        size_t count;
        const char *says;
    } cases[] = {
        {{{"x/data.txt", good, n}}, 1, "no data.pkl in it"},
        {{{"data.pkl", good, n}}, 1, "no data.pkl in it"},
        {{{"x/data.pkl", good, n}, {"y/data.pkl", good, n}}, 2, "more than one checkpoint"},
        {{{"x/data.pkl", good, n}, {"x/data.pkl", good, n}}, 2, "two entries called"},
        {{{"x/data.pkl", good, n}, {"x/byteorder", "big", 3}}, 2, "big-endian machine"},
        {{{"", good, n}}, 1, "without a proper name"},
    };
    buffer *b = malloc(sizeof *b), *c = malloc(sizeof *c);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_zip(cases[i].m, cases[i].count, false, b);
        refused(b, cases[i].says);
    }
    make_checkpoint(good, n, false, b);
    for (size_t at = 0; at + 4 <= b->size; at++) { /* the central directory */
        static const struct {
            int offset, value;
            const char *says;
        } lies[] = {{8, 1, "is encrypted"},          {10, 8, "is compressed"},
                    {20, 0xff, "two sizes"},         {28, 0xff, "cut off"},
                    {42, 3, "does not begin where"}, {46, 'y', "another name"}};

        if (memcmp(b->bytes + at, "PK\1\2", 4) != 0)
            continue;
        for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
            *c = *b;
            c->bytes[at + (size_t)lies[i].offset] = (uint8_t)lies[i].value;
            refused(c, lies[i].says);
        }
        break;
    }
    memcpy(b->bytes, "\200\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20", 10);
    refused(b, "before PyTorch 1.6");
    free(b);
    free(c);
}

/* The 8 bytes of `value` at the place of the first `mark` in the archive, `offset` on. */
static void patch(buffer *b, const char *mark, size_t offset, uint64_t value, size_t size)
{
    uint8_t *at = memmem(b->bytes, b->size, mark, 4);

    assert_non_null(at);
    for (size_t i = 0; i < size; i++)
        at[offset + i] = (uint8_t)(value >> 8 * i);
}

/* Archives that lie about sizes, places and counts. */
static void test_lying_archives(void **state)
{
    static const char good[] = STATE(GOOD);
    static const uint64_t huge[] = {(uint64_t)1 << 63, UINT64_MAX, UINT64_MAX - 29, 1 << 20};
    const size_t in_name = 46 + 10; /* behind the first name, x/data.pkl: its zip64 field */
    buffer *b = malloc(sizeof *b);

    (void)state;
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        make_checkpoint(good, sizeof good - 1, true, b);
        patch(b, "PK\1\2", in_name + 4, huge[i], 8); /* the size unpacked */
        refused(b, "two sizes");
        patch(b, "PK\1\2", in_name + 12, huge[i], 8); /* and packed */
        refused(b, "does not fit");
        make_checkpoint(good, sizeof good - 1, true, b);
        patch(b, "PK\1\2", in_name + 20, huge[i], 8);
        refused(b, "does not begin where");
        make_checkpoint(good, sizeof good - 1, true, b);
        patch(b, "PK\6\6", 32, huge[i], 8);
        refused(b, "central directory that does not fit");
        make_checkpoint(good, sizeof good - 1, true, b);
        patch(b, "PK\6\6", 48, huge[i], 8);
        refused(b, "central directory that does not fit");
        make_checkpoint(good, sizeof good - 1, true, b);
        patch(b, "PK\6\7", 8, huge[i], 8);
        refused(b, "broken zip64 end");
    }
    make_checkpoint(good, sizeof good - 1, false, b);
    patch(b, "PK\1\2", 20, sizeof good + 60, 4); /* into the entries behind it */
    patch(b, "PK\1\2", 24, sizeof good + 60, 4);
    refused(b, "overlaps");
    free(b);
}

/* Cut off anywhere, it is refused; changed anywhere, it is read or refused, and nothing breaks. */
static void test_damage(void **state)
{
    static const char good[] = STATE(GOOD);
    buffer *b = malloc(sizeof *b), *c = malloc(sizeof *c);
    uint32_t random = 1;
    weights w;

    (void)state;
    for (int zip64 = 0; zip64 < 2; zip64++) {
        make_checkpoint(good, sizeof good - 1, zip64, b);
        for (size_t size = 1; size < b->size; size++) {
            *c = *b;
            c->size = size;
            save(c);
            assert_int_not_equal(open_it(&w), DEER_OK);
        }
        for (int i = 0; i < 4000; i++) {
            float got[1 << 10];

            *c = *b;
            for (int flips = 1 + i % 3; flips > 0; flips--) {
                random = random * 1664525u + 1013904223u;
                c->bytes[(random >> 8) % c->size] ^= (uint8_t)(1u << (random >> 5 & 7));
            }
            save(c);
            if (open_it(&w))
                continue;
            for (size_t t = 0; t < w.count; t++)
                if (weights_elements(&w, t) <= 1 << 10)
                    (void)weights_read(&w, t, got, &error);
            weights_close(&w);
        }
    }
    free(b);
    free(c);
}

/* ---------------------------------------------------------------- views -------------------- */

enum { MANY = 60 * 50 * 40 }; /* floats, several windows of them */

/* Element i of a view, in row-major order. */
static float element(const bytes_view *v, const float *from, size_t i)
{
    int64_t at = v->offset;

    for (int d = v->rank - 1; d >= 0; i /= (size_t)v->shape[d], d--)
        at += (int64_t)(i % (size_t)v->shape[d]) * v->stride[d];
    return from[at];
}

static void expect_view(const byte_source *file, const float *from, bytes_view v, size_t first,
                        size_t rows)
{
    size_t row = 1, skipped = 4;
    float *got;

    for (int d = 1; d < v.rank; d++)
        row *= (size_t)v.shape[d];
    got = malloc((rows * row + 1) * sizeof *got);
    v.begin = skipped;
    v.size = MANY * sizeof *from;
    assert_int_equal(bytes_gather(file, &v, first, rows, got, &error), DEER_OK);
    for (size_t i = 0; i < rows * row; i++)
        if (got[i] != element(&v, from, first * row + i))
            fail_msg("element %zu of a view is another", i);
    free(got);
}

/* Rows of views of any order of strides, from a file and from memory. */
static void test_views(void **state)
{
    const int64_t turned[] = {40, 60, 50}, turns[] = {1, 2000, 40};
    const int64_t matrix[] = {3, 20000}, across[] = {1, 6}, wide[] = {2, 3},
                  jumps[] = {60000, 25000};
    const int64_t same[] = {4, 30000}, still[] = {7, 0};
    float *from = malloc((1 + MANY) * sizeof *from);
    FILE *f = fopen(path, "wb");
    byte_source file, memory;

    (void)state;
    for (int i = 0; i <= MANY; i++)
        from[i] = (float)i;
    assert_int_equal(fwrite(from, sizeof *from, 1 + MANY, f), 1 + MANY);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(bytes_open(path, &file, &error), DEER_OK);
    memory = bytes_of(path, from, (1 + MANY) * sizeof *from);
    for (int i = 0; i < 2; i++) {
        const byte_source *b = i ? &memory : &file;
        const bytes_view view[] = {{.rank = 3, .shape = turned, .stride = turns},
                                   {.rank = 2, .offset = 3, .shape = matrix, .stride = across},
                                   {.rank = 2, .offset = 9, .shape = wide, .stride = jumps},
                                   {.rank = 2, .offset = 1, .shape = same, .stride = still}};

        expect_view(b, from + 1, view[0], 0, 40);
        expect_view(b, from + 1, view[0], 7, 2);
        expect_view(b, from + 1, view[1], 0, 3);
        expect_view(b, from + 1, view[2], 1, 1);
        expect_view(b, from + 1, view[3], 1, 3);
        expect_view(b, from + 1, view[3], 2, 0);
    }
    bytes_close(&file);
    free(from);
}

/* ---------------------------------------------------------------- files that change -------- */

/* Tensor 0 cannot be read any more, and why is one line. */
static void expect_changed(const weights *w, const char *words)
{
    float got[16];

    assert_int_equal(weights_read(w, 0, got, &error), DEER_FAILED);
    assert_null(strchr(error.message, '\n'));
    assert_non_null(strstr(error.message, path));
    if (!strstr(error.message, words))
        fail_msg("'%s' does not say '%s'", error.message, words);
}

/* A file that is cut short or overwritten after it was opened is an error, not a signal. */
static void test_changes_meanwhile(void **state)
{
    static const char good[] = STATE(GOOD);
    buffer *b = malloc(sizeof *b);
    weights w;

    (void)state;
    make_checkpoint(good, sizeof good - 1, false, b);
    save(b);
    assert_int_equal(open_it(&w), DEER_OK);
    assert_int_equal(truncate(path, 0), 0);
    expect_changed(&w, "it has become shorter");
    weights_close(&w);
    save(b);
    assert_int_equal(open_it(&w), DEER_OK);
    assert_int_equal(truncate(path, (off_t)b->size - 1), 0);
    expect_changed(&w, "has been written to since it was opened");
    weights_close(&w);
    free(b);
}

/* ---------------------------------------------------------------- checksums ---------------- */

/* Published values of "123456789", and of it in two pieces. */
static void test_checksums(void **state)
{
    (void)state;
    assert_int_equal(crc_zip(0, "123456789", 9), 0xcbf43926);
    assert_int_equal(crc_castagnoli(0, "123456789", 9), 0xe3069283);
    for (size_t n = 0; n <= 9; n++)
        assert_int_equal(crc_zip(crc_zip(0, "123456789", n), &"123456789"[n], 9 - n), 0xcbf43926);
    assert_int_equal(crc_zip(0, numbers, sizeof numbers), 0x1939e524); /* as zlib has it */
}

/* The sum of the storage in the central directory; its entry is the last one. */
static void put_sum(buffer *b, uint32_t sum)
{
    size_t at = b->size;

    while (memcmp(b->bytes + --at, "PK\1\2", 4) != 0)
        ;
    memcpy(b->bytes + at + 16, &sum, sizeof sum);
}

/* A damaged storage is noticed, unless the archive was written without checksums. */
static void test_damaged_storage(void **state)
{
    static const char text[] = STATE(GOOD);
    static const uint32_t sums[] = {0x1939e524, 0};
    buffer *b = malloc(sizeof *b);
    float got[6];
    weights w;

    (void)state;
    for (int damaged = 0; damaged < 2; damaged++)
        for (int i = 0; i < 2; i++) {
            deer_status status;

            make_checkpoint(text, sizeof text - 1, false, b);
            put_sum(b, sums[i]);
            for (size_t at = 0; damaged && at + sizeof numbers <= b->size; at++)
                if (!memcmp(b->bytes + at, numbers, sizeof numbers))
                    b->bytes[at + 3] ^= 0x80; /* -1 */
            save(b);
            assert_int_equal(open_it(&w), DEER_OK);
            status = weights_read(&w, 0, got, &error);
            assert_int_equal(status, damaged && sums[i] ? DEER_FAILED : DEER_OK);
            if (status)
                assert_non_null(strstr(error.message, "x.pth: x/data/0 is damaged (its checksum"));
            else
                assert_true(got[0] == (damaged ? -1 : 1) && got[5] == 6);
            weights_close(&w);
        }
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_data),   cmocka_unit_test(test_refused_archives),
        cmocka_unit_test(test_lying_archives), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_views),          cmocka_unit_test(test_changes_meanwhile),
        cmocka_unit_test(test_checksums),      cmocka_unit_test(test_damaged_storage),
    };

    return cmocka_run_group_tests(tests, start, end);
}
