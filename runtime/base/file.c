/* SPDX-License-Identifier: MIT */
/* file.c - whole or not at all: temporary name, fsync, rename, fsync of the folder. */
#include "runtime/base/file.h"
#include "runtime/base/machine_failure.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { UNFINISHED = 16 };

/* Names that are in use, so that a signal's handler can remove the files. Whoever finds the table
 * taken waits, but for the handler, which rather leaves a file behind than read half a name. */
static struct {
    atomic_flag taken;
    unsigned next;
    char name[UNFINISHED][PATH_MAX];
} unfinished = {.taken = ATOMIC_FLAG_INIT};

static void note_unfinished(const char *name)
{
    size_t size = strlen(name) + 1;

    while (atomic_flag_test_and_set(&unfinished.taken))
        continue;
    if (size <= sizeof *unfinished.name)
        memcpy(unfinished.name[unfinished.next++ % UNFINISHED], name, size);
    atomic_flag_clear(&unfinished.taken);
}

void file_remove_unfinished(void)
{
    if (atomic_flag_test_and_set(&unfinished.taken))
        return;
    for (int i = 0; i < UNFINISHED; i++)
        if (*unfinished.name[i])
            unlink(unfinished.name[i]);
}

enum { SUFFIX = 21 }; /* of a temporary name: ".tmp-" and 16 digits */

/* A name may have 255 bytes; one that leaves no room for the suffix is cut. A process number would
 * not do: in a container it is the same every time. */
static char *temporary_beside(const char *target)
{
    unsigned long long number = (unsigned long long)getpid();
    const char *slash = strrchr(target, '/');
    int folder = slash ? (int)(slash + 1 - target) : 0;
    char *name = NULL;

    (void)!getrandom(&number, sizeof number, GRND_NONBLOCK);
    return asprintf(&name, "%.*s%.*s.tmp-%016llx", folder, target, NAME_MAX - SUFFIX,
                    target + folder, number) < 0
               ? NULL
               : name;
}

char *file_temporary(const char *path, deer_error *err)
{
    struct stat was;
    bool exists;
    char *target = file_target(path, &was, &exists, err), *name;

    if (!target)
        return NULL;
    name = temporary_beside(target);
    free(target);
    if (name)
        note_unfinished(name);
    else
        machine_fail(err, "out of memory naming %s", path);
    return name;
}

static int sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC), failed, why;

    if (fd < 0)
        return -1;
    while ((failed = fsync(fd)) && errno == EINTR)
        continue;
    why = errno;
    close(fd);
    errno = why;
    return failed;
}

void file_sync_folder(const char *path)
{
    char *copy = strdup(path);

    if (copy)
        sync_path(dirname(copy), O_RDONLY | O_DIRECTORY); /* the data itself is safe */
    free(copy);
}

static deer_status replace(const char *tmp, const char *path, deer_error *err)
{
    struct stat was;
    bool exists;
    char *target = file_target(path, &was, &exists, err);
    deer_status status = DEER_OK;

    if (!target)
        return DEER_FAILED;
    if (sync_path(tmp, O_RDONLY) || (exists && chmod(tmp, was.st_mode & 07777)) ||
        rename(tmp, target))
        status = deer_fail(err, "cannot write %s: %s", path, strerror(errno));
    else
        file_sync_folder(target);
    free(target);
    return status;
}

deer_status file_publish(const char *tmp, const char *path, deer_error *err)
{
    deer_status status = replace(tmp, path, err);

    if (status)
        unlink(tmp);
    return status;
}

static deer_status write_new(const char *tmp, const char *path, const void *data, size_t size,
                             deer_error *err)
{
    FILE *f = fopen(tmp, "wbx");
    bool bad;

    if (!f)
        return deer_fail(err, "cannot create %s: %s", path, strerror(errno));
    bad = fwrite(data, 1, size, f) != size;
    bad = fclose(f) || bad;
    if (!bad)
        return file_publish(tmp, path, err);
    deer_fail(err, "cannot write %s: %s", path, strerror(errno));
    unlink(tmp);
    return DEER_FAILED;
}

deer_status file_write(const char *path, const void *data, size_t size, deer_error *err)
{
    char *tmp;
    deer_status status;

    if (file_is_stdout(path))
        return fwrite(data, 1, size, stdout) == size && !fflush(stdout)
                   ? DEER_OK
                   : deer_fail(err, "cannot write %s: %s", path, strerror(errno));
    tmp = file_temporary(path, err);
    if (!tmp)
        return DEER_FAILED;
    status = write_new(tmp, path, data, size, err);
    free(tmp);
    return status;
}

/* ---------------------------------------------------------------- reading ------------------ */

deer_status file_open(const char *path, int *fd, struct stat *info, deer_error *err)
{
    struct stat own;
    int why;

    info = info ? info : &own;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd >= 0 && !fstat(*fd, info)) {
        if (S_ISREG(info->st_mode))
            return DEER_OK;
        close(*fd);
        *fd = -1;
        return deer_fail(err, "%s is not a regular file", path);
    }
    why = errno;
    machine_failed_by(why);
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return deer_fail(err, "cannot open %s: %s", path, strerror(why));
}

deer_status file_read_at(int fd, const char *path, uint64_t at, void *to, size_t size,
                         deer_error *err)
{
    for (char *p = to; size > 0;) {
        ssize_t some = pread(fd, p, size, (off_t)at);

        if (some < 0 && errno == EINTR)
            continue;
        if (some < 0)
            machine_failed_by(errno);
        if (some <= 0)
            return deer_fail(err, "cannot read %s: %s", path,
                             some ? strerror(errno) : "it has become shorter");
        p += some, at += (uint64_t)some, size -= (size_t)some;
    }
    return DEER_OK;
}

deer_status file_unchanged(int fd, const char *path, const struct stat *was, deer_error *err)
{
    struct stat now;

    if (fstat(fd, &now))
        return deer_fail(err, "cannot read %s: %s", path, strerror(errno));
    if (now.st_size == was->st_size && now.st_mtim.tv_sec == was->st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == was->st_mtim.tv_nsec)
        return DEER_OK;
    return deer_fail(err, "%s has been written to since it was opened; open it again", path);
}

static deer_status read_open(int fd, const char *path, uint64_t have, size_t limit, char **data,
                             size_t *size, deer_error *err)
{
    if (have > limit)
        return deer_fail(err, "%s is too large (%llu bytes; at most %zu are expected)", path,
                         (unsigned long long)have, limit);
    *size = (size_t)have;
    *data = malloc(*size + 1);
    if (!*data)
        return machine_fail(err, "out of memory reading %s", path);
    (*data)[*size] = 0;
    if (!file_read_at(fd, path, 0, *data, *size, err))
        return DEER_OK;
    free(*data);
    *data = NULL;
    return DEER_FAILED;
}

deer_status file_read(const char *path, size_t limit, char **data, size_t *size, deer_error *err)
{
    struct stat info;
    int fd;
    deer_status status;

    *data = NULL;
    if (file_open(path, &fd, &info, err))
        return DEER_FAILED;
    status = read_open(fd, path, (uint64_t)info.st_size, limit, data, size, err);
    close(fd);
    return status;
}
