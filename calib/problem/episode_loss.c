/* SPDX-License-Identifier: MIT */
/* episode_loss.c - losses of episodes. */
#include "calib/problem/episode_loss.h"

#include <math.h>

enum { WINDOW = 4 };
static const double memory = 0.7; /* of what a step before left behind */
static const double poor = 0.1;   /* a step that loses more is a poor one */

static double mean(const float *x, int n)
{
    double sum = 0;

    for (int t = 0; t < n; t++)
        sum += (double)x[t];
    return sum / n;
}

static double mean_lost(const episode_steps *e)
{
    return mean(e->lost, e->n);
}

static double mean_astray(const episode_steps *e)
{
    return mean(e->astray, e->n);
}

static double worst_window(const episode_steps *e)
{
    int window = e->n < WINDOW ? e->n : WINDOW;
    double worst = 0;

    for (int t = 0; t + window <= e->n; t++)
        worst = fmax(worst, mean(e->lost + t, window));
    return worst;
}

/* Losses that follow each other weigh more: the square of what has gathered. */
static double gathered(const episode_steps *e)
{
    double sum = 0, left = 0;

    for (int t = 0; t < e->n; t++) {
        left = memory * left + (double)e->lost[t];
        sum += left * left;
    }
    return sqrt(sum / e->n);
}

/* How far the hand is from where the deepest exit would have it, were nothing put right but by and
 * by: what differs to and fro cancels. */
static double adrift(const episode_steps *e)
{
    double sum = 0, at[3] = {0};

    for (int t = 0; t < e->n; t++) {
        double square = 0;

        for (int i = 0; i < 3; i++) {
            at[i] = memory * at[i] + (double)e->off[t][i];
            square += at[i] * at[i];
        }
        sum += sqrt(square);
    }
    return sum / e->n;
}

static double poor_steps(const episode_steps *e)
{
    int count = 0;

    for (int t = 0; t < e->n; t++)
        count += (double)e->lost[t] > poor;
    return (double)count / e->n;
}

/* Poor steps behind a poor step. */
static double poor_runs(const episode_steps *e)
{
    int count = 0;

    for (int t = 1; t < e->n; t++)
        count += (double)e->lost[t] > poor && (double)e->lost[t - 1] > poor;
    return (double)count / e->n;
}

/* The part of the way shown that was not made: what the pose taken lacks along the demonstrated
 * motion. */
static double behind(const episode_steps *e)
{
    double lacking = 0, way = 0;

    for (int t = 0; t < e->n; t++) {
        double along = 0, square = 0;

        for (int i = 0; i < 3; i++) {
            along += (double)e->moved[t][i] * (double)e->demonstrated[t][i];
            square += (double)e->demonstrated[t][i] * (double)e->demonstrated[t][i];
        }
        if (square <= 0)
            continue;
        lacking += fmax(0, sqrt(square) - along / sqrt(square));
        way += sqrt(square);
    }
    return way > 0 ? lacking / way : 0;
}

const episode_loss episode_losses[EPISODE_LOSSES] = {
    {"mean", "mean loss of a step", mean_lost},
    {"demo", "mean loss of a step against the demonstrated action", mean_astray},
    {"window", "mean loss of the worst four steps in a row", worst_window},
    {"gathered", "losses that gather from step to step, squared", gathered},
    {"adrift", "how far the hand is from where the deepest exit would have it", adrift},
    {"poor", "share of steps that lose more than 0.1", poor_steps},
    {"runs", "share of such steps behind another one", poor_runs},
    {"behind", "part of the demonstrated way that is not made", behind},
};
