/* SPDX-License-Identifier: MIT */
/* trials.h - what is promised, the candidates for it, and what the episodes say of each.
 *
 * Inside of calib/guarantee. */
#ifndef CALIB_TRIALS_H
#define CALIB_TRIALS_H

#include "calib/guarantee/guarantee.h"

/* One limit: per step on cost or on loss, of all episodes or of one kind. */
typedef struct {
    double limit; /* of a step */
    bool on_loss;
    int kind;     /* -1: all */
    double shock; /* the largest Z that was seen where the mean seemed within the limit */
} promise;

/* Thresholds, and what they come to in every episode. */
typedef struct {
    float tau[DEER_MAX_EXITS];
    int fixed;           /* the exit that every step takes; -1: it depends on deltas */
    int deepest;         /* the last exit that a step may take */
    double *cost, *loss; /* [episodes] sums over steps; of those tested on only when */
    bool whole;          /* they were judged, too */
    double price;        /* mean cost of a step solved on */
    double sureness;     /* episodes there are for testing, as a multiple of those needed; of the
                            least sure promise, below 0 where it seems broken; infinity: certain */
} trial;

typedef struct {
    const guarantee_spec *spec;
    const steps *solving;
    int together; /* promises that shall all hold; 1: this alone */
    int max_exit, episodes;
    const bool *for_solving;
    guarantee_judge judge;
    void *context;

    bool longest_assumed; /* nobody said it */
    int longest, tested, kinds;
    bool *for_testing; /* [episodes] those not solved on */
    int *steps_of;     /* [episodes] */
    int *kind;         /* [episodes] 0 .. kinds-1 */
    double *weight;    /* [episodes] in the mean of its part; 1 without a mix */
    double heaviest;   /* weight among the tested */
    promise *promises;
    int n_promises;

    trial *trials;
    int n, room;
    double *z;          /* [episodes] scratch */
    episode_sums *sums; /* [episodes] scratch */
} job;

/* Takes spec and arguments as guarantee_choose has them: fills in everything but promises and
 * trials. job_free also after a failure. */
deer_status job_make(job *j, const float *tau, deer_error *err);
void job_free(job *j);

/* Mean of sums [episodes] over the steps solved on. */
double job_mean(const job *j, const double *sums);

/* The promises of the spec: one of each limit, or of each limit and kind. */
deer_status job_promise(job *j, deer_error *err);

/* Z of every episode of one part that counts, weighted, into j->z; returns how many. */
int trial_collect(job *j, const trial *t, const promise *p, bool solving_part);

/* Is the promise kept whatever the episodes are? */
bool trial_certain(const job *j, const trial *t, const promise *p);

/* How sure the part that was solved on makes a promise; see trial.sureness. */
double trial_sureness(job *j, const trial *t, const promise *p);

/* The promise's hypothesis tested on the other part. */
deer_status trial_test(job *j, const trial *t, const promise *p, double *p_value, deer_error *err);

/* Means over the steps of the tested part, weighted. */
void trial_means(const job *j, const trial *t, double *cost, double *loss);

/* What a test would be of, without its seed: the range and the spread of Z. */
bound_case trial_case(job *j, const trial *t, const promise *p, double *gap);

/* Judges the trial on the part for testing, if that was not done yet. */
deer_status trial_complete(job *j, trial *t, deer_error *err);

/* Judges thresholds on the part that was solved on (on both where they may be certain) and appends
 * them, with their sureness; fixed and deepest as in a trial. */
deer_status trials_add(job *j, const float *tau, int fixed, int deepest, deer_error *err);

/* Finds the promises' shocks among all trials, and judges how sure these are with them. */
void trials_expect_shocks(job *j);

/* Every fixed exit, and paths of candidates around tau, dense where tests begin to fail. */
deer_status trials_make(job *j, const float *tau, deer_error *err);

#endif
