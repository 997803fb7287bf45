/* SPDX-License-Identifier: MIT */
/* page_tables.c - the tables of the page. */
#include "reports/page/page_tables.h"

#include <math.h>
#include <string.h>

#include "reports/answer/assumptions.h"
#include "reports/formats/text.h"
#include "runtime/base/tau.h"

/* ---------------------------------------------------------------- cells -------------------- */

/* A dash where unknown. */
static void number(FILE *out, double value)
{
    char text[TEXT_DIGITS];

    fputs(isfinite(value) ? text_digits(text, value, "") : "&ndash;", out);
}

/* Whole dollars. */
static void price_cell(FILE *out, double value)
{
    if (isfinite(value))
        fprintf(out, "<td class=n>%.0f</td>", value);
    else
        fputs("<td class=n>&ndash;</td>", out);
}

static void cell(FILE *out, double value)
{
    fputs("<td class=n>", out);
    number(out, value);
    fputs("</td>", out);
}

static void text_cell(FILE *out, const char *tag, const char *text)
{
    fprintf(out, "<%s>", tag);
    text_html(out, text);
    fprintf(out, "</%.2s>", tag);
}

/* "12.3 (10.1 to 15.0)" */
static void range_cell(FILE *out, deer_range x, double factor)
{
    fputs("<td class=n>", out);
    number(out, factor * x.expected);
    if (isfinite(x.expected)) {
        fputs(" <small>", out);
        number(out, factor * x.low);
        fputs(" to ", out);
        number(out, factor * x.high);
        fputs("</small>", out);
    }
    fputs("</td>", out);
}

static void interval_cell(FILE *out, double value, interval x)
{
    range_cell(out, (deer_range){x.low, value, x.high}, 1);
}

static void head(FILE *out, const char *caption, const char *const *title)
{
    fputs("<div class=scroll tabindex=0 role=region aria-label=\"", out);
    text_html(out, caption);
    fputs("\"><table><caption>", out);
    text_html(out, caption);
    fputs("</caption><thead><tr>", out);
    for (; *title; title++) {
        fputs("<th scope=col>", out);
        text_html(out, *title);
        fputs("</th>", out);
    }
    fputs("</tr></thead><tbody>", out);
}

static void foot(FILE *out)
{
    fputs("</tbody></table></div>\n", out);
}

static const deer_hardware *machine_of(const report *r, const fleet_answer *a)
{
    return &r->f.machine[r->f.option[a->option].machine];
}

/* "15W, bf16" */
static void setting_text(const report *r, const fleet_answer *a, char *text, size_t size)
{
    const deer_hardware *h = machine_of(r, a);

    snprintf(text, size, "%s%s%s", h->modes > 1 ? h->mode[r->f.option[a->option].mode].name : "",
             h->modes > 1 ? ", " : "", weight_dtype_name(r->q->dtype[a->dtype]));
}

/* ---------------------------------------------------------------- answer ------------------- */

static const char *model_words(const report *r)
{
    return r->mapped ? "a model of the published shape " : "the policy ";
}

void page_title(FILE *out, const report *r)
{
    fputs("Which computer for ", out);
    text_html(out, r->config.name);
    fputs("?", out);
}

static void demand(FILE *out, const report *r)
{
    char text[TEXT_DIGITS];

    if (!isnan(r->q->min_success))
        fprintf(out, ", succeeding in %s", text_digits(text, 100 * r->q->min_success, "%"));
    if (isfinite(r->f.max_loss))
        fprintf(out, " at an action loss of at most %s", text_digits(text, r->f.max_loss, ""));
    if (r->f.default_loss)
        fprintf(out, " (%g%% of what depth gains)", 100 * FLEET_KEEPS);
    if (!isnan(r->q->watts))
        fprintf(out, ", on %s on average", text_digits(text, r->q->watts, " W"));
    if (!isnan(r->q->memory))
        fprintf(out, ", in %s", text_digits(text, r->q->memory / 1e9, " GB"));
}

static void nearest(FILE *out, const report *r, const fleet_choice *c)
{
    char name[256];

    if (c->machines || c->nearest < 0)
        return;
    fleet_describe(&r->f, r->q, &r->f.answer[c->nearest], name, sizeof name);
    fputs(" The nearest is ", out);
    text_html(out, name);
    fputs("; ", out);
    text_html(out, r->f.answer[c->nearest].reason);
    fputs(".", out);
}

