/* SPDX-License-Identifier: MIT */
/* text.h - UTF-8 texts: white space as Python sees it, lines that can be printed. */
#ifndef RUNTIME_TEXT_H
#define RUNTIME_TEXT_H

#include <stddef.h>

/* Bytes of the UTF-8 character at text [n], 0 if there is no valid one. */
size_t text_character(const char *text, size_t n);

/* Takes white space off both ends of text [*n], as Python's str.strip() does (with U+00A0, U+3000
 * and the like); returns where it starts. */
const char *text_strip(const char *text, size_t *n);

/* As many of a text's characters as fit, whole; zero bytes behind them. */
void text_copy(char *to, size_t size, const char *from);

#endif
