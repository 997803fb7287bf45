/* SPDX-License-Identifier: MIT */
/* demos_mask.c - robomimic's filter keys: mask/train lists the demonstrations to train with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/demos/demos_internal.h"

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef struct {
    char text[192];
    size_t used;
} name_list;

static herr_t add_name(hid_t group, const char *name, const H5L_info_t *info, void *user)
{
    name_list *list = user;
    int n = snprintf(list->text + list->used, sizeof list->text - list->used, "%s%.40s",
                     list->used ? ", " : "", name);

    (void)group, (void)info;
    if (n > 0 && list->used + (size_t)n < sizeof list->text)
        list->used += (size_t)n;
    return 0;
}

static deer_status no_mask(const demo_file *f, const char *mask, deer_error *err)
{
    name_list list = {.used = 0};
    hid_t group = hdf5_group_open(f->file, f->path, "mask", NULL);
    bool empty = group >= 0 && hdf5_has(group, mask) == HDF5_FOUND;

    if (empty) {
        H5Gclose(group);
        return deer_fail(err, "%s: mask %s lists no names", f->path, mask);
    }
    if (group >= 0) {
        H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, add_name, &list);
        H5Gclose(group);
    }
    list.text[list.used] = 0;
    return deer_fail(err, "%s has no mask '%s'; %s%s", f->path, mask,
                     list.used ? "there are: " : "there is none", list.text);
}

/* Moves the listed ones to the front; how many. Names [n] are sorted; found[i]: name i is there. */
static int keep_listed(demos *d, int first, const hdf5_texts *names, bool *found)
{
    int kept = first;

    for (int i = first; i < d->count; i++) {
        char *name = d->entry[i].name;
        char **at = bsearch(&name, names->text, names->count, sizeof name, by_text);

        if (!at)
            continue;
        found[at - names->text] = true;
        if (kept < i)
            d->entry[kept] = d->entry[i];
        kept++;
    }
    return kept - first;
}

deer_status demos_apply_mask(demos *d, int in, int first, deer_error *err)
{
    const demo_file *f = &d->file[in];
    hdf5_texts names = {NULL};
    hid_t group = hdf5_group_open(f->file, f->path, "mask", NULL);
    bool there = group >= 0 && hdf5_texts_of_dataset(group, d->mask, &names), *found;
    deer_status status = DEER_OK;
    int kept;

    if (group >= 0)
        H5Gclose(group);
    found = calloc(names.count + 1, sizeof *found);
    if (!there || !found) {
        hdf5_texts_free(&names);
        free(found);
        return no_mask(f, d->mask, err);
    }
    qsort(names.text, names.count, sizeof *names.text, by_text);
    kept = keep_listed(d, first, &names, found);
    d->count = first + kept;
    for (size_t i = 0; i < names.count && !status; i++)
        if (!found[i] && (i == 0 || strcmp(names.text[i], names.text[i - 1])))
            status = deer_fail(err, "%s: mask %s lists %.60s, which is not there", f->path, d->mask,
                               names.text[i]);
    hdf5_texts_free(&names);
    free(found);
    return status;
}
