/* SPDX-License-Identifier: MIT */
/* hardware_form.c - forms in which machines are bought. */
#include "budgets/machines/hardware_form.h"

#include <stddef.h>
#include <string.h>

static const hardware_form_facts forms[HARDWARE_FORMS] = {
    [FORM_KIT] =
        {"kit", CLASS_ROBOT, "the kit's carrier board and supply", {0, 0, 0}, {2, 3, 5}, 0.85},
    [FORM_MODULE] = {"module",
                     CLASS_ROBOT,
                     "a carrier board, a cooler and a supply",
                     {80, 150, 300},
                     {2, 3, 5},
                     0.85},
    [FORM_BOARD] = {"board",
                    CLASS_ROBOT,
                    "a supply, a cooler and a memory card",
                    {25, 35, 60},
                    {0, 0, 0},
                    0.85},
    [FORM_BOX] = {"box", CLASS_EDGE, NULL, {0, 0, 0}, {0, 0, 0}, 1},
    [FORM_CARD] = {"card",
                   CLASS_DESKTOP,
                   "a computer with six cores, 32 GB and a supply",
                   {600, 800, 1200},
                   {30, 45, 80},
                   0.88},
    [FORM_SERVER] =
        {"server", CLASS_SERVER, "a server", {5000, 8000, 15000}, {150, 250, 400}, 0.92},
    [FORM_PART] =
        {"part", CLASS_EDGE, "the computer that it is plugged into", {0, 0, 0}, {0, 0, 0}, 1},
};

const hardware_form_facts *hardware_form_of(hardware_form form)
{
    return &forms[form];
}

static const char *const class_names[HARDWARE_CLASSES] = {"robot", "edge", "desktop", "server"};

const char *hardware_class_name(hardware_class class)
{
    return class_names[class];
}

bool hardware_class_from_name(const char *name, hardware_class *class)
{
    for (int i = 0; i < HARDWARE_CLASSES; i++)
        if (!strcmp(name, class_names[i])) {
            *class = (hardware_class)i;
            return true;
        }
    return false;
}
