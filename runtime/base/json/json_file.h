/* SPDX-License-Identifier: MIT */
/* json_file.h - reading a whole JSON file. */
#ifndef RUNTIME_JSON_FILE_H
#define RUNTIME_JSON_FILE_H

#include "runtime/base/json/json_memory.h"
#include "runtime/deer.h"

/* Reads a file of at most limit bytes; the caller frees with json_decref. NULL and an error that
 * names the file, and the line where it is not JSON; the same key twice in an object is an error,
 * too. */
json_t *json_file_read(const char *path, size_t limit, deer_error *err);

/* Half a character that Python writes as an escape (\ud83d alone), and \u0000, are what jansson
 * refuses a whole text for: each becomes U+FFFD, in place. */
void json_mend_escapes(char *text, size_t size);

#endif
