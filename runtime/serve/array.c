/* SPDX-License-Identifier: MIT */
/* array.c - numpy arrays in MessagePack, and camera images in arrays. */
#include "runtime/serve/array.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/half.h"

enum { MOST_SIDE = 16384 }; /* of an image, pixels */

/* ---------------------------------------------------------------- arrays ------------------- */

/* The parts of a numpy map, whichever of them there are. */
typedef struct {
    bool is_array, is_scalar;
    msgpack_value data, dtype;
    msgpack_reader shape; /* in front of it; at NULL where there is none */
} parts;

static parts take_parts(msgpack_reader *in, uint32_t pairs)
{
    parts p = {.data = {.type = MSGPACK_NIL}};

    for (uint32_t i = 0; i < pairs; i++) {
        msgpack_value key, value;
        msgpack_reader at;

        msgpack_pair(in, &key, &at, &value);
        if (msgpack_is(&key, "__ndarray__"))
            p.is_array = true;
        else if (msgpack_is(&key, "__npgeneric__"))
            p.is_scalar = true;
        else if (msgpack_is(&key, "data"))
            p.data = value;
        else if (msgpack_is(&key, "dtype"))
            p.dtype = value;
        else if (msgpack_is(&key, "shape"))
            p.shape = at;
    }
    return p;
}

/* "<f4", "|u1": byte order, kind, bytes of an item. */
static deer_status take_dtype(const msgpack_value *dtype, const char *name, array *out,
                              deer_error *err)
{
    const char *text = (const char *)dtype->bytes;
    bool is_one = (dtype->type == MSGPACK_TEXT || dtype->type == MSGPACK_BYTES) && dtype->size == 3;

    if (!is_one || !strchr("<|>=", text[0]) || !strchr("1248", text[2]) || !text[0] || !text[2])
        return deer_fail_with(DEER_USAGE, err,
                              "%s has a dtype that is not taken: |u1, <f2, <f4 "
                              "and <f8 are",
                              name);
    out->kind = text[1];
    out->item_size = (size_t)(text[2] - '0');
    if (!strchr("uifb", out->kind) || !out->kind || (out->kind == 'f' && out->item_size == 1))
        return deer_fail_with(DEER_USAGE, err,
                              "%s has a dtype that is not taken: |u1, <f2, <f4 "
                              "and <f8 are",
                              name);
    if (text[0] == '>' && out->item_size > 1)
        return deer_fail_with(DEER_USAGE, err, "%s is big-endian, which is not taken", name);
    return DEER_OK;
}

/* The shape; the items it makes up are so many that they could be in memory. */
static deer_status take_shape(msgpack_reader in, const char *name, array *out, uint64_t *items,
                              deer_error *err)
{
    msgpack_value list, side;

    if (!in.at || !msgpack_next(&in, &list) || list.type != MSGPACK_LIST)
        return deer_fail_with(DEER_USAGE, err, "%s has no shape", name);
    if (list.count > ARRAY_DIMENSIONS)
        return deer_fail_with(DEER_USAGE, err, "%s has %u dimensions, more than %d", name,
                              list.count, ARRAY_DIMENSIONS);
    out->dimensions = (int)list.count;
    *items = 1;
    for (uint32_t i = 0; i < list.count; i++) {
        if (!msgpack_next(&in, &side) || side.type != MSGPACK_INTEGER || side.integer < 0 ||
            side.integer > UINT32_MAX || *items > UINT32_MAX)
            return deer_fail_with(DEER_USAGE, err, "%s has a shape that no array has", name);
        out->shape[i] = (uint32_t)side.integer;
        *items *= out->shape[i];
    }
    return DEER_OK;
}

deer_status array_read(msgpack_reader *in, const char *name, array *out, deer_error *err)
{
    msgpack_value head;
    uint64_t items = 0;
    parts p;

    *out = (array){.kind = 0};
    msgpack_next(in, &head);
    if (head.type != MSGPACK_MAP)
        return deer_fail_with(DEER_USAGE, err, "%s is no array", name);
    p = take_parts(in, head.count);
    if (!p.is_array)
        return deer_fail_with(DEER_USAGE, err, "%s is no array", name);
    if (take_dtype(&p.dtype, name, out, err) || take_shape(p.shape, name, out, &items, err))
        return DEER_USAGE;
    if (p.data.type != MSGPACK_BYTES && p.data.type != MSGPACK_TEXT)
        return deer_fail_with(DEER_USAGE, err, "%s has no data", name);
    if (items > UINT32_MAX || items * out->item_size != p.data.size)
        return deer_fail_with(DEER_USAGE, err,
                              "%s has %zu bytes of data, which its shape and "
                              "dtype do not make up",
                              name, p.data.size);
    out->data = p.data.bytes;
    out->bytes = p.data.size;
    return DEER_OK;
}

