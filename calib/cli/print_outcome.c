/* SPDX-License-Identifier: MIT */
/* print_outcome.c - what a calibration found, for people and for machines. */
#include "calib/cli/print_outcome.h"

#include <math.h>

#include "calib/cli/settings.h"
#include "calib/cli/table.h"
#include "runtime/base/json/json_build.h"
#include "runtime/base/tau.h"

/* ---------------------------------------------------------------- people ------------------- */

static void print_thresholds(FILE *out, const operating_point *r)
{
    fprintf(out, "tau:");
    for (int k = 0; k < r->max_exit; k++)
        if (tau_word(r->tau[k]))
            fprintf(out, " %s", tau_word(r->tau[k]));
        else
            fprintf(out, " %.6g", (double)r->tau[k]);
    fprintf(out, r->max_exit ? "\n" : " none: one exit\n");
}

static void print_rule(FILE *out, const char *name, const deer_camera_rule *rule, double encoded)
{
    fprintf(out, "%s at %.1f%% of steps", name, 100 * encoded);
    if (rule->age && isfinite(rule->rho))
        fprintf(out, " (changes above %.4g, or older than %d)", (double)rule->rho, rule->age);
    else if (rule->age)
        fprintf(out, " (older than %d)", rule->age);
}

/* When cameras are encoded, and what a GFLOP saved there loses, against one saved by early exits.
 */
static void print_cameras(FILE *out, const outcome *o)
{
    const deer_camera_rules *r = &o->found.cameras;

    if (!r->static_view.age && !r->gripper_view.age)
        return;
    fprintf(out, "encoded: ");
    print_rule(out, "the static camera", &r->static_view, o->eyes.encoded[0]);
    print_rule(out, ", the wrist's", &r->gripper_view, o->eyes.encoded[1]);
    fprintf(out, "%s; best of %d rules\n", r->stagger ? ", never both at a step" : "", o->choices);
    if (o->eyes.older > 0)
        fprintf(out,
                "at %.1f%% of steps with ages that the cache does not have: seen as the next older "
                "ones\n",
                100 * o->eyes.older);
    if (!(o->fresh_gflops > o->full.total && o->full.total > o->found.total))
        return;
    fprintf(out, "a GFLOP saved at the cameras loses %.4g, one saved by exits %.4g\n",
            o->full.loss / (o->fresh_gflops - o->full.total),
            (o->found.loss - o->full.loss) / (o->full.total - o->found.total));
}

static void print_history(FILE *out, const outcome *o)
{
    const outcome_history *h = &o->history;

    if (o->has_scopes && h->kind == HISTORY_ON_POLICY)
        fprintf(out,
                "on-policy: the first answer was expected to cost %.6g and used %.6g with the "
                "exits it takes "
                "itself; %s "
                "after %d round%s\n",
                h->expected, h->used, h->converged ? "converged" : "not converged", h->rounds,
                h->rounds == 1 ? "" : "s");
}

/* How far the heuristic is from the oracle, and how much of that a criterion could close. */
static void print_gap(FILE *out, const outcome *o)
{
    fprintf(out, "\nper-step oracle: loss %.5g", o->oracle_loss);
    if (!isnan(o->gap_closed))
        fprintf(out, "; closes %.0f%% of the gap from the official heuristic to the oracle",
                100 * o->gap_closed);
    if (isfinite(o->held_out.delta) && isfinite(o->held_out.score))
        fprintf(
            out,
            "\non episodes held out: %.0f%%; with thresholds on the loss fitted to all deltas so "
            "far %.0f%%",
            100 * o->held_out.delta, 100 * o->held_out.score);
    fprintf(out, "\n");
}

const char *outcome_scope(const outcome *o)
{
    return !o->has_scopes ? "cost" : o->scope_llm ? "llm" : "total";
}

void outcome_print(FILE *out, const char *source, const outcome *o)
{
    const char *scope = outcome_scope(o);
    operating_point shown[3];
    int n = 0;

    fprintf(out, "%s: %d episodes, %lld steps, %d exits\n", source, o->episodes,
            (long long)o->steps, o->exits);
    if (isfinite(o->budget))
        fprintf(out, "budget: average %s %.6g%s, deepest exit %d\n\n", scope, o->budget,
                o->has_scopes ? " GFLOPs" : "", o->found.max_exit);
    else
        fprintf(out, "budget: deepest exit %d\n\n", o->found.max_exit);
    shown[n++] = o->full;
    if (o->has_official)
        shown[n++] = o->official;
    shown[n++] = o->found;
    table_print(out, shown, n, o->exits, o->full_llm, o->full_total, scope);
    print_gap(out, o);
    print_thresholds(out, &o->found);
    fprintf(out, "%s, %ld passes in %.2f s", o->solver, o->evaluations, o->seconds);
    if (o->has_scopes)
        fprintf(out, "; loss: pose deviation from %s + %g if the gripper differs",
                o->problem.loss == LOSS_DEMO ? "the demonstration" : "the deepest exit",
                o->problem.gripper_weight);
    fprintf(out, "\n");
    print_cameras(out, o);
    print_history(out, o);
    if (o->guaranteed.given)
        fprintf(out, "%s: %s\n", o->guaranteed.confidence > 0 ? "guaranteed" : "expected",
                o->guaranteed.statement);
}

