/* SPDX-License-Identifier: MIT */
/* checksum.h - XXH3-128 of bytes that come piece by piece.
 *
 *   checksum *sum = checksum_new();
 *   checksum_begin(sum);
 *   checksum_add(sum, piece, size);
 *   checksum_end(sum, text);             // 32 hexadecimal digits
 *   checksum_free(sum);
 */
#ifndef RUNTIME_CHECKSUM_H
#define RUNTIME_CHECKSUM_H

#include <stddef.h>

#define CHECKSUM_DIGITS 32

typedef struct checksum checksum;

/* NULL when out of memory. */
checksum *checksum_new(void);
void checksum_free(checksum *sum);

void checksum_begin(checksum *sum);
void checksum_add(checksum *sum, const void *data, size_t size);
void checksum_end(const checksum *sum, char text[CHECKSUM_DIGITS + 1]);

#endif
