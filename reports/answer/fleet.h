/* SPDX-License-Identifier: MIT */
/* fleet.h - the frontier on machines: what each can afford, and which to take.
 *
 *   fleet f;
 *   if (fleet_make(&q, &config, tokens, &w, &success, &f, &err)) ...
 *   for (int i = 0; i < f.answers; i++)
 *       puts(f.answer[i].reason);
 *   fleet_free(&f);
 *
 * A machine in one power mode is an option. For an option, a type of weights and a control rate:
 * the deepest exit is the deepest whose weights fit and whose step, as expected, ends within the
 * period; the operating point is the cheapest budget within it that keeps the loss (or success)
 * that is asked; power is the average at that rate. Of the demands for memory, rate, loss, success
 * and power, the one that is missed by the largest factor is the reason. Where there is no
 * operating point, power is judged with every step at the first exit, the least there is.
 *
 * Times are those of the runtime that is asked for (budgets/machines/runtimes.h). Price, power and
 * energy are of the whole computer, at the wall, with what must stand around a machine
 * (budgets/machines/hardware_form.h). A machine that the runtime does not run on, or that cannot
 * run this kind of model, is left out of the choices and ranked last.
 */
#ifndef REPORTS_FLEET_H
#define REPORTS_FLEET_H

#include "budgets/machines/latency.h"
#include "reports/answer/question.h"
#include "reports/answer/success.h"

/* What is missed by most. */
typedef enum {
    FLEET_MEETS,
    FLEET_UNKNOWN, /* a figure of the profile is missing */
    FLEET_MEMORY,
    FLEET_RATE,
    FLEET_LOSS,
    FLEET_SUCCESS,
    FLEET_POWER,
    FLEET_RUNTIME, /* deer does not run there: left out */
    FLEET_CANNOT,  /* this kind of model does not run there at all: left out */
    FLEET_VERDICTS
} fleet_verdict;

/* "meets", "unknown", "memory", "rate", "loss", "success", "power", "runtime", "cannot" */
const char *fleet_verdict_name(fleet_verdict verdict);

/* One type of weights on one option. */
typedef struct {
    bool known; /* else `unknown` says which figure is missing */
    char unknown[320];
    bool allowed_known;
    deer_latency allowed;               /* what the machine allows any runtime */
    deer_latency latency;               /* of the runtime asked for; joules of the machine alone */
    deer_range longest[DEER_MAX_EXITS]; /* seconds of a step that must end in time: behind an
                                           episode's first, whose cameras may all be new */
    deer_memory memory[DEER_MAX_EXITS]; /* by deepest exit */
} fleet_costs;

/* A machine in one mode. */
typedef struct {
    int machine, mode; /* indices into fleet.machine and its modes */
    fleet_costs costs[QUESTION_DTYPES];
} fleet_option;

/* What thresholds do on an option at a rate. Unknown numbers are NaN. */
typedef struct {
    deer_range seconds; /* of a step, mean */
    deer_range p99;     /* that 99% of the steps do not exceed */
    deer_range joules;  /* of a step, mean, at the wall */
    deer_range watts;   /* average at the rate, at the wall */
} fleet_point;

typedef struct {
    int option, dtype, rate; /* indices */
    fleet_verdict verdict;
    bool sure;        /* also with every figure at its pessimistic end */
    int deepest;      /* exit; -1: not even the first one fits */
    int budget;       /* operating point on that exit's frontier, an index; -1: none */
    fleet_point at;   /* there */
    double success;   /* there */
    double lacking;   /* factor > 1 by which the verdict's demand is missed: for the nearest */
    char reason[320]; /* one sentence */
} fleet_answer;

/* What some thresholds do, of a budget or of a file. */
typedef struct {
    fleet_verdict verdict; /* the first of loss, success, power that fails */
    bool sure;             /* meets also with every figure at its pessimistic end */
    fleet_point at;
} fleet_budget;

/* Indices into fleet.answer, -1: none meets. Among those that meet the demands, one that does so
 * with every figure at its pessimistic end comes before one that does so as expected. */
typedef struct {
    int best, runner_up; /* by the buyer's weight; of two machines */
    int cheapest, lowest_power, fastest;
    int nearest;  /* least lacking, when nothing meets */
    int machines; /* how many meet in some mode and type */
    int sure;     /* how many of them with every figure at its pessimistic end */
} fleet_choice;

typedef struct {
    int machines;
    deer_hardware *machine; /* [machines] */
    int options;
    fleet_option *option; /* [options] */
    int answers;          /* options x dtypes x rates, in that order */
    fleet_answer *answer;
    fleet_choice choice[QUESTION_RATES];
    int *ranked; /* [rates, machines] one answer for each machine at a rate, its best mode and type:
                    those that meet at worst and then those that meet as expected, by the buyer's
                    weight, the others, nearest first, and those left out */
    int left_out;                  /* machines that the runtime does not run on */
    int cannot;                    /* machines that cannot run this kind of model */
    int unasked[HARDWARE_CLASSES]; /* machines that ship, by class, where "all" was not to name
                                      that class */
    double max_loss;               /* the limit used; infinity with --min-success alone */
    bool default_loss;             /* nobody asked: keeps FLEET_KEEPS of what depth gains */
} fleet;

#define FLEET_KEEPS 0.9

/* Loads the machines asked for and answers for each. tokens: of an instruction, on average. An
 * unknown machine is an error that lists the names there are. */
deer_status fleet_make(const question *q, const deer_config *config, int tokens, const sweep *w,
                       const success_curve *success, fleet *f, deer_error *err);
void fleet_free(fleet *f);

/* The largest mean loss asked for, of the means at the first exit and the deepest; infinity with
 * --min-success alone. */
double fleet_max_loss(const question *q, double first, double deepest);

/* What the thresholds of a budget do on an answer's machine: on the frontier of its deepest exit,
 * or, where not even the first one fits, of the last exit, with the answer's own verdict. */
fleet_budget fleet_at(const question *q, const sweep *w, const success_curve *success,
                      const fleet *f, const fleet_answer *a, int budget);

/* The same of other thresholds, whatever exit the answer would allow. */
fleet_budget fleet_of(const question *q, const sweep *w, const success_curve *success,
                      const fleet *f, const fleet_answer *a, const sweep_point *x);

/* Seconds within which every step must end. */
double fleet_period(const question *q, int rate);

/* "period", or a robot's share of it, or "deadline" where that is shorter. */
const char *fleet_limit(const question *q, int rate);

/* What a step is given, with weights of a type where no part has one of its own. */
deer_load fleet_load(const question *q, int tokens, weight_dtype dtype);

/* The model's configuration with the images as asked. */
deer_config fleet_config(const question *q, const deer_config *config);

/* Joules of a step that leaves at an exit, of the whole computer at the wall. */
deer_range fleet_joules(const question *q, const deer_hardware *hardware,
                        const deer_exit_time *exit);

/* USD for a whole computer, with what is assumed around a machine; NaN where its price is unknown.
 */
deer_range fleet_price(const question *q, const deer_hardware *hardware);

/* What is asked to stand around a machine: the form's, or the buyer's own around a bare card. */
hardware_form_facts fleet_around(const question *q, const deer_hardware *hardware);

/* "NVIDIA Jetson Orin Nano 8 GB, 15W, bf16" */
void fleet_describe(const fleet *f, const question *q, const fleet_answer *a, char *text,
                    size_t size);

#endif