void page_lede(FILE *out, const report *r)
{
    for (int i = 0; i < r->q->rates; i++) {
        const fleet_choice *c = &r->f.choice[i];

        fprintf(out,
                "<p class=lede data-rate=%d><strong>At %g Hz, %d of %d machines</strong> run %s", i,
                r->q->rate[i], c->machines, r->f.machines, model_words(r));
        text_html(out, r->config.name);
        fputs(" in time", out);
        demand(out, r);
        if (c->machines)
            fprintf(out, "; %d, in some mode, also with every figure at its worst", c->sure);
        fputs(".", out);
        nearest(out, r, c);
        fputs("</p>\n", out);
    }
}

static void fact(FILE *out, const char *name, const char *value)
{
    fprintf(out, "<div><dt>%s</dt><dd>%s</dd></div>", name, value);
}

/* What is counted with a machine; NULL when nothing. */
static const char *on_top(const deer_hardware *h)
{
    return hardware_form_of(h->form)->around;
}

static void card_facts(FILE *out, const report *r, const fleet_answer *a)
{
    const deer_hardware *h = machine_of(r, a);
    double usd = fleet_price(r->q, h).expected;
    char text[TEXT_DIGITS];

    snprintf(text, sizeof text, isfinite(usd) ? "%.0f USD" : "unknown", usd);
    fputs("<dl>", out);
    fact(out, "Price", text);
    fact(out, "Average power", text_digits(text, a->at.watts.expected, " W"));
    fact(out, "Mean step", text_digits(text, 1e3 * a->at.seconds.expected, " ms"));
    snprintf(text, sizeof text, "%d of %d", a->deepest, r->w.exits - 1);
    fact(out, "Deepest exit", text);
    fputs("</dl>", out);
}

static void card(FILE *out, const report *r, const char *what, int answer)
{
    const fleet_answer *a;
    char setting[80];

    if (answer < 0)
        return;
    a = &r->f.answer[answer];
    setting_text(r, a, setting, sizeof setting);
    fprintf(out, "<article class=card><h3>%s</h3><p class=machine>", what);
    text_html(out, machine_of(r, a)->title);
    fputs("</p><p class=setting>", out);
    text_html(out, setting);
    fprintf(out, " <span class=\"verdict %s\">%s</span>", a->sure ? "yes" : "maybe",
            a->sure ? "also at worst" : "as expected");
    if (on_top(machine_of(r, a)))
        fprintf(out, "<br>with %s", on_top(machine_of(r, a)));
    fputs("</p>", out);
    card_facts(out, r, a);
    fprintf(out, "<button type=button class=try data-answer=%d>Look at it</button></article>\n",
            answer);
}

void page_cards(FILE *out, const report *r)
{
    for (int i = 0; i < r->q->rates; i++) {
        const fleet_choice *c = &r->f.choice[i];

        fprintf(out, "<div class=cards data-rate=%d>", i);
        if (c->machines)
            fprintf(out, "<p class=\"for static\">At %g Hz:</p>", r->q->rate[i]);
        card(out, r, "Cheapest", c->cheapest);
        card(out, r, "Lowest power", c->lowest_power);
        card(out, r, "Fastest", c->fastest);
        fputs("</div>\n", out);
    }
}

static void verdict_cell(FILE *out, const fleet_answer *a)
{
    const char *word = a->verdict == FLEET_MEETS ? a->sure ? "yes" : "as expected" : "no";

    fprintf(out, "<td><span class=\"verdict %s\">%s</span></td>",
            a->verdict == FLEET_MEETS ? a->sure ? "yes" : "maybe" : "no", word);
}

