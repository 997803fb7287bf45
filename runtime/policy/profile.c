/* SPDX-License-Identifier: MIT */
/* profile.c - where the time of a step goes. */
#include "runtime/policy/profile.h"

#include "runtime/base/clock.h"
#include "runtime/policy/session.h"

void deer_session_profile(deer_session *session, deer_profile *profile)
{
    session->profile = profile;
}

void profile_start(deer_profile *p)
{
    if (p)
        p->at = clock_seconds();
}

void profile_mark(deer_profile *p, deer_stage stage)
{
    double time;

    if (!p)
        return;
    time = clock_seconds();
    p->seconds[stage] += time - p->at;
    p->count[stage]++;
    p->at = time;
}

deer_stage profile_layer(int layer)
{
    return PROFILE_LAYER + (layer < PROFILE_LAYERS ? layer : PROFILE_LAYERS - 1);
}
