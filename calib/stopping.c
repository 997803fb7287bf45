/* stopping.c - stopping rules on given signals, by backward induction and least squares. */
#include "calib/stopping.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KNOTS 6
#define LOOK_AT 100000
#define RIDGE 10.0 /* steps' worth of "it makes no difference" for every coefficient */
#define MOST (STOPPING_MAX_SIGNALS * KNOTS)

/* A signal at a step: between which knots, and how far. */
typedef struct {
    uint8_t knot;
    float way;
} place;

typedef struct {
    const steps *s;
    int max_exit, signals, fold;
    int64_t n;
    int64_t *row;  /* [n] steps looked at */
    uint8_t *half; /* [n] */
    place *at;     /* [signals, max_exit, n] */
    double *value; /* [n] of going on */
    uint8_t *exit; /* [n] taken */
    double normal[MOST * MOST], right[MOST], weight[DEER_MAX_EXITS][MOST];
} fit;

/* ---------------------------------------------------------------- signals ------------------ */

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* Quantiles of the finite values of column[row]; room [n]. Returns how many knots differ. */
static int find_knots(const fit *f, const float *column, float *room, float *knot)
{
    int64_t finite = 0;
    int knots = 0;

    for (int64_t i = 0; i < f->n; i++)
        if (isfinite(column[f->row[i]]))
            room[finite++] = column[f->row[i]];
    qsort(room, (size_t)finite, sizeof *room, ascending);
    for (int q = 0; q < KNOTS && finite; q++) {
        float x = room[(finite - 1) * q / (KNOTS - 1)];

        if (!knots || x > knot[knots - 1])
            knot[knots++] = x;
    }
    return knots;
}

static void place_column(const fit *f, const float *column, float *room, place *at)
{
    float knot[KNOTS];
    int knots = find_knots(f, column, room, knot);

    for (int64_t i = 0; i < f->n; i++) {
        float x = column[f->row[i]];
        int j = 0;

        at[i] = (place){0, 0};
        if (knots < 2 || !isfinite(x))
            continue;
        while (j < knots - 2 && x >= knot[j + 1])
            j++;
        at[i].knot = (uint8_t)j;
        at[i].way = fminf(fmaxf((x - knot[j]) / (knot[j + 1] - knot[j]), 0), 1);
    }
}

/* ---------------------------------------------------------------- regression --------------- */

/* Solves normal x = right in place, of size m, symmetric positive definite: Cholesky. */
static void solve_normal(double *a, double *x, int m)
{
    for (int j = 0; j < m; j++)
        for (int i = j; i < m; i++) {
            double sum = a[i * m + j];

            for (int k = 0; k < j; k++)
                sum -= a[i * m + k] * a[j * m + k];
            a[i * m + j] = i == j ? sqrt(sum) : sum / a[j * m + j];
        }
    for (int i = 0; i < m; i++) {
        for (int k = 0; k < i; k++)
            x[i] -= a[i * m + k] * x[k];
        x[i] /= a[i * m + i];
    }
    for (int i = m - 1; i >= 0; i--) {
        for (int k = i + 1; k < m; k++)
            x[i] -= a[k * m + i] * x[k];
        x[i] /= a[i * m + i];
    }
}

/* The 2 coefficients of each signal that step i uses, and their weights. Returns how many. */
static int coefficients(const fit *f, int k, int64_t i, int *index, double *weight)
{
    int n = 0;

    for (int j = 0; j < f->signals; j++) {
        place at = f->at[((int64_t)j * f->max_exit + k) * f->n + i];

        index[n] = j * KNOTS + at.knot;
        weight[n++] = 1 - (double)at.way;
        index[n] = j * KNOTS + at.knot + 1;
        weight[n++] = (double)at.way;
    }
    return n;
}

static double stop_value(const fit *f, int k, int64_t i, double price)
{
    const steps *s = f->s;

    return (double)s->loss[k * s->n + f->row[i]] +
           price * s->cost[s->group[f->row[i]] * s->exits + k];
}