static void ranking_row(FILE *out, const report *r, int answer)
{
    const fleet_answer *a = &r->f.answer[answer];
    const deer_memory *m =
        &r->f.option[a->option].costs[a->dtype].memory[a->deepest < 0 ? 0 : a->deepest];
    char setting[80];

    setting_text(r, a, setting, sizeof setting);
    fprintf(out, "<tr data-machine=%d><th scope=row><button type=button class=pick data-answer=%d>",
            r->f.option[a->option].machine, answer);
    text_html(out, machine_of(r, a)->title);
    fputs("</button></th>", out);
    verdict_cell(out, a);
    text_cell(out, "td", setting);
    price_cell(out, fleet_price(r->q, machine_of(r, a)).expected);
    range_cell(out, a->at.seconds, 1e3);
    cell(out, 1e3 * a->at.p99.expected);
    cell(out, a->at.watts.expected);
    cell(out, a->at.joules.expected);
    cell(out, m->total.expected / 1e9);
    text_cell(out, "td class=why", a->reason);
    fputs("</tr>\n", out);
}

void page_ranking(FILE *out, const report *r)
{
    static const char *const title[] = {"Machine",    "Meets",
                                        "Mode, type", "Price, USD",
                                        "Mean, ms",   "99% within, ms",
                                        "Average, W", "Energy a step, J",
                                        "Memory, GB", "Why",
                                        NULL};

    for (int i = 0; i < r->q->rates; i++) {
        char caption[160];

        snprintf(caption, sizeof caption,
                 "Machines at %g Hz, each in its best mode and type at its own best budget",
                 r->q->rate[i]);
        fprintf(out, "<div class=ranking data-rate=%d>", i);
        head(out, caption, title);
        for (int m = 0; m < r->f.machines; m++)
            ranking_row(out, r, r->f.ranked[i * r->f.machines + m]);
        foot(out);
        fputs("</div>", out);
    }
}

/* ---------------------------------------------------------------- frontier ----------------- */

static void tau_cell(FILE *out, const sweep_point *x)
{
    fputs("<td class=n>", out);
    for (int k = 0; k < x->at.max_exit; k++) {
        if (tau_word(x->at.tau[k]))
            fputs(tau_word(x->at.tau[k]), out);
        else
            number(out, (double)x->at.tau[k]);
        fputs(" ", out);
    }
    fputs("always</td>", out);
}

static void fractions_cell(FILE *out, const sweep_point *x)
{
    fputs("<td class=n>", out);
    for (int k = 0; k <= x->at.max_exit; k++)
        fprintf(out, "%s%.0f", k ? " " : "", 100 * x->at.fraction[k]);
    fputs("</td>", out);
}

static void success_cell(FILE *out, const report *r, double cost)
{
    interval wilson;
    double value;

    success_at(&r->success, cost, &value, &wilson);
    range_cell(out, (deer_range){wilson.low, value, wilson.high}, 100);
}

void page_frontier(FILE *out, const report *r)
{
    const char *title[] = {"Budget, GFLOPs",
                           "Average, GFLOPs",
                           "of full depth, %",
                           "Loss (95% of bootstrap samples)",
                           "Official heuristic",
                           "No rule below",
                           "% of steps leaving at exits 0, 1, ..",
                           "Thresholds",
                           r->success.n ? "Success, % (95% interval)" : NULL,
                           NULL};
    int last = r->w.exits - 1;

    head(out, "Loss against the average budget, every exit allowed", title);
    for (int b = 0; b < r->w.budgets; b++) {
        const sweep_point *x = &r->w.frontier[last].ours[b];

        fprintf(out, "<tr%s>", b == r->recommended ? " class=chosen" : "");
        cell(out, r->w.budget[b]);
        cell(out, x->at.cost);
        cell(out, 100 * x->at.cost / r->w.fixed[last].at.cost);
        interval_cell(out, x->at.loss, x->loss_95);
        cell(out, r->w.has_official[b] ? r->w.official[b].at.loss : NAN);
        cell(out, r->w.frontier[last].oracle[b]);
        fractions_cell(out, x);
        tau_cell(out, x);
        if (r->success.n)
            success_cell(out, r, x->at.cost);
        fputs("</tr>\n", out);
    }
    foot(out);
}

