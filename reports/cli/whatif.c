/* SPDX-License-Identifier: MIT */
/* whatif.c - deer-report whatif: asking, printing, writing. */
#include "reports/cli/whatif.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/cli/question_options.h"
#include "reports/formats/report_csv.h"
#include "reports/formats/report_json.h"
#include "reports/formats/table_json.h"
#include "reports/formats/text.h"
#include "reports/page/compare_page.h"
#include "reports/page/page.h"
#include "reports/page/parts.h"
#include "runtime/base/file.h"
#include "runtime/base/json/json_build.h"
#include "runtime/cli/tool.h"

/* ---------------------------------------------------------------- people ------------------- */

static void print_choice(const report *r, const char *what, int answer)
{
    const fleet_answer *a;
    const deer_hardware *h;
    double usd;
    char name[256], price[32] = "price unknown", text[4][TEXT_DIGITS];

    if (answer < 0)
        return;
    a = &r->f.answer[answer];
    h = &r->f.machine[r->f.option[a->option].machine];
    fleet_describe(&r->f, r->q, a, name, sizeof name);
    usd = fleet_price(r->q, h).expected;
    if (!isnan(usd))
        snprintf(price, sizeof price, "%.0f USD", usd);
    printf("  %-13s %s: %s, %s, %s a step on average (%s to %s), deepest exit %d; %s%s\n", what,
           name, price, text_digits(text[0], a->at.watts.expected, " W"),
           text_digits(text[1], 1e3 * a->at.seconds.expected, " ms"),
           text_digits(text[2], 1e3 * a->at.seconds.low, ""),
           text_digits(text[3], 1e3 * a->at.seconds.high, ""), a->deepest, hardware_words(h),
           a->sure ? "" : "; not at the pessimistic end");
}

/* What is the best in another respect, too, is not said again. */
static void print_other(const report *r, const char *what, int answer, int best)
{
    if (answer >= 0 && answer == best)
        printf("  %-13s the same\n", what);
    else
        print_choice(r, what, answer);
}

static void print_rate(const report *r, int rate)
{
    const fleet_choice *c = &r->f.choice[rate];
    char name[256];

    printf("\n%g Hz: %d of %d machines meet the demands, %d of them at worst; program: %s\n",
           r->q->rate[rate], c->machines, r->f.machines - r->f.left_out - r->f.cannot, c->sure,
           runtime_title(r->q->runtime));
    print_choice(r, "best", c->best);
    print_other(r, "cheapest", c->cheapest, c->best);
    print_other(r, "lowest power", c->lowest_power, c->best);
    print_other(r, "fastest", c->fastest, c->best);
    if (c->machines || c->nearest < 0)
        return;
    fleet_describe(&r->f, r->q, &r->f.answer[c->nearest], name, sizeof name);
    printf("  nearest: %s; %s\n", name, r->f.answer[c->nearest].reason);
}

static void print_report(const report *r)
{
    const sweep_point *x = &r->w.frontier[r->w.exits - 1].ours[r->recommended];
    const sweep_point *full = &r->w.fixed[r->w.exits - 1];

    printf("%s: %d episodes, %lld steps, policy %s, costs of %s\n", r->q->cache,
           r->c->about.episodes, (long long)r->c->steps, r->model_name, r->config.name);
    printf("full depth: %.5g GFLOPs (%s); recommended budget %.5g GFLOPs (%.0f%%): loss %.3g "
           "[%.3g, %.3g]\n",
           full->at.cost, r->q->scope, r->w.budget[r->recommended],
           100 * x->at.cost / full->at.cost, x->at.loss, x->loss_95.low, x->loss_95.high);
    for (int i = 0; i < r->q->rates; i++)
        print_rate(r, i);
    putchar('\n');
    if (r->f.left_out)
        printf("left out: %d machine%s that deer does not run on (--runtime tuned, ggml or pytorch "
               "estimates others there)\n",
               r->f.left_out, r->f.left_out > 1 ? "s" : "");
    if (r->f.cannot)
        printf("left out: %d accelerator%s that cannot run this kind of model\n", r->f.cannot,
               r->f.cannot > 1 ? "s" : "");
    printf("prices of whole computers, power at the wall; what stands around a bare card is "
           "assumed\n");
    printf("\nGFLOPs count one multiply-add as one FLOP; %s\n", r->trust.statement);
}

/* ---------------------------------------------------------------- files -------------------- */

