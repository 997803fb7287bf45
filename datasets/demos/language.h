/* SPDX-License-Identifier: MIT */
/* language.h - what the robot was told: looked for where several communities write it.
 *
 * Of a demonstration: attributes and datasets language, language_instruction, lang, language_raw
 * (datasets below obs, too), and the JSON attributes ep_meta (RoboCasa), problem_info and env_args.
 * Of a whole file: the same attributes of /data and of the file; problem_info (LIBERO), env_args
 * (robomimic) and bddl_file_content of /data. At last the name of the file, where it is one of
 * LIBERO's: turn_on_the_stove_demo.hdf5. */
#ifndef DATASETS_LANGUAGE_H
#define DATASETS_LANGUAGE_H

#include <jansson.h>

#include "datasets/hdf5/hdf5_text.h"

/* A byte that no text has, for one that was no UTF-8. */
#define LANGUAGE_GARBLED '\x7f'

/* Each appends every wording found in the first place that has any, cleaned and none twice; what
 * cannot be read makes them failed, what is no UTF-8 garbled. */
void language_of_demonstration(hid_t demo, hdf5_texts *wordings);
void language_of_file(hid_t file, hdf5_texts *wordings);
void language_of_name(const char *path, hdf5_texts *wordings);

/* The first text of a JSON attribute that one of the keys (NULL behind the last) has, cleaned; the
 * caller frees. NULL when there is none; *failed is set where it cannot be read. */
char *language_json_text(hid_t object, const char *attribute, const char *const *keys,
                         bool *failed);

/* JSON as Python and others write it, NaN, half characters and invalid UTF-8 included, whose bytes
 * become LANGUAGE_GARBLED; of numbers only whole ones below a thousand million are kept. The text
 * is changed. NULL where it is no JSON; then *failed is set where memory was short. */
json_t *language_parse(char *text, bool *failed);

/* Whether all of a text is UTF-8: Latin-1 and others are not guessed at. */
bool language_is_utf8(const char *text);

/* Makes a text printable on one line, in place: spaces for control characters, no invalid UTF-8, no
 * white space or quotes around it. Returns its length. */
size_t language_clean(char *text);

#endif
