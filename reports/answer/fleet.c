/* SPDX-License-Identifier: MIT */
/* fleet.c - machines: loading, costs, answers, choices. */
#include "reports/answer/fleet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/formats/text.h"
#include "runtime/deer_replay.h"

const char *fleet_verdict_name(fleet_verdict verdict)
{
    static const char *const name[] = {"meets",   "unknown", "memory",  "rate",  "loss",
                                       "success", "power",   "runtime", "cannot"};

    return name[verdict];
}

/* ---------------------------------------------------------------- machines ----------------- */

/* Adds the last machine loaded, unless it is there already; its index. */
static int settle_machine(fleet *f)
{
    const deer_hardware *loaded = &f->machine[f->machines];

    for (int i = 0; i < f->machines; i++)
        if (!strcmp(f->machine[i].name, loaded->name) &&
            !strcmp(f->machine[i].loaded_from, loaded->loaded_from))
            return i;
    return f->machines++;
}

/* "15W, 7W", for messages. */
static const char *mode_names(const deer_hardware *h, char *text, size_t size)
{
    int n = 0;

    for (int m = 0; m < h->modes && n < (int)size; m++)
        n += snprintf(text + n, size - (size_t)n, "%s%s", m ? ", " : "", h->mode[m].name);
    return text;
}

/* "NAME" or "NAME:MODE" or "FILE.json": its machine, and wanted[machine] of its modes. */
static deer_status add_machine(fleet *f, const char *name, bool (*wanted)[HARDWARE_MAX_MODES],
                               deer_error *err)
{
    deer_hardware *hardware = &f->machine[f->machines];
    const char *colon = strrchr(name, ':');
    char base[512], modes_there[256];
    int only = -1, modes, machine;

    snprintf(base, sizeof base, "%.*s", colon ? (int)(colon - name) : (int)strlen(name), name);
    if (deer_hardware_load(base, hardware, err))
        return DEER_FAILED;
    if (colon && (only = deer_hardware_mode(hardware, colon + 1)) < 0)
        return deer_fail_with(DEER_USAGE, err, "%s has no power mode '%s'; it has %s", base,
                              colon + 1, mode_names(hardware, modes_there, sizeof modes_there));
    modes = hardware->modes;
    machine = settle_machine(f);
    for (int m = 0; m < modes; m++)
        wanted[machine][m] |= only < 0 || m == only;
    return DEER_OK;
}

/* Whether a machine that ships is of the classes asked for; read into `room`. */
static bool of_classes(const question *q, const char *name, deer_hardware *room)
{
    deer_error ignored;

    return !deer_hardware_load(name, room, &ignored) &&
           q->classes[hardware_form_of(room->form)->class];
}

/* "all" of the classes asked for, or one machine. */
static deer_status add_item(const question *q, fleet *f, const char *item,
                            bool (*wanted)[HARDWARE_MAX_MODES], deer_error *err)
{
    deer_status status = DEER_OK;

    if (strcmp(item, "all"))
        return add_machine(f, item, wanted, err);
    for (int i = 0; i < deer_hardware_count() && !status; i++)
        if (of_classes(q, deer_hardware_name(i), &f->machine[f->machines]))
            status = add_machine(f, deer_hardware_name(i), wanted, err);
    return status;
}

static bool is_there(const fleet *f, const char *name)
{
    for (int i = 0; i < f->machines; i++)
        if (!strcmp(f->machine[i].name, name))
            return true;
    return false;
}

/* What "all" would have named besides, had every class been asked for. */
static void count_unasked(const question *q, fleet *f)
{
    deer_hardware *room = &f->machine[f->machines];
    bool all = false;

    for (int i = 0; i < q->machines; i++)
        all |= !strcmp(q->machine[i], "all");
    for (int i = 0; i < deer_hardware_count() && all; i++)
        if (!of_classes(q, deer_hardware_name(i), room) && !is_there(f, deer_hardware_name(i)))
            f->unasked[hardware_form_of(room->form)->class]++;
}

