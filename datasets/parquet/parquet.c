/* SPDX-License-Identifier: MIT */
/* parquet.c - opening a table, and reading one of its columns. */
#include "datasets/parquet/parquet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/parquet/parquet_internal.h"
#include "runtime/base/file.h"
#include "runtime/base/file_kind.h"

static deer_status map(parquet *p, deer_error *err)
{
    struct stat info;
    void *data;
    int fd;

    if (file_open(p->path, &fd, &info, err))
        return DEER_FAILED;
    p->size = (size_t)info.st_size;
    data = p->size ? mmap(NULL, p->size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    close(fd);
    p->data = data == MAP_FAILED ? NULL : data;
    return p->data || !p->size ? DEER_OK : deer_fail(err, "out of memory opening %s", p->path);
}

static deer_status read_table(parquet *p, deer_error *err)
{
    char is[FILE_KIND];
    const uint8_t *end;
    size_t footer;

    if (map(p, err))
        return DEER_FAILED;
    if (p->size < 12 || memcmp(p->data, "PAR1", 4))
        return deer_fail(err, "%s is no Parquet table: it %s", p->path,
                         file_kind_of(p->data, p->size < 512 ? p->size : 512, p->size, is));
    end = p->data + p->size - 8;
    if (memcmp(end + 4, "PAR1", 4))
        return deer_fail(err, "%s is cut off: its end is missing; copy or download it again",
                         p->path);
    footer = (size_t)end[0] | (size_t)end[1] << 8 | (size_t)end[2] << 16 | (size_t)end[3] << 24;
    if (footer > p->size - 12)
        return deer_fail(err, "%s: the Parquet footer is damaged", p->path);
    return parquet_read_footer(p, end - footer, footer, err);
}

deer_status parquet_open(const char *path, parquet **out, deer_error *err)
{
    parquet *p = calloc(1, sizeof *p);
    deer_status status;

    *out = NULL;
    if (p)
        p->path = strdup(path);
    status = p && p->path ? read_table(p, err) : deer_fail(err, "out of memory opening %s", path);
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
    if (p->data)
        munmap(p->data, p->size);
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

    if (l->max_repetition > 1 || l->type == PARQUET_INT96 || l->type == PARQUET_FIXED ||
        l->type < 0 || l->type > PARQUET_FIXED)
        return deer_fail(err, "%s: column %s is of a type that is not read", p->path, l->name);
    for (int g = 0; g < p->groups; g++)
        if (parquet_read_chunk(p, l, &p->chunk[(size_t)g * (size_t)p->leaves + (size_t)leaf], c,
                               err))
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
