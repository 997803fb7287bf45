/* SPDX-License-Identifier: MIT */
/* target.c - where an output goes: one rule for every file that is written. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/machine_failure.h"

enum { LINKS = 40 }; /* followed, as the kernel does */

bool file_is_stdout(const char *path)
{
    return !strcmp(path, FILE_STDOUT);
}

/* ---------------------------------------------------------------- following ---------------- */

/* The folder of a path, with its slash; "" for the working folder. */
static int folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (int)(slash + 1 - path) : 0;
}

/* Follows a link at path, if there is one: 1, 0 if it is none, -1 on failure. */
static int follow(char **path)
{
    char to[PATH_MAX], *next = NULL;
    ssize_t n = readlink(*path, to, sizeof to - 1);

    if (n < 0)
        return errno == EINVAL || errno == ENOENT ? 0 : -1;
    to[n] = 0;
    if (asprintf(&next, "%.*s%s", *to == '/' ? 0 : folder_length(*path), *path, to) < 0)
        return -1;
    free(*path);
    *path = next;
    return 1;
}

char *file_target(const char *path, struct stat *was, bool *exists, deer_error *err)
{
    char *target = strdup(path);
    int links = 0, more = target ? 1 : -1;

    while (more > 0)
        if ((more = follow(&target)) > 0 && ++links > LINKS) {
            errno = ELOOP;
            more = -1;
        }
    *exists = more == 0 && !stat(target, was);
    if (more < 0 || (!*exists && errno != ENOENT))
        deer_fail(err, "cannot write %s: %s", path, strerror(errno));
    else if (*exists && S_ISDIR(was->st_mode))
        deer_fail(err, "cannot write %s: it is a folder", path);
    else if (file_is_stdout(path) || (*exists && !S_ISREG(was->st_mode)))
        deer_fail(err, "cannot write %s: it is not a regular file", path);
    else
        return target;
    free(target);
    return NULL;
}

/* ---------------------------------------------------------------- before the work ---------- */

deer_status file_check_output(const char *path, deer_error *err)
{
    struct stat was;
    bool exists, folder_ok;
    char *target, *folder;

    if (file_is_stdout(path))
        return DEER_OK;
    target = file_target(path, &was, &exists, err);
    if (!target)
        return DEER_FAILED;
    folder = dirname(target);
    folder_ok = !access(folder, W_OK | X_OK);
    if (!folder_ok)
        deer_fail(err, "cannot write %s: %s", path, strerror(errno));
    free(target);
    return folder_ok ? DEER_OK : DEER_FAILED;
}

static bool is_there(const char *path, struct stat *info)
{
    bool is = !stat(path, info);

    if (!is)
        machine_failed_by(errno);
    return is;
}

/* The whole path of a file that may not be there yet; NULL when its folder is not. */
static char *whole_path(const char *path)
{
    char *copy = strdup(path), *folder = copy ? realpath(dirname(copy), NULL) : NULL, *whole = NULL;

    if (!folder || asprintf(&whole, "%s/%s", folder, path + folder_length(path)) < 0) {
        machine_failed_by(errno);
        whole = NULL;
    }
    free(copy);
    free(folder);
    return whole;
}

static bool inside(const char *path, const char *folder)
{
    char *whole = whole_path(path), *real = realpath(folder, NULL);
    size_t n = real ? strlen(real) : 0;
    bool is = whole && real && !strncmp(whole, real, n) && whole[n] == '/';

    if (!real)
        machine_failed_by(errno);
    free(whole);
    free(real);
    return is;
}

static bool overlap(const char *output, const char *other)
{
    struct stat a, b;
    bool there = is_there(output, &a), other_there = is_there(other, &b), same;
    char *x, *y;

    if (other_there && S_ISDIR(b.st_mode))
        return there && inside(output, other);
    if (there && other_there)
        return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    if (there != other_there)
        return false;
    x = whole_path(output), y = whole_path(other);
    same = x && y && !strcmp(x, y);
    free(x);
    free(y);
    return same;
}

bool file_overlap(const char *output, const char *other)
{
    unsigned before = machine_failures();

    return overlap(output, other) || machine_failures() != before;
}

deer_status file_overlap_unknown(const char *output, const char *other, deer_error *err)
{
    return deer_fail(err,
                     "cannot tell whether %s would overwrite %s: no memory, or a disk that fails",
                     output, other);
}
