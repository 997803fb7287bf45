/* pickle.c - a pickle machine that can build values and call nothing. */
#include "runtime/pickle.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OBJECTS = 100 }; /* numpy's dtype "O8", beside those of number_type */

enum { BLOCK = 4096, DEEPEST_STACK = 1 << 20, LONGEST_MEMO = 1 << 22 };

typedef struct block {
    struct block *next;
    int used;
    pickle_value value[BLOCK];
} block;

typedef struct {
    const char *path;
    const uint8_t *at, *end;
    block *values;
    pickle_value **stack;
    size_t depth, room;
    size_t *mark; /* positions in the stack */
    size_t marks, mark_room;
    pickle_value **memo;
    size_t memos;
    deer_error *err;
} machine;

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
    SCRIPT_CLASS,
    FIRST_STORAGE
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

/* ---------------------------------------------------------------- machine ------------------ */

#define bad(m, ...) (deer_fail((m)->err, __VA_ARGS__), false)

static bool broken(machine *m)
{
    return bad(m, "%s has a broken pickle", m->path);
}

static bool no_memory(machine *m)
{
    return bad(m, "out of memory reading %s", m->path);
}

static pickle_value *new_value(machine *m, pickle_kind kind)
{
    pickle_value *v;

    if (!m->values || m->values->used == BLOCK) {
        block *b = malloc(sizeof *b);

        if (!b) {
            no_memory(m);
            return NULL;
        }
        b->next = m->values;
        b->used = 0;
        m->values = b;
    }
    v = &m->values->value[m->values->used++];
    memset(v, 0, sizeof *v);
    v->kind = kind;
    return v;
}

static bool push(machine *m, pickle_value *v)
{
    if (!v)
        return false;
    if (m->depth == m->room) {
        size_t room = m->room ? 2 * m->room : 256;
        pickle_value **stack;

        if (m->depth >= DEEPEST_STACK)
            return bad(m, "%s has a pickle that keeps more than %d values waiting", m->path,
                       DEEPEST_STACK);
        stack = realloc(m->stack, room * sizeof *stack);
        if (!stack)
            return no_memory(m);
        m->stack = stack;
        m->room = room;
    }
    m->stack[m->depth++] = v;
    return true;
}

/* Values above the last mark, or the whole stack: what may be taken now. */
static size_t floor_of(const machine *m)
{
    return m->marks ? m->mark[m->marks - 1] : 0;
}

static pickle_value *pop(machine *m)
{
    if (m->depth <= floor_of(m)) {
        broken(m);
        return NULL;
    }
    return m->stack[--m->depth];
}

static pickle_value *top(machine *m)
{
    if (m->depth <= floor_of(m)) {
        broken(m);
        return NULL;
    }
    return m->stack[m->depth - 1];
}

static bool set_mark(machine *m)
{
    if (m->marks == m->mark_room) {
        size_t room = m->mark_room ? 2 * m->mark_room : 64;
        size_t *mark;

        if (m->marks >= DEEPEST_STACK)
            return bad(m, "%s has a pickle with more than %d open marks", m->path, DEEPEST_STACK);
        mark = realloc(m->mark, room * sizeof *mark);
        if (!mark)
            return no_memory(m);
        m->mark = mark;
        m->mark_room = room;
    }
    m->mark[m->marks++] = m->depth;
    return true;
}

/* Takes everything above the last mark off the stack: n values from *items, until the next push. */
static bool pop_mark(machine *m, pickle_value ***items, size_t *n)
{
    if (!m->marks)
        return broken(m);
    m->marks--;
    *items = m->stack ? m->stack + m->mark[m->marks] : NULL;
    *n = m->depth - m->mark[m->marks];
    m->depth = m->mark[m->marks];
    return true;
}

static bool append(machine *m, pickle_value *v, pickle_value **items, size_t n)
{
    if (v->as.many.count + n > v->as.many.room) {
        size_t room =
            v->as.many.room * 2 > v->as.many.count + n ? v->as.many.room * 2 : v->as.many.count + n;
        pickle_value **grown = realloc(v->as.many.item, room * sizeof *grown);

        if (!grown)
            return no_memory(m);
        v->as.many.item = grown;
        v->as.many.room = room;
    }
    if (n)
        memcpy(v->as.many.item + v->as.many.count, items, n * sizeof *items);
    v->as.many.count += n;
    return true;
}

