/* error.c - one line a person can act on. */
#include <stdarg.h>
#include <stdio.h>

#include "runtime/deer.h"

deer_status deer_fail(deer_error *err, const char *format, ...)
{
    va_list args;

    if (err) {
        va_start(args, format);
        vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
    }
    return DEER_FAILED;
}

deer_status deer_fail_with(deer_status status, deer_error *err, const char *format, ...)
{
    va_list args;

    if (err) {
        va_start(args, format);
        vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
    }
    return status;
}
