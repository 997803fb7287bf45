/* SPDX-License-Identifier: MIT */
/* work_json.h - what a report's page needs to ask "what if" of a step: its work, and what a machine
 * makes of work. docs/report.schema.json has the fields; reports/page/latency.js reads them. */
#ifndef REPORTS_WORK_JSON_H
#define REPORTS_WORK_JSON_H

#include <jansson.h>

#include "reports/answer/report.h"

/* What a step is given: cameras, image size, tokens, the parts' types. */
json_t *work_load_json(const report *r);

/* The model whose costs count, then those of as many exits that it can be asked to be: work of each
 * part by cameras, image size and tokens. */
json_t *work_shapes_json(const report *r);

/* Rates of each stage on a machine in a mode, with weights of the report's dtype-th type; own: what
 * deer's own kernels get of them, on a GPU where nobody measured them. */
json_t *work_speeds_json(const report *r, const deer_hardware *hardware, int mode, int dtype,
                         bool own);

#endif
