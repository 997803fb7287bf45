/* SPDX-License-Identifier: MIT */
/* msgpack.c - the bytes of MessagePack. */
#include "runtime/serve/msgpack.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- reading ------------------ */

/* A big-endian number of `size` bytes; false where they are not there. */
static bool take(msgpack_reader *in, size_t size, uint64_t *value)
{
    if ((size_t)(in->end - in->at) < size)
        return false;
    *value = 0;
    for (size_t i = 0; i < size; i++)
        *value = *value << 8 | *in->at++;
    return true;
}

static bool take_integer(msgpack_reader *in, size_t size, bool has_sign, msgpack_value *v)
{
    uint64_t bits;
    int unused = 64 - 8 * (int)size;

    if (!take(in, size, &bits))
        return false;
    v->type = MSGPACK_INTEGER;
    if (has_sign)
        v->integer = (int64_t)(bits << unused) >> unused;
    else
        v->integer = bits > INT64_MAX ? INT64_MAX : (int64_t)bits;
    v->real = has_sign ? (double)v->integer : (double)bits;
    return true;
}

static bool take_real(msgpack_reader *in, size_t size, msgpack_value *v)
{
    uint64_t bits;
    uint32_t half;
    float single;

    if (!take(in, size, &bits))
        return false;
    v->type = MSGPACK_REAL;
    if (size == 8) {
        memcpy(&v->real, &bits, sizeof v->real);
        return true;
    }
    half = (uint32_t)bits;
    memcpy(&single, &half, sizeof single);
    v->real = (double)single;
    return true;
}

/* The contents of a text, bytes or an extension. */
static bool take_bytes(msgpack_reader *in, msgpack_type type, uint64_t size, msgpack_value *v)
{
    if ((uint64_t)(in->end - in->at) < size)
        return false;
    v->type = type;
    v->bytes = in->at;
    v->size = (size_t)size;
    in->at += size;
    return true;
}

/* Every element takes a byte at least: a count that the rest cannot hold is refused at once. */
static bool take_head(msgpack_reader *in, msgpack_type type, uint64_t count, msgpack_value *v)
{
    uint64_t values = type == MSGPACK_MAP ? 2 * count : count;

    if ((uint64_t)(in->end - in->at) < values)
        return false;
    v->type = type;
    v->count = (uint32_t)count;
    return true;
}

/* Those that a length of `width` bytes precedes. An extension has a byte more, its type. */
static bool take_long(msgpack_reader *in, msgpack_type type, size_t width, msgpack_value *v)
{
    uint64_t length;

    if (!take(in, width, &length))
        return false;
    if (type == MSGPACK_LIST || type == MSGPACK_MAP)
        return take_head(in, type, length, v);
    return take_bytes(in, type, length + (type == MSGPACK_EXTENSION), v);
}

/* What begins with a byte from 0xc0 to 0xdf. */
static bool take_coded(msgpack_reader *in, uint8_t code, msgpack_value *v)
{
    size_t three = (size_t)1 << (code & 3); /* codes come in fours: widths 1, 2, 4, 8 */

    switch (code) {
    case 0xc0:
        return true;
    case 0xc2:
    case 0xc3:
        v->type = MSGPACK_BOOLEAN;
        v->boolean = code & 1;
        return true;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return take_long(in, MSGPACK_BYTES, three, v);
    case 0xc7:
    case 0xc8:
    case 0xc9:
        return take_long(in, MSGPACK_EXTENSION, (size_t)1 << (code - 0xc7), v);
    case 0xca:
    case 0xcb:
        return take_real(in, code == 0xca ? 4 : 8, v);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return take_integer(in, three, false, v);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return take_integer(in, three, true, v);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return take_bytes(in, MSGPACK_EXTENSION, 1 + ((uint64_t)1 << (code - 0xd4)), v);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return take_long(in, MSGPACK_TEXT, (size_t)1 << (code - 0xd9), v);
    case 0xdc:
    case 0xdd:
        return take_long(in, MSGPACK_LIST, code == 0xdc ? 2 : 4, v);
    case 0xde:
    case 0xdf:
        return take_long(in, MSGPACK_MAP, code == 0xde ? 2 : 4, v);
    default:
        return false; /* 0xc1 is none */
    }
}

bool msgpack_next(msgpack_reader *in, msgpack_value *v)
{
    uint8_t code;

    *v = (msgpack_value){.type = MSGPACK_NIL};
    if (in->at >= in->end)
        return false;
    code = *in->at++;
    if (code < 0x80 || code >= 0xe0) {
        v->type = MSGPACK_INTEGER;
        v->integer = (int8_t)code;
        v->real = (double)v->integer;
        return true;
    }
    if (code < 0x90)
        return take_head(in, MSGPACK_MAP, code & 15, v);
    if (code < 0xa0)
        return take_head(in, MSGPACK_LIST, code & 15, v);
    if (code < 0xc0)
        return take_bytes(in, MSGPACK_TEXT, code & 31, v);
    return take_coded(in, code, v);
}

/* Values that follow the head of one. */
static uint64_t inside(const msgpack_value *v)
{
    return v->type == MSGPACK_MAP ? 2 * (uint64_t)v->count : v->type == MSGPACK_LIST ? v->count : 0;
}