/* Every machine once, whatever the list repeats, and an option for each of its modes asked for. */
static deer_status load_machines(const question *q, fleet *f, deer_error *err)
{
    size_t most = (size_t)(q->machines + deer_hardware_count() + 1); /* one is loaded in vain */
    bool(*wanted)[HARDWARE_MAX_MODES] = calloc(most, sizeof *wanted);
    deer_status status = DEER_OK;

    f->machine = calloc(most, sizeof *f->machine);
    f->option = calloc(most * HARDWARE_MAX_MODES, sizeof *f->option);
    f->ranked = calloc(most * (size_t)q->rates, sizeof *f->ranked);
    if (!wanted || !f->machine || !f->option || !f->ranked)
        status = deer_fail(err, "out of memory for %zu machines", most);
    for (int i = 0; i < q->machines && !status; i++)
        status = add_item(q, f, q->machine[i], wanted, err);
    if (!status)
        count_unasked(q, f);
    for (int i = 0; i < f->machines * HARDWARE_MAX_MODES && !status; i++)
        if (wanted[i / HARDWARE_MAX_MODES][i % HARDWARE_MAX_MODES])
            f->option[f->options++] =
                (fleet_option){.machine = i / HARDWARE_MAX_MODES, .mode = i % HARDWARE_MAX_MODES};
    free(wanted);
    return status;
}

deer_load fleet_load(const question *q, int tokens, weight_dtype dtype)
{
    const question_load *l = &q->load;
    deer_load load = deer_load_of(l->tokens ? l->tokens : tokens, dtype);
    weight_dtype *const part[STAGE_KINDS] = {&load.vision, &load.resampler, &load.decoder,
                                             &load.head};

    load.cameras = l->cameras ? l->cameras : load.cameras;
    for (int s = 0; s < STAGE_KINDS; s++)
        if (l->has_part[s])
            *part[s] = l->part[s];
    return load;
}

deer_config fleet_config(const question *q, const deer_config *config)
{
    deer_config c = *config;

    if (q->load.image_size)
        c.image_size = q->load.image_size;
    return c;
}

static double steps_a_second(const question *q, int rate)
{
    return q->rate[rate] * q->robots;
}

double fleet_period(const question *q, int rate)
{
    double period = 1 / steps_a_second(q, rate);

    return q->deadline > 0 && q->deadline < period ? q->deadline : period;
}

const char *fleet_limit(const question *q, int rate)
{
    if (fleet_period(q, rate) < 1 / steps_a_second(q, rate))
        return "deadline";
    return q->robots > 1 ? "share of the period" : "period";
}

/* Memory with a deepest exit; older encodings are kept besides, and each robot has a session. */
static void fill_memory(const deer_hardware *hardware, const deer_config *c, const deer_load *load,
                        bool reuses, int robots, int k, deer_memory *m)
{
    uint64_t kept = reuses ? (uint64_t)deer_session_need_reuse(c) : 0, more;

    deer_memory_of_load(hardware, c, load, k, m);
    more = kept + (uint64_t)(robots - 1) * (m->activations + kept);
    m->activations += more;
    m->total = deer_range_add(m->total, (deer_range){(double)more, (double)more, (double)more});
}

static void fill_costs(const question *q, const deer_config *config, int tokens, const sweep *w,
                       fleet *f, fleet_option *o)
{
    const deer_hardware *hardware = &f->machine[o->machine];
    deer_config c = fleet_config(q, config);

    for (int d = 0; d < q->dtypes; d++) {
        fleet_costs *costs = &o->costs[d];
        deer_load load = fleet_load(q, tokens, q->dtype[d]);
        deer_error err;

        costs->allowed_known =
            !deer_latency_of_load(hardware, o->mode, &c, &load, &costs->allowed, &err);
        costs->latency = costs->allowed;
        costs->known =
            costs->allowed_known &&
            !deer_runtime_latency(hardware, q->runtime, o->mode, &c, &load, &costs->latency, &err);
        if (!costs->known)
            snprintf(costs->unknown, sizeof costs->unknown, "%.319s", err.message);
        for (int k = 0; k < c.exits; k++) {
            costs->longest[k] = deer_latency_step(&costs->latency, w->reuses ? w->encodings : 2, k);
            fill_memory(hardware, &c, &load, w->reuses, q->robots, k, &costs->memory[k]);
        }
    }
}

/* ---------------------------------------------------------------- points ------------------- */

static const fleet_point nothing = {
    {NAN, NAN, NAN}, {NAN, NAN, NAN}, {NAN, NAN, NAN}, {NAN, NAN, NAN}};

