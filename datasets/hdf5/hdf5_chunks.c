/* SPDX-License-Identifier: MIT */
/* hdf5_chunks.c - chunk by chunk, each inflated into the room that it may take.
 *
 * HDF5's own filter inflates a chunk until its stream ends, however long that is: a megabyte can
 * take a gigabyte of memory. */
#include "datasets/hdf5/hdf5_chunks.h"
#include "runtime/base/machine_failure.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    MOST_CHUNKS = 1 << 21,
    HARMLESS = 1 << 16, /* a stored chunk that inflates to no more than 66 MB */
    CHECKSUM = 4        /* bytes of Fletcher-32 */
};

typedef struct {
    int rank;
    hsize_t size[HDF5_IO_RANK], chunk[HDF5_IO_RANK];
    size_t element, bytes; /* of an element; of a whole chunk */
    int64_t count;         /* of chunks */
    bool plain;            /* bytes, deflated or not: read without HDF5's filters */
    bool deflated, checksummed;
} layout;

bool hdf5_is_plausible(uint64_t bytes, uint64_t stored)
{
    return bytes <= 64 << 20 || bytes / 200 <= stored;
}

/* ---------------------------------------------------------------- layout ------------------- */

/* deflate last, but for a checksum; it may not be there twice. */
static bool take_filters(hid_t creation, layout *l)
{
    int n = H5Pget_nfilters(creation);

    for (int i = 0; i < n; i++) {
        unsigned flags, config;
        size_t values = 0;
        H5Z_filter_t f =
            H5Pget_filter2(creation, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);

        if (f < 0 || (l->deflated && f != H5Z_FILTER_FLETCHER32))
            return false;
        l->deflated |= f == H5Z_FILTER_DEFLATE;
        l->checksummed |= f == H5Z_FILTER_FLETCHER32;
    }
    l->plain = n == 0 || (n == 1 && l->deflated);
    return n >= 0;
}

static bool take_sizes(hid_t dataset, hid_t creation, layout *l)
{
    hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
    bool ok = space >= 0 && type >= 0;

    l->rank = ok ? H5Sget_simple_extent_ndims(space) : -1;
    ok = l->rank >= 1 && l->rank <= HDF5_IO_RANK &&
         H5Sget_simple_extent_dims(space, l->size, NULL) == l->rank &&
         H5Pget_chunk(creation, l->rank, l->chunk) == l->rank;
    l->element = l->bytes = ok ? H5Tget_size(type) : 0;
    l->count = 1;
    for (int d = 0; ok && d < l->rank; d++) {
        ok = l->chunk[d] > 0 && !__builtin_mul_overflow(l->bytes, l->chunk[d], &l->bytes) &&
             !__builtin_mul_overflow(l->count, (l->size[d] + l->chunk[d] - 1) / l->chunk[d],
                                     &l->count);
    }
    l->plain = l->plain && ok && H5Tequal(type, H5T_STD_U8LE) > 0;
    H5Tclose(type);
    H5Sclose(space);
    return ok && l->count <= MOST_CHUNKS &&
           hdf5_is_plausible(l->bytes, H5Dget_storage_size(dataset));
}

/* Whether the dataset is in chunks: 1, 0, or -1 where it cannot be read. */
static int layout_of(hid_t dataset, layout *l)
{
    hid_t creation = H5Dget_create_plist(dataset);
    H5D_layout_t kind = creation < 0 ? H5D_LAYOUT_ERROR : H5Pget_layout(creation);
    H5D_fill_value_t fill = H5D_FILL_VALUE_ERROR;
    int result = kind == H5D_LAYOUT_ERROR ? -1 : kind == H5D_CHUNKED;

    *l = (layout){.rank = 0};
    if (result == 1 && (!take_filters(creation, l) || !take_sizes(dataset, creation, l)))
        result = -1;
    l->plain = l->plain && H5Pfill_value_defined(creation, &fill) >= 0 &&
               fill != H5D_FILL_VALUE_USER_DEFINED;
    H5Pclose(creation);
    return result;
}

