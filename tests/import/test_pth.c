/* SPDX-License-Identifier: MIT */
/* test_pth.c - pickles of checkpoints: what is read from good ones; hostile ones refused. */
#include "tests/import/checkpoints.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_foreign_values),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_refused_programs),
        cmocka_unit_test(test_items_are_bounded_by_the_input),
        cmocka_unit_test(test_torchscript),
        cmocka_unit_test(test_bombs),
    };

    return cmocka_run_group_tests(tests, start, end);
}
