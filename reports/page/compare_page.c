/* SPDX-License-Identifier: MIT */
/* compare_page.c - pages of one JSON object: compare.html, table.html. */
#include "reports/page/compare_page.h"

#include <stdlib.h>
#include <string.h>

#include "reports/page/fill.h"
#include "reports/page/parts.h"

extern const char page_compare_html[], page_compare_js[], page_table_html[], page_table_js[];

typedef struct {
    const json_t *json;
    const char *script;
} page;

static deer_status part(void *context, const char *name, int item, FILE *out, deer_error *err)
{
    const page *p = context;

    (void)item;
    if (!strcmp(name, "data"))
        return page_data(out, p->json, err);
    if (!strcmp(name, "style"))
        page_style(out);
    else if (!strcmp(name, "scripts"))
        page_scripts(out, p->script);
    else
        return deer_fail(err, "the page's template names a part '%s' that there is not", name);
    return DEER_OK;
}

static deer_status page_of(page p, const char *template, char **text, size_t *size, deer_error *err)
{
    FILE *out = open_memstream(text, size);
    fill f = {.out = out, .part = part, .context = &p};
    deer_status status;

    if (!out)
        return deer_fail(err, "out of memory for the page");
    status = fill_template(&f, template, p.json, err);
    if ((ferror(out) | fclose(out)) && !status)
        status = deer_fail(err, "out of memory for the page");
    if (status) {
        free(*text);
        *text = NULL;
    }
    return status;
}

deer_status compare_page_text(const json_t *comparison, char **text, size_t *size, deer_error *err)
{
    return page_of((page){comparison, page_compare_js}, page_compare_html, text, size, err);
}

deer_status table_page_text(const json_t *report, char **text, size_t *size, deer_error *err)
{
    return page_of((page){report, page_table_js}, page_table_html, text, size, err);
}
