/* SPDX-License-Identifier: MIT */
/* pickle.c - the instructions of a pickle machine that can build values and call nothing. */
#include "runtime/import/pickle_machine.h"

#include <string.h>

/* The instructions that are read, by their names in Python's pickletools. */
enum {
    MARK = '(',
    STOP = '.',
    POP = '0',
    POP_MARK = '1',
    BINBYTES = 'B',
    SHORT_BINBYTES = 'C',
    BINFLOAT = 'G',
    BININT = 'J',
    BININT1 = 'K',
    BININT2 = 'M',
    NONE = 'N',
    BINPERSID = 'Q',
    REDUCE = 'R',
    BINUNICODE = 'X',
    EMPTY_LIST = ']',
    APPEND = 'a',
    BUILD = 'b',
    GLOBAL = 'c',
    DICT = 'd',
    APPENDS = 'e',
    BINGET = 'h',
    LONG_BINGET = 'j',
    LIST = 'l',
    BINPUT = 'q',
    LONG_BINPUT = 'r',
    SETITEM = 's',
    TUPLE = 't',
    EMPTY_TUPLE = ')',
    SETITEMS = 'u',
    EMPTY_DICT = '}',
    PROTO = 0x80,
    NEWOBJ = 0x81,
    TUPLE1 = 0x85,
    TUPLE2 = 0x86,
    TUPLE3 = 0x87,
    NEWTRUE = 0x88,
    NEWFALSE = 0x89,
    LONG1 = 0x8a,
    LONG4 = 0x8b,
    SHORT_BINUNICODE = 0x8c,
    BINUNICODE8 = 0x8d,
    BINBYTES8 = 0x8e,
    EMPTY_SET = 0x8f,
    ADDITEMS = 0x90,
    FROZENSET = 0x91,
    NEWOBJ_EX = 0x92,
    STACK_GLOBAL = 0x93,
    MEMOIZE = 0x94,
    FRAME = 0x95,
    BYTEARRAY8 = 0x96
};

/* ---------------------------------------------------------------- literals ----------------- */

/* Text or bytes, behind their size in `length_bytes` bytes. */
static bool push_text(pickle_machine *m, pickle_kind kind, size_t length_bytes)
{
    uint64_t size;
    const uint8_t *bytes;
    pickle_value *v;

    if (!pickle_take_number(m, length_bytes, &size) || size > SIZE_MAX ||
        !pickle_take(m, size, &bytes))
        return false;
    v = pickle_new(m, kind);
    if (v) {
        v->as.text.at = (const char *)bytes;
        v->as.text.size = size;
    }
    return pickle_push(m, v);
}

static bool push_float(pickle_machine *m)
{
    const uint8_t *bytes;
    uint64_t bits = 0;
    pickle_value *v;

    if (!pickle_take(m, 8, &bytes))
        return false;
    for (int i = 0; i < 8; i++) /* big-endian */
        bits = bits << 8 | bytes[i];
    v = pickle_new(m, PICKLE_FLOAT);
    if (v)
        memcpy(&v->as.number, &bits, sizeof bits);
    return pickle_push(m, v);
}

/* An integer behind its size in `length_bytes` bytes; no weight needs more than 64 bits. */
static bool push_long(pickle_machine *m, size_t length_bytes)
{
    uint64_t size;
    const uint8_t *bytes;

    if (!pickle_take_number(m, length_bytes, &size) || size > SIZE_MAX ||
        !pickle_take(m, size, &bytes))
        return false;
    if (size > 8)
        return pickle_push(m, pickle_opaque(m, "an integer of more than 64 bits"));
    return pickle_push_integer(m, PICKLE_INT, (int64_t)pickle_little_endian(bytes, size, true));
}

/* ---------------------------------------------------------------- instructions ------------- */

static bool push_many(pickle_machine *m, pickle_kind kind, pickle_value **items, size_t n)
{
    pickle_value *v = pickle_new(m, kind);

    return v && pickle_append(m, v, items, n) && pickle_push(m, v);
}