static bool may_stop(const fit *f, int k, int64_t i)
{
    return isfinite(f->s->delta[k * f->s->n + f->row[i]]);
}

/* Regresses what stopping at k loses against going on, over the steps of the fold. */
static void regress(fit *f, int k, double price)
{
    int m = f->signals * KNOTS, index[2 * STOPPING_MAX_SIGNALS];
    double weight[2 * STOPPING_MAX_SIGNALS];

    memset(f->normal, 0, (size_t)(m * m) * sizeof *f->normal);
    memset(f->right, 0, (size_t)m * sizeof *f->right);
    for (int j = 0; j < m; j++)
        f->normal[j * m + j] = RIDGE;
    for (int64_t i = 0; i < f->n; i++) {
        double y = stop_value(f, k, i, price) - f->value[i];
        int used;

        if (f->half[i] != f->fold || !may_stop(f, k, i))
            continue;
        used = coefficients(f, k, i, index, weight);
        for (int a = 0; a < used; a++) {
            f->right[index[a]] += weight[a] * y;
            for (int b = 0; b < used; b++)
                f->normal[index[a] * m + index[b]] += weight[a] * weight[b];
        }
    }
    solve_normal(f->normal, f->right, m);
    memcpy(f->weight[k], f->right, (size_t)m * sizeof *f->right);
}

static bool stops(const fit *f, int k, int64_t i)
{
    int index[2 * STOPPING_MAX_SIGNALS];
    double weight[2 * STOPPING_MAX_SIGNALS], sum = 0;
    int used = coefficients(f, k, i, index, weight);

    for (int a = 0; a < used; a++)
        sum += weight[a] * f->weight[k][index[a]];
    return sum <= 0 && may_stop(f, k, i);
}

/* Fits on one half and adds what the rule costs and loses on the other. */
static void judge(fit *f, double price, double *cost, double *loss)
{
    for (int64_t i = 0; i < f->n; i++) {
        f->value[i] = stop_value(f, f->max_exit, i, price);
        f->exit[i] = (uint8_t)f->max_exit;
    }
    for (int k = f->max_exit - 1; k >= 0; k--) {
        regress(f, k, price);
        for (int64_t i = 0; i < f->n; i++)
            if (stops(f, k, i)) {
                f->value[i] = stop_value(f, k, i, price);
                f->exit[i] = (uint8_t)k;
            }
    }
    for (int64_t i = 0; i < f->n; i++)
        if (f->half[i] != f->fold) {
            *cost += f->s->cost[f->s->group[f->row[i]] * f->s->exits + f->exit[i]] / (double)f->n;
            *loss += (double)f->s->loss[f->exit[i] * f->s->n + f->row[i]] / (double)f->n;
        }
}

/* ---------------------------------------------------------------- curve -------------------- */

static void fixed(const fit *f, int k, stopping_curve *curve)
{
    double *cost = &curve->cost[curve->points], *loss = &curve->loss[curve->points];

    *cost = *loss = 0;
    for (int64_t i = 0; i < f->n; i++) {
        *cost += f->s->cost[f->s->group[f->row[i]] * f->s->exits + k] / (double)f->n;
        *loss += (double)f->s->loss[k * f->s->n + f->row[i]] / (double)f->n;
    }
    curve->points++;
}

/* Keeps the corners of the lower convex hull; the points come in any order. */
static void keep_hull(stopping_curve *c)
{
    double *x = c->cost, *y = c->loss;
    int kept = 0;

    for (int i = 1; i < c->points; i++)
        for (int j = i; j > 0 && (x[j] < x[j - 1] || (x[j] == x[j - 1] && y[j] < y[j - 1])); j--) {
            double cost = x[j], loss = y[j];

            x[j] = x[j - 1];
            y[j] = y[j - 1];
            x[j - 1] = cost;
            y[j - 1] = loss;
        }
    for (int i = 0; i < c->points; i++) {
        if (kept && !(y[i] < y[kept - 1]))
            continue;
        while (kept > 1 && (y[kept - 1] - y[kept - 2]) * (x[i] - x[kept - 2]) >=
                               (y[i] - y[kept - 2]) * (x[kept - 1] - x[kept - 2]))
            kept--;
        x[kept] = x[i];
        y[kept++] = y[i];
    }
    c->points = kept;
}

