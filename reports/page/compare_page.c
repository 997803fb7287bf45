/* SPDX-License-Identifier: MIT */
/* compare_page.c - compare.html, filled. */
#include "reports/page/compare_page.h"

#include <stdlib.h>
#include <string.h>

#include "reports/page/fill.h"
#include "reports/page/parts.h"

extern const char page_compare_html[], page_compare_js[];

static deer_status part(void *context, const char *name, int item, FILE *out, deer_error *err)
{
    const json_t *comparison = context;

    (void)item;
    if (!strcmp(name, "data"))
        return page_data(out, comparison, err);
    if (!strcmp(name, "style"))
        page_style(out);
    else if (!strcmp(name, "scripts"))
        page_scripts(out, page_compare_js);
    else
        return deer_fail(err, "the page's template names a part '%s' that there is not", name);
    return DEER_OK;
}

deer_status compare_page_text(const json_t *comparison, char **text, size_t *size, deer_error *err)
{
    FILE *out = open_memstream(text, size);
    fill f = {.out = out, .part = part, .context = (void *)(uintptr_t)comparison};
    deer_status status;

    if (!out)
        return deer_fail(err, "out of memory for the page");
    status = fill_template(&f, page_compare_html, comparison, err);
    if ((ferror(out) | fclose(out)) && !status)
        status = deer_fail(err, "out of memory for the page");
    if (status) {
        free(*text);
        *text = NULL;
    }
    return status;
}