hardware_form_facts fleet_around(const question *q, const deer_hardware *hardware)
{
    hardware_form_facts around = *hardware_form_of(hardware->form);
    bool bare = hardware->form == FORM_CARD || hardware->form == FORM_SERVER;

    if (bare && !isnan(q->host_price))
        around.price = (form_span){q->host_price, q->host_price, q->host_price};
    if (bare && !isnan(q->host_watts))
        around.watts = (form_span){q->host_watts, q->host_watts, q->host_watts};
    return around;
}

static deer_range add_span(deer_range x, const form_span *s, double times)
{
    return (deer_range){x.low + times * s->low, x.expected + times * s->value,
                        x.high + times * s->high};
}

deer_range fleet_price(const question *q, const deer_hardware *h)
{
    hardware_form_facts around = fleet_around(q, h);

    return add_span((deer_range){h->price.low, h->price.value, h->price.high}, &around.price, 1);
}

/* From what a machine takes to what the whole computer takes at the wall. */
static void add_surroundings(const question *q, const deer_hardware *h, fleet_point *at)
{
    hardware_form_facts around = fleet_around(q, h);
    deer_range host = {around.watts.low * at->seconds.low,
                       around.watts.value * at->seconds.expected,
                       around.watts.high * at->seconds.high};

    at->joules = deer_range_scale(deer_range_add(at->joules, host), 1 / around.supply);
    at->watts = deer_range_scale(add_span(at->watts, &around.watts, 1), 1 / around.supply);
}

deer_range fleet_joules(const question *q, const deer_hardware *h, const deer_exit_time *exit)
{
    fleet_point at = {.seconds = exit->total, .joules = exit->joules};

    add_surroundings(q, h, &at);
    return at.joules;
}

/* Where every step encodes every camera. */
static deer_step_mix mix_of(const sweep *w, const sweep_point *x)
{
    deer_step_mix mix = x->mix;

    if (!w->reuses)
        for (int k = 0; k <= x->at.max_exit; k++)
            mix.share[2][k] = x->at.fraction[k];
    return mix;
}

/* Joules of a step that encodes so many cameras: as much a second as one that encodes all. */
static deer_range joules_of(const deer_latency *l, int encodings, int k)
{
    deer_range all = l->exit[k].total, some = deer_latency_step(l, encodings, k);
    deer_range joules = l->exit[k].joules;

    return (deer_range){joules.low * some.low / all.low,
                        joules.expected * some.expected / all.expected,
                        joules.high * some.high / all.high};
}

static deer_range mean_joules(const deer_latency *l, const deer_step_mix *mix)
{
    deer_range sum = {0, 0, 0};

    for (int n = 0; n < 3; n++)
        for (int k = 0; k < l->exits; k++)
            if (mix->share[n][k] > 0)
                sum = deer_range_add(sum, deer_range_scale(joules_of(l, n, k), mix->share[n][k]));
    return sum;
}

/* What a sweep point does on an option. */
static fleet_point point_of(const question *q, const sweep *w, const deer_hardware *hardware,
                            const fleet_costs *costs, const sweep_point *x, double rate)
{
    deer_step_mix mix = mix_of(w, x);
    fleet_point at = {.seconds = deer_latency_mean(&costs->latency, &mix),
                      .p99 = deer_latency_p99(&costs->latency, &mix),
                      .joules = mean_joules(&costs->latency, &mix)};

    at.watts = deer_power_at(hardware, rate, at.seconds, at.joules);
    add_surroundings(q, hardware, &at);
    return at;
}

/* ---------------------------------------------------------------- answers ------------------ */

typedef struct {
    const question *q;
    const sweep *w;
    const success_curve *success;
    fleet *f;
} asker;

/* Counts a demand that is missed by a factor. True when no other one is missed by as much: the
 * caller then writes the reason. */
static bool misses(fleet_answer *a, fleet_verdict verdict, double factor)
{
    if (a->verdict != FLEET_MEETS && !(factor > a->lacking))
        return false;
    a->verdict = verdict;
    a->lacking = factor;
    return true;
}

static double policy_bytes(const deer_memory *m)
{
    return (double)(m->weights + m->activations);
}

