/* SPDX-License-Identifier: MIT */
/* text.c - escaping. */
#include "reports/formats/text.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

void text_copy_utf8(char *to, size_t size, const char *from)
{
    const utf8proc_uint8_t *next = (const utf8proc_uint8_t *)from;
    size_t used = 0;

    while (*next) {
        utf8proc_int32_t code;
        utf8proc_ssize_t length = utf8proc_iterate(next, -1, &code);
        bool plain = length < 1 || code < 32 || code == 127;

        if (length < 1)
            length = 1;
        if (used + (plain ? 1 : (size_t)length) >= size)
            break;
        if (plain)
            to[used++] = '?';
        else
            memcpy(to + used, next, (size_t)length);
        used += plain ? 0 : (size_t)length;
        next += length;
    }
    to[used] = 0;
}

const char *text_digits(char text[TEXT_DIGITS], double value, const char *unit)
{
    int decimals = value != 0 && isfinite(value) ? 2 - (int)floor(log10(fabs(value))) : 0;

    decimals = decimals < 0 ? 0 : decimals > 9 ? 9 : decimals;
    if (isfinite(value))
        snprintf(text, TEXT_DIGITS, fabs(value) < 1e12 ? "%.*f%s" : "%.*e%s", decimals, value,
                 unit);
    else
        snprintf(text, TEXT_DIGITS, isnan(value) ? "unknown" : "unlimited");
    return text;
}

void text_html(FILE *out, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default:
            fputc(*text, out);
        }
}

void text_json_in_html(FILE *out, const char *json)
{
    for (; *json; json++)
        if (*json == '<' || *json == '>' || *json == '&')
            fprintf(out, "\\u%04x", (unsigned)*json);
        else
            fputc(*json, out);
}

void text_csv(FILE *out, const char *text)
{
    bool formula = *text && strchr("=+-@", *text);

    if (!formula && !strpbrk(text, ",\"\n\r'")) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    if (formula)
        fputc('\'', out);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

void text_base64(FILE *out, const uint8_t *bytes, size_t size)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < size; i += 3) {
        uint32_t three = (uint32_t)bytes[i] << 16;

        three |= i + 1 < size ? (uint32_t)bytes[i + 1] << 8 : 0;
        three |= i + 2 < size ? bytes[i + 2] : 0;
        fputc(digit[three >> 18], out);
        fputc(digit[three >> 12 & 63], out);
        fputc(i + 1 < size ? digit[three >> 6 & 63] : '=', out);
        fputc(i + 2 < size ? digit[three & 63] : '=', out);
    }
}