static bool is_printed(const char *path)
{
    return path && file_is_stdout(path);
}

/* Whole or not at all. What is printed ends with a line. */
static deer_status write_text(const char *path, char *text, size_t size, deer_error *err)
{
    deer_status status;

    if (!text)
        return deer_fail(err, "out of memory writing %s", path);
    status = file_write(path, text, size, err);
    if (!status && is_printed(path) && (!size || text[size - 1] != '\n'))
        putchar('\n');
    free(text);
    return status;
}

static deer_status write_json(const report *r, deer_error *err)
{
    char *text = report_json_text(r, true);

    return write_text(r->q->json, text, text ? strlen(text) : 0, err);
}

static deer_status write_csv(const report *r, deer_error *err)
{
    size_t size = 0;
    char *text = report_csv_text(r, &size);

    return write_text(r->q->csv, text, size, err);
}

static deer_status write_page(const report *r, deer_error *err)
{
    size_t size = 0;
    char *text = NULL;

    return page_text(r, &text, &size, err) ? DEER_FAILED : write_text(r->q->out, text, size, err);
}

static deer_status deliver(const report *r, deer_error *err)
{
    const question *q = r->q;
    deer_status status = DEER_OK;

    if (q->out)
        status = write_page(r, err);
    if (!status && q->csv)
        status = write_csv(r, err);
    if (!status && q->json)
        status = write_json(r, err);
    if (!status && !is_printed(q->out) && !is_printed(q->csv) && !is_printed(q->json))
        print_report(r);
    return status;
}

/* ---------------------------------------------------------------- tables ------------------- */

static deer_status write_table_page(const question *q, const json_t *json, deer_error *err)
{
    size_t size = 0;
    char *text = NULL;

    return table_page_text(json, &text, &size, err) ? DEER_FAILED
                                                    : write_text(q->out, text, size, err);
}

/* Of another policy's table: page, JSON, or a line for people. */
static deer_status answer_table(const question *q, deer_error *err)
{
    table_report r;
    json_t *json;
    deer_status status = table_report_make(q, &r, err);

    if (status)
        return status;
    json = table_report_json(q, &r);
    status = json_complete(err);
    if (!status && q->out)
        status = write_table_page(q, json, err);
    if (!status && q->json) {
        char *text = json_text(json_incref(json), JSON_INDENT(1) | JSON_REAL_PRECISION(6));

        status = write_text(q->json, text, text ? strlen(text) : 0, err);
    }
    if (!status && !is_printed(q->out) && !is_printed(q->json))
        printf("%s: %d episodes, %lld steps\n%s\n", q->table, r.p.s.episodes, (long long)r.p.s.n,
               json_string_value(json_object_get(json, "verdict")));
    json_decref(json);
    if (!status && r.recommended < 0)
        status = deer_fail_with(DEER_INFEASIBLE, err, "no budget of %s keeps a loss of %g",
                                q->table, r.max_loss);
    table_report_free(&r);
    return status;
}

/* ---------------------------------------------------------------- command ------------------ */

typedef struct {
    tool_progress bar;
    bool started;
} watch;

static void show(void *context, int pieces, int of)
{
    watch *w = context;

    if (!w->started)
        tool_progress_start(&w->bar, "frontier", "pieces", of);
    w->started = true;
    tool_progress_update(&w->bar, pieces);
    if (pieces == of)
        tool_progress_end(&w->bar);
}

int report_whatif_main(int argc, char **argv)
{
    static report r; /* several hundred kilobytes */
    const tool_command self = {.name = "deer-report whatif"};
    question q;
    deer_error err;
    deer_status status;
    watch w = {.started = false};
    int ended;

    if (question_parse(argc, argv, &q, &ended))
        return ended;
    q.progress = show;
    q.context = &w;
    status = q.out && !page_has_libraries()
                 ? deer_fail(&err,
                             "%s cannot be drawn: npm, which brings the page's libraries, was "
                             "missing when this program was built; install npm and run make "
                             "again (--json and --csv need none of it)",
                             q.out)
             : q.table ? answer_table(&q, &err)
                       : report_make(&q, &r, &err);
    if (status && w.started)
        tool_progress_end(&w.bar);
    if (!status && !q.table) {
        if (*r.success.warning)
            fprintf(stderr, "%s: warning: %s\n", self.name, r.success.warning);
        status = deliver(&r, &err);
        if (!status)
            status = report_verdict(&r, &err);
        report_free(&r);
    }
    question_free(&q);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}
