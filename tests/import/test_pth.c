/* SPDX-License-Identifier: MIT */
/* test_pth.c - PyTorch checkpoints: what is read from good ones, and hostile ones refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/import/crc.h"
#include "runtime/import/weights.h"

static deer_error error;
static char folder[32], path[64];

static int start(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/deer-test-XXXXXX");
    snprintf(path, sizeof path, "%s/x.pth", mkdtemp(folder));
    return 0;
}

static int end(void **state)
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

static void put(buffer *b, const void *data, size_t size)
{
    assert_true(b->size + size <= sizeof b->bytes);
    if (size)
        memcpy(b->bytes + b->size, data, size);
    b->size += size;
}

static void put_number(buffer *b, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        b->bytes[b->size + i] = i < 8 ? (uint8_t)(value >> 8 * i) : 0;
    b->size += size;
}

/* A stored zip archive; zip64: with a zip64 end, and offsets in extra fields. */
static void make_zip(const member *m, size_t n, bool zip64, buffer *b)
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
static void make_checkpoint(const void *text, size_t size, bool zip64, buffer *b)
{
    const member m[] = {{"x/data.pkl", text, size},
                        {"x/byteorder", "little", 6},
                        {"x/data/0", numbers, sizeof numbers}};

    make_zip(m, 3, zip64, b);
}

static void save(const buffer *b)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(b->bytes, 1, b->size, f), b->size);
    assert_int_equal(fclose(f), 0);
}

static deer_status open_it(weights *w)
{
    error.message[0] = 0;
    return weights_open(path, w, &error);
}

static void refused(const buffer *b, const char *words)
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

typedef struct {
    const char *text;
    size_t size;
    const char *says;
} program;

#define PROGRAM(text, says)                                                                        \
    {                                                                                              \
        text, sizeof(text) - 1, says                                                               \
    }

static void expect(const char *text, size_t size, bool zip64, const float *values, int n)
{
    buffer *b = malloc(sizeof *b);
    float got[16];
    weights w;

    make_checkpoint(text, size, zip64, b);
    save(b);
    if (open_it(&w))
        fail_msg("%s", error.message);
    assert_int_equal(w.count, 1);
    assert_string_equal(w.tensor[0].name, "a");
    assert_int_equal(weights_elements(&w, 0), n);
    assert_int_equal(weights_read(&w, 0, got, &error), DEER_OK);
    assert_memory_equal(got, values, (size_t)n * sizeof *got);
    weights_close(&w);
    free(b);
}

#define EXPECT(text, zip64, ...)                                                                   \
    expect(text, sizeof(text) - 1, zip64, (const float[]){__VA_ARGS__},                            \
           (int)(sizeof((const float[]){__VA_ARGS__}) / sizeof(float)))

static void test_good(void **state)
{
    (void)state;
    EXPECT(STATE(GOOD), false, 1, 2, 3, 4, 5, 6);
    EXPECT(STATE(GOOD), true, 1, 2, 3, 4, 5, 6);
    /* transposed, shifted, one number repeated, a scalar */
    EXPECT(STATE(TENSOR("FloatStorage", "\6", "\0", SHAPE("\3", "\2"), SHAPE("\1", "\3"))), false,
           1, 4, 2, 5, 3, 6);
    EXPECT(STATE(TENSOR("FloatStorage", "\6", "\2", SHAPE("\2", "\2"), SHAPE("\2", "\1"))), false,
           3, 4, 5, 6);
    EXPECT(STATE(TENSOR("FloatStorage", "\6", "\1", SHAPE("\2", "\2"), SHAPE("\0", "\0"))), false,
           2, 2, 2, 2);
    EXPECT(STATE(TENSOR("FloatStorage", "\6", "\5", ")", ")")), false, 6);
    /* as a parameter; below model_state_dict, beside other values */
    EXPECT(STATE("ctorch._utils\n_rebuild_parameter\n(" GOOD HOOKS "tR"), false, 1, 2, 3, 4, 5, 6);
    EXPECT(DICT KEY("epoch", "\5") "K\7s" KEY("model_state_dict", "\20") DICT KEY("a", "\1") GOOD
           "ss.",
           false, 1, 2, 3, 4, 5, 6);
}

