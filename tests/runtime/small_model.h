/* SPDX-License-Identifier: MIT */
/* small_model.h - a temporary folder with a small model in it, for tests: golden_c imported.
 *
 *   small_model m;
 *   small_model_make(&m);        // m.path is a model file; put other files into m.folder
 *   small_model_remove(&m);      // the folder and everything in it
 */
#ifndef TESTS_SMALL_MODEL_H
#define TESTS_SMALL_MODEL_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/deer.h"
#include "runtime/import/official.h"

/* Ids of golden_c's vocabulary of 131. */
enum { SMALL_IMAGE = 129, SMALL_END_OF_CHUNK = 128, SMALL_VOCAB = 131, SMALL_EXITS = 2 };

typedef struct {
    char folder[32], path[64];
} small_model;

static deer_error error; /* of the last failure */

static inline void ok(deer_status status)
{
    if (status)
        fail_msg("%s", error.message);
}

/* The last failure is one line and says this. */
static inline void says(const char *words)
{
    assert_null(strchr(error.message, '\n'));
    if (!strstr(error.message, words))
        fail_msg("'%s' does not say '%s'", error.message, words);
}

static inline void small_model_make(small_model *m)
{
    strcpy(m->folder, "/tmp/deer-test-XXXXXX");
    assert_non_null(mkdtemp(m->folder));
    snprintf(m->path, sizeof m->path, "%s/model", m->folder);
    ok(official_import_folder("tests/data/golden_c", m->path, &error));
}

/* Files in the folder. */
static inline int small_model_files(const small_model *m)
{
    DIR *d = opendir(m->folder);
    int n = 0;

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static inline void small_model_remove(small_model *m)
{
    DIR *d = opendir(m->folder);

    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    rmdir(m->folder);
}

/* As a file of before there were checksums: its weights may be changed. */
static inline void small_model_forget_checksums(char *bytes, size_t size)
{
    char *key = memmem(bytes, size, "deer.xxh128", 11);

    assert_non_null(key);
    key[10] = '_';
}

static inline deer_model *small_model_open(const small_model *m, int max_exit)
{
    deer_model *model;

    ok(deer_model_open(m->path, max_exit, &model, &error));
    return model;
}

#endif
