/* SPDX-License-Identifier: MIT */
/* text.c - characters of UTF-8, and which of them are white space. */
#include "runtime/base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

size_t text_character(const char *text, size_t n)
{
    const unsigned char *t = (const unsigned char *)text;
    size_t length;

    if (!n || (t[0] >= 0x80 && (t[0] < 0xc2 || t[0] >= 0xf5)))
        return 0;
    length = t[0] < 0x80 ? 1 : t[0] >= 0xf0 ? 4 : t[0] >= 0xe0 ? 3 : 2;
    if (length > n)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((t[i] & 0xc0) != 0x80)
            return 0;
    if ((t[0] == 0xe0 && t[1] < 0xa0) || (t[0] == 0xed && t[1] >= 0xa0) ||
        (t[0] == 0xf0 && t[1] < 0x90) || (t[0] == 0xf4 && t[1] >= 0x90))
        return 0; /* overlong forms, surrogates, beyond Unicode */
    return length;
}

/* What str.isspace() says of a character of `length` bytes. */
static bool is_blank(const char *text, size_t length)
{
    const unsigned char *t = (const unsigned char *)text;
    uint32_t c = length == 1 ? t[0] : t[0] & (0xffu >> (length + 1));

    for (size_t i = 1; i < length; i++)
        c = c << 6 | (t[i] & 63);
    return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

const char *text_strip(const char *text, size_t *n)
{
    size_t length;

    while ((length = text_character(text, *n)) && is_blank(text, length)) {
        text += length;
        *n -= length;
    }
    while (*n) {
        size_t back = 1;

        while (back < 4 && back < *n && (text[*n - back] & 0xc0) == 0x80)
            back++;
        if (text_character(text + *n - back, back) != back || !is_blank(text + *n - back, back))
            break;
        *n -= back;
    }
    return text;
}

void text_copy(char *to, size_t size, const char *from)
{
    size_t n = strnlen(from, size);

    if (n == size)
        for (n--; n > 0 && (from[n] & 0xc0) == 0x80; n--)
            continue;
    memset(to, 0, size);
    memcpy(to, from, n);
}
