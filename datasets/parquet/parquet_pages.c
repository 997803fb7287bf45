/* SPDX-License-Identifier: MIT */
/* parquet_pages.c - the values in a column's pages: levels, dictionaries, plain values. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/parquet/parquet_internal.h"
#include "runtime/base/machine_failure.h"

enum { DATA_PAGE, DICTIONARY_PAGE = 2, DATA_PAGE_2 };
enum { PLAIN, PLAIN_DICTIONARY = 2, RLE, RLE_DICTIONARY = 8 };

static const uint64_t HARMLESS = 64 << 20; /* bytes, or values, that a small file may hold */

/* ---------------------------------------------------------------- runs --------------------- */

/* Numbers of a few bits, in runs of one or packed. */
typedef struct {
    const uint8_t *at, *end;
    int width; /* bits */
    uint64_t left;
    bool packed, ok;
    uint32_t value; /* of a run */
    uint64_t bits;  /* packed ones not taken yet */
    int have;
} runs;

static void begin_run(runs *r)
{
    uint64_t head = 0;

    for (int shift = 0; r->at < r->end && shift < 35; shift += 7) {
        head |= (uint64_t)(*r->at & 0x7f) << shift;
        if (!(*r->at++ & 0x80))
            break;
    }
    r->packed = head & 1;
    r->left = r->packed ? (head >> 1) * 8 : head >> 1;
    r->value = 0;
    r->bits = 0;
    r->have = 0;
    for (int i = 0; !r->packed && i < (r->width + 7) / 8; i++) {
        r->ok = r->ok && r->at < r->end;
        if (r->ok)
            r->value |= (uint32_t)*r->at++ << 8 * i;
    }
    r->ok = r->ok && r->left;
}

static uint32_t next_number(runs *r)
{
    uint32_t value;

    if (!r->width)
        return 0;
    if (!r->left && r->ok) {
        r->ok = r->at < r->end;
        if (r->ok)
            begin_run(r);
    }
    if (!r->ok)
        return 0;
    r->left--;
    if (!r->packed)
        return r->value;
    while (r->have < r->width) { /* the last group may be cut short */
        r->ok = r->ok && r->at < r->end;
        if (!r->ok)
            return 0;
        r->bits |= (uint64_t)*r->at++ << r->have;
        r->have += 8;
    }
    value = (uint32_t)(r->bits & ((UINT64_C(1) << r->width) - 1));
    r->bits >>= r->width;
    r->have -= r->width;
    return value;
}

static int bits_of(int most)
{
    int bits = 0;

    while (most >> bits)
        bits++;
    return bits;
}

/* ---------------------------------------------------------------- values ------------------- */

typedef struct {
    double *number;
    parquet_bytes *bytes;
    int64_t count;
} dictionary;

/* Where a page's values come from. */
typedef struct {
    int type;
    const uint8_t *at, *end; /* plain ones */
    const dictionary *dictionary;
    runs index; /* into the dictionary, or truth values */
    bool by_index, ok;
    int bit; /* of plain truth values */
} values;

static double number_at(const uint8_t *p, int type)
{
    union {
        int32_t i32;
        int64_t i64;
        float f32;
        double f64;
    } u = {.i64 = 0};

    memcpy(&u, p, type == PARQUET_INT32 || type == PARQUET_FLOAT ? 4 : 8);
    return type == PARQUET_INT32   ? u.i32
           : type == PARQUET_INT64 ? (double)u.i64
           : type == PARQUET_FLOAT ? (double)u.f32
                                   : u.f64;
}

static double plain_number(values *v)
{
    size_t size = v->type == PARQUET_INT32 || v->type == PARQUET_FLOAT ? 4 : 8;
    double number;

    if (v->type == PARQUET_BOOLEAN) {
        v->ok = v->ok && v->at < v->end;
        number = v->ok ? *v->at >> v->bit & 1 : 0;
        v->bit = (v->bit + 1) % 8;
        v->at += v->ok && !v->bit;
        return number;
    }
    v->ok = v->ok && (size_t)(v->end - v->at) >= size;
    if (!v->ok)
        return 0;
    number = number_at(v->at, v->type);
    v->at += size;
    return number;
}