static bool push_many(machine *m, pickle_kind kind, pickle_value **items, size_t n)
{
    pickle_value *v = new_value(m, kind);

    return v && append(m, v, items, n) && push(m, v);
}

/* ---------------------------------------------------------------- input -------------------- */

static bool take(machine *m, size_t size, const uint8_t **bytes)
{
    if ((size_t)(m->end - m->at) < size)
        return bad(m, "%s has a pickle that is cut off", m->path);
    *bytes = m->at;
    m->at += size;
    return true;
}

/* A little-endian number of `size` bytes, at most 8. */
static bool take_number(machine *m, size_t size, uint64_t *value)
{
    const uint8_t *bytes;

    if (!take(m, size, &bytes))
        return false;
    *value = 0;
    for (size_t i = 0; i < size; i++)
        *value |= (uint64_t)bytes[i] << 8 * i;
    return true;
}

/* Up to a newline, which is taken, too. */
static bool take_line(machine *m, const char **text, size_t *size)
{
    const uint8_t *end = memchr(m->at, '\n', (size_t)(m->end - m->at));

    if (!end)
        return bad(m, "%s has a pickle that is cut off", m->path);
    *text = (const char *)m->at;
    *size = (size_t)(end - m->at);
    m->at = end + 1;
    return true;
}

static bool push_integer(machine *m, pickle_kind kind, int64_t value)
{
    pickle_value *v = new_value(m, kind);

    if (v)
        v->as.integer = value;
    return push(m, v);
}

static bool push_text(machine *m, pickle_kind kind, size_t length_bytes)
{
    uint64_t size;
    const uint8_t *bytes;
    pickle_value *v;

    if (!take_number(m, length_bytes, &size) || size > SIZE_MAX || !take(m, size, &bytes))
        return false;
    v = new_value(m, kind);
    if (v) {
        v->as.text.at = (const char *)bytes;
        v->as.text.size = size;
    }
    return push(m, v);
}

static bool push_float(machine *m)
{
    const uint8_t *bytes;
    uint64_t bits = 0;
    pickle_value *v;

    if (!take(m, 8, &bytes))
        return false;
    for (int i = 0; i < 8; i++) /* big-endian */
        bits = bits << 8 | bytes[i];
    v = new_value(m, PICKLE_FLOAT);
    if (v)
        memcpy(&v->as.number, &bits, sizeof bits);
    return push(m, v);
}

static bool push_long(machine *m)
{
    uint64_t size, value = 0;
    const uint8_t *bytes;

    if (!take_number(m, 1, &size))
        return false;
    if (size > 8)
        return bad(m, "%s has an integer of more than 64 bits", m->path);
    if (!take(m, size, &bytes))
        return false;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    if (size && size < 8 && bytes[size - 1] & 0x80)
        value |= UINT64_MAX << 8 * size;
    return push_integer(m, PICKLE_INT, (int64_t)value);
}

/* ---------------------------------------------------------------- memo --------------------- */

static bool memo_put(machine *m, uint64_t index)
{
    pickle_value *v = top(m);

    if (!v)
        return false;
    if (index >= LONGEST_MEMO)
        return bad(m, "%s has a pickle that remembers more than %d values", m->path, LONGEST_MEMO);
    if (index >= m->memos) {
        size_t memos = m->memos ? m->memos : 256;
        pickle_value **memo;

        while (memos <= index)
            memos *= 2;
        memo = realloc(m->memo, memos * sizeof *memo);
        if (!memo)
            return no_memory(m);
        memset(memo + m->memos, 0, (memos - m->memos) * sizeof *memo);
        m->memo = memo;
        m->memos = memos;
    }
    m->memo[index] = v;
    return true;
}

static bool memo_get(machine *m, uint64_t index)
{
    if (index >= m->memos || !m->memo[index])
        return broken(m);
    return push(m, m->memo[index]);
}

