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

void sentence_verdict(const report *r, int rate, char text[SENTENCE_LENGTH])
{
    const fleet_choice *c = &r->f.choice[rate];
    const fleet_answer *best = c->best < 0 ? NULL : &r->f.answer[c->best];

    if (best)
        snprintf(text, SENTENCE_LENGTH, "At %g Hz, the %s that runs %s in time, %s: %s.",
                 r->q->rate[rate], most[r->q->weight], r->config.name,
                 best->sure ? "also at worst" : "as expected but not at worst",
                 machine_of(r, best)->title);
    else
        snprintf(text, SENTENCE_LENGTH, "At %g Hz, none of %d machines runs %s in time with %s.",
                 r->q->rate[rate], judged(r), r->config.name, runtime_title(r->q->runtime));
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
    char price[40] = "price unknown", digits[4][TEXT_DIGITS];

    if (!isnan(usd))
        say_price(price, sizeof price, usd);
    snprintf(text, size,
             "The %s of %d%s, as a whole computer: %s, %s at the wall. A step takes %s on average "
             "(%s to %s); the %s is %s.",
             most[r->q->weight], a->sure ? r->f.choice[rate].sure : r->f.choice[rate].machines,
             a->sure ? " that are in time at worst" : " that are in time as expected", price,
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
        snprintf(text + used, SENTENCE_LENGTH - used, "%s%d left out: deer does not run there.",
                 used ? " " : "", r->f.left_out);
}
