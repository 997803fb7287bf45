/* SPDX-License-Identifier: MIT */
/* json_file.h - reading JSON, whole or not at all. */
#ifndef RUNTIME_JSON_FILE_H
#define RUNTIME_JSON_FILE_H

#include <jansson.h>

#include "runtime/deer.h"

/* Reads a text; flags are those of json_loadb, the caller frees with json_decref. NULL and what is
 * wrong with it (problem may be NULL). Want of memory counts as a failure of the machine. */
json_t *json_parse(const char *text, size_t size, size_t flags, json_error_t *problem);

/* Reads a file of at most limit bytes; the caller frees with json_decref. NULL and an error that
 * names the file, and the line where it is not JSON; the same key twice in an object is an error,
 * too. */
json_t *json_file_read(const char *path, size_t limit, deer_error *err);

/* Half a character that Python writes as an escape (\ud83d alone), and \u0000, are what jansson
 * refuses a whole text for: each becomes U+FFFD, in place. */
void json_mend_escapes(char *text, size_t size);
#endif
