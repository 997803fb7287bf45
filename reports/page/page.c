/* SPDX-License-Identifier: MIT */
/* page.c - the template, filled. */
#include "reports/page/page.h"

#include <stdlib.h>
#include <string.h>

#include "reports/formats/report_json.h"
#include "reports/formats/text.h"
#include "reports/page/page_tables.h"
#include "reports/page/thumbnail.h"

/* Parts of the page, embedded by the Makefile. */
extern const char page_template_html[], page_style_css[], page_script_js[], page_d3_js[],
    page_plot_js[];

/* ---------------------------------------------------------------- moments ------------------ */

static deer_status open_demos(const report *r, demos **d, deer_error *err)
{
    char fingerprint[DEER_FINGERPRINT];

    if (demos_open_files(r->q->demos.name, r->q->demos.count, &r->q->reading, d, err))
        return DEER_FAILED;
    if (!demos_fingerprint(*d, fingerprint, err)) {
        if (!strcmp(fingerprint, r->c->about.demos))
            return DEER_OK;
        deer_fail(err, "%s (%.8s) are not the demonstrations that the cache %s is of (%.8s)",
                  r->q->demos.name[0], fingerprint, r->q->cache, r->c->about.demos);
    }
    demos_close(*d);
    *d = NULL;
    return DEER_FAILED;
}

static deer_status picture(FILE *out, demos *d, const task_moment *m, deer_error *err)
{
    demo_episode episode;
    uint8_t *png;
    size_t size;
    deer_status status;

    if (demos_read(d, m->episode, &episode, err))
        return DEER_FAILED;
    status = thumbnail_png(&episode, m->step, &png, &size, err);
    demo_episode_free(&episode);
    if (status)
        return status;
    fputs("<img alt=\"what the static camera saw\" src=\"data:image/png;base64,", out);
    text_base64(out, png, size);
    fputs("\">", out);
    free(png);
    return DEER_OK;
}

static deer_status moments(FILE *out, const report *r, deer_error *err)
{
    demos *d = NULL;
    deer_status status = r->q->demos.count ? open_demos(r, &d, err) : DEER_OK;

    fputs("<ul class=moments>", out);
    for (int i = 0; i < r->moments && !status; i++) {
        const task_moment *m = &r->moment[i];

        fputs("<li>", out);
        if (d)
            status = picture(out, d, m, err);
        fprintf(out, "<p><strong>exit %d</strong> ", m->exit);
        text_html(out, m->instruction);
        fputs("</p><p class=where>", out);
        text_html(out, m->name);
        fprintf(out, ", step %d of %d; at the first exit the loss would be %.3f</p></li>\n",
                m->step, m->steps, m->loss_first);
    }
    fputs("</ul>", out);
    demos_close(d);
    return status;
}

/* ---------------------------------------------------------------- parts -------------------- */

static void style(FILE *out, const report *r)
{
    (void)r;
    fprintf(out, "<style>%s</style>", page_style_css);
}

static void scripts(FILE *out, const report *r)
{
    (void)r;
    fprintf(out, "<script>%s</script>\n<script>%s</script>\n<script>%s</script>", page_d3_js,
            page_plot_js, page_script_js);
}

bool page_has_libraries(void)
{
    return *page_d3_js && *page_plot_js;
}

static deer_status data(FILE *out, const report *r, deer_error *err)
{
    char *json = report_json_text(r, false);

    if (!json)
        return deer_fail(err, "out of memory for the page");
    fputs("<script type=\"application/json\" id=data>", out);
    text_json_in_html(out, json);
    fputs("</script>", out);
    free(json);
    return DEER_OK;
}

static void subtitle(FILE *out, const report *r)
{
    text_html(out, r->q->cache);
    fprintf(out, ": %d episodes, %lld steps of policy ", r->c->about.episodes,
            (long long)r->c->steps);
    text_html(out, r->model_name);
    if (r->mapped) {
        fputs("; costs of the published shape ", out);
        text_html(out, r->config.name);
    }
}

static const struct {
    const char *name;
    void (*write)(FILE *out, const report *r);
} parts[] = {{"title", page_title},       {"style", style},      {"subtitle", subtitle},
             {"lede", page_lede},         {"cards", page_cards}, {"ranking", page_ranking},
             {"frontier", page_frontier}, {"fixed", page_fixed}, {"times", page_times},
             {"tasks", page_tasks},       {"trust", page_trust}, {"assumptions", page_assumptions},
             {"sources", page_sources},   {"scripts", scripts}};

static deer_status part(FILE *out, const report *r, const char *name, size_t length,
                        deer_error *err)
{
    if (length == strlen("moments") && !memcmp(name, "moments", length))
        return moments(out, r, err);
    if (length == strlen("data") && !memcmp(name, "data", length))
        return data(out, r, err);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strlen(parts[i].name) == length && !memcmp(parts[i].name, name, length)) {
            parts[i].write(out, r);
            return DEER_OK;
        }
    return deer_fail(err, "the page's template names a part '%.*s' that there is not", (int)length,
                     name);
}

/* Copies the template; a part's place is marked <!--@name-->. */
static deer_status fill(FILE *out, const report *r, deer_error *err)
{
    const char *at = page_template_html, *mark;

    while ((mark = strstr(at, "<!--@"))) {
        const char *name = mark + 5, *end = strstr(name, "-->");

        fwrite(at, 1, (size_t)(mark - at), out);
        if (part(out, r, name, (size_t)(end - name), err))
            return DEER_FAILED;
        at = end + 3;
    }
    fputs(at, out);
    return DEER_OK;
}

deer_status page_text(const report *r, char **text, size_t *size, deer_error *err)
{
    FILE *out = open_memstream(text, size);
    deer_status status;

    if (!out)
        return deer_fail(err, "out of memory for the page");
    status = fill(out, r, err);
    if ((ferror(out) | fclose(out)) && !status)
        status = deer_fail(err, "out of memory for the page");
    if (status) {
        free(*text);
        *text = NULL;
    }
    return status;
}