/* ---------------------------------------------------------------- calls -------------------- */

static bool same(const char *text, size_t size, const char *word)
{
    return strlen(word) == size && !memcmp(text, word, size);
}

/* For messages: no control characters, not endless. */
static const char *printable(const char *text, size_t size, char *room, size_t n)
{
    size_t i = 0;

    for (; i < size && i + 1 < n; i++)
        room[i] = (unsigned char)text[i] >= ' ' && (unsigned char)text[i] < 127 ? text[i] : '?';
    room[i] = 0;
    return room;
}

/* "__torch__" or something in it: names of classes that only the archive's own code defines. */
static bool is_script_module(const char *module, size_t size)
{
    static const char start[] = "__torch__";
    const size_t n = sizeof start - 1;

    return size >= n && !memcmp(module, start, n) && (size == n || module[n] == '.');
}

static bool push_name(machine *m, const char *module, size_t module_size, const char *name,
                      size_t name_size)
{
    char a[64], b[64];

    if (is_script_module(module, module_size))
        return push_integer(m, PICKLE_NAME, SCRIPT_CLASS);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (same(module, module_size, known[i].module) && same(name, name_size, known[i].name))
            return push_integer(m, PICKLE_NAME, known[i].which);
    return bad(m, "%s refers to %s.%s, which a checkpoint has no need of: refused", m->path,
               printable(module, module_size, a, sizeof a),
               printable(name, name_size, b, sizeof b));
}

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
static bool call_rebuild_tensor(machine *m, const pickle_value *arguments)
{
    pickle_value **a = arguments->as.many.item, *v;
    int rank = -1;

    if (arguments->as.many.count < 4 || a[0]->kind != PICKLE_STORAGE || a[1]->kind != PICKLE_INT ||
        a[1]->as.integer < 0)
        return bad(m, "%s has a tensor of unknown form", m->path);
    v = new_value(m, PICKLE_TENSOR);
    if (!v)
        return false;
    v->as.tensor.from = a[0];
    v->as.tensor.type = a[0]->as.storage.type;
    v->as.tensor.offset = a[1]->as.integer;
    if (!integers(a[2], v->as.tensor.shape, &v->as.tensor.rank) ||
        !integers(a[3], v->as.tensor.stride, &rank) || rank != v->as.tensor.rank ||
        !within(v, a[0]->as.storage.count))
        return bad(m, "%s has a tensor that reaches beyond its storage", m->path);
    return push(m, v);
}

/* ('f4', ..): numpy's types in little-endian. */
static bool call_dtype(machine *m, const pickle_value *arguments)
{
    static const struct {
        const char *name;
        number_type type;
    } types[] = {{"f4", NUMBER_F32}, {"f8", NUMBER_F64}, {"f2", NUMBER_F16},
                 {"i8", NUMBER_I64}, {"i4", NUMBER_I32}, {"i2", NUMBER_I16},
                 {"i1", NUMBER_I8},  {"u1", NUMBER_U8},  {"b1", NUMBER_BOOL}};
    char room[16];

    if (arguments->as.many.count && pickle_is_text(arguments->as.many.item[0], "O8"))
        return push_integer(m, PICKLE_DTYPE, OBJECTS);
    if (arguments->as.many.count < 1 || arguments->as.many.item[0]->kind != PICKLE_TEXT)
        return broken(m);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (pickle_is_text(arguments->as.many.item[0], types[i].name))
            return push_integer(m, PICKLE_DTYPE, types[i].type);
    return bad(m, "%s has a numpy array of type %s, which is not read", m->path,
               printable(arguments->as.many.item[0]->as.text.at,
                         arguments->as.many.item[0]->as.text.size, room, sizeof room));
}