static void say_no_memory(const asker *j, const deer_memory *m, fleet_answer *a)
{
    double needs = policy_bytes(m), total = m->total.expected;
    char takes[TEXT_DIGITS], has[TEXT_DIGITS];

    if (needs > j->q->memory && misses(a, FLEET_MEMORY, needs / j->q->memory))
        snprintf(a->reason, sizeof a->reason,
                 "memory: the first exit alone takes %s, more than the %s allowed",
                 text_digits(takes, needs / 1e9, " GB"),
                 text_digits(has, j->q->memory / 1e9, " GB"));
    if (total > m->available && misses(a, FLEET_MEMORY, total / m->available))
        snprintf(a->reason, sizeof a->reason,
                 "memory: the first exit takes %s with the system's share, the machine has %s",
                 text_digits(takes, total / 1e9, " GB"),
                 text_digits(has, m->available / 1e9, " GB"));
}

/* Deepest exit whose memory fits, -1: none. */
static int fits_memory(const asker *j, const fleet_costs *costs)
{
    int deepest = -1;

    for (int k = 0; k < j->w->exits; k++)
        if (costs->memory[k].total.expected <= costs->memory[k].available &&
            !(policy_bytes(&costs->memory[k]) > j->q->memory))
            deepest = k;
    return deepest;
}

static void say_too_slow(const asker *j, const fleet_costs *costs, fleet_answer *a)
{
    const deer_range *first = &costs->longest[0];
    char text[4][TEXT_DIGITS];

    if (misses(a, FLEET_RATE, first->expected / fleet_period(j->q, a->rate)))
        snprintf(a->reason, sizeof a->reason,
                 "rate: even the first exit takes %s (%s to %s), the %s is %s",
                 text_digits(text[0], 1e3 * first->expected, " ms"),
                 text_digits(text[1], 1e3 * first->low, ""),
                 text_digits(text[2], 1e3 * first->high, ""), fleet_limit(j->q, a->rate),
                 text_digits(text[3], 1e3 * fleet_period(j->q, a->rate), " ms"));
}

static void choose_exit(const asker *j, const fleet_costs *costs, fleet_answer *a)
{
    double period = fleet_period(j->q, a->rate);
    int roomy = fits_memory(j, costs);

    for (int k = 0; k <= roomy; k++)
        if (costs->longest[k].expected <= period)
            a->deepest = k;
    if (roomy < 0)
        say_no_memory(j, &costs->memory[0], a);
    if (!(costs->longest[0].expected <= period))
        say_too_slow(j, costs, a);
}

/* What keeps exit k from being deeper, for reasons. */
static const char *what_limits(const asker *j, const fleet_costs *costs, const fleet_answer *a,
                               int k)
{
    if (k == j->w->exits - 1)
        return "even at full depth";
    return costs->longest[k + 1].expected > fleet_period(j->q, a->rate)
               ? "as deep as the rate allows"
               : "as deep as memory allows";
}

/* Success of a point with a type of weights; NaN when no policy of that type was judged. */
static double success_with(const success_curve *success, const question *q, int dtype,
                           const sweep_point *x)
{
    interval ignored;
    double value;

    if (success->n && success->dtype != (int)q->dtype[dtype])
        return NAN;
    success_at(success, x->at.cost, &value, &ignored);
    return value;
}

static double success_of(const asker *j, const fleet_answer *a, const sweep_point *x)
{
    return success_with(j->success, j->q, a->dtype, x);
}

static void say_loses(const asker *j, const char *limit, int k, double loss, fleet_answer *a)
{
    char text[2][TEXT_DIGITS];

    if (misses(a, FLEET_LOSS, loss / fmax(j->f->max_loss, 1e-9)))
        snprintf(a->reason, sizeof a->reason, "loss: %s (exit %d) it is %s, more than %s", limit, k,
                 text_digits(text[0], loss, ""), text_digits(text[1], j->f->max_loss, ""));
}

/* The shallowest exit beyond the deepest one in time that would keep the loss and fits; -1: none.
 */
static int exit_needed(const asker *j, const fleet_costs *costs, const fleet_answer *a)
{
    for (int k = a->deepest + 1; k <= fits_memory(j, costs); k++)
        if (sweep_cheapest(j->w, k, j->f->max_loss) >= 0)
            return k;
    return -1;
}