/* Beside the weights stands what training code puts there; nothing of it is built or called. The
 * values are as Python 3 writes them. */
static void test_foreign_values(void **state)
{
#define BESIDE(value)                                                                              \
    EXPECT(DICT KEY("more", "\4") value "s" KEY("model", "\5") DICT KEY("a", "\1") GOOD "ss.",     \
           false, 1, 2, 3, 4, 5, 6)
    (void)state;
    /* argparse.Namespace, numpy's random state, a path, a device, a dtype, a call of anything */
    BESIDE("cargparse\nNamespace\n)\x81}X\2\0\0\0lrG?\x1a\x36\xe2\xeb\x1c\x43-sb");
    BESIDE("cpathlib\nPosixPath\nX\1\0\0\0/X\4\0\0\0data\x86R");
    BESIDE("ctorch\ndevice\nX\4\0\0\0cuda\x85R");
    BESIDE("ctorch\nbfloat16\n");
    BESIDE("cos\nsystem\nX\2\0\0\0id\x85R");
    BESIDE("cbuiltins\nset\n]X\1\0\0\0aa\x85R");
    BESIDE("\x8f(K\1K\2\x90");
    BESIDE("(K\1K\2\x91");
    BESIDE("ccollections\ndefaultdict\ncbuiltins\nint\n\x85RK\1K\2s");
    BESIDE("ccollections\nCounter\n}K\5K\1s\x85R");
    BESIDE("cdatetime\ndatetime\nC\12"
           "0123456789\x85R");
    BESIDE("cbuiltins\ncomplex\nG?\xf0\0\0\0\0\0\0G?\xf0\0\0\0\0\0\0\x86R");
    BESIDE("\x8a\12"
           "0123456789");
    BESIDE("\x8b\12\0\0\0"
           "0123456789");
    BESIDE("cx\nY\n)}X\1\0\0\0kK\1s\x92}b"); /* with keywords */
    BESIDE("cx\nList\n)\x81K\1a(K\1K\2e");   /* a list's and a dict's children */
    BESIDE("cx\nDict\n)\x81K\1K\2s(K\1K\2u");
    BESIDE("\x96\3\0\0\0\0\0\0\0abc");
    BESIDE("cnumpy\ndtype\nX\2\0\0\0c8\x85R");
    BESIDE("cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\2\0\0\0U1\x85R"
           "C\4a\0\0\0\x86R");
    BESIDE("ctorch._utils\n_rebuild_sparse_tensor\nK\1K\2\x86R");
    BESIDE(TENSOR("ComplexFloatStorage", "\6", "\0", ")", ")"));
    /* one state in the other, and tensors that are not read beside those that are */
    EXPECT(DICT KEY("ema", "\3") DICT KEY("state_dict", "\12") DICT KEY("a", "\1") GOOD "sss.",
           false, 1, 2, 3, 4, 5, 6);
    EXPECT(DICT KEY("b", "\1") "ctorch._utils\n_rebuild_qtensor\n)Rs" KEY("a", "\1") GOOD "s.",
           false, 1, 2, 3, 4, 5, 6);
#undef BESIDE
}

static void test_types(void **state)
{
    static const double f64[3] = {1, 2.5, -3};
    static const uint16_t half[3] = {0x3c00, 0x4100, 0xc200}, bf16[3] = {0x3f80, 0x4020, 0xc040};
    static const int64_t i64[3] = {1, 2, -3};
    static const int32_t i32[3] = {1, 2, -3};
    static const int16_t i16[3] = {1, 2, -3};
    static const int8_t i8[3] = {1, 2, -3};
    static const struct {
        number_type type;
        const void *data;
        float second;
    } cases[] = {{NUMBER_F64, f64, 2.5f}, {NUMBER_F16, half, 2.5f}, {NUMBER_BF16, bf16, 2.5f},
                 {NUMBER_I64, i64, 2},    {NUMBER_I32, i32, 2},     {NUMBER_I16, i16, 2},
                 {NUMBER_I8, i8, 2}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float got[3];

        number_to_float(cases[i].type, cases[i].data, 1, 3, got);
        assert_float_equal(got[0], 1, 0);
        assert_float_equal(got[1], cases[i].second, 0);
        assert_float_equal(got[2], -3, 0);
    }
}

