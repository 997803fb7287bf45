/* SPDX-License-Identifier: MIT */
/* pickle_machine.h - inside the reader of pickles: the machine that its instructions work on.
 *
 *   pickle_machine m = {.path = path, .at = data, .end = data + size, .err = err};
 *   done = pickle_push_integer(&m, PICKLE_INT, 1) && pickle_push_integer(&m, PICKLE_INT, 2) &&
 *          pickle_pop_last(&m, 2, &items) && ..
 *   pickle_machine_free(&m); // the values stay
 *   pickle_free_values(m.values);
 *
 * Whoever returns bool returns false after a failure, whoever returns a pointer NULL, and m->err
 * says why. A pickle that does what none of Python's does is "broken"; what Python would run and
 * this does not has a message of its own.
 */
#ifndef RUNTIME_PICKLE_MACHINE_H
#define RUNTIME_PICKLE_MACHINE_H

#include "runtime/import/pickle.h"

typedef struct {
    const char *path;           /* for messages */
    const uint8_t *at, *end;    /* the input that is left */
    struct value_block *values; /* every value made, on the stack or not */
    pickle_value **stack;
    size_t depth, room;
    size_t *mark; /* depths of the stack, ascending; nothing below the last may be taken */
    size_t marks, mark_room;
    pickle_value **memo;    /* NULL: nothing remembered at that index */
    size_t memos, memoized; /* room; how often MEMOIZE put one */
    size_t items_left;      /* that lists, dicts and objects may still take in */
    size_t bytes_left;      /* that texts made of others may still take */
    deer_error *err;
} pickle_machine;

#define pickle_fail(m, ...) (deer_fail((m)->err, __VA_ARGS__), false)
bool pickle_broken(pickle_machine *m);
bool pickle_no_memory(pickle_machine *m);

/* Frees stack, marks and memo. */
void pickle_machine_free(pickle_machine *m);

/* ---------------------------------------------------------------- values ------------------- */

/* A value of zeros; it lives until pickle_free_values. */
pickle_value *pickle_new(pickle_machine *m, pickle_kind kind);
void pickle_free_values(struct value_block *values);

/* Appends items [n] to a list, tuple, dict or object. */
bool pickle_append(pickle_machine *m, pickle_value *v, pickle_value **items, size_t n);

bool pickle_is_text(const pickle_value *v, const char *text);

/* ---------------------------------------------------------------- stack -------------------- */

/* v may be NULL, from a function that failed: so does this. */
bool pickle_push(pickle_machine *m, pickle_value *v);

/* A new value of a kind that is kept as an integer. */
bool pickle_push_integer(pickle_machine *m, pickle_kind kind, int64_t value);

/* The last value, taken off the stack or left there. */
pickle_value *pickle_pop(pickle_machine *m);
pickle_value *pickle_top(pickle_machine *m);

/* Takes the last n values, or everything above the last mark and the mark, off the stack: in order
 * from *items, until the next push. */
bool pickle_pop_last(pickle_machine *m, size_t n, pickle_value ***items);
bool pickle_pop_mark(pickle_machine *m, pickle_value ***items, size_t *n);

bool pickle_set_mark(pickle_machine *m);

/* ---------------------------------------------------------------- memo --------------------- */

/* Remembers the last value; pushes what is remembered. */
bool pickle_memo_put(pickle_machine *m, uint64_t index);
bool pickle_memo_get(pickle_machine *m, uint64_t index);

/* ---------------------------------------------------------------- input -------------------- */

bool pickle_take(pickle_machine *m, size_t size, const uint8_t **bytes);

/* A little-endian number of `size` bytes, at most 8. */
bool pickle_take_number(pickle_machine *m, size_t size, uint64_t *value);

/* Up to a newline, which is taken, too. *text is no value of the machine's. */
bool pickle_take_line(pickle_machine *m, pickle_value *text);

/* bytes [size], size at most 8; fewer than 8 are extended by their sign when they have one. */
uint64_t pickle_little_endian(const uint8_t *bytes, size_t size, bool is_signed);

/* ---------------------------------------------------------------- calls (pickle_calls.c) --- */

/* Pushes the name `module`.`name` (texts): an opaque value, if it is none of the known ones. */
bool pickle_push_name(pickle_machine *m, const pickle_value *module, const pickle_value *name);

/* REDUCE: takes arguments and a name, pushes what calling the name builds. */
bool pickle_call(pickle_machine *m);

/* An opaque value of a name that is no module's: "a set". */
pickle_value *pickle_opaque(pickle_machine *m, const char *name);

/* NEWOBJ: takes arguments and a class, pushes an object without attributes. With keywords
 * (NEWOBJ_EX) it takes those, too. */
bool pickle_new_object(pickle_machine *m, bool keywords);

/* BUILD: takes a state and sets what the last value holds. */
bool pickle_build(pickle_machine *m);

/* BINPERSID: takes an id, pushes the storage that it names. */
bool pickle_persistent(pickle_machine *m);

#endif
