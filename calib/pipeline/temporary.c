/* SPDX-License-Identifier: MIT */
/* temporary.c - a folder that goes away again. */
#include "calib/pipeline/temporary.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

deer_status temporary_folder(char *path, size_t room, deer_error *err)
{
    const char *base = getenv("TMPDIR");
    int length = snprintf(path, room, "%s/deer-calib-XXXXXX", base && *base ? base : "/tmp");

    if (length < 0 || (size_t)length >= room)
        return deer_fail(
            err, "the name of the temporary folder is too long; set TMPDIR, or use --cache");
    if (!mkdtemp(path))
        return deer_fail(err, "cannot create a folder below %s: %s; use --cache",
                         base && *base ? base : "/tmp", strerror(errno));
    return DEER_OK;
}

void temporary_remove(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;

    while (folder && (entry = readdir(folder)))
        unlinkat(dirfd(folder), entry->d_name, 0); /* "." and ".." refuse */
    if (folder)
        closedir(folder);
    rmdir(path);
}