bool msgpack_skip(msgpack_reader *in)
{
    msgpack_value v;

    for (uint64_t left = 1; left > 0; left--) {
        if (!msgpack_next(in, &v))
            return false;
        left += inside(&v);
    }
    return true;
}

/* A value's head; the reader is behind all of it then. */
static void peek(msgpack_reader *in, msgpack_value *value)
{
    msgpack_reader at = *in;

    msgpack_next(&at, value);
    msgpack_skip(in);
}

void msgpack_pair(msgpack_reader *in, msgpack_value *key, msgpack_reader *at, msgpack_value *value)
{
    peek(in, key);
    *at = *in;
    peek(in, value);
}

deer_status msgpack_check(const uint8_t *message, size_t size, deer_error *err)
{
    msgpack_reader in = {message, message + size};
    uint64_t left[MSGPACK_DEPTH + 1] = {1}; /* values still to come at each depth */
    int depth = 0, values = 0;
    msgpack_value v;

    while (depth >= 0) {
        if (!left[depth]) {
            depth--;
            continue;
        }
        left[depth]--;
        if (++values > MSGPACK_MOST_VALUES)
            return deer_fail_with(DEER_USAGE, err, "the message has more than %d values",
                                  MSGPACK_MOST_VALUES);
        if (!msgpack_next(&in, &v))
            return deer_fail_with(DEER_USAGE, err,
                                  "the message is no MessagePack: it breaks off, or begins no "
                                  "value, at byte %zu of %zu",
                                  (size_t)(in.at - message), size);
        if (!inside(&v))
            continue;
        if (depth == MSGPACK_DEPTH)
            return deer_fail_with(DEER_USAGE, err,
                                  "the message has more than %d lists and maps inside each other",
                                  MSGPACK_DEPTH);
        left[++depth] = inside(&v);
    }
    if (in.at != in.end)
        return deer_fail_with(DEER_USAGE, err, "%zu bytes follow the message's MessagePack value",
                              (size_t)(in.end - in.at));
    return DEER_OK;
}

bool msgpack_is(const msgpack_value *v, const char *text)
{
    return (v->type == MSGPACK_TEXT || v->type == MSGPACK_BYTES) && v->size == strlen(text) &&
           !memcmp(v->bytes, text, v->size);
}

/* ---------------------------------------------------------------- writing ------------------ */

void msgpack_free(msgpack_buffer *out)
{
    free(out->data);
    *out = (msgpack_buffer){0};
}

/* Room for `size` more bytes, or NULL. */
static uint8_t *more(msgpack_buffer *out, size_t size)
{
    size_t room = out->room ? out->room : 256;
    uint8_t *data;

    while (room - out->size < size)
        room *= 2;
    if (!out->failed && room > out->room) {
        data = realloc(out->data, room);
        out->failed = !data;
        out->data = data ? data : out->data;
        out->room = data ? room : out->room;
    }
    if (out->failed)
        return NULL;
    out->size += size;
    return out->data + out->size - size;
}

/* A code and, behind it, the `width` lowest bytes of a number. */
static void put(msgpack_buffer *out, uint8_t code, size_t width, uint64_t value)
{
    uint8_t *to = more(out, 1 + width);

    if (!to)
        return;
    *to++ = code;
    for (size_t i = width; i-- > 0;)
        *to++ = (uint8_t)(value >> 8 * i);
}

void msgpack_put_nil(msgpack_buffer *out)
{
    put(out, 0xc0, 0, 0);
}

void msgpack_put_boolean(msgpack_buffer *out, bool value)
{
    put(out, value ? 0xc3 : 0xc2, 0, 0);
}

void msgpack_put_integer(msgpack_buffer *out, int64_t value)
{
    if (value >= -32 && value < 128)
        put(out, (uint8_t)value, 0, 0);
    else
        put(out, 0xd3, 8, (uint64_t)value);
}

void msgpack_put_real(msgpack_buffer *out, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    if (isnan(value))
        msgpack_put_nil(out);
    else
        put(out, 0xcb, 8, bits);
}

void msgpack_put_raw(msgpack_buffer *out, const void *bytes, size_t size)
{
    uint8_t *to = more(out, size);

    if (to && size)
        memcpy(to, bytes, size);
}

void msgpack_put_text(msgpack_buffer *out, const char *text)
{
    size_t size = strlen(text);

    if (size < 32)
        put(out, (uint8_t)(0xa0 | size), 0, 0);
    else
        put(out, 0xdb, 4, size);
    msgpack_put_raw(out, text, size);
}

void msgpack_put_bytes(msgpack_buffer *out, const void *bytes, size_t size)
{
    if (size < 256)
        put(out, 0xc4, 1, size);
    else
        put(out, 0xc6, 4, size);
    msgpack_put_raw(out, bytes, size);
}

void msgpack_put_list(msgpack_buffer *out, uint32_t count)
{
    if (count < 16)
        put(out, (uint8_t)(0x90 | count), 0, 0);
    else
        put(out, 0xdd, 4, count);
}

void msgpack_put_map(msgpack_buffer *out, uint32_t count)
{
    if (count < 16)
        put(out, (uint8_t)(0x80 | count), 0, 0);
    else
        put(out, 0xdf, 4, count);
}