/* (text, 'latin1'): the bytes whose code points the text lists. */
static bool call_encode(machine *m, const pickle_value *arguments)
{
    pickle_value *bytes, *holder;
    const char *text;
    size_t size, n = 0;
    char *out;

    if (arguments->as.many.count != 2 || arguments->as.many.item[0]->kind != PICKLE_TEXT ||
        !pickle_is_text(arguments->as.many.item[1], "latin1"))
        return broken(m);
    text = arguments->as.many.item[0]->as.text.at;
    size = arguments->as.many.item[0]->as.text.size;
    bytes = new_value(m, PICKLE_BYTES);
    holder = bytes ? new_value(m, PICKLE_LIST) : NULL; /* owns the copy */
    out = holder ? malloc(size + 1) : NULL;
    if (!out)
        return no_memory(m);
    holder->as.many.item = (pickle_value **)(void *)out;
    for (size_t i = 0; i < size; i++) {
        unsigned c = (unsigned char)text[i];

        if (c >= 0x80) {
            if ((c != 0xc2 && c != 0xc3) || i + 1 == size)
                return broken(m);
            c = (c & 3) << 6 | ((unsigned char)text[++i] & 63);
        }
        out[n++] = (char)c;
    }
    bytes->as.text.at = out;
    bytes->as.text.size = n;
    return push(m, bytes);
}

static int64_t read_integer(const uint8_t *p, size_t size, bool is_signed)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)p[i] << 8 * i;
    if (is_signed && size < 8 && p[size - 1] & 0x80)
        value |= UINT64_MAX << 8 * size;
    return (int64_t)value;
}

/* (dtype, bytes): one number. */
static bool call_scalar(machine *m, const pickle_value *arguments)
{
    pickle_value **a = arguments->as.many.item, *v;
    number_type type;
    const uint8_t *p;

    if (arguments->as.many.count != 2 || a[0]->kind != PICKLE_DTYPE || a[1]->kind != PICKLE_BYTES ||
        a[0]->as.integer == OBJECTS)
        return broken(m);
    type = (number_type)a[0]->as.integer;
    p = (const uint8_t *)a[1]->as.text.at;
    if (a[1]->as.text.size != number_size(type) || type == NUMBER_F16)
        return broken(m);
    if (type != NUMBER_F32 && type != NUMBER_F64)
        return push_integer(m, type == NUMBER_BOOL ? PICKLE_BOOL : PICKLE_INT,
                            read_integer(p, number_size(type), type != NUMBER_U8));
    v = new_value(m, PICKLE_FLOAT);
    if (v && type == NUMBER_F64)
        memcpy(&v->as.number, p, 8);
    if (v && type == NUMBER_F32) {
        float number;

        memcpy(&number, p, 4);
        v->as.number = (double)number;
    }
    return push(m, v);
}

static bool call(machine *m)
{
    pickle_value *arguments = pop(m), *function = arguments ? pop(m) : NULL;

    if (!function)
        return false;
    if (function->kind != PICKLE_NAME || arguments->kind != PICKLE_TUPLE)
        return broken(m);
    switch (function->as.integer) {
    case REBUILD_TENSOR:
        return call_rebuild_tensor(m, arguments);
    case REBUILD_PARAMETER: /* (tensor, requires_grad, hooks) */
        return arguments->as.many.count && arguments->as.many.item[0]->kind == PICKLE_TENSOR
                   ? push(m, arguments->as.many.item[0])
                   : broken(m);
    case SIZE: /* (tuple) */
        return arguments->as.many.count == 1 && arguments->as.many.item[0]->kind == PICKLE_TUPLE
                   ? push(m, arguments->as.many.item[0])
                   : broken(m);
    case ORDERED_DICT:
        return arguments->as.many.count == 0 ? push(m, new_value(m, PICKLE_DICT)) : broken(m);
    case DTYPE:
        return call_dtype(m, arguments);
    case SCALAR:
        return call_scalar(m, arguments);
    case RECONSTRUCT: /* (ndarray, (0,), b'b'): filled by BUILD */
        return push(m, new_value(m, PICKLE_ARRAY));
    case ENCODE:
        return call_encode(m, arguments);
    case TYPE_TAG: /* (value, type) or (list,) */
        return arguments->as.many.count ? push(m, arguments->as.many.item[0]) : broken(m);
    default: /* a storage's type, or ndarray: only ever an argument */
        return broken(m);
    }
}

