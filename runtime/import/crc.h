/* SPDX-License-Identifier: MIT */
/* crc.h - checksums of 32 bits, lowest bit first.
 *
 *   sum = crc_zip(0, first, n);       // CRC-32: zip, PNG
 *   sum = crc_zip(sum, second, m);    // of both, behind one another
 */
#ifndef RUNTIME_CRC_H
#define RUNTIME_CRC_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of bytes of which `sum` is that of the first, and of n more. */
uint32_t crc_zip(uint32_t sum, const void *data, size_t n);

/* The same of CRC-32C (Castagnoli): TFRecord. */
uint32_t crc_castagnoli(uint32_t sum, const void *data, size_t n);

#endif
