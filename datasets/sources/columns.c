/* SPDX-License-Identifier: MIT */
/* columns.c - reading which columns of an action are wanted. */
#include "datasets/sources/columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4096 };

/* A number, or a name's place among the names; -1. */
static int find(const char *item, const char *const *names, int n)
{
    char *end;
    long number = strtol(item, &end, 10);

    for (int i = 0; names && i < n; i++)
        if (!strcmp(item, names[i]))
            return i;
    return end != item && !*end && number >= 0 && number < MOST ? (int)number : -1;
}

static deer_status unknown(const char *item, const char *const *names, int n, deer_error *err)
{
    char list[256] = "";

    for (int i = 0; names && i < n && strlen(list) + strlen(names[i]) < 240; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", names[i]);
    return deer_fail_with(DEER_USAGE, err, "'%.60s' is no column of the actions: %s%s", item,
                          names ? "a number from 0, or one of " : "a number from 0", list);
}

deer_status columns_read(const char *list, const char *const *names, int n, int column[DEMO_ACTION],
                         deer_error *err)
{
    char item[128];
    int count = 0;

    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        size_t length = strcspn(at, ",");

        if (count == DEMO_ACTION || length >= sizeof item)
            return deer_fail_with(DEER_USAGE, err, "--action-columns takes %d columns",
                                  DEMO_ACTION);
        memcpy(item, at, length);
        item[length] = 0;
        column[count] = find(item, names, n);
        if (column[count] < 0)
            return unknown(item, names, n, err);
        for (int i = 0; i < count; i++)
            if (column[i] == column[count])
                return deer_fail_with(DEER_USAGE, err, "--action-columns names '%s' twice", item);
        count++;
    }
    return count == DEMO_ACTION
               ? DEER_OK
               : deer_fail_with(DEER_USAGE, err, "--action-columns takes %d columns, not %d",
                                DEMO_ACTION, count);
}