/* A TorchScript object, empty; other classes are not known, so that there is nothing to make. */
static bool new_object(machine *m)
{
    pickle_value *arguments = pop(m), *class = arguments ? pop(m) : NULL;

    if (!class)
        return false;
    if (class->kind != PICKLE_NAME || class->as.integer != SCRIPT_CLASS ||
        arguments->kind != PICKLE_TUPLE || arguments->as.many.count)
        return broken(m);
    return push(m, new_value(m, PICKLE_OBJECT));
}

/* (version, shape, dtype, fortran_order, bytes) */
static bool build_array(machine *m, pickle_value *array, const pickle_value *state)
{
    pickle_value **a = state->as.many.item;
    int64_t elements = 1;

    if (state->kind == PICKLE_TUPLE && state->as.many.count == 5 && a[2]->kind == PICKLE_DTYPE &&
        a[2]->as.integer == OBJECTS && a[4]->kind == PICKLE_LIST && a[4] != array) {
        *array = (pickle_value){.kind = PICKLE_LIST};
        return append(m, array, a[4]->as.many.item, a[4]->as.many.count);
    }
    if (state->kind != PICKLE_TUPLE || state->as.many.count != 5 || a[2]->kind != PICKLE_DTYPE ||
        a[2]->as.integer == OBJECTS || a[3]->kind != PICKLE_BOOL || a[4]->kind != PICKLE_BYTES ||
        !integers(a[1], array->as.tensor.shape, &array->as.tensor.rank))
        return broken(m);
    array->as.tensor.type = (number_type)a[2]->as.integer;
    array->as.tensor.from = a[4];
    for (int j = 0; j < array->as.tensor.rank; j++) {
        int i = a[3]->as.integer ? j : array->as.tensor.rank - 1 - j;

        array->as.tensor.stride[i] = elements;
        if (__builtin_mul_overflow(elements, array->as.tensor.shape[i], &elements))
            return broken(m);
    }
    if ((uint64_t)elements > SIZE_MAX / 8 ||
        (size_t)elements * number_size(array->as.tensor.type) != a[4]->as.text.size)
        return bad(m, "%s has a numpy array whose data has another size", m->path);
    return true;
}

/* Sets what an object holds: an array's contents, a TorchScript object's attributes, a dict's
 * (ignored), a dtype's byte order. */
static bool build(machine *m)
{
    pickle_value *state = pop(m), *object = state ? top(m) : NULL;

    if (!object)
        return false;
    if (object->kind == PICKLE_ARRAY && !object->as.tensor.from)
        return build_array(m, object, state);
    if (object->kind == PICKLE_OBJECT)
        return state->kind == PICKLE_DICT
                   ? append(m, object, state->as.many.item, state->as.many.count)
                   : broken(m);
    if (object->kind == PICKLE_DICT)
        return state->kind == PICKLE_DICT || broken(m);
    if (object->kind == PICKLE_DTYPE)
        return (state->kind == PICKLE_TUPLE && state->as.many.count > 1 &&
                !pickle_is_text(state->as.many.item[1], ">")) ||
               bad(m, "%s has a big-endian numpy array, which is not read", m->path);
    return broken(m);
}

/* ('storage', type, key, location, elements) */
static bool persistent(machine *m)
{
    pickle_value *id = pop(m), **a, *v;

    if (!id)
        return false;
    a = id->as.many.item;
    if (id->kind != PICKLE_TUPLE || id->as.many.count != 5 || !pickle_is_text(a[0], "storage") ||
        a[1]->kind != PICKLE_NAME || a[1]->as.integer < FIRST_STORAGE ||
        a[2]->kind != PICKLE_TEXT || a[4]->kind != PICKLE_INT || a[4]->as.integer < 0)
        return bad(m, "%s refers to something outside that is no tensor's storage", m->path);
    v = new_value(m, PICKLE_STORAGE);
    if (v) {
        v->as.storage.type = (number_type)(a[1]->as.integer - FIRST_STORAGE);
        v->as.storage.key = a[2];
        v->as.storage.count = a[4]->as.integer;
    }
    return push(m, v);
}

