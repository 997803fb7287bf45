/* SPDX-License-Identifier: MIT */
/* deer_drift.h - does the world still look like the calibration set?
 *
 *   deer_drift *watch = NULL;
 *   deer_drift_report report;
 *
 *   deer_drift_new(thresholds, &watch, &err);
 *   while (deer_step(session, &observation, &action, &err) == DEER_OK)
 *       deer_drift_step(watch, &action, &err);
 *   deer_drift_end_episode(watch, deer_drift_kind("lift_red"), &report, &err);      // and so on
 *   if (report.drifted)
 *       puts("calibrate anew");
 *   deer_drift_free(watch);
 *
 * An episode is summed up in two numbers: the exit taken on average, and the criterion at the first
 * exit on average. Where a new episode's number ranks among those of the same kind of task, of
 * calibration and since, gives a p-value, uniform while nothing has changed; a gambler bets that it
 * is not. Whatever the numbers' distribution, in whatever order the tasks come and however often
 * one looks, the gambler's wealth ever reaches 1 / level with probability at most `level`: a
 * conformal test martingale (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World",
 * chapters 4 and 8; bets by the Simple Jumper). It holds as long as a kind's episodes are
 * exchangeable with those it was calibrated on.
 */
#ifndef DEER_DRIFT_H
#define DEER_DRIFT_H

#include "deer.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DEER_DRIFT_LEVEL 0.01 /* chance of ever raising a false alarm, at most */

/* Pictures of a camera that works differ in their noise at least. One that is stuck sends the same
 * picture again and again, and where encodings are used again as long as nothing changes, that
 * would look like a saving. Noticed where the thresholds have rules for cameras. */
#define DEER_DRIFT_STUCK 10

typedef struct deer_drift deer_drift;

typedef struct {
    int64_t episodes, steps;
    double stability; /* population stability index of the exits taken against the calibration's:
                         below 0.1 little, above 0.25 much has changed; a description, not a test.
                         NaN: no steps, or a file that does not say which exits to expect */
    double evidence;  /* the gambler's wealth now, begun with 1 */
    double most;      /* the largest it has been */
    bool drifted;     /* most >= 1 / DEER_DRIFT_LEVEL */
    uint8_t stuck;    /* cameras whose picture has not changed at all for DEER_DRIFT_STUCK steps in
                         a row: 1 the static one, 2 the wrist's, 3 both. Since the watch began */
    uint8_t unused[6];
    double reserved[4]; /* 0 */
} deer_drift_report;

/* Fails when the thresholds carry no reference episodes (a fixed exit, a turned dial). Freed by
 * deer_drift_free. */
DEER_API deer_status deer_drift_new(const deer_thresholds *thresholds, deer_drift **watch,
                                    deer_error *err);
DEER_API void deer_drift_free(deer_drift *watch);

/* Notes a step. Allocates nothing. An action whose exit the thresholds have not is DEER_USAGE. */
DEER_API deer_status deer_drift_step(deer_drift *watch, const deer_action *action, deer_error *err);

/* A kind of task by its name, as demonstrations call it; NULL is the empty name. */
DEER_API uint32_t deer_drift_kind(const char *task);

/* Ends an episode (one without steps counts as none) and says where things stand; report may be
 * NULL. An episode of a kind that calibration has not seen is compared with those of its kind
 * since. Fails only when out of memory. */
DEER_API deer_status deer_drift_end_episode(deer_drift *watch, uint32_t kind,
                                            deer_drift_report *report, deer_error *err);

#ifdef __cplusplus
}
#endif

#endif