static const program programs[] = {
    /* calls of anything */
    PROGRAM("\200\2"
            "cos\nsystem\nX\2\0\0\0id\x85R.",
            "os.system"),
    PROGRAM("\200\2"
            "cposix\nsystem\nX\2\0\0\0id\x85R.",
            "posix.system"),
    PROGRAM("\200\2"
            "cbuiltins\neval\nX\1\0\0\0001\x85R.",
            "builtins.eval"),
    PROGRAM("\200\2"
            "c__builtin__\nexec\nX\1\0\0\0001\x85R.",
            "__builtin__.exec"),
    PROGRAM("\200\2"
            "cbuiltins\ngetattr\n(ctorch\nSize\nX\1\0\0\0atR.",
            "builtins.getattr"),
    PROGRAM("\200\2"
            "csubprocess\nPopen\n)R.",
            "subprocess.Popen"),
    PROGRAM("\200\2"
            "ctorch\nload\n)R.",
            "torch.load"),
    PROGRAM("\200\2"
            "ctorch.utils.data\nDataset\n)\x81.",
            "torch.utils.data.Dataset"),
    PROGRAM("\200\4\x8c\2os\x8c\6system\x93.", "os.system"),
    PROGRAM("\200\4\x8c\13collections\x8c\20OrderedDict.evil\x93.", "OrderedDict.evil"),
    PROGRAM("\200\2"
            "cos\x1b[2J\nsystem\n.",
            "os?[2J.system"),
    PROGRAM("\200\2"
            "ios\nsystem\n.",
            "instruction 0x69"),
    PROGRAM("\200\2(cos\nsystem\no.", "instruction 0x6f"),
    PROGRAM("\200\2"
            "ctorch\nSize\n)\x81.",
            "broken pickle"),
    PROGRAM("\200\2\x82\1.", "instruction 0x82"),
    PROGRAM("\200\2P0\n.", "instruction 0x50"),
    PROGRAM("\200\2ctorch\nFloatStorage\n)R.", "broken pickle"),
    PROGRAM("\200\2K\1)R.", "broken pickle"),
    PROGRAM("\200\2"
            "ccollections\nOrderedDict\nK\1\x85R.",
            "broken pickle"),
    PROGRAM("\200\2"
            "ctorch\nSize\nK\1\x85R.",
            "broken pickle"),
    PROGRAM("\200\2"
            "ctorch._utils\n_rebuild_parameter\n)R.",
            "broken pickle"),
    PROGRAM("\200\2"
            "ctorch._utils\n_rebuild_tensor_v2\n)R.",
            "tensor of unknown form"),
    /* broken machines */
    PROGRAM("\200\11.", "protocol 9"),
    PROGRAM("\200\2.", "broken pickle"),
    PROGRAM("\200\2K\1K\2.", "broken pickle"),
    PROGRAM("\200\2(.", "broken pickle"),
    PROGRAM("\200\2t.", "broken pickle"),
    PROGRAM("\200\2(K\1"
            "0"
            "0.",
            "broken pickle"),
    PROGRAM("\200\2"
            "0.",
            "broken pickle"),
    PROGRAM("\200\2R.", "broken pickle"),
    PROGRAM("\200\2"
            "a.",
            "broken pickle"),
    PROGRAM("\200\2}K\1s.", "broken pickle"),
    PROGRAM("\200\2}(K\1u.", "broken pickle"),
    PROGRAM("\200\2](K\1K\2u.", "broken pickle"),
    PROGRAM("\200\2K\1K\2"
            "a.",
            "broken pickle"),
    PROGRAM("\200\2(K\1"
            "d.",
            "broken pickle"),
    PROGRAM("\200\2h\1.", "broken pickle"),
    PROGRAM("\200\2j\xff\xff\xff\xff.", "broken pickle"),
    PROGRAM("\200\2}r\xff\xff\xff\x7f.", "remembers more than"),
    PROGRAM("\200\2q\1.", "broken pickle"),
    PROGRAM("\200\2}b.", "broken pickle"),
    PROGRAM("\200\2}K\1b.", "broken pickle"),
    PROGRAM("\200\2K\1}b.", "broken pickle"),
    PROGRAM("\200\2X\xff\xff\xff\xff"
            "a.",
            "cut off"),
    PROGRAM("\200\2\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "cut off"),
    PROGRAM("\200\2\x8a\11"
            "123456789.",
            "more than 64 bits"),
    PROGRAM("\200\2"
            "ctorch",
            "cut off"),
    PROGRAM("\200\2}", "cut off"),
    PROGRAM("", "cut off"),
    PROGRAM("\200\2K\1.", "holds no state dict"),
    PROGRAM("\200\2].", "holds no state dict"),
    /* tensors that lie */
    PROGRAM(STATE(TENSOR("FloatStorage", "\6", "\1", SHAPE("\2", "\3"), SHAPE("\3", "\1"))),
            "beyond its storage"),
    PROGRAM(STATE(TENSOR("FloatStorage", "\6", "\0", SHAPE("\2", "\3"), SHAPE("\4", "\1"))),
            "beyond its storage"),
    PROGRAM(STATE(TENSOR("FloatStorage", "\6", "\0", SHAPE("\2", "\3"), "K\1\x85")),
            "beyond its storage"),
    PROGRAM(STATE(TENSOR("FloatStorage", "\6", "\0", "J\xff\xff\xff\xff\x85", "K\1\x85")),
            "beyond its storage"),
    PROGRAM(STATE(TENSOR("FloatStorage", "\6", "\0", "K\1\x85", "J\xff\xff\xff\xff\x85")),
            "beyond its storage"),
    PROGRAM(STATE(TENSOR("FloatStorage", "\6", "\0", "\x8a\10\xff\xff\xff\xff\xff\xff\xff\x7f\x85",
                         "K\1\x85")),
            "beyond its storage"),
    PROGRAM(STATE(TENSOR("FloatStorage", "\6", "\0", "\x8a\10\xff\xff\xff\xff\xff\xff\xff\x7f\x85",
                         "K\0\x85")),
            "beyond its storage"),
    PROGRAM(STATE(TENSOR("FloatStorage", "\6", "\0", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t",
                         "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t")),
            "beyond its storage"),
    PROGRAM(STATE(TENSOR("ComplexFloatStorage", "\6", "\0", ")", ")")),
            "torch.ComplexFloatStorage"),
    PROGRAM(STATE(REBUILD "K\1K\0))" HOOKS "tR"), "tensor of unknown form"),
    PROGRAM("\200\2(X\7\0\0\0storageK\1K\1K\1K\1tQ.", "no tensor's storage"),
    PROGRAM("\200\2(X\5\0\0\0otherctorch\nFloatStorage\nX\1\0\0\0000K\1K\1tQ.",
            "no tensor's storage"),
    PROGRAM("\200\2K\1Q.", "no tensor's storage"),
    /* TorchScript */
    PROGRAM("\200\2"
            "c__torch__\nM\n}\x81.",
            "broken pickle"),
    PROGRAM("\200\2"
            "c__torch__\nM\nK\1\x85\x81.",
            "broken pickle"),
    PROGRAM("\200\2"
            "c__torch__\nM\n)R.",
            "broken pickle"),
    PROGRAM("\200\2"
            "c__torch__\nM\n)\x81)b.",
            "broken pickle"),
    PROGRAM("\200\2"
            "c__torchx__\nM\n)\x81.",
            "__torchx__.M"),
    PROGRAM("\200\2"
            "c__torch__x.y\nM\n)\x81.",
            "__torch__x.y.M"),
    PROGRAM("\200\2"
            "ctorch.jit._pickle\nbuild_intlist\n)R.",
            "broken pickle"),
    PROGRAM("\200\2"
            "ctorch.jit._pickle\neval\n)R.",
            "torch.jit._pickle.eval"),
    /* objects in themselves, by one name and by two; without a name */
    PROGRAM("\200\2"
            "c__torch__\nM\n)\x81q\1}X\1\0\0\0ah\1sb.",
            "modules without end"),
    PROGRAM("\200\2"
            "c__torch__\nM\n)\x81q\1}(X\1\0\0\0ah\1X\1\0\0\0bh\1ub.",
            "modules without end"),
    PROGRAM("\200\2"
            "c__torch__\nM\n)\x81q\1}X\0\0\0\0h\1sb.",
            "without a proper name"),
    /* numpy */
    PROGRAM("\200\2"
            "cnumpy\ndtype\nX\2\0\0\0V8\x85R.",
            "of a type that is not read"),
    PROGRAM("\200\2"
            "cnumpy\ndtype\nX\2\0\0\0f4\x85R(K\3X\1\0\0\0>tb.",
            "big-endian"),
    PROGRAM("\200\2"
            "c_codecs\nencode\nX\1\0\0\0aX\5\0\0\0utf-8\x86R.",
            "broken pickle"),
    PROGRAM("\200\2"
            "cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\2\0\0\0f8\x85R"
            "c_codecs\nencode\nX\1\0\0\0aX\6\0\0\0latin1\x86R\x86R.",
            "broken pickle"),
};

static void test_refused_programs(void **state)
{
    buffer *b = malloc(sizeof *b);

    (void)state;
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        make_checkpoint(programs[i].text, programs[i].size, false, b);
        refused(b, programs[i].says);
    }
    free(b);
}