/* The exit that the loss needs ends too late. */
static void say_too_deep(const asker *j, const fleet_costs *costs, int k, fleet_answer *a)
{
    const deer_range *step = &costs->longest[k];
    char text[4][TEXT_DIGITS];

    if (misses(a, FLEET_RATE, step->expected / fleet_period(j->q, a->rate)))
        snprintf(a->reason, sizeof a->reason,
                 "rate: exit %d, which the loss asked for needs, takes %s (%s to %s), the %s is %s",
                 k, text_digits(text[0], 1e3 * step->expected, " ms"),
                 text_digits(text[1], 1e3 * step->low, ""),
                 text_digits(text[2], 1e3 * step->high, ""), fleet_limit(j->q, a->rate),
                 text_digits(text[3], 1e3 * fleet_period(j->q, a->rate), " ms"));
}

static void say_fails(const asker *j, const char *limit, int k, double success, fleet_answer *a)
{
    char text[2][TEXT_DIGITS];

    if (j->success->dtype != (int)j->q->dtype[a->dtype]) {
        if (misses(a, FLEET_SUCCESS, INFINITY))
            snprintf(a->reason, sizeof a->reason, "success: not judged with %s weights",
                     weight_dtype_name(j->q->dtype[a->dtype]));
        return;
    }
    if (misses(a, FLEET_SUCCESS,
               isnan(success) ? INFINITY : j->q->min_success / fmax(success, 1e-9)))
        snprintf(a->reason, sizeof a->reason, "success: %s (exit %d) it is %s, less than %s", limit,
                 k, text_digits(text[0], 100 * success, "%"),
                 text_digits(text[1], 100 * j->q->min_success, "%"));
}

/* The cheapest budget that keeps what is asked, with exits up to the deepest. A machine that cannot
 * take even the first exit is asked whether any other one could. */
static void choose_budget(const asker *j, const fleet_costs *costs, fleet_answer *a)
{
    int k = a->deepest < 0 ? j->w->exits - 1 : a->deepest;
    const sweep_frontier *frontier = &j->w->frontier[k];
    const sweep_point *last = &frontier->ours[j->w->budgets - 1];
    const char *limit = what_limits(j, costs, a, k);
    int b = sweep_cheapest(j->w, k, j->f->max_loss);

    if (b < 0) {
        int needed = a->deepest < 0 ? -1 : exit_needed(j, costs, a);

        if (needed >= 0)
            say_too_deep(j, costs, needed, a);
        else
            say_loses(j, limit, k, last->at.loss, a);
        b = 0;
    }
    if (!isnan(j->q->min_success))
        while (b < j->w->budgets && !(success_of(j, a, &frontier->ours[b]) >= j->q->min_success))
            b++;
    if (b == j->w->budgets)
        say_fails(j, limit, k, success_of(j, a, last), a);
    if (a->verdict == FLEET_MEETS)
        a->budget = b;
}

/* Power at the operating point, or, without one, the least there is: every step at the first exit.
 */
static void check_power(const asker *j, const deer_hardware *hardware, const fleet_costs *costs,
                        fleet_answer *a)
{
    static const sweep_point first = {.at.fraction = {1}};
    bool chosen = a->budget >= 0;
    double limit = j->q->watts;
    deer_range watts =
        chosen ? a->at.watts
               : point_of(j->q, j->w, hardware, costs, &first, steps_a_second(j->q, a->rate)).watts;
    char text[2][TEXT_DIGITS];

    if (isnan(limit))
        return;
    if (isnan(watts.expected)) {
        if (chosen && misses(a, FLEET_UNKNOWN, INFINITY))
            snprintf(a->reason, sizeof a->reason,
                     "unknown: the profile does not say what power it takes");
        a->lacking = INFINITY;
    } else if (watts.expected > limit && misses(a, FLEET_POWER, watts.expected / limit)) {
        snprintf(a->reason, sizeof a->reason, "power: %s%s on average, more than %s",
                 chosen ? "" : "even the first exit alone takes ",
                 text_digits(text[0], watts.expected, " W"), text_digits(text[1], limit, " W"));
    }
}

/* Whether the step to a deepest exit, its memory and the power keep what is asked with every figure
 * at its pessimistic end. */
static bool holds_at_worst(const question *q, const fleet_costs *costs, int deepest, int rate,
                           const fleet_point *at)
{
    const deer_memory *m = &costs->memory[deepest];

    return costs->longest[deepest].high <= fleet_period(q, rate) && m->total.high <= m->available &&
           (isnan(q->watts) || at->watts.high <= q->watts);
}

