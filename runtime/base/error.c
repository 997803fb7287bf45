/* SPDX-License-Identifier: MIT */
/* error.c - one line a person can act on. */
#include <stdarg.h>
#include <stdio.h>

#include "runtime/deer.h"

/* Names in a message come from files: a line break or an escape sequence in one must not reach the
 * terminal. */
__attribute__((format(printf, 2, 0))) static void write_message(deer_error *err, const char *format,
                                                                va_list args)
{
    vsnprintf(err->message, sizeof err->message, format, args);
    for (char *c = err->message; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
}

deer_status deer_fail(deer_error *err, const char *format, ...)
{
    va_list args;

    if (err) {
        va_start(args, format);
        write_message(err, format, args);
        va_end(args);
    }
    return DEER_FAILED;
}

deer_status deer_fail_with(deer_status status, deer_error *err, const char *format, ...)
{
    va_list args;

    if (err) {
        va_start(args, format);
        write_message(err, format, args);
        va_end(args);
    }
    return status;
}
