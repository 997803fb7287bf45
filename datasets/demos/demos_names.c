/* SPDX-License-Identifier: MIT */
/* demos_names.c - what demonstrations and their parts are called, and which file they lie in. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "datasets/demos/demos_internal.h"

void demos_path(const demo_entry *entry, const char *what, char out[DEMOS_PATH])
{
    snprintf(out, DEMOS_PATH, "data/%s/%s", entry->name, what);
}

const demo_file *demos_file_of(const demos *d, const demo_entry *entry)
{
    return &d->file[entry->in];
}

/* Names stand in messages of one line. */
bool demos_usable_name(const char *name)
{
    if (strlen(name) >= sizeof((demo_entry *)0)->name)
        return false;
    for (; *name; name++)
        if (!isprint((unsigned char)*name))
            return false;
    return true;
}