static void say_meets(const asker *j, const fleet_costs *costs, fleet_answer *a)
{
    const deer_range *step = &costs->longest[a->deepest];
    char takes[TEXT_DIGITS], period[TEXT_DIGITS];

    a->verdict = FLEET_MEETS;
    snprintf(a->reason, sizeof a->reason,
             a->sure ? "a step down to exit %d takes at most %s of %s"
                     : "as expected, a step down to exit %d takes %s of %s; at the pessimistic end "
                       "of its figures a demand fails",
             a->deepest, text_digits(takes, 1e3 * (a->sure ? step->high : step->expected), " ms"),
             text_digits(period, 1e3 * fleet_period(j->q, a->rate), " ms"));
}

/* Whether the machine is no choice, whatever the demands. */
static bool leaves_out(const question *q, const deer_hardware *h, fleet_answer *a)
{
    hardware_support support = deer_hardware_support(h);

    if (support == SUPPORT_CANNOT) {
        snprintf(a->reason, sizeof a->reason, "cannot: %.300s", h->cannot);
        return misses(a, FLEET_CANNOT, INFINITY);
    }
    if (support != SUPPORT_OTHER || q->runtime != RUNTIME_DEER)
        return false;
    snprintf(a->reason, sizeof a->reason, "runtime: %.300s", h->unsupported);
    return misses(a, FLEET_RUNTIME, INFINITY);
}

static void ask(const asker *j, fleet_answer *a)
{
    const fleet_option *o = &j->f->option[a->option];
    const fleet_costs *costs = &o->costs[a->dtype];
    const deer_hardware *hardware = &j->f->machine[o->machine];

    if (leaves_out(j->q, hardware, a))
        return;
    if (!costs->known) {
        snprintf(a->reason, sizeof a->reason, "unknown: %.300s", costs->unknown);
        misses(a, FLEET_UNKNOWN, INFINITY);
        return;
    }
    if (isnan(costs->memory[0].total.expected) || isnan(costs->memory[0].available)) {
        snprintf(a->reason, sizeof a->reason,
                 "unknown: the profile does not say how much memory "
                 "there is, or what the system takes");
        misses(a, FLEET_UNKNOWN, INFINITY);
        return;
    }
    choose_exit(j, costs, a);
    choose_budget(j, costs, a);
    if (a->budget >= 0) {
        const sweep_point *x = &j->w->frontier[a->deepest].ours[a->budget];

        a->at = point_of(j->q, j->w, hardware, costs, x, steps_a_second(j->q, a->rate));
        a->success = success_of(j, a, x);
    }
    check_power(j, hardware, costs, a);
    if (a->verdict == FLEET_MEETS) {
        a->sure = holds_at_worst(j->q, costs, a->deepest, a->rate, &a->at);
        say_meets(j, costs, a);
    }
}

static deer_status answer_all(const asker *j, deer_error *err)
{
    fleet *f = j->f;
    int per_option = j->q->dtypes * j->q->rates;

    f->answers = f->options * per_option;
    f->answer = calloc((size_t)f->answers, sizeof *f->answer);
    if (!f->answer)
        return deer_fail(err, "out of memory for %d answers", f->answers);
    for (int i = 0; i < f->answers; i++) {
        f->answer[i] = (fleet_answer){.option = i / per_option,
                                      .dtype = i % per_option / j->q->rates,
                                      .rate = i % j->q->rates,
                                      .deepest = -1,
                                      .budget = -1,
                                      .success = NAN,
                                      .at = nothing};
        ask(j, &f->answer[i]);
    }
    return DEER_OK;
}

/* The first demand that fails at a point of the answer's frontier. */
static fleet_verdict verdict_of(const question *q, const success_curve *success, const fleet *f,
                                int dtype, const sweep_point *x, const fleet_point *at)
{
    double value = success_with(success, q, dtype, x);

    if (x->at.loss > f->max_loss)
        return FLEET_LOSS;
    if (!isnan(q->min_success) && !(value >= q->min_success))
        return FLEET_SUCCESS;
    if (!isnan(q->watts) && !(at->watts.expected <= q->watts))
        return isnan(at->watts.expected) ? FLEET_UNKNOWN : FLEET_POWER;
    return FLEET_MEETS;
}