/* A dict of many items, and as many objects' worth of BUILD with it, three bytes each: of what it
 * would make in memory the input holds little. */
static void test_items_are_bounded_by_the_input(void **state)
{
    enum { MANY = 2000 };
    static char text[8 * MANY];
    buffer *b = malloc(sizeof *b);
    char *at = text;

    (void)state;
    at += sprintf(at, "\x80\x02}q%c(", 2);
    memset(at, 'N', 2 * MANY), at += 2 * MANY;
    at += sprintf(at, "u0c__torch__\nM\n)\x81");
    for (int i = 0; i < MANY; i++)
        at += sprintf(at, "h%cb", 2);
    *at++ = '.';
    make_checkpoint(text, (size_t)(at - text), false, b);
    refused(b, "broken pickle");
    free(b);
}

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

/* A TorchScript program's parameters, under the names of its state dict (make_torchscript.py). */
static void test_torchscript(void **state)
{
    static const struct {
        const char *name;
        size_t elements;
    } expected[] = {{"visual.class_embedding", 3}, {"visual.block.0.weight", 6}};
    float got[6];
    weights w;

    (void)state;
    assert_int_equal(weights_open("tests/data/torchscript.pt", &w, &error), DEER_OK);
    assert_int_equal(w.count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(w.tensor[i].name, expected[i].name);
        assert_int_equal(weights_elements(&w, i), expected[i].elements);
        assert_int_equal(weights_read(&w, i, got, &error), DEER_OK);
        for (size_t k = 0; k < expected[i].elements; k++)
            assert_float_equal(got[k], (float)k, 0);
    }
    weights_close(&w);
}

