/* SPDX-License-Identifier: MIT */
/* hardware.c - a profile in memory: names of kinds and stages, its figures. */
#include "budgets/machines/hardware.h"

#include <math.h>
#include <strings.h>

#include "budgets/machines/hardware_internal.h"

const char *const hardware_kind_names[HARDWARE_KINDS + 1] = {"cpu", "embedded", "gpu", NULL};
const char *const stage_kind_names[STAGE_KINDS + 1] = {"vision", "resampler", "layer", "head",
                                                       NULL};

const char *hardware_kind_name(hardware_kind kind)
{
    return hardware_kind_names[kind];
}

const char *stage_kind_name(stage_kind stage)
{
    return stage_kind_names[stage];
}

bool deer_figure_known(const deer_figure *figure)
{
    return isfinite(figure->value);
}

const deer_figure *hardware_peak(const deer_hardware *h, weight_dtype dtype)
{
    int i = (int)dtype;

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
