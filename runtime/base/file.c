/* SPDX-License-Identifier: MIT */
/* file.c - whole or not at all: temporary name, fsync, rename, fsync of the folder. */
#include "runtime/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

/* A process number would not do: in a container it is the same every time. */
char *file_temporary(const char *path, deer_error *err)
{
    unsigned long long number = (unsigned long long)getpid();
    char *name = NULL;

    (void)!getrandom(&number, sizeof number, GRND_NONBLOCK);
    if (asprintf(&name, "%s.tmp-%016llx", path, number) < 0) {
        deer_fail(err, "out of memory naming %s", path);
        return NULL;
    }
    note_unfinished(name);
    return name;
}

static int sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC), failed;

    if (fd < 0)
        return -1;
    failed = fsync(fd);
    close(fd);
    return failed;
}

static void sync_folder(const char *path)
{
    char *copy = strdup(path);

    if (copy)
        sync_path(dirname(copy), O_RDONLY | O_DIRECTORY); /* best effort: the data itself is safe */
    free(copy);
}

deer_status file_publish(const char *tmp, const char *path, deer_error *err)
{
    if (sync_path(tmp, O_RDONLY) || rename(tmp, path)) {
        deer_status status = deer_fail(err, "cannot write %s: %s", path, strerror(errno));
        unlink(tmp);
        return status;
    }
    sync_folder(path);
    return DEER_OK;
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
    char *tmp = file_temporary(path, err);
    deer_status status;

    if (!tmp)
        return DEER_FAILED;
    status = write_new(tmp, path, data, size, err);
    free(tmp);
    return status;
}

static deer_status read_open(FILE *f, const char *path, size_t limit, char **data, size_t *size,
                             deer_error *err)
{
    struct stat info;

    if (fstat(fileno(f), &info) || !S_ISREG(info.st_mode))
        return deer_fail(err, "%s is not a regular file", path);
    if ((uint64_t)info.st_size > limit)
        return deer_fail(err, "%s is too large (%lld bytes; at most %zu are expected)", path,
                         (long long)info.st_size, limit);
    *size = (size_t)info.st_size;
    *data = malloc(*size + 1);
    if (!*data)
        return deer_fail(err, "out of memory reading %s", path);
    if (fread(*data, 1, *size, f) != *size) {
        free(*data);
        *data = NULL;
        return deer_fail(err, "cannot read %s: %s", path, strerror(errno));
    }
    (*data)[*size] = 0;
    return DEER_OK;
}

void file_forget(const void *mapping, size_t mapped, const void *data, size_t size)
{
    const uintptr_t around = 2 << 20; /* the most that one page fault maps */
    uintptr_t first = (uintptr_t)mapping, last = first + mapped;
    uintptr_t begin = (uintptr_t)data / around * around;
    uintptr_t end = ((uintptr_t)data + size + around - 1) / around * around;

    begin = begin > first ? begin : first;
    end = end < last ? end : last;
    if (end > begin)
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

deer_status file_read(const char *path, size_t limit, char **data, size_t *size, deer_error *err)
{
    FILE *f = fopen(path, "rb");
    deer_status status;

    *data = NULL;
    if (!f)
        return deer_fail(err, "cannot open %s: %s", path, strerror(errno));
    status = read_open(f, path, limit, data, size, err);
    fclose(f);
    return status;
}