/* The place of chunk i in the dataset. */
static void offset_of(const layout *l, int64_t i, hsize_t offset[HDF5_IO_RANK])
{
    for (int d = l->rank - 1; d >= 0; d--) {
        int64_t n = (int64_t)((l->size[d] + l->chunk[d] - 1) / l->chunk[d]);

        offset[d] = (hsize_t)(i % n) * l->chunk[d];
        i /= n;
    }
}

/* ---------------------------------------------------------------- a chunk ------------------ */

typedef struct {
    hid_t dataset;
    layout l;
    uint8_t *stored, *whole; /* a chunk as it is stored [room], and inflated [l.bytes] */
    size_t room;
} reader;

/* Chunk as it is stored; *bytes 0 where there is none. Incompressible data grows by less than a
 * hundredth. */
static bool read_stored(reader *r, const hsize_t *offset, size_t *bytes, uint32_t *skipped)
{
    hsize_t n = 0;

    *bytes = 0;
    if (H5Dget_chunk_storage_size(r->dataset, offset, &n) < 0 ||
        n > r->l.bytes + r->l.bytes / 100 + 1024)
        return false;
    if (n > r->room) {
        uint8_t *grown = realloc(r->stored, n);
        if (!machine_gave(grown))
            return false;
        r->stored = grown;
        r->room = n;
    }
    *bytes = n;
    return !n || H5Dread_chunk(r->dataset, H5P_DEFAULT, offset, skipped, r->stored) >= 0;
}

/* Inflates into room that must be filled exactly. */
static bool inflate_into(const uint8_t *from, size_t n, uint8_t *to, size_t room)
{
    uLongf length = room;

    return uncompress(to, &length, from, n) == Z_OK && length == room;
}

/* The part of a whole chunk that lies inside the dataset, to its place. */
static void place(const layout *l, const hsize_t *offset, const uint8_t *chunk, uint8_t *data)
{
    hsize_t size[4] = {1, 1, 1, 1}, part[4] = {1, 1, 1, 1}, at[4] = {0}, n[4];
    int lead = 4 - l->rank;

    for (int d = 0; d < l->rank; d++) {
        size[lead + d] = l->size[d];
        part[lead + d] = l->chunk[d];
        at[lead + d] = offset[d];
    }
    for (int d = 0; d < 4; d++)
        n[d] = size[d] - at[d] < part[d] ? size[d] - at[d] : part[d];
    for (hsize_t i = 0; i < n[0]; i++)
        for (hsize_t j = 0; j < n[1]; j++)
            for (hsize_t k = 0; k < n[2]; k++)
                memcpy(data +
                           (((at[0] + i) * size[1] + at[1] + j) * size[2] + at[2] + k) * size[3] +
                           at[3],
                       chunk + ((i * part[1] + j) * part[2] + k) * part[3], n[3]);
}

/* ---------------------------------------------------------------- reading ------------------ */

static bool read_chunk(reader *r, int64_t i, uint8_t *data)
{
    hsize_t offset[HDF5_IO_RANK];
    uint32_t skipped = 0;
    size_t n;
    const uint8_t *chunk;

    offset_of(&r->l, i, offset);
    if (!read_stored(r, offset, &n, &skipped))
        return false;
    chunk = n && (!r->l.deflated || skipped & 1) ? r->stored : r->whole;
    if (!n)
        memset(r->whole, 0, r->l.bytes);
    else if (chunk == r->whole && !inflate_into(r->stored, n, r->whole, r->l.bytes))
        return false;
    if (chunk == r->stored && n != r->l.bytes)
        return false;
    place(&r->l, offset, chunk, data);
    return true;
}

