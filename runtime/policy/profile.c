/* SPDX-License-Identifier: MIT */
/* profile.c - where the time of a step goes. */
#include "runtime/policy/profile.h"

#include <time.h>

#include "runtime/policy/session.h"

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void deer_session_profile(deer_session *session, deer_profile *profile)
{
    session->profile = profile;
}

void profile_start(deer_profile *p)
{
    if (p)
        p->at = now();
}

void profile_mark(deer_profile *p, deer_stage stage)
{
    double time;

    if (!p)
        return;
    time = now();
    p->seconds[stage] += time - p->at;
    p->count[stage]++;
    p->at = time;
}

deer_stage profile_layer(int layer)
{
    return PROFILE_LAYER + (layer < PROFILE_LAYERS ? layer : PROFILE_LAYERS - 1);
}
