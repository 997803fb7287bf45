/* SPDX-License-Identifier: MIT */
/* sentence.c - the answer at a rate in plain words. The page's script says the same
 * (reports/page/judge.js), and tests hold one to the other. */
#include "reports/answer/sentence.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/formats/text.h"

static const char *const most[WEIGHTS_OF_BUYERS] = {"cheapest", "most frugal", "fastest"};

static const deer_hardware *machine_of(const report *r, const fleet_answer *a)
{
    return &r->f.machine[r->f.option[a->option].machine];
}

static int judged(const report *r)
{
    return r->f.machines - r->f.left_out - r->f.cannot;
}

/* "At 10 Hz for each of 2 robots within 30 W and 4 GB" */
static void say_demands(const question *q, int rate, char *text, size_t size)
{
    char robots[40] = "", watts[40] = "", memory[40] = "";

    if (q->robots > 1)
        snprintf(robots, sizeof robots, " for each of %d robots", q->robots);
    if (!isnan(q->watts))
        snprintf(watts, sizeof watts, " within %g W", q->watts);
    if (!isnan(q->memory))
        snprintf(memory, sizeof memory, " %s %g GB", *watts ? "and" : "within", q->memory / 1e9);
    snprintf(text, size, "At %g Hz%s%s%s", q->rate[rate], robots, watts, memory);
}

void sentence_verdict(const report *r, int rate, char text[SENTENCE_LENGTH])
{
    const fleet_choice *c = &r->f.choice[rate];
    const fleet_answer *best = c->best < 0 ? NULL : &r->f.answer[c->best];
    char demands[160];

    say_demands(r->q, rate, demands, sizeof demands);
    if (best)
        snprintf(text, SENTENCE_LENGTH, "%s, the %s that runs %s in time, %s: %s.", demands,
                 most[r->q->weight], r->config.name,
                 best->sure ? "also at worst" : "as expected but not at worst",
                 machine_of(r, best)->title);
    else
        snprintf(text, SENTENCE_LENGTH, "%s, none of %d machines runs %s in time with %s.", demands,
                 judged(r), r->config.name, runtime_title(r->q->runtime));
}

/* "12,345 USD" */
static void say_price(char *text, size_t size, double usd)
{
    long whole = lround(usd);

    if (whole < 1000)
        snprintf(text, size, "%ld USD", whole);
    else
        snprintf(text, size, "%ld,%03ld USD", whole / 1000, whole % 1000);
}

static void say_best(const report *r, int rate, const fleet_answer *a, char *text, size_t size)
{
    double usd = fleet_price(r->q, machine_of(r, a)).expected;
    int n = a->sure ? r->f.choice[rate].sure : r->f.choice[rate].machines;
    char price[40] = "price unknown", first[40] = "The only one", digits[4][TEXT_DIGITS];

    if (n > 1)
        snprintf(first, sizeof first, "The %s of %d", most[r->q->weight], n);
    if (!isnan(usd))
        say_price(price, sizeof price, usd);
    snprintf(text, size,
             "%s in time %s, as a whole computer: %s, %s at the wall. A step takes %s on average "
             "(%s to %s); the %s is %s.",
             first, a->sure ? "at worst" : "as expected", price,
             text_digits(digits[0], a->at.watts.expected, " W"),
             text_digits(digits[1], 1e3 * a->at.seconds.expected, " ms"),
             text_digits(digits[2], 1e3 * a->at.seconds.low, ""),
             text_digits(digits[3], 1e3 * a->at.seconds.high, ""), fleet_limit(r->q, rate),
             text_digits((char[TEXT_DIGITS]){0}, 1e3 * fleet_period(r->q, rate), " ms"));
}

static void say_nearest(const report *r, int rate, char *text, size_t size)
{
    const fleet_choice *c = &r->f.choice[rate];
    char name[256];

    if (c->nearest < 0)
        return;
    fleet_describe(&r->f, r->q, &r->f.answer[c->nearest], name, sizeof name);
    snprintf(text, size, "The nearest is %s; %s.", name, r->f.answer[c->nearest].reason);
}

void sentence_more(const report *r, int rate, char text[SENTENCE_LENGTH])
{
    const fleet_choice *c = &r->f.choice[rate];
    size_t used;

    *text = 0;
    if (c->best >= 0)
        say_best(r, rate, &r->f.answer[c->best], text, SENTENCE_LENGTH);
    else
        say_nearest(r, rate, text, SENTENCE_LENGTH);
    used = strlen(text);
    if (r->f.left_out)
        snprintf(text + used, SENTENCE_LENGTH - used,
                 "%s%d left out: deer does not run there, another program may.", used ? " " : "",
                 r->f.left_out);
}
