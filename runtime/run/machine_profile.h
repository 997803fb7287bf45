/* machine_profile.h - what was measured here as a hardware profile (docs/hardware.md). */
#ifndef RUN_MACHINE_PROFILE_H
#define RUN_MACHINE_PROFILE_H

#include "runtime/run/stage_log.h"

/* What the profile is made of. */
typedef struct {
    const machine_limits *limits;
    const stage_row *rows; /* [count] */
    int count;
    double step_ms; /* a whole step, median */
    deer_dtype dtype;
} machine_measured;

/* Writes the profile of this machine to path, atomically. A profile that a run with another model
 * wrote there is completed: efficiency of other types stays, figures of the machine itself are
 * replaced. Large stages tell which fraction of the peaks they reach, small ones (next to nothing
 * of whose time is arithmetic or reading) what a product costs besides. Refuses a file at path that
 * is no measured profile. */
deer_status machine_profile_write(const char *path, const machine_measured *measured,
                                  deer_error *err);

#endif