fleet_budget fleet_at(const question *q, const sweep *w, const success_curve *success,
                      const fleet *f, const fleet_answer *a, int budget)
{
    const fleet_option *o = &f->option[a->option];
    const fleet_costs *costs = &o->costs[a->dtype];
    int deepest = a->deepest < 0 ? w->exits - 1 : a->deepest;
    const sweep_point *x = &w->frontier[deepest].ours[budget];
    fleet_budget b = {.verdict = a->verdict, .at = nothing};

    if (costs->known)
        b.at = point_of(q, w, &f->machine[o->machine], costs, x, steps_a_second(q, a->rate));
    if (a->deepest < 0)
        return b;
    b.verdict = verdict_of(q, success, f, a->dtype, x, &b.at);
    b.sure = b.verdict == FLEET_MEETS && holds_at_worst(q, costs, a->deepest, a->rate, &b.at);
    return b;
}

fleet_budget fleet_of(const question *q, const sweep *w, const success_curve *success,
                      const fleet *f, const fleet_answer *a, const sweep_point *x)
{
    const fleet_option *o = &f->option[a->option];
    const fleet_costs *costs = &o->costs[a->dtype];
    const deer_memory *m = &costs->memory[x->at.max_exit];
    fleet_budget b = {.verdict = a->verdict, .at = nothing};

    if (!costs->known || isnan(m->total.expected) || isnan(m->available))
        return b;
    b.at = point_of(q, w, &f->machine[o->machine], costs, x, steps_a_second(q, a->rate));
    if (!(m->total.expected <= m->available) || policy_bytes(m) > q->memory)
        b.verdict = FLEET_MEMORY;
    else if (costs->longest[x->at.max_exit].expected > fleet_period(q, a->rate))
        b.verdict = FLEET_RATE;
    else
        b.verdict = verdict_of(q, success, f, a->dtype, x, &b.at);
    b.sure = b.verdict == FLEET_MEETS && holds_at_worst(q, costs, x->at.max_exit, a->rate, &b.at);
    return b;
}

/* ---------------------------------------------------------------- choices ------------------ */

/* Unknown is more than anything. Figures are not known to one in ten thousand: what is closer is
 * alike, and the next criterion decides. */
static bool less(double x, double y)
{
    return !isnan(x) && (isnan(y) || x < y * (1 - 1e-4));
}

/* What a buyer weighs; all three are better when less. */
static double weighed(const question *q, const fleet *f, const fleet_answer *a, buyer_weight weight)
{
    const deer_hardware *hardware = &f->machine[f->option[a->option].machine];

    return weight == WEIGH_PRICE   ? fleet_price(q, hardware).expected
           : weight == WEIGH_WATTS ? a->at.watts.expected
                                   : a->at.seconds.expected;
}

/* Whether of two answers that meet the demands a is the better buy: one that meets them at worst
 * first, then the buyer's weight, then the others. */
static bool better(const question *q, const fleet *f, const fleet_answer *a, const fleet_answer *b,
                   buyer_weight weight)
{
    if (a->sure != b->sure)
        return a->sure;
    for (int i = 0; i < WEIGHTS_OF_BUYERS; i++) {
        buyer_weight now = (buyer_weight)((weight + i) % WEIGHTS_OF_BUYERS);
        double x = weighed(q, f, a, now), y = weighed(q, f, b, now);

        if (less(x, y) || less(y, x))
            return less(x, y);
    }
    return false;
}

/* Whether a comes before b in the ranking. */
static bool ranks_before(const question *q, const fleet *f, const fleet_answer *a,
                         const fleet_answer *b)
{
    bool meets = a->verdict == FLEET_MEETS;
    bool out = a->verdict >= FLEET_RUNTIME;

    if (meets != (b->verdict == FLEET_MEETS))
        return meets;
    if (out != (b->verdict >= FLEET_RUNTIME))
        return !out;
    return meets ? better(q, f, a, b, q->weight) : less(a->lacking, b->lacking);
}

static void rank(const question *q, fleet *f, int rate)
{
    int *ranked = f->ranked + rate * f->machines, n = 0;

    for (int i = rate; i < f->answers; i += q->rates) {
        int machine = f->option[f->answer[i].option].machine;

        if (n <= machine)
            ranked[n++] = i;
        else if (ranks_before(q, f, &f->answer[i], &f->answer[ranked[machine]]))
            ranked[machine] = i;
    }
    for (int i = 1; i < n; i++) /* by insertion: few, and equal ones stay in order */
        for (int j = i; j && ranks_before(q, f, &f->answer[ranked[j]], &f->answer[ranked[j - 1]]);
             j--) {
            int moved = ranked[j];

            ranked[j] = ranked[j - 1];
            ranked[j - 1] = moved;
        }
}