static parquet_bytes plain_bytes(values *v)
{
    parquet_bytes b = {v->at, 0};

    v->ok = v->ok && v->end - v->at >= 4;
    if (!v->ok)
        return b;
    b.size =
        (size_t)v->at[0] | (size_t)v->at[1] << 8 | (size_t)v->at[2] << 16 | (size_t)v->at[3] << 24;
    b.at = v->at + 4;
    v->ok = b.size <= (size_t)(v->end - b.at);
    if (v->ok)
        v->at = b.at + b.size;
    return b;
}

static int64_t next_index(values *v)
{
    int64_t i = next_number(&v->index);

    v->ok = v->ok && v->index.ok && i < v->dictionary->count;
    return v->ok ? i : 0;
}

static double next_value(values *v)
{
    int64_t i;

    if (v->by_index && !v->dictionary) {
        double truth = next_number(&v->index);

        v->ok = v->ok && v->index.ok;
        return truth;
    }
    if (!v->by_index)
        return plain_number(v);
    i = next_index(v);
    return v->ok ? v->dictionary->number[i] : 0;
}

static parquet_bytes next_bytes(values *v)
{
    int64_t i;

    if (!v->by_index)
        return plain_bytes(v);
    i = next_index(v);
    return v->ok ? v->dictionary->bytes[i] : (parquet_bytes){NULL, 0};
}

/* ---------------------------------------------------------------- growing ------------------ */

/* Room for `more` further items of `size` bytes in an array with `count`; array: a pointer to the
 * pointer to it. */
static bool grow(void *array, int64_t count, int64_t more, size_t size)
{
    void *had, *grown;

    memcpy(&had, array, sizeof had);
    grown = realloc(had, (size_t)(count + more + 1) * size);
    if (grown)
        memcpy(array, &grown, sizeof grown);
    return machine_gave(grown);
}

static bool reserve(parquet_column *c, int type, int64_t more)
{
    return grow(&c->first, c->rows, more, sizeof *c->first) &&
           (type == PARQUET_BYTES ? grow(&c->bytes, c->count, more, sizeof *c->bytes)
                                  : grow(&c->number, c->count, more, sizeof *c->number));
}

static bool keep(parquet_column *c, uint8_t *page)
{
    if (!grow(&c->own, (int64_t)c->owned, 1, sizeof *c->own))
        return false;
    c->own[c->owned++] = page;
    return true;
}

/* ---------------------------------------------------------------- pages -------------------- */

typedef struct {
    int type, encoding, definition_encoding, repetition_encoding;
    int64_t full_size, size, count;
    int64_t definition_bytes, repetition_bytes; /* of version 2 */
    bool packed;
} page_header;

static bool read_inner(thrift *t, page_header *h)
{
    bool second = h->type == DATA_PAGE_2;
    thrift_struct s;

    for (thrift_begin(t, &s); thrift_next(t, &s);)
        if (s.field == 1)
            h->count = thrift_integer(t);
        else if (s.field == (second ? 4 : 2))
            h->encoding = (int)thrift_integer(t);
        else if (second && s.field == 5)
            h->definition_bytes = thrift_integer(t);
        else if (second && s.field == 6)
            h->repetition_bytes = thrift_integer(t);
        else if (second && s.field == 7)
            h->packed = s.type == THRIFT_TRUE;
        else if (h->type == DATA_PAGE && s.field == 3)
            h->definition_encoding = (int)thrift_integer(t);
        else if (h->type == DATA_PAGE && s.field == 4)
            h->repetition_encoding = (int)thrift_integer(t);
        else
            thrift_skip(t, s.type);
    return t->ok;
}

static bool read_header(thrift *t, page_header *h)
{
    thrift_struct s;

    *h = (page_header){.type = -1,
                       .encoding = -1,
                       .definition_encoding = RLE,
                       .repetition_encoding = RLE,
                       .packed = true};
    for (thrift_begin(t, &s); thrift_next(t, &s);)
        if (s.field == 1)
            h->type = (int)thrift_integer(t);
        else if (s.field == 2)
            h->full_size = thrift_integer(t);
        else if (s.field == 3)
            h->size = thrift_integer(t);
        else if (s.field == 5 || s.field == 7 || s.field == 8)
            read_inner(t, h);
        else
            thrift_skip(t, s.type);
    return t->ok && h->count >= 0 && h->size >= 0 && h->full_size >= 0 &&
           h->size <= t->end - t->at && h->definition_bytes >= 0 && h->repetition_bytes >= 0;
}

