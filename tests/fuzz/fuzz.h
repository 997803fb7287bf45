/* SPDX-License-Identifier: MIT */
/* fuzz.h - what the fuzz targets share. A target is one LLVMFuzzerTestOneInput (libFuzzer); its
 * saved inputs lie in tests/fuzz/corpus/<target>. Run: make fuzz FUZZ_SECONDS=60.
 *
 * Header of text: where a format begins with the length of a text (safetensors, npy), an input that
 * begins with '{' is that text up to the first zero byte, then the data; the target puts the length
 * in front. So a mutated text stays a file. Other inputs are taken as whole files. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/deer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file in memory with these two parts in it, and its name in path; close it when done. */
static inline int fuzz_file(const void *start, size_t start_size, const void *rest,
                            size_t rest_size, char path[64])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    if (fd < 0 || write(fd, start, start_size) != (ssize_t)start_size ||
        write(fd, rest, rest_size) != (ssize_t)rest_size)
        abort();
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

/* Bytes of the text that an input begins with; 0 when it is a whole file. */
static inline size_t fuzz_text(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;

    return !size || *data != '{' ? 0 : zero ? (size_t)(zero - data) : size;
}

/* An error that holds no text yet, and no end of one: whoever reads it first is caught. */
static inline deer_error fuzz_error(void)
{
    deer_error err;

    memset(&err, 'x', sizeof err);
    return err;
}

/* Reads every byte, so that the sanitizers see whether it may be read. */
static inline void fuzz_touch(const void *data, size_t size)
{
    volatile uint8_t sink;
    uint8_t sum = 0;

    for (size_t i = 0; i < size; i++)
        sum ^= ((const uint8_t *)data)[i];
    sink = sum;
    (void)sink;
}

#endif
