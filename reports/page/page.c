/* SPDX-License-Identifier: MIT */
/* page.c - the template, filled. */
#include "reports/page/page.h"

#include <stdlib.h>
#include <string.h>

#include "reports/formats/report_json.h"
#include "reports/formats/text.h"
#include "reports/page/fill.h"
#include "reports/page/parts.h"
#include "reports/page/thumbnail.h"
#include "runtime/base/json/json_build.h"

extern const char page_template_html[], page_script_js[];

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

/* ---------------------------------------------------------------- parts -------------------- */

typedef struct {
    const report *r;
    const json_t *json;
    demos *d; /* NULL: no pictures */
} page;

static deer_status part(void *context, const char *name, int item, FILE *out, deer_error *err)
{
    const page *p = context;

    if (!strcmp(name, "picture"))
        return p->d ? picture(out, p->d, &p->r->moment[item], err) : DEER_OK;
    if (!strcmp(name, "data"))
        return page_data(out, p->json, err);
    if (!strcmp(name, "style"))
        page_style(out);
    else if (!strcmp(name, "scripts"))
        page_scripts(out, page_script_js);
    else
        return deer_fail(err, "the page's template names a part '%s' that there is not", name);
    return DEER_OK;
}

static deer_status fill_page(FILE *out, const report *r, const json_t *json, deer_error *err)
{
    page p = {.r = r, .json = json};
    fill f = {.out = out, .part = part, .context = &p};
    deer_status status = r->q->demos.count ? open_demos(r, &p.d, err) : DEER_OK;

    if (!status)
        status = fill_template(&f, page_template_html, json, err);
    demos_close(p.d);
    return status;
}

deer_status page_text(const report *r, char **text, size_t *size, deer_error *err)
{
    json_t *json = report_json(r);
    deer_status status = json_complete(err);
    FILE *out = status ? NULL : open_memstream(text, size);

    if (!status)
        status = out ? fill_page(out, r, json, err) : deer_fail(err, "out of memory for the page");
    json_decref(json);
    if (!out)
        return status;
    if ((ferror(out) | fclose(out)) && !status)
        status = deer_fail(err, "out of memory for the page");
    if (status) {
        free(*text);
        *text = NULL;
    }
    return status;
}
