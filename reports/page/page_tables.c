/* SPDX-License-Identifier: MIT */
/* page_tables.c - the page's sentences, lists and tables, from the report's JSON. */
#include "reports/page/page_tables.h"

#include <math.h>
#include <string.h>

#include "reports/formats/text.h"

/* ---------------------------------------------------------------- look-ups ----------------- */

static const json_t *get(const json_t *object, const char *key)
{
    return json_object_get(object, key);
}

static const json_t *item(const json_t *list, int i)
{
    return json_array_get(list, (size_t)i);
}

static int count(const json_t *list)
{
    return (int)json_array_size(list);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(get(object, key));

    return text ? text : "";
}

static double number_of(const json_t *value)
{
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static const json_t *last_of(const json_t *list)
{
    return item(list, count(list) - 1);
}

/* ---------------------------------------------------------------- cells -------------------- */

static void number(FILE *out, double value)
{
    char text[TEXT_DIGITS];

    fputs(isfinite(value) ? text_digits(text, value, "") : "&ndash;", out);
}

static void number_cell(FILE *out, double value)
{
    fputs("<td class=n>", out);
    number(out, value);
    fputs("</td>", out);
}

static void text_cell(FILE *out, const char *text)
{
    fputs("<td>", out);
    text_html(out, text);
    fputs("</td>", out);
}

static void row_title(FILE *out, const char *text)
{
    fputs("<tr><th scope=row>", out);
    text_html(out, text);
    fputs("</th>", out);
}

/* "12.3 (10.1 to 15.0)", of [low, value, high] or of a value and [low, high]. */
static void range_cell(FILE *out, double low, double value, double high)
{
    fputs("<td class=n>", out);
    number(out, value);
    if (isfinite(value)) {
        fputs(" <small>", out);
        number(out, low);
        fputs(" to ", out);
        number(out, high);
        fputs("</small>", out);
    }
    fputs("</td>", out);
}

static void triple_cell(FILE *out, const json_t *x)
{
    range_cell(out, number_of(item(x, 0)), number_of(item(x, 1)), number_of(item(x, 2)));
}

static void interval_cell(FILE *out, const json_t *value, const json_t *x)
{
    range_cell(out, number_of(item(x, 0)), number_of(value), number_of(item(x, 1)));
}

/* Opens a table; titles end with NULL. */
static void head(FILE *out, const char *caption, const char *const *title)
{
    fputs("<div class=scroll tabindex=0 role=region aria-label=\"", out);
    text_html(out, caption);
    fputs("\"><table><caption>", out);
    text_html(out, caption);
    fputs("</caption><thead><tr>", out);
    for (; *title; title++)
        fprintf(out, "<th scope=col>%s</th>", *title);
    fputs("</tr></thead><tbody>", out);
}

static void foot(FILE *out)
{
    fputs("</tbody></table></div>\n", out);
}

/* ---------------------------------------------------------------- answer ------------------- */

static void title(FILE *out, const json_t *r)
{
    fputs("Which computer for ", out);
    text_html(out, text_of(get(r, "model"), "name"));
    fputs("?", out);
}

static void subtitle(FILE *out, const json_t *r)
{
    const json_t *cache = get(r, "cache");

    text_html(out, text_of(cache, "folder"));
    fprintf(out, ": %lld episodes, %lld steps of policy ",
            (long long)json_integer_value(get(cache, "episodes")),
            (long long)json_integer_value(get(cache, "steps")));
    text_html(out, text_of(cache, "policy"));
    if (json_is_true(get(get(r, "model"), "published_shape"))) {
        fputs("; costs of the published shape ", out);
        text_html(out, text_of(get(r, "model"), "name"));
    }
}

/* The answer at each rate. */
static void verdicts(FILE *out, const json_t *r)
{
    const json_t *choices = get(r, "choices");

    for (int i = 0; i < count(choices); i++) {
        fputs("<p class=verdict-line>", out);
        text_html(out, text_of(item(choices, i), "verdict"));
        fputs("</p><p class=lede>", out);
        text_html(out, text_of(item(choices, i), "more"));
        fputs("</p>\n", out);
    }
}

static const char *verdict_word(const json_t *answer)
{
    const char *verdict = text_of(answer, "verdict");

    if (!strcmp(verdict, "meets"))
        return json_is_true(get(answer, "sure")) ? "yes, also at worst" : "as expected";
    return !strcmp(verdict, "runtime") || !strcmp(verdict, "cannot") ? "left out" : "no";
}

static void ranking_row(FILE *out, const json_t *r, const json_t *answer)
{
    const json_t *option = item(get(r, "options"), (int)json_integer_value(get(answer, "option")));
    const json_t *machine =
        item(get(r, "machines"), (int)json_integer_value(get(option, "machine")));

    row_title(out, text_of(machine, "title"));
    text_cell(out, verdict_word(answer));
    text_cell(out, text_of(machine, "support_words"));
    text_cell(out, text_of(option, "mode"));
    text_cell(out, text_of(answer, "dtype"));
    triple_cell(out, get(machine, "price_usd"));
    triple_cell(out, get(answer, "ms"));
    triple_cell(out, get(answer, "watts"));
    text_cell(out, text_of(answer, "reason"));
    fputs("</tr>\n", out);
}

static void ranking(FILE *out, const json_t *r)
{
    static const char *const titles[] = {
        "Machine",       "Meets",         "Deer", "Mode", "Type", "USD, whole computer",
        "ms on average", "W at the wall", "Why",  NULL};
    const json_t *choices = get(r, "choices");

    for (int i = 0; i < count(choices); i++) {
        const json_t *list = get(item(choices, i), "ranking");
        char caption[160];

        snprintf(caption, sizeof caption,
                 "Machines at %g Hz, each in its best mode and type at its own best budget",
                 number_of(get(item(choices, i), "rate_hz")));
        head(out, caption, titles);
        for (int m = 0; m < count(list); m++)
            ranking_row(out, r, item(get(r, "answers"), (int)json_integer_value(item(list, m))));
        foot(out);
    }
}

/* ---------------------------------------------------------------- frontier ----------------- */

/* Thresholds or shares, one behind the other. */
static void list_cell(FILE *out, const json_t *list, double factor, const char *last)
{
    fputs("<td class=n>", out);
    for (int k = 0; k < count(list); k++) {
        const json_t *x = item(list, k);

        fputs(k ? " " : "", out);
        if (json_is_string(x))
            fputs(json_string_value(x), out);
        else if (json_is_null(x))
            fputs(last, out);
        else
            number(out, factor * number_of(x));
    }
    fputs("</td>", out);
}

static void frontier(FILE *out, const json_t *r)
{
    static const char *const titles[] = {"Budget, GFLOPs",
                                         "Average, GFLOPs",
                                         "Loss (95% of bootstrap samples)",
                                         "Official heuristic",
                                         "No rule below",
                                         "% of steps leaving at exits 0, 1, ..",
                                         "Thresholds",
                                         "Success, where judged (95%)",
                                         NULL};
    const json_t *last = last_of(get(r, "frontiers")), *points = get(last, "points");

    head(out, "Loss against the average budget, every exit allowed", titles);
    for (int b = 0; b < count(points); b++) {
        const json_t *x = item(points, b);

        fprintf(out, "<tr%s>",
                b == json_integer_value(get(r, "recommended_budget")) ? " class=chosen" : "");
        number_cell(out, number_of(item(get(r, "budgets_gflops"), b)));
        number_cell(out, number_of(get(x, "cost_gflops")));
        interval_cell(out, get(x, "loss"), get(x, "loss_95"));
        number_cell(out, number_of(get(item(get(r, "official"), b), "loss")));
        number_cell(out, number_of(item(get(last, "oracle_loss"), b)));
        list_cell(out, get(x, "exit_fractions"), 100, "");
        list_cell(out, get(x, "tau"), 1, "always");
        interval_cell(out, get(x, "success"), get(x, "success_95"));
        fputs("</tr>\n", out);
    }
    foot(out);
}

static void fixed(FILE *out, const json_t *r)
{
    static const char *const titles[] = {"Exit",        "Decoder layer",       "LLM, GFLOPs",
                                         "All, GFLOPs", "Loss (95% interval)", NULL};
    const json_t *exits = get(r, "exits");

    head(out, "Always the same exit", titles);
    for (int k = 0; k < count(exits); k++) {
        const json_t *x = item(exits, k);

        fprintf(out, "<tr><th scope=row>%d</th>", k);
        number_cell(out, number_of(get(x, "layer")));
        number_cell(out, number_of(get(x, "llm_gflops")));
        number_cell(out, number_of(get(x, "total_gflops")));
        interval_cell(out, get(x, "loss"), get(x, "loss_95"));
        fputs("</tr>\n", out);
    }
    foot(out);
}

static void tasks(FILE *out, const json_t *r)
{
    static const char *const titles[] = {"Task", "Episodes", "Steps",
                                         "Steps leaving at exits 0, 1, ..", NULL};
    const json_t *list = get(r, "tasks");
    const json_t *point = item(get(last_of(get(r, "frontiers")), "points"),
                               (int)json_integer_value(get(r, "recommended_budget")));

    head(out, "Where each task's steps leave, at the recommended budget", titles);
    for (int t = 0; t < count(list); t++) {
        row_title(out, text_of(item(list, t), "name"));
        number_cell(out, number_of(get(item(list, t), "episodes")));
        number_cell(out, number_of(get(item(list, t), "steps")));
        list_cell(out, item(get(point, "task_counts"), t), 1, "");
        fputs("</tr>\n", out);
    }
    foot(out);
}

/* ---------------------------------------------------------------- trust -------------------- */

static void notes(FILE *out, const json_t *r)
{
    const json_t *list = get(get(r, "trust"), "notes");

    for (int i = 0; i < count(list); i++) {
        fputs("<dt>", out);
        text_html(out, text_of(item(list, i), "name"));
        fputs("</dt><dd>", out);
        text_html(out, text_of(item(list, i), "text"));
        fputs("</dd>\n", out);
    }
}

static void assumptions(FILE *out, const json_t *r)
{
    const json_t *list = get(get(r, "trust"), "assumptions");

    for (int i = 0; i < count(list); i++) {
        fputs("<li>", out);
        text_html(out, json_string_value(item(list, i)));
        fputs("</li>\n", out);
    }
}

static void figure_row(FILE *out, const char *what, const json_t *x)
{
    row_title(out, what);
    range_cell(out, number_of(get(x, "low")), number_of(get(x, "value")),
               number_of(get(x, "high")));
    text_cell(out, text_of(x, "unit"));
    text_cell(out, json_is_true(get(x, "assumed")) ? "assumed for its kind" : text_of(x, "source"));
    text_cell(out, text_of(x, "date"));
    text_cell(out, text_of(x, "note"));
    fputs("</tr>\n", out);
}

static void machine_sources(FILE *out, const json_t *machine)
{
    static const char *const titles[] = {"Figure", "Value", "Unit", "Source", "Date", "Note", NULL};
    const json_t *figures = get(machine, "figures"), *modes = get(machine, "modes");

    fputs("<details class=source><summary>", out);
    text_html(out, text_of(machine, "title"));
    fputs("</summary><p>", out);
    text_html(out, text_of(machine, "support_words"));
    fputs(". ", out);
    text_html(out, text_of(machine, "unsupported"));
    text_html(out, text_of(machine, "cannot"));
    fputs(" ", out);
    text_html(out, text_of(machine, "note"));
    fputs("</p>", out);
    head(out, text_of(machine, "title"), titles);
    for (void *i = json_object_iter((json_t *)(uintptr_t)figures); i;
         i = json_object_iter_next((json_t *)(uintptr_t)figures, i))
        figure_row(out, json_object_iter_key(i), json_object_iter_value(i));
    for (int m = 0; m < count(modes); m++)
        figure_row(out, text_of(item(modes, m), "name"), get(item(modes, m), "watts"));
    foot(out);
    fputs("</details>\n", out);
}

static void sources(FILE *out, const json_t *r)
{
    for (int i = 0; i < count(get(r, "machines")); i++)
        machine_sources(out, item(get(r, "machines"), i));
}

bool page_table(FILE *out, const json_t *report, const char *name, size_t length)
{
    static const struct {
        const char *name;
        void (*write)(FILE *out, const json_t *report);
    } parts[] = {{"title", title},     {"subtitle", subtitle}, {"verdicts", verdicts},
                 {"ranking", ranking}, {"frontier", frontier}, {"fixed", fixed},
                 {"tasks", tasks},     {"notes", notes},       {"assumptions", assumptions},
                 {"sources", sources}};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strlen(parts[i].name) == length && !memcmp(parts[i].name, name, length)) {
            parts[i].write(out, report);
            return true;
        }
    return false;
}