/* ---------------------------------------------------------------- instructions ------------- */

static bool set_items(machine *m, pickle_value **items, size_t n, pickle_kind kind)
{
    pickle_value *v = top(m);

    if (!v)
        return false;
    if (v->kind != kind || (kind == PICKLE_DICT && n % 2))
        return broken(m);
    return append(m, v, items, n);
}

static bool collect(machine *m, int code)
{
    pickle_value **items;
    size_t n;

    if (!pop_mark(m, &items, &n))
        return false;
    switch (code) {
    case 't':
        return push_many(m, PICKLE_TUPLE, items, n);
    case 'l':
        return push_many(m, PICKLE_LIST, items, n);
    case 'd':
        return n % 2 ? broken(m) : push_many(m, PICKLE_DICT, items, n);
    case 'e':
        return set_items(m, items, n, PICKLE_LIST);
    case 'u':
        return set_items(m, items, n, PICKLE_DICT);
    default: /* '1' */
        return true;
    }
}

static bool short_tuple(machine *m, size_t n)
{
    if (m->depth - floor_of(m) < n)
        return broken(m);
    m->depth -= n;
    return push_many(m, PICKLE_TUPLE, m->stack + m->depth, n);
}

static bool append_last(machine *m, size_t n, pickle_kind kind)
{
    if (m->depth - floor_of(m) < n + 1)
        return broken(m);
    m->depth -= n;
    return set_items(m, m->stack + m->depth, n, kind);
}

static bool global(machine *m)
{
    const char *module, *name;
    size_t module_size, name_size;

    return take_line(m, &module, &module_size) && take_line(m, &name, &name_size) &&
           push_name(m, module, module_size, name, name_size);
}

static bool stack_global(machine *m)
{
    pickle_value *name = pop(m), *module = name ? pop(m) : NULL;

    if (!module)
        return false;
    if (name->kind != PICKLE_TEXT || module->kind != PICKLE_TEXT)
        return broken(m);
    return push_name(m, module->as.text.at, module->as.text.size, name->as.text.at,
                     name->as.text.size);
}

static bool memoize(machine *m, size_t *next)
{
    return memo_put(m, (*next)++);
}

/* Instructions that work on values that are there. */
static bool operate(machine *m, int code, size_t *memoized)
{
    uint64_t n;

    switch (code) {
    case 0x85:
    case 0x86:
    case 0x87:
        return short_tuple(m, (size_t)(code - 0x84));
    case '(':
        return set_mark(m);
    case 't':
    case 'l':
    case 'd':
    case 'e':
    case 'u':
    case '1':
        return collect(m, code);
    case 'a':
        return append_last(m, 1, PICKLE_LIST);
    case 's':
        return append_last(m, 2, PICKLE_DICT);
    case '0':
        return pop(m) != NULL;
    case 'q':
        return take_number(m, 1, &n) && memo_put(m, n);
    case 'r':
        return take_number(m, 4, &n) && memo_put(m, n);
    case 0x94:
        return memoize(m, memoized);
    case 'h':
        return take_number(m, 1, &n) && memo_get(m, n);
    case 'j':
        return take_number(m, 4, &n) && memo_get(m, n);
    case 'c':
        return global(m);
    case 0x93:
        return stack_global(m);
    case 'R':
        return call(m);
    case 0x81:
        return new_object(m);
    case 'b':
        return build(m);
    case 'Q':
        return persistent(m);
    default:
        return bad(m,
                   "%s uses pickle instruction 0x%02x, which a checkpoint has no need of: refused",
                   m->path, (unsigned)code);
    }
}

