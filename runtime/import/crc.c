/* SPDX-License-Identifier: MIT */
/* crc.c - checksums by tables, eight bytes at a time: row k of a table is what a byte does to the
 * sum when k more bytes follow it. zlib has only the first of the two, and the robot's programs do
 * not link it. */
#include "runtime/import/crc.h"

#include <pthread.h>

enum { AT_ONCE = 8 };

typedef uint32_t table[AT_ONCE][256];

static table zip_table, castagnoli_table;
static pthread_once_t filling = PTHREAD_ONCE_INIT;

static void fill(table t, uint32_t polynomial)
{
    for (uint32_t i = 0; i < 256; i++) {
        t[0][i] = i;
        for (int bit = 0; bit < 8; bit++)
            t[0][i] = t[0][i] >> 1 ^ (t[0][i] & 1 ? polynomial : 0);
    }
    for (int k = 1; k < AT_ONCE; k++)
        for (int i = 0; i < 256; i++)
            t[k][i] = t[k - 1][i] >> 8 ^ t[0][t[k - 1][i] & 0xff];
}

static void fill_both(void)
{
    fill(zip_table, 0xedb88320);
    fill(castagnoli_table, 0x82f63b78);
}

static uint32_t add(table t, uint32_t sum, const uint8_t *p, size_t n)
{
    sum = ~sum;
    for (; n >= AT_ONCE; n -= AT_ONCE, p += AT_ONCE)
        sum = t[7][(sum ^ p[0]) & 0xff] ^ t[6][(sum >> 8 ^ p[1]) & 0xff] ^
              t[5][(sum >> 16 ^ p[2]) & 0xff] ^ t[4][sum >> 24 ^ p[3]] ^ t[3][p[4]] ^ t[2][p[5]] ^
              t[1][p[6]] ^ t[0][p[7]];
    while (n--)
        sum = sum >> 8 ^ t[0][(sum ^ *p++) & 0xff];
    return ~sum;
}

uint32_t crc_zip(uint32_t sum, const void *data, size_t n)
{
    pthread_once(&filling, fill_both);
    return add(zip_table, sum, data, n);
}

uint32_t crc_castagnoli(uint32_t sum, const void *data, size_t n)
{
    pthread_once(&filling, fill_both);
    return add(castagnoli_table, sum, data, n);
}
