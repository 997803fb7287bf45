/* SPDX-License-Identifier: MIT */
/* hdf5_filter.c - LZF for HDF5, and the filters that people use without it. */
#include "datasets/hdf5/hdf5_filter.h"
#include "runtime/base/machine_failure.h"

#include <errno.h>
#include <lzf.h>
#include <stdlib.h>

/* Registered numbers: https://github.com/HDFGroup/hdf5_plugins, RegisteredFilterPlugins. */
static const struct {
    H5Z_filter_t filter;
    uint64_t ratio;             /* the most it shrinks anything */
    const char *name, *package; /* Debian's */
} filters[] = {
    {H5Z_FILTER_DEFLATE, 1100, "gzip", "libhdf5-103-1"}, /* 1032 to 1 */
    {H5Z_FILTER_SHUFFLE, 1, "shuffle", "libhdf5-103-1"},
    {H5Z_FILTER_FLETCHER32, 1, "fletcher32", "libhdf5-103-1"},
    {H5Z_FILTER_SZIP, 1 << 16, "szip", "libhdf5-103-1"},
    {H5Z_FILTER_NBIT, 1 << 16, "nbit", "libhdf5-103-1"},
    {H5Z_FILTER_SCALEOFFSET, 1 << 20, "scale-offset", "libhdf5-103-1"},
    {32000, 100, "LZF", "hdf5-plugin-lzf"}, /* at most 264 bytes of 3 */
    {307, 1 << 20, "bzip2", "hdf5-filter-plugin"},
    {32001, 1 << 20, "Blosc", "hdf5-filter-plugin-blosc-serial"},
    {32004, 256, "LZ4", "hdf5-filter-plugin"},
    {32008, 1 << 16, "bitshuffle", "hdf5-filter-plugin"},
    {32013, 1 << 16, "ZFP", "hdf5-filter-plugin-zfp-serial"},
    {32015, 1 << 20, "Zstandard", "python3-hdf5plugin"},
    {32017, 1 << 20, "SZ", "python3-hdf5plugin"},
    {32026, 1 << 20, "Blosc2", "python3-hdf5plugin"},
};

static size_t filter_index(H5Z_filter_t filter)
{
    size_t i = 0;

    while (i < sizeof filters / sizeof *filters && filters[i].filter != filter)
        i++;
    return i;
}

/* ---------------------------------------------------------------- LZF ---------------------- */

enum { LZF = 32000, LZF_RATIO = 100, LZF_CHUNK = 1 << 30 };

/* HDF5's filter function, for reading alone. values: revision, version of LZF, bytes of a chunk. */
static size_t unpack_lzf(unsigned flags, size_t count, const unsigned *values, size_t size,
                         size_t *room, void **buffer)
{
    size_t most = size < LZF_CHUNK / LZF_RATIO ? size * LZF_RATIO : LZF_CHUNK;
    size_t wanted = count > 2 && values[2] && values[2] < most ? values[2] : most;
    unsigned got;
    void *out;

    if (!(flags & H5Z_FLAG_REVERSE) || !size || size > LZF_CHUNK)
        return 0;
    out = malloc(wanted);
    got = machine_gave(out) ? lzf_decompress(*buffer, (unsigned)size, out, (unsigned)wanted) : 0;
    if (!got) {
        free(out);
        return 0;
    }
    free(*buffer);
    *buffer = out;
    *room = wanted;
    return got;
}

void hdf5_filter_lzf(void)
{
    static const H5Z_class2_t class = {H5Z_CLASS_T_VERS, LZF, 0, 1, "lzf", NULL, NULL, unpack_lzf};

    if (H5Zfilter_avail(LZF) <= 0)
        H5Zregister(&class);
}

/* ---------------------------------------------------------------- of a dataset ------------- */

/* Filter i of an open dataset's; -1 behind the last. */
static H5Z_filter_t filter_of(hid_t properties, int i)
{
    unsigned flags;
    size_t none = 0;

    return i < H5Pget_nfilters(properties)
               ? H5Pget_filter2(properties, (unsigned)i, &flags, &none, NULL, 0, NULL, NULL)
               : -1;
}

H5Z_filter_t hdf5_filter_missing(hid_t dataset)
{
    hid_t properties = H5Dget_create_plist(dataset);
    H5Z_filter_t filter, missing = 0;

    for (int i = 0; !missing && (filter = filter_of(properties, i)) >= 0; i++)
        if (H5Zfilter_avail(filter) <= 0)
            missing = filter;
    H5Pclose(properties);
    return missing;
}

uint64_t hdf5_filter_ratio(hid_t dataset)
{
    hid_t properties = H5Dget_create_plist(dataset);
    H5Z_filter_t filter;
    uint64_t most = filters[0].ratio;

    for (int i = 0; (filter = filter_of(properties, i)) >= 0; i++) {
        size_t k = filter_index(filter);
        uint64_t ratio = k < sizeof filters / sizeof *filters ? filters[k].ratio : 1 << 20;

        most = ratio > most ? ratio : most;
    }
    H5Pclose(properties);
    return most;
}

deer_status hdf5_filter_fail(const char *path, const char *name, H5Z_filter_t filter,
                             deer_error *err)
{
    size_t i = filter_index(filter);
    bool known = i < sizeof filters / sizeof *filters;

    return deer_fail(err,
                     "%s: %s is compressed by HDF5 filter %d (%s), which is not installed: install "
                     "%s (HDF5_PLUGIN_PATH names its folder if HDF5 does not find it), or save the "
                     "file with gzip where it can be read: h5repack -f GZIP=1 FILE NEW",
                     path, name, (int)filter, known ? filters[i].name : "not a registered one",
                     known ? filters[i].package : "its plugin");
}