void page_fixed(FILE *out, const report *r)
{
    static const char *const title[] = {"Exit",        "Decoder layer",    "LLM, GFLOPs",
                                        "All, GFLOPs", "Weights bf16, GB", "Loss (95% interval)",
                                        NULL};

    head(out, "Always the same exit", title);
    for (int k = 0; k < r->w.exits; k++) {
        deer_cost cost;

        deer_cost_of(&r->config, r->tokens, WEIGHT_BF16, &cost);
        fprintf(out, "<tr><th scope=row>%d</th><td class=n>%d</td>", k, r->config.exit_layers[k]);
        cell(out, r->w.fixed[k].at.llm);
        cell(out, r->w.fixed[k].at.total);
        cell(out, (double)cost.exit[k].weight_bytes / 1e9);
        interval_cell(out, r->w.fixed[k].at.loss, r->w.fixed[k].loss_95);
        fputs("</tr>\n", out);
    }
    foot(out);
}

/* ---------------------------------------------------------------- time and tasks ----------- */

static void exit_titles(char names[][24], const char **title, int exits)
{
    for (int k = 0; k < exits; k++) {
        snprintf(names[k], sizeof names[k], "Exit %d", k);
        *title++ = names[k];
    }
    *title = NULL;
}

void page_times(FILE *out, const report *r)
{
    char names[DEER_MAX_EXITS][24];
    const char *title[DEER_MAX_EXITS + 3] = {"Machine", "Mode, type"};

    exit_titles(names, title + 2, r->w.exits);
    head(out, "Milliseconds of a step that leaves at each exit (optimistic to pessimistic)", title);
    for (int m = 0; m < r->f.machines; m++) {
        const fleet_answer *a = &r->f.answer[r->f.ranked[m]];
        const fleet_costs *costs = &r->f.option[a->option].costs[a->dtype];
        char setting[80];

        setting_text(r, a, setting, sizeof setting);
        fputs("<tr>", out);
        text_cell(out, "th scope=row", machine_of(r, a)->title);
        text_cell(out, "td", setting);
        for (int k = 0; k < r->w.exits; k++)
            if (costs->known)
                range_cell(out, costs->latency.exit[k].total, 1e3);
            else
                fputs("<td class=n>unknown</td>", out);
        fputs("</tr>\n", out);
    }
    foot(out);
}

void page_tasks(FILE *out, const report *r)
{
    char names[DEER_MAX_EXITS][24];
    const char *title[DEER_MAX_EXITS + 5] = {"Task", "Episodes", "Steps", "Loss"};
    const task_sums *sums = report_sums(r, r->w.exits - 1, r->recommended);

    exit_titles(names, title + 4, r->w.exits);
    head(out, "Percent of each task's steps leaving at each exit, at the recommended budget",
         title);
    for (int t = 0; t < r->t.n; t++) {
        double n = fmax((double)r->t.row[t].steps, 1);

        fputs("<tr>", out);
        text_cell(out, "th scope=row", r->t.row[t].name);
        fprintf(out, "<td class=n>%d</td><td class=n>%lld</td>", r->t.row[t].episodes,
                (long long)r->t.row[t].steps);
        cell(out, sums[t].loss / n);
        for (int k = 0; k < r->w.exits; k++)
            fprintf(out, "<td class=n>%.0f</td>", 100 * (double)sums[t].count[k] / n);
        fputs("</tr>\n", out);
    }
    foot(out);
}

/* ---------------------------------------------------------------- trust -------------------- */

static void term(FILE *out, const char *name)
{
    fprintf(out, "<dt>%s</dt><dd>", name);
}

static void on_policy(FILE *out, const report *r)
{
    const sweep_point *x = &r->w.frontier[r->w.exits - 1].ours[r->recommended];

    term(out, "Its own history");
    if (r->trust.on_policy) {
        fputs("Under the history they make themselves, the recommended thresholds cost ", out);
        number(out, r->trust.own_cost);
        fputs(" GFLOPs (predicted ", out);
        number(out, x->at.cost);
        fputs(") at a loss of ", out);
        number(out, r->trust.own_loss);
        fputs(" (predicted ", out);
        number(out, x->at.loss);
        fputs(").", out);
    } else {
        fputs("Not looked at: give the policy with <code>--model</code>, or let "
              "<code>deer-calib solve</code> settle it.",
              out);
    }
    fputs("</dd>\n", out);
}

