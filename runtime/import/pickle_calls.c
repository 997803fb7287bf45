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
    ORDERED_DICT,
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
    {"collections", "OrderedDict", ORDERED_DICT},
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

/* For messages: no control characters, not endless. */
static const char *printable(const pickle_value *text, char *room, size_t n)
{
    size_t i = 0;

    for (; i < text->as.text.size && i + 1 < n; i++) {
        unsigned char c = (unsigned char)text->as.text.at[i];

        room[i] = c >= ' ' && c < 127 ? (char)c : '?';
    }
    room[i] = 0;
    return room;
}

/* "__torch__" or something in it: names of classes that only the archive's own code defines. */
static bool is_script_module(const pickle_value *module)
{
    static const char start[] = "__torch__";
    const size_t n = sizeof start - 1;

    return module->as.text.size >= n && !memcmp(module->as.text.at, start, n) &&
           (module->as.text.size == n || module->as.text.at[n] == '.');
}

bool pickle_push_name(pickle_machine *m, const pickle_value *module, const pickle_value *name)
{
    char a[64], b[64];

    if (is_script_module(module))
        return pickle_push_integer(m, PICKLE_NAME, SCRIPT_CLASS);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (pickle_is_text(module, known[i].module) && pickle_is_text(name, known[i].name))
            return pickle_push_integer(m, PICKLE_NAME, known[i].which);
    return pickle_fail(m, "%s refers to %s.%s, which a checkpoint has no need of: refused", m->path,
                       printable(module, a, sizeof a), printable(name, b, sizeof b));
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

enum { OBJECTS = 100 }; /* the dtype "O8", beside those of number_type */

/* ('f4', ..): numpy's types in little-endian. */
static bool call_dtype(pickle_machine *m, const pickle_value *arguments)
{
    static const struct {
        const char *name;
        number_type type;
    } types[] = {{"f4", NUMBER_F32}, {"f8", NUMBER_F64}, {"f2", NUMBER_F16},
                 {"i8", NUMBER_I64}, {"i4", NUMBER_I32}, {"i2", NUMBER_I16},
                 {"i1", NUMBER_I8},  {"u1", NUMBER_U8},  {"b1", NUMBER_BOOL}};
    char room[16];

    if (arguments->as.many.count && pickle_is_text(arguments->as.many.item[0], "O8"))
        return pickle_push_integer(m, PICKLE_DTYPE, OBJECTS);
    if (arguments->as.many.count < 1 || arguments->as.many.item[0]->kind != PICKLE_TEXT)
        return pickle_broken(m);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (pickle_is_text(arguments->as.many.item[0], types[i].name))
            return pickle_push_integer(m, PICKLE_DTYPE, types[i].type);
    return pickle_fail(m, "%s has a numpy array of type %s, which is not read", m->path,
                       printable(arguments->as.many.item[0], room, sizeof room));
}

/* (text, 'latin1'): the bytes whose code points the text lists. */
static bool call_encode(pickle_machine *m, const pickle_value *arguments)
{
    pickle_value *bytes, *holder;
    const char *text;
    size_t size, n = 0;
    char *out;

    if (arguments->as.many.count != 2 || arguments->as.many.item[0]->kind != PICKLE_TEXT ||
        !pickle_is_text(arguments->as.many.item[1], "latin1"))
        return pickle_broken(m);
    text = arguments->as.many.item[0]->as.text.at;
    size = arguments->as.many.item[0]->as.text.size;
    bytes = pickle_new(m, PICKLE_BYTES);
    holder = bytes ? pickle_new(m, PICKLE_LIST) : NULL; /* owns the copy */
    out = holder ? malloc(size + 1) : NULL;
    if (!out)
        return pickle_no_memory(m);
    holder->as.many.item = (pickle_value **)(void *)out;
    for (size_t i = 0; i < size; i++) {
        unsigned c = (unsigned char)text[i];

        if (c >= 0x80) {
            if ((c != 0xc2 && c != 0xc3) || i + 1 == size)
                return pickle_broken(m);
            c = (c & 3) << 6 | ((unsigned char)text[++i] & 63);
        }
        out[n++] = (char)c;
    }
    bytes->as.text.at = out;
    bytes->as.text.size = n;
    return pickle_push(m, bytes);
}

/* (dtype, bytes): one number. */
static bool call_scalar(pickle_machine *m, const pickle_value *arguments)
{
    pickle_value **a = arguments->as.many.item, *v;
    number_type type;
    const uint8_t *p;

    if (arguments->as.many.count != 2 || a[0]->kind != PICKLE_DTYPE || a[1]->kind != PICKLE_BYTES ||
        a[0]->as.integer == OBJECTS)
        return pickle_broken(m);
    type = (number_type)a[0]->as.integer;
    p = (const uint8_t *)a[1]->as.text.at;
    if (a[1]->as.text.size != number_size(type) || type == NUMBER_F16)
        return pickle_broken(m);
    if (type != NUMBER_F32 && type != NUMBER_F64)
        return pickle_push_integer(
            m, type == NUMBER_BOOL ? PICKLE_BOOL : PICKLE_INT,
            (int64_t)pickle_little_endian(p, number_size(type), type != NUMBER_U8));
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

/* (version, shape, dtype, fortran_order, bytes) */
static bool build_array(pickle_machine *m, pickle_value *array, const pickle_value *state)
{
    pickle_value **a = state->as.many.item;
    int64_t elements = 1;

    if (state->kind == PICKLE_TUPLE && state->as.many.count == 5 && a[2]->kind == PICKLE_DTYPE &&
        a[2]->as.integer == OBJECTS && a[4]->kind == PICKLE_LIST && a[4] != array) {
        *array = (pickle_value){.kind = PICKLE_LIST};
        return pickle_append(m, array, a[4]->as.many.item, a[4]->as.many.count);
    }
    if (state->kind != PICKLE_TUPLE || state->as.many.count != 5 || a[2]->kind != PICKLE_DTYPE ||
        a[2]->as.integer == OBJECTS || a[3]->kind != PICKLE_BOOL || a[4]->kind != PICKLE_BYTES ||
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

/* ---------------------------------------------------------------- calls -------------------- */

bool pickle_call(pickle_machine *m)
{
    pickle_value *arguments = pickle_pop(m), *function = arguments ? pickle_pop(m) : NULL;

    if (!function)
        return false;
    if (function->kind != PICKLE_NAME || arguments->kind != PICKLE_TUPLE)
        return pickle_broken(m);
    switch (function->as.integer) {
    case REBUILD_TENSOR:
        return call_rebuild_tensor(m, arguments);
    case REBUILD_PARAMETER: /* (tensor, requires_grad, hooks) */
        return arguments->as.many.count && arguments->as.many.item[0]->kind == PICKLE_TENSOR
                   ? pickle_push(m, arguments->as.many.item[0])
                   : pickle_broken(m);
    case SIZE: /* (tuple) */
        return arguments->as.many.count == 1 && arguments->as.many.item[0]->kind == PICKLE_TUPLE
                   ? pickle_push(m, arguments->as.many.item[0])
                   : pickle_broken(m);
    case ORDERED_DICT:
        return arguments->as.many.count == 0 ? pickle_push(m, pickle_new(m, PICKLE_DICT))
                                             : pickle_broken(m);
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
bool pickle_new_object(pickle_machine *m)
{
    pickle_value *arguments = pickle_pop(m), *class = arguments ? pickle_pop(m) : NULL;

    if (!class)
        return false;
    if (class->kind != PICKLE_NAME || class->as.integer != SCRIPT_CLASS ||
        arguments->kind != PICKLE_TUPLE || arguments->as.many.count)
        return pickle_broken(m);
    return pickle_push(m, pickle_new(m, PICKLE_OBJECT));
}

/* Sets what an object holds: an array's contents, a TorchScript object's attributes, a dict's
 * (ignored), a dtype's byte order. */
bool pickle_build(pickle_machine *m)
{
    pickle_value *state = pickle_pop(m), *object = state ? pickle_top(m) : NULL;

    if (!object)
        return false;
    if (object->kind == PICKLE_ARRAY && !object->as.tensor.from)
        return build_array(m, object, state);
    if (object->kind == PICKLE_OBJECT)
        return state->kind == PICKLE_DICT
                   ? pickle_append(m, object, state->as.many.item, state->as.many.count)
                   : pickle_broken(m);
    if (object->kind == PICKLE_DICT)
        return state->kind == PICKLE_DICT || pickle_broken(m);
    if (object->kind == PICKLE_DTYPE)
        return (state->kind == PICKLE_TUPLE && state->as.many.count > 1 &&
                !pickle_is_text(state->as.many.item[1], ">")) ||
               pickle_fail(m, "%s has a big-endian numpy array, which is not read", m->path);
    return pickle_broken(m);
}
