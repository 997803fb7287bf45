/* SPDX-License-Identifier: MIT */
/* json_memory.h - whether jansson got the memory that it asked for.
 *
 * jansson leaves out a character of a long name, text or number where its buffer cannot grow, and
 * goes on. So what it allocates with, for everybody in the process, is asked through a function
 * that notes a failure in the thread that has it; the functions that were set before do the work.
 */
#ifndef RUNTIME_JSON_MEMORY_H
#define RUNTIME_JSON_MEMORY_H

#include <stdbool.h>

/* Asks through the functions that are set now; done when the program, or the library, is loaded. */
void json_memory_watch(void);

/* Whether an allocation failed in this thread since the last time this was asked. */
bool json_memory_failed(void);

#endif