/* Into the last value, which is of that kind. */
static bool set_items(pickle_machine *m, pickle_value **items, size_t n, pickle_kind kind)
{
    pickle_value *v = pickle_top(m);

    if (!v)
        return false;
    if (v->kind == PICKLE_OPAQUE)
        return true;
    if (v->kind != kind || (kind == PICKLE_DICT && n % 2))
        return pickle_broken(m);
    return pickle_append(m, v, items, n);
}

/* What stands above the last mark becomes a value, or part of the one below the mark. */
static bool collect(pickle_machine *m, int code)
{
    pickle_value **items, *top;
    size_t n;

    if (!pickle_pop_mark(m, &items, &n))
        return false;
    switch (code) {
    case TUPLE:
        return push_many(m, PICKLE_TUPLE, items, n);
    case LIST:
        return push_many(m, PICKLE_LIST, items, n);
    case DICT:
        return n % 2 ? pickle_broken(m) : push_many(m, PICKLE_DICT, items, n);
    case APPENDS:
        return set_items(m, items, n, PICKLE_LIST);
    case SETITEMS:
        return set_items(m, items, n, PICKLE_DICT);
    case ADDITEMS: /* sets alone, which are opaque */
        top = pickle_top(m);
        return top && (top->kind == PICKLE_OPAQUE || pickle_broken(m));
    case FROZENSET:
        return pickle_push(m, pickle_opaque(m, "a frozenset"));
    default: /* POP_MARK */
        return true;
    }
}

static bool short_tuple(pickle_machine *m, size_t n)
{
    pickle_value **items;

    return pickle_pop_last(m, n, &items) && push_many(m, PICKLE_TUPLE, items, n);
}

static bool append_last(pickle_machine *m, size_t n, pickle_kind kind)
{
    pickle_value **items;

    return pickle_pop_last(m, n, &items) && set_items(m, items, n, kind);
}

static bool global(pickle_machine *m)
{
    pickle_value module, name;

    return pickle_take_line(m, &module) && pickle_take_line(m, &name) &&
           pickle_push_name(m, &module, &name);
}

static bool stack_global(pickle_machine *m)
{
    pickle_value *name = pickle_pop(m), *module = name ? pickle_pop(m) : NULL;

    if (!module)
        return false;
    if (name->kind != PICKLE_TEXT || module->kind != PICKLE_TEXT)
        return pickle_broken(m);
    return pickle_push_name(m, module, name);
}

/* Instructions that work on values that are there. */
static bool operate(pickle_machine *m, int code)
{
    uint64_t n;

    switch (code) {
    case TUPLE1:
    case TUPLE2:
    case TUPLE3:
        return short_tuple(m, (size_t)(code - TUPLE1 + 1));
    case MARK:
        return pickle_set_mark(m);
    case TUPLE:
    case LIST:
    case DICT:
    case APPENDS:
    case SETITEMS:
    case ADDITEMS:
    case FROZENSET:
    case POP_MARK:
        return collect(m, code);
    case APPEND:
        return append_last(m, 1, PICKLE_LIST);
    case SETITEM:
        return append_last(m, 2, PICKLE_DICT);
    case POP:
        return pickle_pop(m) != NULL;
    case BINPUT:
        return pickle_take_number(m, 1, &n) && pickle_memo_put(m, n);
    case LONG_BINPUT:
        return pickle_take_number(m, 4, &n) && pickle_memo_put(m, n);
    case MEMOIZE:
        return pickle_memo_put(m, m->memoized++);
    case BINGET:
        return pickle_take_number(m, 1, &n) && pickle_memo_get(m, n);
    case LONG_BINGET:
        return pickle_take_number(m, 4, &n) && pickle_memo_get(m, n);
    case GLOBAL:
        return global(m);
    case STACK_GLOBAL:
        return stack_global(m);
    case REDUCE:
        return pickle_call(m);
    case NEWOBJ:
        return pickle_new_object(m, false);
    case NEWOBJ_EX:
        return pickle_new_object(m, true);
    case BUILD:
        return pickle_build(m);
    case BINPERSID:
        return pickle_persistent(m);
    default:
        return pickle_fail(
            m, "%s uses pickle instruction 0x%02x, which a checkpoint has no need of: refused",
            m->path, (unsigned)code);
    }
}

