/* SPDX-License-Identifier: MIT */
/* hardware_form.h - in what form a machine is bought, and what a whole computer needs around it.
 *
 *   const hardware_form_facts *form = hardware_form_of(machine.form);
 *   price = machine.price.value + form->price.value;      // of the whole computer
 *   watts = (machine_watts + form->watts.value) / form->supply;   // at the wall
 *
 * What stands around a machine is assumed, the same for every machine of a form: our estimates of
 * 2026, stated in docs/hardware.md and wherever they are used.
 */
#ifndef BUDGETS_HARDWARE_FORM_H
#define BUDGETS_HARDWARE_FORM_H

#include <stdbool.h>

typedef enum {
    FORM_KIT,    /* a module on its maker's carrier board */
    FORM_MODULE, /* a module alone */
    FORM_BOARD,  /* a single-board computer */
    FORM_BOX,    /* a whole computer; its figures are at the wall */
    FORM_CARD,   /* a graphics card alone */
    FORM_SERVER, /* a card, or a share, of a data centre */
    FORM_PART,   /* an accelerator that is plugged into a computer */
    HARDWARE_FORMS
} hardware_form;

/* Who buys it. */
typedef enum {
    CLASS_ROBOT,   /* carried by a robot, on a battery */
    CLASS_EDGE,    /* a small computer beside it */
    CLASS_DESKTOP, /* a computer with a card */
    CLASS_SERVER,  /* a data centre's */
    HARDWARE_CLASSES
} hardware_class;

typedef struct {
    double low, value, high;
} form_span;

typedef struct {
    const char *name; /* "kit", "module", "board", "box", "card", "server", "part" */
    hardware_class class;
    const char *around; /* what is added, in words; NULL: nothing */
    form_span price;    /* USD, of what is added */
    form_span watts;    /* W, that what is added draws all the time */
    double supply;      /* share of the power at the wall that arrives behind the supply */
} hardware_form_facts;

const hardware_form_facts *hardware_form_of(hardware_form form);

const char *hardware_class_name(hardware_class class); /* "robot", "edge", "desktop", "server" */
bool hardware_class_from_name(const char *name, hardware_class *class);

#endif