/* A chunk while its pages are read. */
typedef struct {
    const parquet *p;
    const parquet_leaf *leaf;
    const parquet_chunk *chunk;
    parquet_column *c;
    dictionary words;
    parquet_sum *sum;
    int64_t left;       /* values */
    const char *unread; /* an encoding that is not read was met */
} reading;

/* NULL for an encoding that is read, and for none. */
static const char *unread_encoding(int encoding)
{
    static const char *const names[] = {[5] = "DELTA_BINARY_PACKED",
                                        [6] = "DELTA_LENGTH_BYTE_ARRAY",
                                        [7] = "DELTA_BYTE_ARRAY",
                                        [9] = "BYTE_STREAM_SPLIT"};

    return (size_t)encoding < sizeof names / sizeof *names ? names[encoding] : NULL;
}

/* The page's data, unpacked; the caller frees. */
static uint8_t *page_data(reading *r, const page_header *h, const uint8_t *from)
{
    size_t plain = (size_t)(h->type == DATA_PAGE_2 ? h->definition_bytes + h->repetition_bytes : 0);
    int codec = h->packed ? r->chunk->codec : 0;
    uint8_t *full;

    r->sum->unpacked += (uint64_t)h->full_size;
    if (plain > (size_t)h->size || plain > (size_t)h->full_size ||
        r->sum->unpacked > HARMLESS + 200 * r->sum->stored)
        return NULL;
    full = malloc((size_t)h->full_size + 1);
    if (!machine_gave(full))
        return NULL;
    memcpy(full, from, plain);
    if (parquet_unpack(codec, from + plain, (size_t)h->size - plain, full + plain,
                       (size_t)h->full_size - plain))
        return full;
    free(full);
    return NULL;
}

static bool read_dictionary(reading *r, const page_header *h, const uint8_t *data)
{
    values v = {.type = r->leaf->type, .at = data, .end = data + h->full_size, .ok = true};

    /* Every word takes a bit at least. */
    if (r->words.number || r->words.bytes || h->count > 8 * h->full_size ||
        (h->encoding != PLAIN && h->encoding != PLAIN_DICTIONARY) ||
        r->leaf->type == PARQUET_BOOLEAN)
        return false;
    if (r->leaf->type == PARQUET_BYTES)
        r->words.bytes = malloc((size_t)(h->count + 1) * sizeof *r->words.bytes);
    else
        r->words.number = malloc((size_t)(h->count + 1) * sizeof *r->words.number);
    if (!r->words.bytes && !machine_gave(r->words.number))
        return false;
    for (; r->words.count < h->count && v.ok; r->words.count++)
        if (r->words.bytes)
            r->words.bytes[r->words.count] = plain_bytes(&v);
        else
            r->words.number[r->words.count] = plain_number(&v);
    return v.ok;
}

/* Levels of version 1 stand behind their size in four bytes. */
static bool take_levels(const uint8_t **at, const uint8_t *end, int64_t size, int most, runs *r)
{
    const uint8_t *p = *at;

    *r = (runs){.width = bits_of(most), .ok = true};
    if (!most && size <= 0)
        return true;
    if (size < 0) {
        if (end - p < 4)
            return false;
        size = (int64_t)p[0] | (int64_t)p[1] << 8 | (int64_t)p[2] << 16 | (int64_t)p[3] << 24;
        p += 4;
    }
    if (size > end - p)
        return false;
    r->at = p;
    r->end = p + size;
    *at = p + size;
    return true;
}

static bool take_values(reading *r, const page_header *h, const uint8_t *at, const uint8_t *end,
                        values *v)
{
    *v = (values){.type = r->leaf->type, .at = at, .end = end, .ok = true};
    if (h->encoding == PLAIN)
        return true;
    v->by_index = true;
    if (h->encoding == RLE && r->leaf->type == PARQUET_BOOLEAN) {
        v->index = (runs){.at = at, .end = end, .width = 1, .ok = true};
        return take_levels(&at, end, -1, 1, &v->index);
    }
    v->dictionary = &r->words;
    r->unread = unread_encoding(h->encoding);
    if ((h->encoding != PLAIN_DICTIONARY && h->encoding != RLE_DICTIONARY) ||
        (!r->words.number && !r->words.bytes))
        return false;
    if (at == end) /* nothing but missing values */
        return true;
    v->index = (runs){.at = at + 1, .end = end, .width = *at, .ok = *at <= 32};
    return v->index.ok;
}

