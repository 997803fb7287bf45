/* SPDX-License-Identifier: MIT */
/* file_kind.c - telling files apart by their first bytes. */
#include "runtime/base/file_kind.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { START = 64 };

static const struct {
    const char *start; /* what the file begins with, behind `skip` bytes of anything */
    size_t size, skip;
    const char *is;
} kinds[] = {
    {"version https://git-lfs.github.com/spec/", 40, 0,
     "is a Git LFS pointer, not the file; get that with git lfs pull"},
    {"\x89HDF\r\n\x1a\n", 8, 0, "is an HDF5 file"},
    {"PAR1", 4, 0, "is a Parquet table"},
    {"PK\x03\x04", 4, 0, "is a zip archive (PyTorch's checkpoints and .npz files are some)"},
    {"PK\x05\x06", 4, 0, "is an empty zip archive"},
    {"\x1f\x8b", 2, 0, "is compressed by gzip; unpack it first"},
    {"\x28\xb5\x2f\xfd", 4, 0, "is compressed by zstd; unpack it first"},
    {"\xfd"
     "7zXZ",
     5, 0, "is compressed by xz; unpack it first"},
    {"BZh", 3, 0, "is compressed by bzip2; unpack it first"},
    {"ustar", 5, 257, "is a tar archive; unpack it first"},
    {"\x93NUMPY", 6, 0, "is a numpy array"},
    {"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9", 9, 0, "is a PyTorch checkpoint from before 1.6"},
    {"ftyp", 4, 4, "is an MP4 video"},
    {"\x89PNG", 4, 0, "is a PNG image"},
    {"\xff\xd8\xff", 3, 0, "is a JPEG image"},
    {"%PDF", 4, 0, "is a PDF document"},
    {"GGUF", 4, 0, "is a GGUF model of llama.cpp"},
};

static bool starts(const uint8_t *start, size_t n, const char *text)
{
    size_t length = strlen(text);

    return n >= length && !strncasecmp((const char *)start, text, length);
}

/* A download that failed: the server's page in place of the file. */
static bool is_page(const uint8_t *start, size_t n)
{
    while (n && strchr(" \t\r\n\xef\xbb\xbf", *start) && *start)
        start++, n--;
    return starts(start, n, "<!doctype html") || starts(start, n, "<html") ||
           starts(start, n, "<head") || starts(start, n, "<?xml");
}

/* The checksum of a TFRecord's length (CRC-32C, masked). */
static uint32_t masked_crc(const uint8_t *bytes, size_t n)
{
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8;
}

static bool is_record(const uint8_t *start, size_t n)
{
    uint32_t stored = 0;

    for (int i = 3; n >= 12 && i >= 0; i--)
        stored = stored << 8 | start[8 + i];
    return n >= 12 && masked_crc(start, 8) == stored;
}

static bool is_safetensors(const uint8_t *start, size_t n, uint64_t size)
{
    uint64_t length = 0;

    for (int i = 7; n >= 9 && i >= 0; i--)
        length = length << 8 | start[i];
    return n >= 9 && start[8] == '{' && length < size;
}

static void print_start(const uint8_t *start, size_t n, uint64_t size, char text[FILE_KIND])
{
    int used = snprintf(text, FILE_KIND, "begins with");
    bool printable = n > 0;
    size_t shown = n < 8 ? n : 8;

    for (size_t i = 0; i < shown; i++)
        printable = printable && start[i] >= ' ' && start[i] < 127;
    if (printable)
        used += snprintf(text + used, FILE_KIND - (size_t)used, " '%.*s'", (int)shown,
                         (const char *)start);
    else
        for (size_t i = 0; i < shown; i++)
            used += snprintf(text + used, FILE_KIND - (size_t)used, " %02x", start[i]);
    snprintf(text + used, FILE_KIND - (size_t)used, " and has %llu bytes",
             (unsigned long long)size);
}

const char *file_kind_of(const uint8_t *start, size_t n, uint64_t size, char text[FILE_KIND])
{
    static const uint8_t zeros[START];

    if (!size)
        return strcpy(text, "is empty");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (n >= kinds[i].skip + kinds[i].size &&
            !memcmp(start + kinds[i].skip, kinds[i].start, kinds[i].size))
            return strcpy(text, kinds[i].is);
    if (is_page(start, n))
        return strcpy(text, "is a web page, not the file; was the download refused?");
    if (is_record(start, n))
        return strcpy(text, "is a TFRecord file");
    if (is_safetensors(start, n, size))
        return strcpy(text, "is a safetensors file");
    if (!memcmp(start, zeros, n < START ? n : START))
        snprintf(text, FILE_KIND, "begins with zeros; was it never finished?");
    else
        print_start(start, n, size, text);
    return text;
}

const char *file_kind(const char *path, char text[FILE_KIND])
{
    uint8_t start[512];
    FILE *f = fopen(path, "rbe");
    struct stat info;
    size_t n;

    if (!f) {
        snprintf(text, FILE_KIND, "cannot be opened: %s", strerror(errno));
        return text;
    }
    if (fstat(fileno(f), &info) || !S_ISREG(info.st_mode)) {
        fclose(f);
        return strcpy(text, S_ISDIR(info.st_mode) ? "is a folder" : "is not a regular file");
    }
    n = fread(start, 1, sizeof start, f);
    fclose(f);
    return file_kind_of(start, n, (uint64_t)info.st_size, text);
}
