/* SPDX-License-Identifier: MIT */
/* damage.c - a damaged copy of a file: flipped bits, a cut, a repeated or overwritten part.
 *
 *   damage FROM TO SEED */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static uint64_t draw(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? state % below : 0;
}

/* Headers lie at the beginning, directories at the end: half of all damage goes there. */
static size_t place(size_t size)
{
    size_t near = size < 4096 ? size : 4096;

    switch (draw(4)) {
    case 0:
        return draw(near);
    case 1:
        return size - 1 - draw(near);
    default:
        return draw(size);
    }
}

static size_t damage(unsigned char *data, size_t size)
{
    size_t at = place(size), n = 1 + draw(16), from = place(size);

    switch (draw(6)) {
    case 0:
        return at; /* a cut */
    case 1:
        memset(data + at, (int)(draw(2) * 255), n < size - at ? n : size - at);
        return size;
    case 2:
        n = n < size - at ? n : size - at;
        memmove(data + at, data + from, n < size - from ? n : size - from);
        return size;
    case 3:
        for (size_t i = 0; i < 8; i++)
            data[place(size)] = (unsigned char)draw(256);
        return size;
    default:
        data[at] ^= (unsigned char)(1u << draw(8));
        return size;
    }
}

int main(int argc, char **argv)
{
    FILE *from = argc == 4 ? fopen(argv[1], "rb") : NULL, *to;
    unsigned char *data = malloc(1 << 26);
    size_t size;

    if (!from || !data)
        return 2;
    size = fread(data, 1, 1 << 26, from);
    state = strtoull(argv[3], NULL, 10) * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < 8; i++)
        draw(0);
    size = size ? damage(data, size) : 0;
    to = fopen(argv[2], "wb");
    return !to || fwrite(data, 1, size, to) != size || fclose(to);
}
