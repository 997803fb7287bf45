/* SPDX-License-Identifier: MIT */
/* sim_remote.h - the policy that acts on the tabletop is a policy server's. */
#ifndef SIM_REMOTE_H
#define SIM_REMOTE_H

#include "datasets/tabletop/rollout.h"

/* Connects this process to ws://HOST:PORT; key may be NULL. *policy lasts as long as the process.
 * Fails where deer-sim was built without libwebsockets. */
deer_status sim_remote_open(const char *url, const char *key, const rollout_policy **policy,
                            deer_error *err);

/* The key in a file; the caller frees it. */
deer_status sim_remote_key(const char *path, char **key, deer_error *err);

#endif