/* Programs of a few thousand bytes whose values would be endless, or fill any memory or stack. */
static void test_bombs(void **state)
{
    static const char again[] = "(h\0h\0tq\0"
                                "0"; /* twice what was remembered, remembered */
    buffer *b = malloc(sizeof *b);
    char *text = malloc(60000);
    size_t n = 0;

    (void)state;
    memcpy(text, "\200\2]q\0h\0a.", 9); /* a list that holds itself */
    make_checkpoint(text, 9, false, b);
    refused(b, "holds no state dict");
    memcpy(text, "\200\2]q\0", 5);
    for (n = 5; n < 50000; n += sizeof again - 1)
        memcpy(text + n, again, sizeof again - 1);
    text[n++] = '.';
    make_checkpoint(text, n, false, b);
    refused(b, "holds no state dict");
    memset(text + 2, '(', 59000); /* marks */
    make_checkpoint(text, 59002, false, b);
    refused(b, "cut off");
    memset(text + 2, ']', 59000);
    for (size_t i = 30000; i < 59001; i++) /* lists in lists */
        text[i] = 'a';
    text[59001] = '.';
    make_checkpoint(text, 59002, false, b);
    refused(b, "");
    free(text);
    free(b);
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
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_changes_meanwhile),
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_foreign_values),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_refused_programs),
        cmocka_unit_test(test_items_are_bounded_by_the_input),
        cmocka_unit_test(test_missing_data),
        cmocka_unit_test(test_refused_archives),
        cmocka_unit_test(test_torchscript),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_lying_archives),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_checksums),
        cmocka_unit_test(test_damaged_storage),
    };

    return cmocka_run_group_tests(tests, start, end);
}
