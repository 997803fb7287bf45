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

    if (err && format) {
        va_start(args, format);
        write_message(err, format, args);
        va_end(args);
    }
    return DEER_FAILED;
}

deer_status deer_fail_with(deer_status status, deer_error *err, const char *format, ...)
{
    va_list args;

    if (err && format) {
        va_start(args, format);
        write_message(err, format, args);
        va_end(args);
    }
    return status;
}

const char *deer_status_name(deer_status status)
{
    switch (status) {
    case DEER_OK:
        return "done";
    case DEER_FAILED:
        return "failed";
    case DEER_USAGE:
        return "wrong usage";
    case DEER_INFEASIBLE:
        return "infeasible";
    case DEER_BUSY:
        return "busy";
    }
    return "unknown status";
}

const char *deer_version(void)
{
    return DEER_VERSION;
}

int32_t deer_version_number(void)
{
    return 10000 * DEER_VERSION_MAJOR + 100 * DEER_VERSION_MINOR + DEER_VERSION_PATCH;
}
