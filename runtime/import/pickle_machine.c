/* SPDX-License-Identifier: MIT */
/* pickle_machine.c - values, stack, marks, memo and input of the pickle machine. */
#include "runtime/import/pickle_machine.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4096, DEEPEST_STACK = 1 << 20, LONGEST_MEMO = 1 << 22 };

typedef struct value_block {
    struct value_block *next;
    int used;
    pickle_value value[BLOCK];
} value_block;

bool pickle_broken(pickle_machine *m)
{
    return pickle_fail(m, "%s has a broken pickle", m->path);
}

bool pickle_no_memory(pickle_machine *m)
{
    return pickle_fail(m, "out of memory reading %s", m->path);
}

void pickle_machine_free(pickle_machine *m)
{
    free(m->stack);
    free(m->mark);
    free(m->memo);
}

/* ---------------------------------------------------------------- values ------------------- */

pickle_value *pickle_new(pickle_machine *m, pickle_kind kind)
{
    pickle_value *v;

    if (!m->values || m->values->used == BLOCK) {
        value_block *b = malloc(sizeof *b);

        if (!b) {
            pickle_no_memory(m);
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

void pickle_free_values(value_block *b)
{
    while (b) {
        value_block *next = b->next;

        for (int i = 0; i < b->used; i++)
            if (b->value[i].kind == PICKLE_LIST || b->value[i].kind == PICKLE_TUPLE ||
                b->value[i].kind == PICKLE_DICT || b->value[i].kind == PICKLE_OBJECT)
                free(b->value[i].as.many.item);
        free(b);
        b = next;
    }
}

bool pickle_append(pickle_machine *m, pickle_value *v, pickle_value **items, size_t n)
{
    if (n > m->items_left)
        return pickle_broken(m);
    m->items_left -= n;
    if (v->as.many.count + n > v->as.many.room) {
        size_t room =
            v->as.many.room * 2 > v->as.many.count + n ? v->as.many.room * 2 : v->as.many.count + n;
        pickle_value **grown = realloc(v->as.many.item, room * sizeof *grown);

        if (!grown)
            return pickle_no_memory(m);
        v->as.many.item = grown;
        v->as.many.room = room;
    }
    if (n)
        memcpy(v->as.many.item + v->as.many.count, items, n * sizeof *items);
    v->as.many.count += n;
    return true;
}

bool pickle_is_text(const pickle_value *v, const char *text)
{
    return v->kind == PICKLE_TEXT && v->as.text.size == strlen(text) &&
           !memcmp(v->as.text.at, text, v->as.text.size);
}

/* ---------------------------------------------------------------- stack -------------------- */

bool pickle_push(pickle_machine *m, pickle_value *v)
{
    if (!v)
        return false;
    if (m->depth == m->room) {
        size_t room = m->room ? 2 * m->room : 256;
        pickle_value **stack;

        if (m->depth >= DEEPEST_STACK)
            return pickle_fail(m, "%s has a pickle that keeps more than %d values waiting", m->path,
                               DEEPEST_STACK);
        stack = realloc(m->stack, room * sizeof *stack);
        if (!stack)
            return pickle_no_memory(m);
        m->stack = stack;
        m->room = room;
    }
    m->stack[m->depth++] = v;
    return true;
}

bool pickle_push_integer(pickle_machine *m, pickle_kind kind, int64_t value)
{
    pickle_value *v = pickle_new(m, kind);

    if (v)
        v->as.integer = value;
    return pickle_push(m, v);
}

/* How many values may be taken now: those above the last mark, or the whole stack. */
static size_t above_mark(const pickle_machine *m)
{
    return m->depth - (m->marks ? m->mark[m->marks - 1] : 0);
}

pickle_value *pickle_top(pickle_machine *m)
{
    if (!above_mark(m)) {
        pickle_broken(m);
        return NULL;
    }
    return m->stack[m->depth - 1];
}

pickle_value *pickle_pop(pickle_machine *m)
{
    pickle_value *v = pickle_top(m);

    if (v)
        m->depth--;
    return v;
}

bool pickle_pop_last(pickle_machine *m, size_t n, pickle_value ***items)
{
    if (above_mark(m) < n)
        return pickle_broken(m);
    m->depth -= n;
    *items = m->stack + m->depth;
    return true;
}

bool pickle_pop_mark(pickle_machine *m, pickle_value ***items, size_t *n)
{
    if (!m->marks)
        return pickle_broken(m);
    m->marks--;
    *items = m->stack ? m->stack + m->mark[m->marks] : NULL;
    *n = m->depth - m->mark[m->marks];
    m->depth = m->mark[m->marks];
    return true;
}

bool pickle_set_mark(pickle_machine *m)
{
    if (m->marks == m->mark_room) {
        size_t room = m->mark_room ? 2 * m->mark_room : 64;
        size_t *mark;

        if (m->marks >= DEEPEST_STACK)
            return pickle_fail(m, "%s has a pickle with more than %d open marks", m->path,
                               DEEPEST_STACK);
        mark = realloc(m->mark, room * sizeof *mark);
        if (!mark)
            return pickle_no_memory(m);
        m->mark = mark;
        m->mark_room = room;
    }
    m->mark[m->marks++] = m->depth;
    return true;
}

/* ---------------------------------------------------------------- memo --------------------- */

bool pickle_memo_put(pickle_machine *m, uint64_t index)
{
    pickle_value *v = pickle_top(m);

    if (!v)
        return false;
    if (index >= LONGEST_MEMO)
        return pickle_fail(m, "%s has a pickle that remembers more than %d values", m->path,
                           LONGEST_MEMO);
    if (index >= m->memos) {
        size_t memos = m->memos ? m->memos : 256;
        pickle_value **memo;

        while (memos <= index)
            memos *= 2;
        memo = realloc(m->memo, memos * sizeof *memo);
        if (!memo)
            return pickle_no_memory(m);
        memset(memo + m->memos, 0, (memos - m->memos) * sizeof *memo);
        m->memo = memo;
        m->memos = memos;
    }
    m->memo[index] = v;
    return true;
}

bool pickle_memo_get(pickle_machine *m, uint64_t index)
{
    if (index >= m->memos || !m->memo[index])
        return pickle_broken(m);
    return pickle_push(m, m->memo[index]);
}

/* ---------------------------------------------------------------- input -------------------- */

static bool cut_off(pickle_machine *m)
{
    return pickle_fail(m, "%s has a pickle that is cut off", m->path);
}

bool pickle_take(pickle_machine *m, size_t size, const uint8_t **bytes)
{
    if ((size_t)(m->end - m->at) < size)
        return cut_off(m);
    *bytes = m->at;
    m->at += size;
    return true;
}

bool pickle_take_number(pickle_machine *m, size_t size, uint64_t *value)
{
    const uint8_t *bytes;

    if (!pickle_take(m, size, &bytes))
        return false;
    *value = pickle_little_endian(bytes, size, false);
    return true;
}

bool pickle_take_line(pickle_machine *m, pickle_value *text)
{
    const uint8_t *end = memchr(m->at, '\n', (size_t)(m->end - m->at));

    if (!end)
        return cut_off(m);
    *text = (pickle_value){.kind = PICKLE_TEXT,
                           .as.text = {(const char *)m->at, (size_t)(end - m->at)}};
    m->at = end + 1;
    return true;
}

uint64_t pickle_little_endian(const uint8_t *bytes, size_t size, bool is_signed)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    if (is_signed && size && size < 8 && bytes[size - 1] & 0x80)
        value |= UINT64_MAX << 8 * size;
    return value;
}