static void add_value(parquet_column *c, values *v, bool there)
{
    if (c->bytes)
        c->bytes[c->count++] = there ? next_bytes(v) : (parquet_bytes){NULL, 0};
    else
        c->number[c->count++] = there ? next_value(v) : (double)NAN;
}

static bool read_data(reading *r, const page_header *h, const uint8_t *data)
{
    const parquet_leaf *l = r->leaf;
    const uint8_t *at = data, *end = data + h->full_size;
    bool second = h->type == DATA_PAGE_2;
    runs repetition, definition;
    values v;

    /* Some writers name another encoding for levels that are not there. */
    if (h->count > r->left || (l->max_definition && h->definition_encoding != RLE) ||
        (l->max_repetition && h->repetition_encoding != RLE) ||
        !take_levels(&at, end, second ? h->repetition_bytes : -(l->max_repetition > 0),
                     l->max_repetition, &repetition) ||
        !take_levels(&at, end, second ? h->definition_bytes : -(l->max_definition > 0),
                     l->max_definition, &definition) ||
        !take_values(r, h, at, end, &v) || !reserve(r->c, l->type, h->count))
        return false;
    for (int64_t i = 0; i < h->count && v.ok && repetition.ok && definition.ok; i++) {
        bool more = next_number(&repetition) != 0;
        bool there = next_number(&definition) == (uint32_t)l->max_definition;

        if (!more)
            r->c->first[r->c->rows++] = r->c->count;
        else if (!r->c->rows)
            return false;
        if (there || !l->max_repetition)
            add_value(r->c, &v, there);
    }
    r->c->first[r->c->rows] = r->c->count;
    r->left -= h->count;
    return v.ok && repetition.ok && definition.ok;
}

static bool read_page(reading *r, thrift *t)
{
    page_header h;
    uint8_t *data;
    bool ok;

    if (!read_header(t, &h))
        return false;
    if (h.type != DATA_PAGE && h.type != DICTIONARY_PAGE && h.type != DATA_PAGE_2) {
        t->at += h.size; /* an index */
        return true;
    }
    data = page_data(r, &h, t->at);
    t->at += h.size;
    if (!data)
        return false;
    ok = h.type == DICTIONARY_PAGE ? read_dictionary(r, &h, data) : read_data(r, &h, data);
    if (r->leaf->type == PARQUET_BYTES && keep(r->c, data))
        return ok;
    ok = ok && r->leaf->type != PARQUET_BYTES;
    free(data);
    return ok;
}

/* Whether a column with this chunk, too, is what the file may hold. */
static bool add_up(const parquet *p, const parquet_chunk *chunk, parquet_sum *sum)
{
    sum->stored += (uint64_t)chunk->size;
    if (sum->stored > p->from.size || (uint64_t)chunk->values > INT64_MAX - sum->values)
        return false;
    sum->values += (uint64_t)chunk->values;
    return sum->values <= HARMLESS / 8 || sum->values / 200 <= sum->stored;
}

deer_status parquet_read_chunk(const parquet *p, const parquet_leaf *leaf,
                               const parquet_chunk *chunk, parquet_sum *sum, parquet_column *c,
                               deer_error *err)
{
    reading r = {.p = p, .leaf = leaf, .chunk = chunk, .c = c, .sum = sum, .left = chunk->values};
    size_t size = (size_t)chunk->size;
    uint8_t *pages = bytes_copy(&p->from, (size_t)chunk->offset, size, err);
    thrift t = {pages, pages + size, true, 0};
    bool ok;

    if (!pages)
        return DEER_FAILED;
    ok = add_up(p, chunk, sum) && reserve(c, leaf->type, 0);
    if (ok)
        c->first[c->rows] = c->count;
    while (ok && r.left > 0 && t.at < t.end)
        ok = read_page(&r, &t);
    free(r.words.number);
    free(r.words.bytes);
    free(pages);
    if (bytes_unchanged(&p->from, err))
        return DEER_FAILED;
    if (r.unread)
        return deer_fail(err,
                         "%s: column %s is encoded by %s, which is not read; write the table again "
                         "with plain or dictionary encoding",
                         p->path, leaf->name, r.unread);
    return ok && !r.left
               ? DEER_OK
               : deer_fail(err, "%s: column %s is damaged, or stored in a way that is not read",
                           p->path, leaf->name);
}
