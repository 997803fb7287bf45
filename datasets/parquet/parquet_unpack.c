/* SPDX-License-Identifier: MIT */
/* parquet_unpack.c - the compressions of Parquet's pages. */
#include <snappy-c.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "datasets/parquet/parquet_internal.h"

enum { PLAIN, SNAPPY, GZIP, ZSTD = 6 };

static bool unpack_gzip(const uint8_t *from, size_t size, uint8_t *full, size_t full_size)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)from, .avail_in = (uInt)size};
    int result;

    if (size > UINT32_MAX || full_size > UINT32_MAX || inflateInit2(&z, MAX_WBITS + 32) != Z_OK)
        return false;
    z.next_out = full;
    z.avail_out = (uInt)full_size;
    result = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    return result == Z_STREAM_END && z.total_out == full_size;
}

bool parquet_unpack(int codec, const uint8_t *from, size_t size, uint8_t *full, size_t full_size)
{
    size_t got = full_size;

    if (!size && !full_size) /* nothing but missing values, which some writers do not compress */
        return true;
    switch (codec) {
    case PLAIN:
        if (size != full_size)
            return false;
        if (size)
            memcpy(full, from, size);
        return true;
    case SNAPPY: /* checks the length that the data states against the room */
        return snappy_uncompress((const char *)from, size, (char *)full, &got) == SNAPPY_OK &&
               got == full_size;
    case GZIP:
        return unpack_gzip(from, size, full, full_size);
    case ZSTD:
        return ZSTD_decompress(full, full_size, from, size) == full_size;
    default:
        return false;
    }
}
