/* SPDX-License-Identifier: MIT */
/* json_memory.h - what becomes of jansson where it gets no memory.
 *
 * A reader of jansson 2.14 leaves out the character that its buffer cannot grow for, and goes on:
 * with another name, text or number, or over the end of a buffer. So what it allocates with, for
 * everybody in the process, is asked through a function of ours, above those that were set before:
 * where that fails, our own readings end at once, and of writings it is noted. A process that sets
 * functions of its own later has jansson's readings as they are. */
#ifndef RUNTIME_JSON_MEMORY_H
#define RUNTIME_JSON_MEMORY_H

#include <jansson.h>

/* json_loadb, but NULL and "out of memory" whenever an allocation fails: what was read until then
 * is lost. problem may be NULL. */
json_t *json_parse(const char *text, size_t size, size_t flags, json_error_t *problem);

/* json_dumps, but NULL whenever an allocation fails, and for free() whatever jansson allocates
 * with. */
char *json_dumped(const json_t *json, size_t flags);

/* Asks through the functions that are set now; done when the program, or the library, is loaded.
 * The library stays loaded from then on. */
void json_memory_watch(void);

#endif
