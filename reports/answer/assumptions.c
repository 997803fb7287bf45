/* SPDX-License-Identifier: MIT */
/* assumptions.c - what a report takes for granted. */
#include "reports/answer/assumptions.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

typedef struct {
    char (*list)[ASSUMPTION_LENGTH];
    int n;
} sentences;

static void say(sentences *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(sentences *s, const char *format, ...)
{
    va_list arguments;

    if (s->n == ASSUMPTIONS_MOST)
        return;
    va_start(arguments, format);
    vsnprintf(s->list[s->n++], ASSUMPTION_LENGTH, format, arguments);
    va_end(arguments);
}

static void say_shape(const report *r, sentences *s)
{
    if (!r->mapped)
        return;
    say(s,
        "Costs are those of the published %s shape; which steps leave at which exit is taken from "
        "the policy %s, exit for exit. Another policy on another robot will leave at other "
        "moments: this is an estimate to plan with, to be repeated with one's own cache.",
        r->q->model_shape, r->model_name);
    say(s, "Instructions have the lengths of the cache's tokenizer.");
}

/* Which cameras a step encodes. */
static void say_cameras(const report *r, sentences *s)
{
    if (!r->given.reuses) {
        say(s, "Every step encodes every camera.");
        return;
    }
    say(s,
        "Cameras are encoded by the rules of the thresholds file, followed along the recorded "
        "episodes: the "
        "static one at %.1f%% of steps, the wrist's at %.1f%%. Losses are against full depth with "
        "fresh cameras. An episode's first step encodes both; it is not asked to be in time.",
        100 * r->given.seen.encoded[0], 100 * r->given.seen.encoded[1]);
}

/* What a step is given that it was not recorded with. */
static void say_load(const report *r, sentences *s)
{
    deer_load load = fleet_load(r->q, r->tokens, r->q->dtype[0]);
    deer_config c = fleet_config(r->q, &r->config);
    const question_load *l = &r->q->load;
    static const stage_kind parts[] = {STAGE_VISION, STAGE_LAYER, STAGE_HEAD};
    static const char *const names[] = {"vision", "the decoder", "the head"};

    if (l->cameras || l->image_size || l->tokens)
        say(s,
            "Times, energy and memory are of %d cameras, images of %d pixels a side and %d tokens; "
            "thresholds, losses and GFLOPs are those of the recorded policy.",
            load.cameras, c.image_size, load.tokens);
    for (int i = 0; i < 3; i++)
        if (l->has_part[parts[i]])
            say(s, "Times and memory of %s are those of %s weights, whatever the type of the rest.",
                names[i], weight_dtype_name(l->part[parts[i]]));
    if (r->q->deadline > 0)
        say(s, "A step must end within %g ms: exits that would not are not taken.",
            1e3 * r->q->deadline);
}

int assumptions_list(const report *r, char list[ASSUMPTIONS_MOST][ASSUMPTION_LENGTH])
{
    sentences s = {list, 0};
    const char *const *machine;
    int count;

    say_shape(r, &s);
    say(&s, "GFLOPs count one multiply-add as one FLOP, as the paper does; data sheets of hardware "
            "count two, and times are computed with two.");
    say(&s,
        "The loss of a step is the root mean square difference of its pose (six numbers in -1..1) "
        "from what the deepest exit would do, plus %g when the gripper differs. It is measured on "
        "recorded observations; closed-loop success needs rollouts.",
        LOSS_GRIPPER_WEIGHT);
    say(&s, "Losses of thresholds are those on the episodes they were chosen on, and so is their "
            "spread: on other episodes thresholds lose a little more.");
    say(&s, "Deltas are those of the cache: every earlier step left at the deepest exit. Under the "
            "history of early exits they differ a little (deer-calib solve settles that).");
    say(&s,
        "A machine keeps a rate when its deepest allowed exit, not the average, ends within the "
        "period: no step is late.");
    say(&s, "Times are of an instruction of %d tokens%s; memory is of the longest there can be.",
        fleet_load(r->q, r->tokens, WEIGHT_F32).tokens,
        r->q->load.tokens ? "" : ", the mean of the recorded ones");
    say_cameras(r, &s);
    say_load(r, &s);
    if (r->success.n)
        say(&s,
            "Success lies on a line between the evaluations given, by average cost; it is that of "
            "%s.",
            r->model_name);
    if (r->f.default_loss)
        say(&s,
            "Nobody asked for a loss or success, so a machine must keep %g%% of what the deepest "
            "exit gains over the first: a loss of at most %.3g.",
            100 * FLEET_KEEPS, r->f.max_loss);
    machine = deer_latency_assumptions(&count);
    for (int i = 0; i < count; i++)
        say(&s, "%s", machine[i]);
    return s.n;
}
