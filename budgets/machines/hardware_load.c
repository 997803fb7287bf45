/* SPDX-License-Identifier: MIT */
/* hardware_load.c - profiles by name: those that ship, and files. */
#include <stdlib.h>
#include <string.h>

#include "budgets/machines/hardware_internal.h"
#include "runtime/base/file.h"

enum { MAX_FILE = 1 << 20 };

int deer_hardware_count(void)
{
    int count = 0;

    while (hardware_texts[count].name)
        count++;
    return count;
}

const char *deer_hardware_name(int i)
{
    return hardware_texts[i].name;
}

static deer_status load_file(const char *path, deer_hardware *hardware, deer_error *err)
{
    char *text;
    size_t size;
    deer_status status = file_read(path, MAX_FILE, &text, &size, err);

    if (status)
        return status;
    status = deer_hardware_parse(text, size, path, hardware, err);
    free(text);
    return status;
}

/* Names what there is. */
static deer_status unknown_machine(const char *name, deer_error *err)
{
    char list[400] = "";

    for (int i = 0; i < deer_hardware_count(); i++)
        if (strlen(list) + strlen(deer_hardware_name(i)) + 3 < sizeof list) {
            strcat(list, i ? ", " : "");
            strcat(list, deer_hardware_name(i));
        }
    return deer_fail_with(DEER_USAGE, err, "no machine '%.40s'; there are %s, and files *.json",
                          name, list);
}

static bool is_file(const char *name)
{
    size_t length = strlen(name);

    return length > 5 && !strcmp(name + length - 5, ".json");
}

deer_status deer_hardware_load(const char *name, deer_hardware *hardware, deer_error *err)
{
    if (is_file(name))
        return load_file(name, hardware, err);
    for (const hardware_text *t = hardware_texts; t->name; t++)
        if (!strcmp(t->name, name))
            return deer_hardware_parse(t->text, strlen(t->text), NULL, hardware, err);
    return unknown_machine(name, err);
}
