/* SPDX-License-Identifier: MIT */
/* metrics.c - counters, and the text that Prometheus reads.
 * Source: Prometheus text exposition format 0.0.4. */
#include "runtime/serve/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Upper bounds, seconds. */
static const double bounds[METRICS_BUCKETS] = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05,
                                               0.1,    0.2,   0.5,   1,     2,    5,    10};

void metrics_start(metrics *m, int exits, double budget, bool governed)
{
    memset(m, 0, sizeof *m);
    pthread_mutex_init(&m->lock, NULL);
    m->exits = exits;
    m->budget = budget;
    m->governed = governed;
}

void metrics_end(metrics *m)
{
    pthread_mutex_destroy(&m->lock);
}

/* ---------------------------------------------------------------- counting ----------------- */

static void count_time(metrics_histogram *h, double seconds)
{
    int i = 0;

    while (i < METRICS_BUCKETS && seconds > bounds[i])
        i++;
    h->count[i]++;
    h->sum += seconds;
}

void metrics_count_step(metrics *m, const metrics_step *s)
{
    pthread_mutex_lock(&m->lock);
    m->taken[s->exit]++;
    m->gflops += s->budget_gflops;
    m->llm_gflops += s->llm_gflops;
    m->late += s->late;
    m->most_ahead = s->ahead_gflops > m->most_ahead ? s->ahead_gflops : m->most_ahead;
    count_time(&m->step, s->step_seconds);
    count_time(&m->request, s->request_seconds);
    pthread_mutex_unlock(&m->lock);
}

void metrics_count_failure(metrics *m)
{
    pthread_mutex_lock(&m->lock);
    m->failures++;
    pthread_mutex_unlock(&m->lock);
}

void metrics_count_drift(metrics *m, const deer_drift_report *report)
{
    pthread_mutex_lock(&m->lock);
    m->watched = true;
    m->drift = *report;
    pthread_mutex_unlock(&m->lock);
}

void metrics_count_open(metrics *m, int change)
{
    pthread_mutex_lock(&m->lock);
    m->connections += change > 0;
    m->open += (uint64_t)(int64_t)change;
    m->most_open = m->open > m->most_open ? m->open : m->most_open;
    pthread_mutex_unlock(&m->lock);
}

void metrics_count_refused(metrics *m)
{
    pthread_mutex_lock(&m->lock);
    m->refused++;
    pthread_mutex_unlock(&m->lock);
}

void metrics_count_queued(metrics *m, int change)
{
    pthread_mutex_lock(&m->lock);
    m->queued += (uint64_t)(int64_t)change;
    pthread_mutex_unlock(&m->lock);
}

/* ---------------------------------------------------------------- text --------------------- */

static void print_about(FILE *to, const char *name, const char *type, const char *help)
{
    fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void print_one(FILE *to, const char *name, const char *type, const char *help, double value)
{
    print_about(to, name, type, help);
    fprintf(to, "%s %.17g\n", name, value);
}

static void print_times(FILE *to, const char *name, const char *help, const metrics_histogram *h)
{
    uint64_t below = 0;

    print_about(to, name, "histogram", help);
    for (int i = 0; i < METRICS_BUCKETS; i++) {
        below += h->count[i];
        fprintf(to, "%s_bucket{le=\"%g\"} %llu\n", name, bounds[i], (unsigned long long)below);
    }
    below += h->count[METRICS_BUCKETS];
    fprintf(to, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.9g\n%s_count %llu\n", name,
            (unsigned long long)below, name, h->sum, name, (unsigned long long)below);
}

/* How much of the budget the steps so far used, on average. */
static void print_budget(FILE *to, const metrics *m, uint64_t steps)
{
    print_one(to, "deer_gflops_total", "counter",
              "GFLOPs of all steps, in the scope of the thresholds", m->gflops);
    print_one(to, "deer_llm_gflops_total", "counter",
              "GFLOPs of all steps, the language model's alone", m->llm_gflops);
    if (isnan(m->budget))
        return;
    print_one(to, "deer_budget_gflops", "gauge", "GFLOPs a step on average that were asked for",
              m->budget);
    if (steps)
        print_one(to, "deer_budget_used_ratio", "gauge",
                  "GFLOPs a step so far, in units of the budget",
                  m->gflops / (double)steps / m->budget);
    if (m->governed)
        print_one(to, "deer_budget_most_ahead_gflops", "gauge",
                  "the most that a robot had used beyond the budget of its steps so far",
                  m->most_ahead);
}

static void print_drift(FILE *to, const metrics *m)
{
    if (!m->watched)
        return;
    print_one(to, "deer_drift_episodes_total", "counter", "episodes that the drift watch has seen",
              (double)m->drift.episodes);
    print_one(to, "deer_drift_evidence", "gauge",
              "evidence that episodes no longer look like those calibrated on; begins with 1",
              m->drift.evidence);
    print_one(to, "deer_drift_most_evidence", "gauge", "the largest it has been", m->drift.most);
    print_one(to, "deer_drifted", "gauge", "1: calibrate anew", m->drift.drifted);
}

static void print_all(FILE *to, const metrics *m)
{
    uint64_t steps = 0;

    for (int k = 0; k < m->exits; k++)
        steps += m->taken[k];
    print_one(to, "deer_steps_total", "counter", "control steps answered", (double)steps);
    print_about(to, "deer_exits_total", "counter", "steps by the exit taken");
    for (int k = 0; k < m->exits; k++)
        fprintf(to, "deer_exits_total{exit=\"%d\"} %llu\n", k, (unsigned long long)m->taken[k]);
    print_one(to, "deer_late_total", "counter", "steps that took longer than the deadline",
              (double)m->late);
    print_one(to, "deer_failures_total", "counter", "requests answered with an error",
              (double)m->failures);
    print_times(to, "deer_step_seconds", "time inside the policy", &m->step);
    print_times(to, "deer_request_seconds", "time from a request's last byte to its answer",
                &m->request);
    print_budget(to, m, steps);
    print_drift(to, m);
    print_one(to, "deer_queue", "gauge", "requests that wait for a worker", (double)m->queued);
    print_one(to, "deer_connections", "gauge", "robots connected", (double)m->open);
    print_one(to, "deer_connections_most", "gauge", "robots connected at once, at most",
              (double)m->most_open);
    print_one(to, "deer_connections_total", "counter", "connections ever", (double)m->connections);
    print_one(to, "deer_refused_total", "counter", "connections turned away", (double)m->refused);
}

char *metrics_text(metrics *m)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    bool whole;

    if (!to)
        return NULL;
    pthread_mutex_lock(&m->lock);
    print_all(to, m);
    pthread_mutex_unlock(&m->lock);
    whole = !ferror(to);
    if (fclose(to) || !whole) {
        free(text);
        return NULL;
    }
    return text;
}