double stopping_at(const stopping_curve *c, double cost)
{
    if (cost < c->cost[0] * (1 - 1e-9))
        return INFINITY;
    for (int i = 1; i < c->points; i++)
        if (cost < c->cost[i])
            return c->loss[i - 1] + (c->loss[i] - c->loss[i - 1]) * fmax(0, cost - c->cost[i - 1]) /
                                        (c->cost[i] - c->cost[i - 1]);
    return c->loss[c->points - 1];
}

/* ---------------------------------------------------------------- whole -------------------- */

static void fit_free(fit *f)
{
    if (!f)
        return;
    free(f->row);
    free(f->half);
    free(f->at);
    free(f->value);
    free(f->exit);
    free(f);
}

static fit *fit_new(const steps *s, int signals, int max_exit)
{
    fit *f = calloc(1, sizeof *f);
    int64_t stride = 1 + s->n / LOOK_AT;
    size_t n = (size_t)s->n;

    if (!f)
        return NULL;
    f->s = s;
    f->max_exit = max_exit;
    f->signals = signals;
    f->row = malloc(n * sizeof *f->row);
    f->half = malloc(n);
    if (!f->row || !f->half) {
        fit_free(f);
        return NULL;
    }
    for (int64_t i = 0; i < s->n; i++) {
        if (s->episodes > 1 && s->episode[i] / 2 % stride)
            continue;
        f->half[f->n] = s->episodes > 1 ? s->episode[i] % 2 : i >= s->n / 2;
        f->row[f->n++] = i;
    }
    n = (size_t)f->n;
    f->at = malloc(n * (size_t)(signals * (max_exit ? max_exit : 1)) * sizeof *f->at);
    f->value = malloc(n * sizeof *f->value);
    f->exit = malloc(n);
    if (!f->at || !f->value || !f->exit) {
        fit_free(f);
        return NULL;
    }
    return f;
}

deer_status stopping_fit(const steps *s, const float *signal, int count, int max_exit,
                         stopping_curve *curve, deer_error *err)
{
    fit *f = fit_new(s, signal ? count : 1, max_exit);
    float *room = f ? malloc((size_t)f->n * sizeof *room) : NULL;
    double scale;

    *curve = (stopping_curve){0};
    if (!room) {
        fit_free(f);
        return deer_fail(err, "out of memory for %lld steps", (long long)s->n);
    }
    for (int j = 0; j < f->signals; j++)
        for (int k = 0; k < max_exit; k++)
            place_column(f, (signal ? signal : s->delta) + ((int64_t)j * s->exits + k) * s->n, room,
                         f->at + ((int64_t)j * max_exit + k) * f->n);
    fixed(f, 0, curve);
    if (max_exit)
        fixed(f, max_exit, curve);
    scale = max_exit ? (curve->loss[0] - curve->loss[1]) / (curve->cost[1] - curve->cost[0]) : 0;
    for (int i = 0; scale > 0 && isfinite(scale) && curve->points < STOPPING_POINTS; i++) {
        double price = scale * 0.01 * pow(3000, i / (double)(STOPPING_POINTS - 3));

        curve->cost[curve->points] = curve->loss[curve->points] = 0;
        for (f->fold = 0; f->fold < 2; f->fold++)
            judge(f, price, &curve->cost[curve->points], &curve->loss[curve->points]);
        curve->points++;
    }
    keep_hull(curve);
    free(room);
    fit_free(f);
    return DEER_OK;
}
