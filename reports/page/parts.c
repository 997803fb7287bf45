/* SPDX-License-Identifier: MIT */
/* parts.c - what every page has. */
#include "reports/page/parts.h"

#include <stdlib.h>

#include "reports/formats/text.h"
#include "runtime/base/json/json_build.h"

/* Embedded by the Makefile. */
extern const char page_style_css[], page_latency_js[], page_judge_js[], page_charts_js[],
    page_d3_js[], page_plot_js[];

bool page_has_libraries(void)
{
    return *page_d3_js && *page_plot_js;
}

void page_style(FILE *out)
{
    fprintf(out, "<style>%s</style>", page_style_css);
}

void page_scripts(FILE *out, const char *own)
{
    const char *const script[] = {page_d3_js,    page_plot_js,   page_latency_js,
                                  page_judge_js, page_charts_js, own};

    for (size_t i = 0; i < sizeof script / sizeof *script; i++)
        fprintf(out, "<script>%s</script>\n", script[i]);
}

deer_status page_data(FILE *out, const json_t *json, deer_error *err)
{
    char *text =
        json_text(json_incref((json_t *)(uintptr_t)json), JSON_REAL_PRECISION(6) | JSON_COMPACT);

    if (!text)
        return deer_fail(err, "out of memory for the page");
    fputs("<script type=\"application/json\" id=data>", out);
    text_json_in_html(out, text);
    fputs("</script>", out);
    free(text);
    return DEER_OK;
}
