/* SPDX-License-Identifier: MIT */
/* parquet_footer.c - a table's schema and where its pages lie. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/parquet/parquet_internal.h"
#include "runtime/base/machine_failure.h"

enum { MOST_COLUMNS = 4096, MOST_GROUPS = 100000, DEEPEST = 16 };

/* ---------------------------------------------------------------- schema ------------------- */

typedef struct {
    int type, repetition;
    int64_t children;
    char name[128];
} element;

static void read_name(thrift *t, char name[128])
{
    size_t size;
    const uint8_t *at = thrift_binary(t, &size);

    if (size >= 128 || memchr(at, 0, size))
        t->ok = false;
    size = t->ok ? size : 0;
    memcpy(name, at, size);
    name[size] = 0;
    for (char *p = name; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = '?';
}

static element read_element(thrift *t)
{
    element e = {.type = -1};
    thrift_struct s;

    for (thrift_begin(t, &s); thrift_next(t, &s);)
        if (s.field == 1)
            e.type = (int)thrift_integer(t);
        else if (s.field == 3)
            e.repetition = (int)thrift_integer(t);
        else if (s.field == 4)
            read_name(t, e.name);
        else if (s.field == 5)
            e.children = thrift_integer(t);
        else
            thrift_skip(t, s.type);
    return e;
}

/* Where in the tree of the schema the reader is. */
typedef struct {
    parquet *p;
    thrift *t;
    size_t left;    /* elements */
    char name[256]; /* of the group at hand */
} walk;

/* A list's elements are called so below it by those who write it; the name says nothing. */
static bool is_list_part(const char *name, int depth)
{
    static const char *const parts[] = {"list", "element", "item", "array", "bag", "array_element"};

    for (size_t i = 0; depth > 1 && i < sizeof parts / sizeof *parts; i++)
        if (!strcmp(name, parts[i]))
            return true;
    return false;
}

static bool add_leaf(walk *w, const element *e, int definition, int repetition)
{
    parquet *p = w->p;
    parquet_leaf *l;

    if (p->leaves == MOST_COLUMNS)
        return false;
    l = &p->leaf[p->leaves++];
    strcpy(l->name, w->name);
    l->type = e->type;
    l->max_definition = definition;
    l->max_repetition = repetition;
    return true;
}

static bool walk_element(walk *w, int depth, int definition, int repetition)
{
    size_t length = strlen(w->name);
    element e;
    bool ok;

    if (!w->left-- || depth > DEEPEST)
        return false;
    e = read_element(w->t);
    if (!w->t->ok)
        return false;
    if (depth > 0) {
        definition += e.repetition != 0;
        repetition += e.repetition == 2;
        if (!is_list_part(e.name, depth) &&
            (size_t)snprintf(w->name + length, sizeof w->name - length, "%s%s", length ? "." : "",
                             e.name) >= sizeof w->name - length)
            return false;
    }
    ok = e.children > 0 || depth == 0 || add_leaf(w, &e, definition, repetition);
    for (int64_t i = 0; i < e.children && ok; i++)
        ok = walk_element(w, depth + 1, definition, repetition);
    w->name[length] = 0;
    return ok;
}

static bool read_schema(parquet *p, thrift *t)
{
    walk w = {.p = p, .t = t, .left = thrift_list(t, THRIFT_STRUCT)};

    if (p->leaf || !w.left)
        return false;
    p->leaf = calloc(w.left < MOST_COLUMNS ? w.left : MOST_COLUMNS, sizeof *p->leaf);
    return machine_gave(p->leaf) && walk_element(&w, 0, 0, 0) && !w.left;
}

/* ---------------------------------------------------------------- row groups --------------- */

static parquet_chunk read_chunk_data(thrift *t)
{
    parquet_chunk c = {.codec = -1};
    int64_t dictionary = 0;
    thrift_struct s;

    for (thrift_begin(t, &s); thrift_next(t, &s);)
        if (s.field == 4)
            c.codec = (int)thrift_integer(t);
        else if (s.field == 5)
            c.values = thrift_integer(t);
        else if (s.field == 7)
            c.size = thrift_integer(t);
        else if (s.field == 9)
            c.offset = thrift_integer(t);
        else if (s.field == 11)
            dictionary = thrift_integer(t);
        else
            thrift_skip(t, s.type);
    if (dictionary > 0 && dictionary < c.offset)
        c.offset = dictionary;
    return c;
}

static bool read_chunk(const parquet *p, thrift *t, parquet_chunk *c)
{
    thrift_struct s;
    bool found = false;

    for (thrift_begin(t, &s); thrift_next(t, &s);)
        if (s.field == 1) {
            t->ok = false; /* a column in another file */
        } else if (s.field == 3 && s.type == THRIFT_STRUCT) {
            *c = read_chunk_data(t);
            found = true;
        } else {
            thrift_skip(t, s.type);
        }
    return found && t->ok && c->values >= 0 && c->offset >= 4 && c->size >= 0 &&
           (uint64_t)c->offset <= p->from.size &&
           (uint64_t)c->size <= p->from.size - (uint64_t)c->offset;
}

static bool read_group(const parquet *p, thrift *t, parquet_chunk *chunk)
{
    bool ok = true, columns = false;
    thrift_struct s;

    for (thrift_begin(t, &s); ok && thrift_next(t, &s);)
        if (s.field == 1) {
            columns = true;
            ok = thrift_list(t, THRIFT_STRUCT) == (size_t)p->leaves;
            for (int i = 0; i < p->leaves && ok; i++)
                ok = read_chunk(p, t, &chunk[i]);
        } else {
            thrift_skip(t, s.type);
        }
    return ok && columns && t->ok;
}

static bool read_groups(parquet *p, thrift *t)
{
    size_t n = thrift_list(t, THRIFT_STRUCT);

    /* A group takes a byte a column at the very least. */
    if (p->chunk || !p->leaf || n > MOST_GROUPS || n * (size_t)p->leaves > (size_t)(t->end - t->at))
        return false;
    p->chunk = calloc(n * (size_t)p->leaves + 1, sizeof *p->chunk);
    if (!machine_gave(p->chunk))
        return false;
    for (; (size_t)p->groups < n; p->groups++)
        if (!read_group(p, t, p->chunk + (size_t)p->groups * (size_t)p->leaves))
            return false;
    return true;
}

deer_status parquet_read_footer(parquet *p, const uint8_t *at, size_t size, deer_error *err)
{
    thrift t = {at, at + size, true, 0};
    thrift_struct s;
    bool ok = true;

    p->rows = -1;
    for (thrift_begin(&t, &s); ok && thrift_next(&t, &s);)
        if (s.field == 2)
            ok = read_schema(p, &t);
        else if (s.field == 3)
            p->rows = thrift_integer(&t);
        else if (s.field == 4)
            ok = read_groups(p, &t);
        else
            thrift_skip(&t, s.type);
    return ok && t.ok && p->rows >= 0 && p->leaf && p->chunk
               ? DEER_OK
               : deer_fail(err, "%s: the Parquet footer is damaged, or of a kind that is not read",
                           p->path);
}