/* One instruction: values that stand in the text itself, else operate. */
static bool execute(machine *m, int code, size_t *memoized)
{
    uint64_t n;

    switch (code) {
    case 0x80: /* PROTO */
        if (!take_number(m, 1, &n))
            return false;
        return n <= 5 ||
               bad(m, "%s has a pickle of protocol %d; 5 is the newest read", m->path, (int)n);
    case 0x95: /* FRAME: a hint */
        return take_number(m, 8, &n);
    case 'N':
        return push(m, new_value(m, PICKLE_NONE));
    case 0x88:
    case 0x89:
        return push_integer(m, PICKLE_BOOL, code == 0x88);
    case 'J':
        return take_number(m, 4, &n) && push_integer(m, PICKLE_INT, (int32_t)(uint32_t)n);
    case 'K':
        return take_number(m, 1, &n) && push_integer(m, PICKLE_INT, (int64_t)n);
    case 'M':
        return take_number(m, 2, &n) && push_integer(m, PICKLE_INT, (int64_t)n);
    case 0x8a:
        return push_long(m);
    case 'G':
        return push_float(m);
    case 'X':
        return push_text(m, PICKLE_TEXT, 4);
    case 0x8c:
        return push_text(m, PICKLE_TEXT, 1);
    case 0x8d:
        return push_text(m, PICKLE_TEXT, 8);
    case 'C':
        return push_text(m, PICKLE_BYTES, 1);
    case 'B':
        return push_text(m, PICKLE_BYTES, 4);
    case 0x8e:
        return push_text(m, PICKLE_BYTES, 8);
    case ']':
        return push(m, new_value(m, PICKLE_LIST));
    case '}':
        return push(m, new_value(m, PICKLE_DICT));
    case ')':
        return push(m, new_value(m, PICKLE_TUPLE));
    default:
        return operate(m, code, memoized);
    }
}

/* ---------------------------------------------------------------- whole -------------------- */

static bool run(machine *m)
{
    const uint8_t *code;
    size_t memoized = 0;

    while (take(m, 1, &code))
        if (*code == '.')
            return (m->depth == 1 && !m->marks) || broken(m);
        else if (!execute(m, *code, &memoized))
            return false;
    return false;
}

deer_status pickle_read(const char *path, const uint8_t *data, size_t size, pickle *p,
                        deer_error *err)
{
    machine m = {.path = path, .at = data, .end = data + size, .err = err};
    bool done;

    *p = (pickle){NULL, NULL};
    if (size > PICKLE_LARGEST)
        return deer_fail(err, "%s has a pickle of %zu bytes; %u is the most", path, size,
                         PICKLE_LARGEST);
    done = run(&m);
    p->arena = m.values;
    p->root = done ? m.stack[0] : NULL;
    free(m.stack);
    free(m.mark);
    free(m.memo);
    if (!done)
        pickle_free(p);
    return done ? DEER_OK : DEER_FAILED;
}

void pickle_free(pickle *p)
{
    block *b = p->arena;

    while (b) {
        block *next = b->next;

        for (int i = 0; i < b->used; i++)
            if (b->value[i].kind == PICKLE_LIST || b->value[i].kind == PICKLE_TUPLE ||
                b->value[i].kind == PICKLE_DICT || b->value[i].kind == PICKLE_OBJECT)
                free(b->value[i].as.many.item);
        free(b);
        b = next;
    }
    *p = (pickle){NULL, NULL};
}

bool pickle_is_text(const pickle_value *v, const char *text)
{
    return v->kind == PICKLE_TEXT && same(v->as.text.at, v->as.text.size, text);
}

const pickle_value *pickle_get(const pickle_value *v, const char *key)
{
    if (!v || v->kind != PICKLE_DICT)
        return NULL;
    for (size_t i = v->as.many.count; i >= 2; i -= 2) /* the last one wins, as in Python */
        if (pickle_is_text(v->as.many.item[i - 2], key))
            return v->as.many.item[i - 1];
    return NULL;
}

int64_t pickle_integer(const pickle_value *v, const char *key, int64_t otherwise)
{
    const pickle_value *found = pickle_get(v, key);

    return found && found->kind == PICKLE_INT ? found->as.integer : otherwise;
}

int64_t pickle_elements(const pickle_value *tensor)
{
    int64_t n = 1;

    for (int i = 0; i < tensor->as.tensor.rank; i++)
        if (!tensor->as.tensor.shape[i]) /* the others may be anything */
            return 0;
    for (int i = 0; i < tensor->as.tensor.rank; i++)
        n *= tensor->as.tensor.shape[i];
    return n;
}
