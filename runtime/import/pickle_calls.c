/* SPDX-License-Identifier: MIT */
/* pickle_calls.c - the names that a pickle may refer to, and what each one builds. */
#include "runtime/import/pickle_machine.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- names -------------------- */

enum {
    REBUILD_TENSOR,
    REBUILD_PARAMETER,
    SIZE,
    DICTIONARY,
    DTYPE,
    NDARRAY,
    SCALAR,
    RECONSTRUCT,
    ENCODE,
    TYPE_TAG,
    SCRIPT_CLASS, /* any name of a module that is_script_module */
    FIRST_STORAGE /* + number_type */
};

static const struct {
    const char *module, *name;
    int which;
} known[] = {
    {"torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR},
    {"torch._utils", "_rebuild_parameter", REBUILD_PARAMETER},
    {"torch", "Size", SIZE},
    {"collections", "OrderedDict", DICTIONARY},
    {"collections", "defaultdict", DICTIONARY},
    {"collections", "Counter", DICTIONARY},
    {"numpy", "dtype", DTYPE},
    {"numpy", "ndarray", NDARRAY},
    {"numpy.core.multiarray", "scalar", SCALAR},
    {"numpy._core.multiarray", "scalar", SCALAR},
    {"numpy.core.multiarray", "_reconstruct", RECONSTRUCT},
    {"numpy._core.multiarray", "_reconstruct", RECONSTRUCT},
    {"_codecs", "encode", ENCODE},
    {"torch.jit._pickle", "restore_type_tag", TYPE_TAG},
    {"torch.jit._pickle", "build_intlist", TYPE_TAG},
    {"torch.jit._pickle", "build_doublelist", TYPE_TAG},
    {"torch.jit._pickle", "build_boollist", TYPE_TAG},
    {"torch.jit._pickle", "build_tensorlist", TYPE_TAG},
    {"torch", "FloatStorage", FIRST_STORAGE + NUMBER_F32},
    {"torch", "DoubleStorage", FIRST_STORAGE + NUMBER_F64},
    {"torch", "HalfStorage", FIRST_STORAGE + NUMBER_F16},
    {"torch", "BFloat16Storage", FIRST_STORAGE + NUMBER_BF16},
    {"torch", "LongStorage", FIRST_STORAGE + NUMBER_I64},
    {"torch", "IntStorage", FIRST_STORAGE + NUMBER_I32},
    {"torch", "ShortStorage", FIRST_STORAGE + NUMBER_I16},
    {"torch", "CharStorage", FIRST_STORAGE + NUMBER_I8},
    {"torch", "ByteStorage", FIRST_STORAGE + NUMBER_U8},
    {"torch", "BoolStorage", FIRST_STORAGE + NUMBER_BOOL},
};

/* "__torch__" or something in it: names of classes that only the archive's own code defines. */
static bool is_script_module(const pickle_value *module)
{
    static const char start[] = "__torch__";
    const size_t n = sizeof start - 1;

    return module->as.text.size >= n && !memcmp(module->as.text.at, start, n) &&
           (module->as.text.size == n || module->as.text.at[n] == '.');
}

/* Appends a text for messages: no control characters, not endless. */
static void print(const char *at, size_t size, char *text, size_t room)
{
    size_t used = strlen(text);

    for (size_t i = 0; i < size && i < 64 && used + 1 < room; i++) {
        unsigned char c = (unsigned char)at[i];

        text[used++] = c >= ' ' && c < 127 ? (char)c : '?';
    }
    text[used] = 0;
}

const char *pickle_opaque_name(const pickle_value *v, char *text, size_t room)
{
    *text = 0;
    if (v->as.opaque.module) {
        print(v->as.opaque.module, v->as.opaque.module_size, text, room);
        print(".", 1, text, room);
    }
    print(v->as.opaque.name, v->as.opaque.name_size, text, room);
    return text;
}

pickle_value *pickle_opaque(pickle_machine *m, const char *name)
{
    pickle_value *v = pickle_new(m, PICKLE_OPAQUE);

    if (v) {
        v->as.opaque.name = name;
        v->as.opaque.name_size = strlen(name);
    }
    return v;
}

bool pickle_push_name(pickle_machine *m, const pickle_value *module, const pickle_value *name)
{
    pickle_value *v;

    if (is_script_module(module))
        return pickle_push_integer(m, PICKLE_NAME, SCRIPT_CLASS);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (pickle_is_text(module, known[i].module) && pickle_is_text(name, known[i].name))
            return pickle_push_integer(m, PICKLE_NAME, known[i].which);
    v = pickle_new(m, PICKLE_OPAQUE);
    if (v) {
        v->as.opaque.module = module->as.text.at;
        v->as.opaque.module_size = module->as.text.size;
        v->as.opaque.name = name->as.text.at;
        v->as.opaque.name_size = name->as.text.size;
    }
    return pickle_push(m, v);
}

/* ---------------------------------------------------------------- torch -------------------- */

/* A tuple of sizes: not negative, at most PICKLE_RANK. */
static bool integers(const pickle_value *v, int64_t *out, int *n)
{
    if (v->kind != PICKLE_TUPLE || v->as.many.count > PICKLE_RANK)
        return false;
    *n = (int)v->as.many.count;
    for (int i = 0; i < *n; i++) {
        if (v->as.many.item[i]->kind != PICKLE_INT || v->as.many.item[i]->as.integer < 0)
            return false;
        out[i] = v->as.many.item[i]->as.integer;
    }
    return true;
}

/* Whether every element lies among `count` from the tensor's offset on. */
static bool within(const pickle_value *t, int64_t count)
{
    int64_t last = t->as.tensor.offset, elements = 1;

    for (int i = 0; i < t->as.tensor.rank; i++) {
        int64_t n = t->as.tensor.shape[i], step;

        if (n == 0)
            return true;
        if (__builtin_mul_overflow(elements, n, &elements) ||
            __builtin_mul_overflow(n - 1, t->as.tensor.stride[i], &step) ||
            __builtin_add_overflow(last, step, &last))
            return false;
    }
    return last < count && elements <= INT64_MAX / 8;
}

/* (storage, offset, shape, strides, requires_grad, hooks, ..) */
static bool call_rebuild_tensor(pickle_machine *m, const pickle_value *arguments)
{
    pickle_value **a = arguments->as.many.item, *v;
    int rank = -1;

    if (arguments->as.many.count && a[0]->kind == PICKLE_OPAQUE)
        return pickle_push(m, a[0]); /* a tensor of numbers that are not read */
    if (arguments->as.many.count < 4 || a[0]->kind != PICKLE_STORAGE || a[1]->kind != PICKLE_INT ||
        a[1]->as.integer < 0)
        return pickle_fail(m, "%s has a tensor of unknown form", m->path);
    v = pickle_new(m, PICKLE_TENSOR);
    if (!v)
        return false;
    v->as.tensor.from = a[0];
    v->as.tensor.type = a[0]->as.storage.type;
    v->as.tensor.offset = a[1]->as.integer;
    if (!integers(a[2], v->as.tensor.shape, &v->as.tensor.rank) ||
        !integers(a[3], v->as.tensor.stride, &rank) || rank != v->as.tensor.rank ||
        !within(v, a[0]->as.storage.count))
        return pickle_fail(m, "%s has a tensor that reaches beyond its storage", m->path);
    return pickle_push(m, v);
}

/* ('storage', type, key, location, elements) */
bool pickle_persistent(pickle_machine *m)
{
    pickle_value *id = pickle_pop(m), **a, *v;

    if (!id)
        return false;
    a = id->as.many.item;
    if (id->kind == PICKLE_TUPLE && id->as.many.count == 5 && pickle_is_text(a[0], "storage") &&
        a[1]->kind == PICKLE_OPAQUE)
        return pickle_push(m, a[1]);
    if (id->kind != PICKLE_TUPLE || id->as.many.count != 5 || !pickle_is_text(a[0], "storage") ||
        a[1]->kind != PICKLE_NAME || a[1]->as.integer < FIRST_STORAGE ||
        a[2]->kind != PICKLE_TEXT || a[4]->kind != PICKLE_INT || a[4]->as.integer < 0)
        return pickle_fail(m, "%s refers to something outside that is no tensor's storage",
                           m->path);
    v = pickle_new(m, PICKLE_STORAGE);
    if (v) {
        v->as.storage.type = (number_type)(a[1]->as.integer - FIRST_STORAGE);
        v->as.storage.key = a[2];
        v->as.storage.count = a[4]->as.integer;
    }
    return pickle_push(m, v);
}

/* ---------------------------------------------------------------- numpy -------------------- */

/* The dtypes "O8" and "U<n>", beside those of number_type; the latter with n added. */
enum { OBJECTS = 100, TEXTS = 1000, LONGEST_TEXT = 1 << 20 };

/* ('f4', ..): numpy's types in little-endian. */
static bool call_dtype(pickle_machine *m, const pickle_value *arguments)
{
    static const struct {
        const char *name;
        number_type type;
    } types[] = {{"f4", NUMBER_F32},  {"f8", NUMBER_F64}, {"f2", NUMBER_F16}, {"i8", NUMBER_I64},
                 {"i4", NUMBER_I32},  {"i2", NUMBER_I16}, {"i1", NUMBER_I8},  {"u1", NUMBER_U8},
                 {"b1", NUMBER_BOOL}, {"u2", NUMBER_U16}, {"u4", NUMBER_U32}, {"u8", NUMBER_U64}};
    const pickle_value *name;

    if (arguments->as.many.count && pickle_is_text(arguments->as.many.item[0], "O8"))
        return pickle_push_integer(m, PICKLE_DTYPE, OBJECTS);
    if (arguments->as.many.count < 1 || arguments->as.many.item[0]->kind != PICKLE_TEXT)
        return pickle_broken(m);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (pickle_is_text(arguments->as.many.item[0], types[i].name))
            return pickle_push_integer(m, PICKLE_DTYPE, types[i].type);
    name = arguments->as.many.item[0];
    if (name->as.text.size > 1 && name->as.text.size < 8 && *name->as.text.at == 'U') {
        long characters = 0;

        for (size_t i = 1;
             i < name->as.text.size && name->as.text.at[i] >= '0' && name->as.text.at[i] <= '9';
             i++)
            characters = characters * 10 + (name->as.text.at[i] - '0');
        if (characters > 0 && characters < LONGEST_TEXT)
            return pickle_push_integer(m, PICKLE_DTYPE, TEXTS + characters);
    }
    return pickle_push(m, pickle_opaque(m, "an array of a type that is not read"));
}

/* A value that owns bytes [size + 1], which are to be filled through *out. */
static pickle_value *own_bytes(pickle_machine *m, pickle_kind kind, size_t size, char **out)
{
    pickle_value *v = pickle_new(m, kind), *holder = v ? pickle_new(m, PICKLE_LIST) : NULL;

    if (size >= m->bytes_left) {
        deer_fail(m->err, "%s has a pickle that makes more text than it holds", m->path);
        return NULL;
    }
    m->bytes_left -= size + 1;
    *out = holder ? malloc(size + 1) : NULL;
    if (!*out) {
        pickle_no_memory(m);
        return NULL;
    }
    holder->as.many.item = (pickle_value **)(void *)*out;
    v->as.text.at = *out;
    return v;
}

/* UTF-32 in little-endian, zeros behind it, as UTF-8. */
static pickle_value *text_of_array(pickle_machine *m, const char *at, size_t characters)
{
    char *out;
    pickle_value *v = own_bytes(m, PICKLE_TEXT, 4 * characters, &out);

    for (size_t i = 0; v && i < characters; i++) {
        uint64_t c = pickle_little_endian((const uint8_t *)at + 4 * i, 4, false);

        if (!c)
            break;
        if (c > 0x10ffff)
            c = 0xfffd;
        if (c >= 0x10000)
            *out++ = (char)(0xf0 | c >> 18);
        else if (c >= 0x800)
            *out++ = (char)(0xe0 | c >> 12);
        if (c >= 0x10000)
            *out++ = (char)(0x80 | (c >> 12 & 63));
        if (c >= 0x800)
            *out++ = (char)(0x80 | (c >> 6 & 63));
        else if (c >= 0x80)
            *out++ = (char)(0xc0 | c >> 6);
        *out++ = (char)(c < 0x80 ? c : 0x80 | (c & 63));
    }
    if (v)
        v->as.text.size = (size_t)(out - v->as.text.at);
    return v;
}

/* (text, 'latin1'): the bytes whose code points the text lists. */
static bool call_encode(pickle_machine *m, const pickle_value *arguments)
{
    pickle_value *bytes;
    const char *text;
    size_t size, n = 0;
    char *out;

    if (arguments->as.many.count != 2 || arguments->as.many.item[0]->kind != PICKLE_TEXT ||
        !pickle_is_text(arguments->as.many.item[1], "latin1"))
        return pickle_broken(m);
    text = arguments->as.many.item[0]->as.text.at;
    size = arguments->as.many.item[0]->as.text.size;
    bytes = own_bytes(m, PICKLE_BYTES, size, &out);
    if (!bytes)
        return false;
    for (size_t i = 0; i < size; i++) {
        unsigned c = (unsigned char)text[i];

        if (c >= 0x80) {
            if ((c != 0xc2 && c != 0xc3) || i + 1 == size)
                return pickle_broken(m);
            c = (c & 3) << 6 | ((unsigned char)text[++i] & 63);
        }
        out[n++] = (char)c;
    }
    bytes->as.text.size = n;
    return pickle_push(m, bytes);
}

/* (dtype, bytes): one number, or a text. */
static bool call_scalar(pickle_machine *m, const pickle_value *arguments)
{
    pickle_value **a = arguments->as.many.item, *v;
    number_type type;
    const uint8_t *p;

    if (arguments->as.many.count == 2 && a[0]->kind == PICKLE_OPAQUE)
        return pickle_push(m, a[0]);
    if (arguments->as.many.count == 2 && a[0]->kind == PICKLE_DTYPE && a[0]->as.integer > TEXTS &&
        a[1]->kind == PICKLE_BYTES && a[1]->as.text.size == 4 * (size_t)(a[0]->as.integer - TEXTS))
        return pickle_push(m, text_of_array(m, a[1]->as.text.at, a[1]->as.text.size / 4));
    if (arguments->as.many.count != 2 || a[0]->kind != PICKLE_DTYPE || a[1]->kind != PICKLE_BYTES ||
        a[0]->as.integer >= OBJECTS)
        return pickle_broken(m);
    type = (number_type)a[0]->as.integer;
    p = (const uint8_t *)a[1]->as.text.at;
    if (a[1]->as.text.size != number_size(type) || type == NUMBER_F16)
        return pickle_broken(m);
    if (type != NUMBER_F32 && type != NUMBER_F64)
        return pickle_push_integer(
            m, type == NUMBER_BOOL ? PICKLE_BOOL : PICKLE_INT,
            (int64_t)pickle_little_endian(p, number_size(type),
                                          type != NUMBER_U8 && type < NUMBER_U16));
    v = pickle_new(m, PICKLE_FLOAT);
    if (v && type == NUMBER_F64)
        memcpy(&v->as.number, p, 8);
    if (v && type == NUMBER_F32) {
        float number;

        memcpy(&number, p, 4);
        v->as.number = (double)number;
    }
    return pickle_push(m, v);
}

/* An array of texts becomes a list of them, in the order of memory. */
static bool build_texts(pickle_machine *m, pickle_value *array, size_t characters,
                        const pickle_value *bytes)
{
    size_t n = bytes->as.text.size / (4 * characters);

    if (n * 4 * characters != bytes->as.text.size)
        return pickle_fail(m, "%s has a numpy array whose data has another size", m->path);
    *array = (pickle_value){.kind = PICKLE_LIST};
    for (size_t i = 0; i < n; i++) {
        pickle_value *text = text_of_array(m, bytes->as.text.at + i * 4 * characters, characters);

        if (!text || !pickle_append(m, array, &text, 1))
            return false;
    }
    return true;
}

/* (version, shape, dtype, fortran_order, bytes) */
static bool build_array(pickle_machine *m, pickle_value *array, const pickle_value *state)
{
    pickle_value **a = state->as.many.item;
    int64_t elements = 1;

    if (state->kind == PICKLE_TUPLE && state->as.many.count == 5 && a[2]->kind == PICKLE_OPAQUE) {
        *array = *a[2];
        return true;
    }
    if (state->kind == PICKLE_TUPLE && state->as.many.count == 5 && a[2]->kind == PICKLE_DTYPE &&
        a[2]->as.integer > TEXTS && a[4]->kind == PICKLE_BYTES)
        return build_texts(m, array, (size_t)(a[2]->as.integer - TEXTS), a[4]);
    if (state->kind == PICKLE_TUPLE && state->as.many.count == 5 && a[2]->kind == PICKLE_DTYPE &&
        a[2]->as.integer == OBJECTS && a[4]->kind == PICKLE_LIST && a[4] != array) {
        *array = (pickle_value){.kind = PICKLE_LIST};
        return pickle_append(m, array, a[4]->as.many.item, a[4]->as.many.count);
    }
    if (state->kind != PICKLE_TUPLE || state->as.many.count != 5 || a[2]->kind != PICKLE_DTYPE ||
        a[2]->as.integer >= OBJECTS || a[3]->kind != PICKLE_BOOL || a[4]->kind != PICKLE_BYTES ||
        !integers(a[1], array->as.tensor.shape, &array->as.tensor.rank))
        return pickle_broken(m);
    array->as.tensor.type = (number_type)a[2]->as.integer;
    array->as.tensor.from = a[4];
    for (int j = 0; j < array->as.tensor.rank; j++) {
        int i = a[3]->as.integer ? j : array->as.tensor.rank - 1 - j;

        array->as.tensor.stride[i] = elements;
        if (__builtin_mul_overflow(elements, array->as.tensor.shape[i], &elements))
            return pickle_broken(m);
    }
    if ((uint64_t)elements > SIZE_MAX / 8 ||
        (size_t)elements * number_size(array->as.tensor.type) != a[4]->as.text.size)
        return pickle_fail(m, "%s has a numpy array whose data has another size", m->path);
    return true;
}

static bool call_dictionary(pickle_machine *m, const pickle_value *arguments)
{
    pickle_value **a = arguments->as.many.item;
    size_t n = arguments->as.many.count;

    if (n == 1 && a[0]->kind == PICKLE_DICT)
        return pickle_push(m, a[0]);
    if (n > 1 || (n == 1 && a[0]->kind != PICKLE_OPAQUE && a[0]->kind != PICKLE_NAME &&
                  a[0]->kind != PICKLE_NONE))
        return pickle_broken(m);
    return pickle_push(m, pickle_new(m, PICKLE_DICT));
}

/* ---------------------------------------------------------------- calls -------------------- */

bool pickle_call(pickle_machine *m)
{
    pickle_value *arguments = pickle_pop(m), *function = arguments ? pickle_pop(m) : NULL;

    if (!function)
        return false;
    if (function->kind == PICKLE_OPAQUE)
        return pickle_push(m, function);
    if (function->kind != PICKLE_NAME || arguments->kind != PICKLE_TUPLE)
        return pickle_broken(m);
    switch (function->as.integer) {
    case REBUILD_TENSOR:
        return call_rebuild_tensor(m, arguments);
    case REBUILD_PARAMETER: /* (tensor, requires_grad, hooks) */
        return arguments->as.many.count && (arguments->as.many.item[0]->kind == PICKLE_TENSOR ||
                                            arguments->as.many.item[0]->kind == PICKLE_OPAQUE)
                   ? pickle_push(m, arguments->as.many.item[0])
                   : pickle_broken(m);
    case SIZE: /* (tuple) */
        return arguments->as.many.count == 1 && arguments->as.many.item[0]->kind == PICKLE_TUPLE
                   ? pickle_push(m, arguments->as.many.item[0])
                   : pickle_broken(m);
    case DICTIONARY: /* (), of a defaultdict what makes defaults, of a Counter the counts */
        return call_dictionary(m, arguments);
    case DTYPE:
        return call_dtype(m, arguments);
    case SCALAR:
        return call_scalar(m, arguments);
    case RECONSTRUCT: /* (ndarray, (0,), b'b'): filled by BUILD */
        return pickle_push(m, pickle_new(m, PICKLE_ARRAY));
    case ENCODE:
        return call_encode(m, arguments);
    case TYPE_TAG: /* (value, type) or (list,) */
        return arguments->as.many.count ? pickle_push(m, arguments->as.many.item[0])
                                        : pickle_broken(m);
    default: /* a storage's type, or ndarray: only ever an argument */
        return pickle_broken(m);
    }
}

/* A TorchScript object, empty; other classes are not known, so that there is nothing to make. */
bool pickle_new_object(pickle_machine *m, bool keywords)
{
    pickle_value *last = pickle_pop(m), *arguments = last && keywords ? pickle_pop(m) : last;
    pickle_value *class = arguments ? pickle_pop(m) : NULL;

    if (!class)
        return false;
    if (class->kind == PICKLE_OPAQUE)
        return pickle_push(m, class);
    if (keywords || class->kind != PICKLE_NAME || class->as.integer != SCRIPT_CLASS ||
        arguments->kind != PICKLE_TUPLE || arguments->as.many.count)
        return pickle_broken(m);
    return pickle_push(m, pickle_new(m, PICKLE_OBJECT));
}

/* (version, byte order, ..): arrays in big-endian order are not read. */
static bool build_dtype(pickle_machine *m, pickle_value *type, const pickle_value *state)
{
    if (state->kind != PICKLE_TUPLE || state->as.many.count < 2)
        return pickle_broken(m);
    if (pickle_is_text(state->as.many.item[1], ">")) {
        pickle_value *opaque = pickle_opaque(m, "a big-endian array");

        if (!opaque)
            return false;
        *type = *opaque;
    }
    return true;
}

/* Sets what an object holds: an array's contents, a TorchScript object's attributes, a dict's
 * (ignored), a dtype's byte order. */
bool pickle_build(pickle_machine *m)
{
    pickle_value *state = pickle_pop(m), *object = state ? pickle_top(m) : NULL;

    if (!object)
        return false;
    if (object->kind == PICKLE_OPAQUE)
        return true;
    if (object->kind == PICKLE_ARRAY && !object->as.tensor.from)
        return build_array(m, object, state);
    if (object->kind == PICKLE_OBJECT)
        return state->kind == PICKLE_DICT
                   ? pickle_append(m, object, state->as.many.item, state->as.many.count)
                   : pickle_broken(m);
    if (object->kind == PICKLE_DICT)
        return state->kind == PICKLE_DICT || pickle_broken(m);
    if (object->kind == PICKLE_DTYPE)
        return build_dtype(m, object, state);
    return pickle_broken(m);
}