msgpack_value array_scalar(msgpack_reader *in)
{
    msgpack_value value;
    parts p;

    msgpack_next(in, &value);
    if (value.type == MSGPACK_MAP) {
        p = take_parts(in, value.count);
        return p.is_scalar ? p.data : value;
    }
    for (uint32_t i = 0; value.type == MSGPACK_LIST && i < value.count; i++)
        msgpack_skip(in);
    return value;
}

static void write_array(msgpack_buffer *out, const char *dtype, int dimensions,
                        const uint32_t *shape, const void *data, size_t bytes)
{
    msgpack_put_map(out, 4);
    msgpack_put_bytes(out, "__ndarray__", 11);
    msgpack_put_boolean(out, true);
    msgpack_put_bytes(out, "data", 4);
    msgpack_put_bytes(out, data, bytes);
    msgpack_put_bytes(out, "dtype", 5);
    msgpack_put_text(out, dtype);
    msgpack_put_bytes(out, "shape", 5);
    msgpack_put_list(out, (uint32_t)dimensions);
    for (int i = 0; i < dimensions; i++)
        msgpack_put_integer(out, shape[i]);
}

void array_write_floats(msgpack_buffer *out, uint32_t rows, uint32_t columns, const float *values)
{
    const uint32_t shape[2] = {rows, columns};

    write_array(out, "<f4", 2, shape, values, (size_t)rows * columns * sizeof *values);
}

void array_write_image(msgpack_buffer *out, uint32_t height, uint32_t width, const uint8_t *rgb)
{
    const uint32_t shape[3] = {height, width, 3};

    write_array(out, "|u1", 3, shape, rgb, (size_t)height * width * 3);
}

/* ---------------------------------------------------------------- images ------------------- */

void image_store_free(image_store *store)
{
    free(store->pixels);
    *store = (image_store){NULL, 0};
}

static deer_status make_room(image_store *store, size_t size, deer_error *err)
{
    uint8_t *pixels;

    if (store->room >= size)
        return DEER_OK;
    pixels = realloc(store->pixels, size);
    if (!pixels)
        return deer_fail(err, "out of memory for an image of %zu bytes", size);
    store->pixels = pixels;
    store->room = size;
    return DEER_OK;
}

/* 255 v in the array's own type, as numpy multiplies. */
static double scaled(const uint8_t *item, size_t size)
{
    uint16_t half;
    float single;
    double number;

    switch (size) {
    case 2:
        memcpy(&half, item, sizeof half);
        return (double)half_to_float(half_from_float(255 * half_to_float(half)));
    case 4:
        memcpy(&single, item, sizeof single);
        return (double)(255 * single);
    default:
        memcpy(&number, item, sizeof number);
        return 255 * number;
    }
}

/* The item as a byte; false where it is none. */
static bool to_byte(const array *a, size_t i, uint8_t *byte)
{
    const uint8_t *item = a->data + i * a->item_size;
    double v;

    if (a->kind == 'u') {
        *byte = *item;
        return true;
    }
    v = scaled(item, a->item_size);
    if (!(v > -1 && v < 256))
        return false;
    *byte = (uint8_t)v;
    return true;
}

/* Channels in front or behind, floats or bytes -> rows of interleaved bytes. */
static bool interleave(const array *a, bool planes, size_t pixels, uint8_t *to)
{
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < 3; c++, to++)
            if (!to_byte(a, planes ? c * pixels + i : 3 * i + c, to))
                return false;
    return true;
}

deer_status image_from_array(const array *a, const char *name, image_store *store,
                             deer_camera *camera, deer_image *image, deer_error *err)
{
    bool planes = a->dimensions == 3 && a->shape[0] == 3;
    uint32_t height = a->shape[planes ? 1 : 0], width = a->shape[planes ? 2 : 1];
    size_t size = (size_t)height * width * 3;

    if (a->dimensions != 3 || (!planes && a->shape[2] != 3))
        return deer_fail_with(DEER_USAGE, err,
                              "%s is no image: [height, width, 3] or [3, height, width] is", name);
    if (!height || !width || height > MOST_SIDE || width > MOST_SIDE)
        return deer_fail_with(DEER_USAGE, err, "%s has %u x %u pixels; 1 to %d each can be used",
                              name, width, height, MOST_SIDE);
    if ((a->kind != 'u' || a->item_size != 1) && a->kind != 'f')
        return deer_fail_with(DEER_USAGE, err, "%s holds neither bytes nor floats", name);
    *camera = (deer_camera){.width = (int32_t)width, .height = (int32_t)height};
    *image = (deer_image){a->data, size};
    if (a->kind == 'u' && !planes)
        return DEER_OK;
    if (make_room(store, size, err))
        return DEER_FAILED;
    image->pixels = store->pixels;
    if (!interleave(a, planes, size / 3, store->pixels))
        return deer_fail_with(DEER_USAGE, err,
                              "%s has a value outside of 0..1, the range of float images", name);
    return DEER_OK;
}
