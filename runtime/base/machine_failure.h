/* SPDX-License-Identifier: MIT */
/* machine_failure.h - failures of the machine (memory, files, a disk), apart from those of what is
 * read: bad data can be left out, but what failed for want of memory is not bad.
 *
 *   unsigned before = machine_failures();
 *   status = read_something(.., err);
 *   if (status && machine_failures() == before)   // its own fault
 *
 *   return machine_fail(err, "out of memory reading %s", path);    // where it happens
 */
#ifndef RUNTIME_MACHINE_FAILURE_H
#define RUNTIME_MACHINE_FAILURE_H

#include "runtime/deer.h"

/* How many this process has had, in all threads. */
unsigned machine_failures(void);

/* Counts one more. */
void machine_failed(void);

/* The same where an errno says so: no memory, no room, no more files, input or output. */
void machine_failed_by(int number);

/* Whether what an allocation returned is memory; counts when it is none. */
bool machine_gave(bool memory);

/* deer_fail, counted. */
#define machine_fail(...) (machine_failed(), deer_fail(__VA_ARGS__))

#endif
