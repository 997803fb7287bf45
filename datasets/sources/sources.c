/* SPDX-License-Identifier: MIT */
/* sources.c - the table of dataset sources. */
#include "datasets/sources/source.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/file_kind.h"

static const source_kind *const kinds[] = {&source_calvin, &source_hdf5, &source_lerobot,
                                           &source_rlds, NULL};

const source_kind *const *source_kinds(void)
{
    return kinds;
}

const source_kind *source_named(const char *name)
{
    for (const source_kind *const *k = kinds; *k; k++)
        if (!strcmp((*k)->name, name))
            return *k;
    return NULL;
}

const source_kind *source_of(const char *path, deer_error *err)
{
    char names[128] = "", is[FILE_KIND];

    for (const source_kind *const *k = kinds; *k; k++) {
        if ((*k)->probe(path))
            return *k;
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s--%s",
                 k == kinds ? "" : ", ", (*k)->name);
    }
    deer_fail(err, "%s looks like no dataset that is known (%s): it %s", path, names,
              file_kind(path, is));
    return NULL;
}