/* The best of all answers at a rate by a weight; -1 when none meets or its weight is unknown. */
static int best_by(const question *q, const fleet *f, int rate, buyer_weight weight)
{
    int best = -1;

    for (int i = rate; i < f->answers; i += q->rates) {
        const fleet_answer *a = &f->answer[i];

        if (a->verdict == FLEET_MEETS && !isnan(weighed(q, f, a, weight)) &&
            (best < 0 || better(q, f, a, &f->answer[best], weight)))
            best = i;
    }
    return best;
}

/* The answer that misses by the smallest factor; -1 when none is judged. */
static int nearest(const question *q, const fleet *f, int rate)
{
    int best = -1;

    for (int i = rate; i < f->answers; i += q->rates) {
        const fleet_answer *a = &f->answer[i];

        if (a->verdict != FLEET_MEETS && isfinite(a->lacking) &&
            (best < 0 || less(a->lacking, f->answer[best].lacking)))
            best = i;
    }
    return best;
}

static void choose(const question *q, fleet *f, int rate)
{
    fleet_choice *c = &f->choice[rate];
    const int *ranked = f->ranked + rate * f->machines;

    *c = (fleet_choice){.best = -1,
                        .runner_up = -1,
                        .cheapest = best_by(q, f, rate, WEIGH_PRICE),
                        .lowest_power = best_by(q, f, rate, WEIGH_WATTS),
                        .fastest = best_by(q, f, rate, WEIGH_TIME),
                        .nearest = nearest(q, f, rate)};
    for (int m = 0; m < f->machines; m++) {
        const fleet_answer *a = &f->answer[ranked[m]];

        if (a->verdict != FLEET_MEETS)
            continue;
        c->machines++;
        c->sure += a->sure;
        if (m < 2)
            *(m ? &c->runner_up : &c->best) = ranked[m];
    }
}

static void count_left_out(fleet *f)
{
    for (int m = 0; m < f->machines; m++) {
        fleet_verdict verdict = f->answer[f->ranked[m]].verdict;

        f->left_out += verdict == FLEET_RUNTIME;
        f->cannot += verdict == FLEET_CANNOT;
    }
}

void fleet_describe(const fleet *f, const question *q, const fleet_answer *a, char *text,
                    size_t size)
{
    const fleet_option *o = &f->option[a->option];
    const deer_hardware *hardware = &f->machine[o->machine];

    snprintf(text, size, "%s%s%s, %s", hardware->title, hardware->modes > 1 ? ", " : "",
             hardware->modes > 1 ? hardware->mode[o->mode].name : "",
             weight_dtype_name(q->dtype[a->dtype]));
}

/* ---------------------------------------------------------------- whole -------------------- */

double fleet_max_loss(const question *q, double first, double deepest)
{
    if (!isnan(q->max_loss))
        return q->max_loss;
    if (!isnan(q->min_success))
        return INFINITY;
    return deepest + (1 - FLEET_KEEPS) * fmax(first - deepest, 0);
}

deer_status fleet_make(const question *q, const deer_config *config, int tokens, const sweep *w,
                       const success_curve *success, fleet *f, deer_error *err)
{
    asker j = {q, w, success, f};
    deer_status status;

    *f = (fleet){.default_loss = isnan(q->max_loss) && isnan(q->min_success)};
    f->max_loss = fleet_max_loss(q, w->fixed[0].at.loss, w->fixed[w->exits - 1].at.loss);
    status = load_machines(q, f, err);
    for (int o = 0; o < f->options && !status; o++)
        fill_costs(q, config, tokens, w, f, &f->option[o]);
    if (!status)
        status = answer_all(&j, err);
    for (int r = 0; r < q->rates && !status; r++) {
        rank(q, f, r);
        choose(q, f, r);
    }
    if (!status)
        count_left_out(f);
    if (status)
        fleet_free(f);
    return status;
}

void fleet_free(fleet *f)
{
    free(f->machine);
    free(f->option);
    free(f->answer);
    free(f->ranked);
    *f = (fleet){0};
}
