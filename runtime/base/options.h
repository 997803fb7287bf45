/* SPDX-License-Identifier: MIT */
/* options.h - options structs of the public functions, whatever version the caller was built with.
 *
 *   deer_session_options o;
 *   if (options_read("deer_session_options", &o, sizeof o, options, err))
 *       return DEER_USAGE;
 *
 * Such a struct begins with its size as the caller knows it. What an older caller does not have is
 * zero, the default; what a newer one has beyond this library's must be zero, since it would be
 * ignored. */
#ifndef RUNTIME_OPTIONS_H
#define RUNTIME_OPTIONS_H

#include "runtime/deer.h"

/* Copies the caller's struct (NULL: all defaults) into `to`, which has `size` bytes and begins with
 * them. Fails (DEER_USAGE) when the caller's size is none that this or any library has had. */
deer_status options_read(const char *name, void *to, size_t size, const void *from,
                         deer_error *err);

#endif