void outcome_print_official(FILE *out, const outcome *o)
{
    fprintf(out, "--thresholds");
    for (int k = 0; k < o->found.max_exit; k++)
        fprintf(out, " %.9g", tau_official(o->found.tau[k]));
    fprintf(out, " 100000.0\n");
}

/* ---------------------------------------------------------------- machines ----------------- */

static json_t *real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *history_json(const outcome *o)
{
    const outcome_history *h = &o->history;
    json_t *json = json_object();

    json_put(json, "kind", json_string(settings_history_name(h->kind)));
    json_put(json, "rounds", json_integer(h->rounds));
    json_put(json, "converged", json_boolean(h->converged));
    json_put(json, "first_expected_cost", real_or_null(h->expected));
    json_put(json, "first_used_cost", real_or_null(h->used));
    return json;
}

json_t *outcome_guarantee_json(const guarantee *g)
{
    json_t *json;

    if (!g->given)
        return json_null();
    json = json_object();
    json_put(json, "statement", json_string(g->statement));
    json_put(json, "confidence", g->confidence > 0 ? json_real(g->confidence) : json_null());
    json_put(json, "certain", json_boolean(g->certain));
    json_put(json, "bound", json_string(bound_name(g->bound)));
    json_put(json, "budget", real_or_null(g->budget));
    json_put(json, "max_deviation", real_or_null(g->deviation));
    json_put(json, "p_budget", json_real(g->p_budget));
    json_put(json, "p_deviation", json_real(g->p_deviation));
    json_put(json, "held_out_episodes", json_integer(g->tested_on));
    json_put(json, "solved_on_episodes", json_integer(g->solved_on));
    json_put(json, "held_out_cost", json_real(g->at.cost));
    json_put(json, "held_out_loss", json_real(g->at.loss));
    json_put(json, "longest_episode", json_integer(g->longest));
    json_put(json, "candidates", json_integer(g->candidates));
    json_put(json, "accepted", json_integer(g->accepted));
    return json;
}

json_t *outcome_json(const outcome *o)
{
    json_t *json = table_json(&o->found);

    json_put(json, "average_cost", real_or_null(outcome_cost(o)));
    json_put(json, "peak_cost",
             real_or_null(o->scope_llm ? o->found.peak_llm : o->found.peak_total));
    json_put(json, "budget_gflops", o->has_scopes ? real_or_null(o->budget) : json_null());
    json_put(json, "budget", real_or_null(o->budget));
    json_put(json, "scope", json_string(outcome_scope(o)));
    json_put(json, "max_exit", json_integer(o->found.max_exit));
    json_put(json, "memory_bytes", real_or_null(o->found.memory));
    json_put(json, "solver", json_string(o->solver));
    json_put(json, "episodes", json_integer(o->episodes));
    json_put(json, "steps", json_integer((json_int_t)o->steps));
    json_put(json, "full", table_json(&o->full));
    json_put(json, "official", o->has_official ? table_json(&o->official) : json_null());
    json_put(json, "baseline_loss", o->has_official ? real_or_null(o->official.loss) : json_null());
    json_put(json, "oracle_loss", real_or_null(o->oracle_loss));
    json_put(json, "gap_closed", real_or_null(o->gap_closed));
    json_put(json, "held_out_gap_closed", real_or_null(o->held_out.delta));
    json_put(json, "fitted_criterion_gap_closed", real_or_null(o->held_out.score));
    json_put(json, "evaluations", json_integer(o->evaluations));
    json_put(json, "seconds", json_real(o->seconds));
    json_put(json, "guarantee", outcome_guarantee_json(&o->guaranteed));
    if (!o->has_scopes)
        return json;
    json_put(json, "criterion", json_string(deer_criterion_name(o->problem.criterion)));
    json_put(json, "loss_reference", json_string(settings_loss_name(o->problem.loss)));
    json_put(json, "gripper_weight", json_real(o->problem.gripper_weight));
    json_put(json, "history", history_json(o));
    return json;
}
