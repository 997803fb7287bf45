/* SPDX-License-Identifier: MIT */
/* options.c - structs that grow. */
#include "runtime/base/options.h"

#include <string.h>

enum { FEWEST = 8, MOST = 4096 }; /* bytes: the size and one more field; anything sensible */

deer_status options_read(const char *name, void *to, size_t size, const void *from, deer_error *err)
{
    uint32_t theirs = (uint32_t)size, ours = (uint32_t)size;
    const unsigned char *bytes = from;

    memset(to, 0, size);
    if (from)
        memcpy(&theirs, from, sizeof theirs);
    if (theirs < FEWEST || theirs > MOST)
        return deer_fail_with(DEER_USAGE, err, "%s.size is %u; set it to sizeof(%s)", name, theirs,
                              name);
    for (size_t i = size; i < theirs; i++)
        if (bytes[i])
            return deer_fail_with(DEER_USAGE, err,
                                  "%s sets an option that deer %s does not know (byte %zu)", name,
                                  DEER_VERSION, i);
    if (from)
        memcpy(to, from, theirs < size ? theirs : size);
    memcpy(to, &ours, sizeof ours);
    return DEER_OK;
}
