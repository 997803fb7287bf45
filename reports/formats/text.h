/* SPDX-License-Identifier: MIT */
/* text.h - text from files on its way into JSON, CSV and HTML. */
#ifndef REPORTS_TEXT_H
#define REPORTS_TEXT_H

#include <stdint.h>
#include <stdio.h>

/* Copies as valid UTF-8 that ends within size bytes: bytes that are none become '?', and so do
 * control characters. */
void text_copy_utf8(char *to, size_t size, const char *from);

enum { TEXT_DIGITS = 24 };

/* A number in three significant digits, without an exponent where that is possible, and its unit
 * (" ms", may be empty); "unknown" for NaN. Returns text. */
const char *text_digits(char text[TEXT_DIGITS], double value, const char *unit);

/* Writes text so that HTML shows it as it is, inside elements and quoted attributes. */
void text_html(FILE *out, const char *text);

/* Writes JSON text so that nothing in it can end the <script> element that holds it: < > & become
 * \u escapes, which only occur inside its strings. */
void text_json_in_html(FILE *out, const char *json);

/* Writes one field of a CSV row, quoted where it must be; a leading = + - @ of a text gets a quote
 * before it, so that no spreadsheet takes it for a formula. */
void text_csv(FILE *out, const char *text);

/* Writes bytes as base64. */
void text_base64(FILE *out, const uint8_t *bytes, size_t size);

#endif
