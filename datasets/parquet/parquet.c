/* SPDX-License-Identifier: MIT */
/* parquet.c - opening a table, and reading one of its columns. */
#include "datasets/parquet/parquet.h"

#include <stdlib.h>
#include <string.h>

#include "datasets/parquet/parquet_internal.h"
#include "runtime/base/file_kind.h"
#include "runtime/base/machine_failure.h"

enum { MARK = 4, HEAD = 512, END = 8 }; /* END: the footer's length, and the mark again */

static deer_status no_table(const parquet *p, const uint8_t *head, size_t size, deer_error *err)
{
    char is[FILE_KIND];

    return deer_fail(err, "%s is no Parquet table: it %s", p->path,
                     file_kind_of(head, size, p->from.size, is));
}

/* The footer's length; fails where the file does not begin and end as a table does. */
static deer_status find_footer(const parquet *p, size_t *footer, deer_error *err)
{
    uint8_t head[HEAD], end[END];
    size_t size = p->from.size < HEAD ? p->from.size : HEAD;

    if (bytes_read(&p->from, 0, head, size, err))
        return DEER_FAILED;
    if (p->from.size < MARK + END || memcmp(head, "PAR1", MARK))
        return no_table(p, head, size, err);
    if (bytes_read(&p->from, p->from.size - END, end, END, err))
        return DEER_FAILED;
    if (memcmp(end + 4, "PAR1", MARK))
        return deer_fail(err, "%s is cut off: its end is missing; copy or download it again",
                         p->path);
    *footer = (size_t)end[0] | (size_t)end[1] << 8 | (size_t)end[2] << 16 | (size_t)end[3] << 24;
    if (*footer > p->from.size - MARK - END)
        return deer_fail(err, "%s: the Parquet footer is damaged", p->path);
    return DEER_OK;
}

static deer_status read_table(parquet *p, deer_error *err)
{
    size_t size;
    uint8_t *footer;
    deer_status status;

    if (bytes_open(p->path, &p->from, err) || find_footer(p, &size, err))
        return DEER_FAILED;
    footer = bytes_copy(&p->from, p->from.size - END - size, size, err);
    status = footer ? parquet_read_footer(p, footer, size, err) : DEER_FAILED;
    free(footer);
    return status;
}

deer_status parquet_open(const char *path, parquet **out, deer_error *err)
{
    parquet *p = calloc(1, sizeof *p);
    deer_status status;

    *out = NULL;
    if (p) {
        p->path = strdup(path);
        p->from.fd = -1;
    }
    status =
        p && p->path ? read_table(p, err) : machine_fail(err, "out of memory opening %s", path);
    if (status)
        parquet_close(p);
    else
        *out = p;
    return status;
}

void parquet_close(parquet *p)
{
    if (!p)
        return;
    bytes_close(&p->from);
    free(p->path);
    free(p->leaf);
    free(p->chunk);
    free(p);
}

int64_t parquet_rows(const parquet *p)
{
    return p->rows;
}

static int find_leaf(const parquet *p, const char *name)
{
    for (int i = 0; i < p->leaves; i++)
        if (!strcmp(p->leaf[i].name, name))
            return i;
    return -1;
}

bool parquet_has(const parquet *p, const char *name)
{
    size_t n = strlen(name);

    for (int i = 0; i < p->leaves; i++)
        if (!strncmp(p->leaf[i].name, name, n) &&
            (!p->leaf[i].name[n] || p->leaf[i].name[n] == '.'))
            return true;
    return false;
}

static deer_status read_all(const parquet *p, int leaf, parquet_column *c, deer_error *err)
{
    const parquet_leaf *l = &p->leaf[leaf];
    parquet_sum sum = {0, 0, 0};

    if (l->max_repetition > 1 || l->type == PARQUET_INT96 || l->type == PARQUET_FIXED ||
        l->type < 0 || l->type > PARQUET_FIXED)
        return deer_fail(err, "%s: column %s is of a type that is not read", p->path, l->name);
    for (int g = 0; g < p->groups; g++)
        if (parquet_read_chunk(p, l, &p->chunk[(size_t)g * (size_t)p->leaves + (size_t)leaf], &sum,
                               c, err))
            return DEER_FAILED;
    if (c->rows != p->rows)
        return deer_fail(err, "%s: column %s has %lld rows, the table %lld", p->path, l->name,
                         (long long)c->rows, (long long)p->rows);
    return DEER_OK;
}

deer_status parquet_read(const parquet *p, const char *name, parquet_column *c, deer_error *err)
{
    int leaf = find_leaf(p, name);
    deer_status status;

    *c = (parquet_column){.rows = 0};
    if (leaf < 0)
        return deer_fail(err, "%s has no column %s", p->path, name);
    status = read_all(p, leaf, c, err);
    if (status)
        parquet_column_free(c);
    return status;
}

void parquet_column_free(parquet_column *c)
{
    for (size_t i = 0; i < c->owned; i++)
        free(c->own[i]);
    free(c->own);
    free(c->first);
    free(c->number);
    free(c->bytes);
    *c = (parquet_column){.rows = 0};
}
