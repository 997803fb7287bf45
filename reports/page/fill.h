/* SPDX-License-Identifier: MIT */
/* fill.h - HTML from a template and JSON.
 *
 *   fill f = {.out = out, .part = my_parts, .context = me};
 *   if (fill_template(&f, "<h1>{{model.name}}</h1>{{#each tasks}}<li>{{name}}{{/}}", json, &err))
 * ...
 *
 *   {{PATH}}                   text, escaped, or a number in three digits; null: a dash
 *   {{PATH range}}             of [low, value, high]: value, and low to high below it
 *   {{PATH within LIST}}       likewise, of a value and [low, high]
 *   {{PATH between LOW HIGH}}  likewise, of three values
 *   {{PATH list}}              numbers and words one behind the other; {{PATH percents}}: times
 * 100, also of one number
 *   {{#each PATH}}..{{/}}      for every item of a list or member of an object, which is then
 * looked in first; {{@}} is its number or name, {{.}} itself
 *   {{#with PATH}}..{{/}}      looks there first; nothing where it is null
 *   {{#if PATH}}..{{/}}        true, a text that is not empty, a list that is not; {{#unless PATH}}
 *   {{#is PATH WORD}}..{{/}}   a text or number that is WORD
 *   {{!NAME}}                  what `part` writes
 *
 * A PATH is names with dots between, the first of which is looked up from the innermost place
 * outwards, and indices: points[0], answers[-1] (the last), official[@], machines[option.machine].
 */
#ifndef REPORTS_FILL_H
#define REPORTS_FILL_H

#include <jansson.h>
#include <stdio.h>

#include "runtime/deer.h"

typedef struct {
    FILE *out;
    /* Writes the part of that name; item: number of the innermost list's item. */
    deer_status (*part)(void *context, const char *name, int item, FILE *out, deer_error *err);
    void *context;
} fill;

/* Fails for a part that fails and for a template that makes no sense. */
deer_status fill_template(const fill *f, const char *text, const json_t *root, deer_error *err);

#endif