void page_trust(FILE *out, const report *r)
{
    term(out, "Data");
    fprintf(out, "%d episodes of %d %s, %lld steps; policy %.8s, demonstrations %.8s.</dd>\n",
            r->c->about.episodes, r->t.n, r->t.n == 1 ? "task" : "tasks", (long long)r->c->steps,
            r->c->about.model, r->c->about.demos);
    term(out, "Intervals");
    fprintf(out,
            "95%%, from %d bootstrap draws of whole episodes (seed %llu). Thresholds stay the same "
            "in every draw, though they were chosen on these episodes: for them it is the spread "
            "over episodes, and on others their loss is above it more often than one time in 40. "
            "Times have a range, not an interval: every figure of a machine at its best, and at "
            "its worst.</dd>\n",
            r->w.draws, (unsigned long long)r->q->seed);
    term(out, "Guarantee");
    fputs(r->trust.guaranteed ? "Budget and thresholds that a quarter of the episodes ask for, "
                                "tested on the others (as cached): "
                              : "None: ",
          out);
    text_html(out, r->trust.statement);
    fputs("</dd>\n", out);
    on_policy(out, r);
    term(out, "Drift");
    fputs("All this is about episodes like those recorded. Thresholds files of <code>deer-calib "
          "solve</code> carry what the drift watch of the runtime compares new episodes with; "
          "<code>deer-run episode --all</code> prints it.</dd>\n",
          out);
}

void page_assumptions(FILE *out, const report *r)
{
    char list[ASSUMPTIONS_MOST][ASSUMPTION_LENGTH];
    int n = assumptions_list(r, list);

    for (int i = 0; i < n; i++) {
        fputs("<li>", out);
        text_html(out, list[i]);
        fputs("</li>\n", out);
    }
}

static void figure_row(FILE *out, const char *what, const deer_figure *x, double factor,
                       const char *unit)
{
    fprintf(out, "<tr><th scope=row>%s</th><td class=n>", what);
    number(out, x->value * factor);
    fprintf(out, "</td><td>%s</td><td>", unit);
    text_html(out, x->assumed ? "assumed for its kind" : x->source);
    fputs("</td><td>", out);
    text_html(out, x->date);
    fputs("</td><td>", out);
    text_html(out, x->note);
    fputs("</td></tr>\n", out);
}

static void machine_sources(FILE *out, const deer_hardware *h)
{
    static const char *const title[] = {"Figure", "Value", "Unit", "Source", "Date", "Note", NULL};

    fputs("<details class=source><summary>", out);
    text_html(out, h->title);
    fprintf(out, "</summary><p>Kind: %s, %s.", hardware_kind_name(h->kind),
            h->measured ? "measured on the machine itself" : "from documents");
    fputs(" ", out);
    text_html(out, h->note);
    fputs("</p>", out);
    head(out, h->title, title);
    for (int d = 0; d < WEIGHT_DTYPES; d++) {
        char what[32];

        snprintf(what, sizeof what, "Peak %s", weight_dtype_name((weight_dtype)d));
        figure_row(out, what, &h->peak[d], 1e-9, "GFLOP/s (2 a multiply-add)");
    }
    figure_row(out, "Bandwidth", &h->bandwidth, 1e-9, "GB/s");
    figure_row(out, "Memory", &h->memory, 1e-9, "GB");
    figure_row(out, "System's share", &h->reserved, 1e-9, "GB");
    figure_row(out, "Idle power", &h->idle_watts, 1, "W");
    figure_row(out, "Price", &h->price, 1, "USD");
    for (int m = 0; m < h->modes; m++) {
        fputs("<tr><th scope=row>Power, ", out);
        text_html(out, h->mode[m].name);
        fputs("</th><td class=n>", out);
        number(out, h->mode[m].watts.value);
        fputs("</td><td>W</td><td>", out);
        text_html(out, h->mode[m].watts.source);
        fputs("</td><td>", out);
        text_html(out, h->mode[m].watts.date);
        fputs("</td><td>", out);
        text_html(out, h->mode[m].watts.note);
        fputs("</td></tr>\n", out);
    }
    foot(out);
    fputs("</details>\n", out);
}

void page_sources(FILE *out, const report *r)
{
    for (int i = 0; i < r->f.machines; i++)
        machine_sources(out, &r->f.machine[i]);
}