/* Whether a chunk that HDF5 will inflate is as long as it should be. */
static bool check_chunk(reader *r, int64_t i)
{
    hsize_t offset[HDF5_IO_RANK];
    uint32_t skipped = 0;
    size_t n, checksum = r->l.checksummed ? CHECKSUM : 0;

    offset_of(&r->l, i, offset);
    if (!read_stored(r, offset, &n, &skipped))
        return false;
    if (n <= HARMLESS || !r->l.deflated || skipped)
        return true;
    return inflate_into(r->stored, n - checksum, r->whole, r->l.bytes);
}

static bool reader_open(hid_t dataset, const layout *l, reader *r)
{
    *r = (reader){.dataset = dataset, .l = *l, .whole = malloc(l->bytes)};
    return machine_gave(r->whole);
}

static void reader_close(reader *r)
{
    free(r->stored);
    free(r->whole);
}

static bool read_chunks(hid_t dataset, const layout *l, uint8_t *data)
{
    reader r;
    bool ok = reader_open(dataset, l, &r);

    for (int64_t i = 0; i < l->count && ok; i++)
        ok = data ? read_chunk(&r, i, data) : check_chunk(&r, i);
    reader_close(&r);
    return ok;
}

deer_status hdf5_chunks_read(hid_t dataset, hid_t type, void *data)
{
    layout l;
    int chunked = layout_of(dataset, &l);
    bool direct = chunked == 1 && l.plain && H5Tequal(type, H5T_NATIVE_UINT8) > 0;

    if (chunked < 0 ||
        (chunked && (direct || l.deflated) && !read_chunks(dataset, &l, direct ? data : NULL)))
        return DEER_FAILED;
    return direct || H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0 ? DEER_OK
                                                                                      : DEER_FAILED;
}

/* ---------------------------------------------------------------- copying ------------------ */

static hid_t create_alike(hid_t from, hid_t file, const char *name)
{
    hid_t creation = H5Dget_create_plist(from), space = H5Dget_space(from);
    hid_t type = H5Dget_type(from), dataset = H5I_INVALID_HID;

    if (creation >= 0 && space >= 0 && type >= 0 && H5Pset_obj_track_times(creation, false) >= 0)
        dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    H5Tclose(type);
    H5Sclose(space);
    H5Pclose(creation);
    return dataset;
}

static bool copy_chunks(hid_t from, const layout *l, hid_t to)
{
    reader r;
    bool ok = reader_open(from, l, &r);

    for (int64_t i = 0; i < l->count && ok; i++) {
        hsize_t offset[HDF5_IO_RANK];
        uint32_t skipped = 0;
        size_t n;

        offset_of(l, i, offset);
        ok = read_stored(&r, offset, &n, &skipped) &&
             (!n || H5Dwrite_chunk(to, H5P_DEFAULT, skipped, offset, n, r.stored) >= 0);
    }
    reader_close(&r);
    return ok;
}

/* A dataset that is not in chunks, through memory. */
static bool copy_whole(hid_t from, hid_t to)
{
    hid_t type = H5Dget_type(from), space = H5Dget_space(from);
    hssize_t count = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    size_t size = type < 0 ? 0 : H5Tget_size(type);
    void *data =
        count > 0 && size && hdf5_is_plausible((uint64_t)count * size, H5Dget_storage_size(from))
            ? malloc((size_t)count * size)
            : NULL;
    bool ok = data && H5Dread(from, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0 &&
              H5Dwrite(to, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;

    free(data);
    H5Sclose(space);
    H5Tclose(type);
    return ok;
}

deer_status hdf5_chunks_copy(hid_t from, hid_t file, const char *name)
{
    layout l;
    int chunked = layout_of(from, &l);
    hid_t to = chunked < 0 ? H5I_INVALID_HID : create_alike(from, file, name);
    bool ok = to >= 0 && (chunked ? copy_chunks(from, &l, to) : copy_whole(from, to));

    if (to >= 0)
        ok = H5Dclose(to) >= 0 && ok;
    return ok ? DEER_OK : DEER_FAILED;
}
