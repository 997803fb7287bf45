/* SPDX-License-Identifier: MIT */
/* hardware.c - profiles by name; names of types, kinds and stages. */
#include "budgets/machines/hardware.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "budgets/machines/hardware_internal.h"
#include "runtime/base/file.h"

enum { MAX_FILE = 1 << 20 };

/* ---------------------------------------------------------------- words -------------------- */

static const deer_dtype dtypes[HARDWARE_DTYPES] = {DEER_F32, DEER_BF16, DEER_Q8};
static const char *const dtype_names[HARDWARE_DTYPES] = {"f32", "bf16", "q8"};

int hardware_dtype_index(deer_dtype dtype)
{
    return dtype == DEER_F32 ? 0 : dtype == DEER_BF16 ? 1 : 2;
}

deer_dtype hardware_dtype(int index)
{
    return dtypes[index];
}

const char *hardware_dtype_name(deer_dtype dtype)
{
    return dtype_names[hardware_dtype_index(dtype)];
}

bool hardware_dtype_parse(const char *name, deer_dtype *dtype)
{
    for (int i = 0; i < HARDWARE_DTYPES; i++)
        if (!strcmp(name, dtype_names[i])) {
            *dtype = dtypes[i];
            return true;
        }
    return false;
}

const char *hardware_kind_name(hardware_kind kind)
{
    static const char *const names[HARDWARE_KINDS] = {"cpu", "embedded", "gpu"};

    return names[kind];
}

const char *stage_kind_name(stage_kind stage)
{
    static const char *const names[STAGE_KINDS] = {"vision", "resampler", "layer", "head"};

    return names[stage];
}

bool deer_figure_known(const deer_figure *figure)
{
    return isfinite(figure->value);
}

const deer_figure *hardware_peak(const deer_hardware *h, deer_dtype dtype)
{
    int i = hardware_dtype_index(dtype);

    while (i > 0 && !deer_figure_known(&h->peak[i]))
        i--;
    return &h->peak[i];
}

int deer_hardware_mode(const deer_hardware *hardware, const char *name)
{
    for (int i = 0; i < hardware->modes; i++)
        if (!strcasecmp(hardware->mode[i].name, name))
            return i;
    return -1;
}

/* ---------------------------------------------------------------- profiles ----------------- */

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