/* One instruction: values that stand in the text itself, else operate. */
static bool execute(pickle_machine *m, int code)
{
    uint64_t n;

    switch (code) {
    case PROTO:
        if (!pickle_take_number(m, 1, &n))
            return false;
        return n <= 5 || pickle_fail(m, "%s has a pickle of protocol %d; 5 is the newest read",
                                     m->path, (int)n);
    case FRAME: /* a hint */
        return pickle_take_number(m, 8, &n);
    case NONE:
        return pickle_push(m, pickle_new(m, PICKLE_NONE));
    case NEWTRUE:
    case NEWFALSE:
        return pickle_push_integer(m, PICKLE_BOOL, code == NEWTRUE);
    case BININT:
        return pickle_take_number(m, 4, &n) &&
               pickle_push_integer(m, PICKLE_INT, (int32_t)(uint32_t)n);
    case BININT1:
        return pickle_take_number(m, 1, &n) && pickle_push_integer(m, PICKLE_INT, (int64_t)n);
    case BININT2:
        return pickle_take_number(m, 2, &n) && pickle_push_integer(m, PICKLE_INT, (int64_t)n);
    case LONG1:
        return push_long(m, 1);
    case LONG4:
        return push_long(m, 4);
    case BINFLOAT:
        return push_float(m);
    case BINUNICODE:
        return push_text(m, PICKLE_TEXT, 4);
    case SHORT_BINUNICODE:
        return push_text(m, PICKLE_TEXT, 1);
    case BINUNICODE8:
        return push_text(m, PICKLE_TEXT, 8);
    case SHORT_BINBYTES:
        return push_text(m, PICKLE_BYTES, 1);
    case BINBYTES:
        return push_text(m, PICKLE_BYTES, 4);
    case BINBYTES8:
    case BYTEARRAY8:
        return push_text(m, PICKLE_BYTES, 8);
    case EMPTY_SET:
        return pickle_push(m, pickle_opaque(m, "a set"));
    case EMPTY_LIST:
        return pickle_push(m, pickle_new(m, PICKLE_LIST));
    case EMPTY_DICT:
        return pickle_push(m, pickle_new(m, PICKLE_DICT));
    case EMPTY_TUPLE:
        return pickle_push(m, pickle_new(m, PICKLE_TUPLE));
    default:
        return operate(m, code);
    }
}

/* ---------------------------------------------------------------- whole -------------------- */

static bool run(pickle_machine *m)
{
    const uint8_t *code;

    while (pickle_take(m, 1, &code))
        if (*code == STOP)
            return (m->depth == 1 && !m->marks) || pickle_broken(m);
        else if (!execute(m, *code))
            return false;
    return false;
}

deer_status pickle_read(const char *path, const uint8_t *data, size_t size, pickle *p,
                        deer_error *err)
{
    /* An item takes a byte at least; an object takes those of its dict once more. */
    pickle_machine m = {.path = path, .at = data, .end = data + size, .err = err};
    bool done;

    m.items_left = 2 * size;
    m.bytes_left = 2 * size + 4096;
    *p = (pickle){NULL, NULL};
    if (size > PICKLE_LARGEST)
        return deer_fail(err, "%s has a pickle of %zu bytes; %u is the most", path, size,
                         PICKLE_LARGEST);
    done = run(&m);
    p->arena = m.values;
    p->root = done ? m.stack[0] : NULL;
    pickle_machine_free(&m);
    if (!done)
        pickle_free(p);
    return done ? DEER_OK : DEER_FAILED;
}

void pickle_free(pickle *p)
{
    pickle_free_values(p->arena);
    *p = (pickle){NULL, NULL};
}

/* ---------------------------------------------------------------- look-ups ----------------- */

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
