/* SPDX-License-Identifier: MIT */
/* model_file.c - writing model files. */
#include "runtime/import/model_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/json/json_build.h"
#include "runtime/model/config.h"
#include "runtime/model/model.h"

enum { PIECE = 1 << 18 }; /* elements converted at a time, about */

/* ---------------------------------------------------------------- table -------------------- */

/* What the file will hold, scales included. */
typedef struct {
    safetensors_item *item; /* [count] */
    char **names;           /* [count], of scales; NULL elsewhere */
    size_t count;
} table;

static void table_free(table *t)
{
    for (size_t i = 0; t->names && i < t->count; i++)
        free(t->names[i]);
    free(t->names);
    free(t->item);
}

static deer_status table_make(const model_output *to, const arch_tensor *tensors, size_t count,
                              table *t, deer_error *err)
{
    *t = (table){.item = calloc(2 * count + 1, sizeof *t->item)};
    t->names = calloc(2 * count + 1, sizeof *t->names);
    if (!t->item || !t->names)
        return deer_fail(err, "out of memory writing %s", to->path);
    for (size_t i = 0; i < count; i++) {
        weight_dtype as = arch_kept_as(tensors[i].role, to->dtype);
        safetensors_item *item = &t->item[t->count++];

        *item = (safetensors_item){tensors[i].name, weight_forms[as].number, tensors[i].rank, {0}};
        memcpy(item->shape, tensors[i].shape, sizeof item->shape);
        if (as != WEIGHT_Q8)
            continue;
        if (asprintf(&t->names[t->count], "%s_scale", tensors[i].name) < 0) {
            t->names[t->count] = NULL;
            return deer_fail(err, "out of memory writing %s", to->path);
        }
        t->item[t->count] =
            (safetensors_item){t->names[t->count], NUMBER_F32, 1, {tensors[i].shape[0]}};
        t->count++;
    }
    return DEER_OK;
}

/* ---------------------------------------------------------------- values ------------------- */

typedef struct {
    const model_output *to;
    const char *where;
    const arch_tensor *tensor;
    size_t count;
    const model_source *source;
    safetensors_writer file;
    float *room, *scales;
    uint8_t *kept;
    uint64_t done, total; /* bytes of float32 */
} writing;

static size_t rows_at_once(const arch_tensor *t)
{
    size_t columns = arch_matrix_columns(t), rows = PIECE / (columns ? columns : 1);

    return rows ? rows : 1;
}

/* Room for the largest piece and the longest column of scales. */
static deer_status make_room(writing *w, deer_error *err)
{
    size_t largest = PIECE, longest = 1;

    for (size_t i = 0; i < w->count; i++) {
        size_t columns = arch_matrix_columns(&w->tensor[i]), rows = arch_matrix_rows(&w->tensor[i]);

        largest = columns > largest ? columns : largest;
        longest = rows > longest ? rows : longest;
        w->total += (uint64_t)rows * columns * sizeof(float);
    }
    w->room = malloc(largest * sizeof *w->room);
    w->kept = malloc(largest * sizeof(uint16_t));
    w->scales = malloc(longest * sizeof *w->scales);
    return w->room && w->kept && w->scales
               ? DEER_OK
               : deer_fail(err, "out of memory writing %s", w->to->path);
}

static deer_status check_values(const writing *w, const arch_tensor *t, const float *data,
                                size_t first, size_t n, weight_dtype as, deer_error *err)
{
    size_t bad = weight_first_bad(data, n, as);

    if (bad == n)
        return DEER_OK;
    return deer_fail(err, "%s: %s holds a value that is not finite%s: element %zu", w->where,
                     t->name, as == WEIGHT_BF16 ? " in bfloat16" : "", first + bad);
}

/* Rows [first, first + rows) of tensor t. */
static deer_status write_piece(writing *w, const arch_tensor *t, weight_dtype as, const float *data,
                               size_t first, size_t rows, deer_error *err)
{
    size_t columns = arch_matrix_columns(t), n = rows * columns;

    if (check_values(w, t, data, first * columns, n, as, err))
        return DEER_FAILED;
    if (as == WEIGHT_F32)
        return safetensors_append(&w->file, data, n * sizeof *data, err);
    if (as == WEIGHT_BF16) {
        weight_to_bf16(data, n, (uint16_t *)(void *)w->kept);
        return safetensors_append(&w->file, w->kept, n * sizeof(uint16_t), err);
    }
    weight_to_q8(data, rows, columns, w->kept, w->scales + first);
    return safetensors_append(&w->file, w->kept, n, err);
}

static deer_status write_tensor(writing *w, size_t i, deer_error *err)
{
    const arch_tensor *t = &w->tensor[i];
    weight_dtype as = arch_kept_as(t->role, w->to->dtype);
    size_t all = arch_matrix_rows(t), step = rows_at_once(t);

    for (size_t first = 0; first < all; first += step) {
        size_t rows = all - first < step ? all - first : step;
        const float *data;

        if (w->source->read(w->source->context, i, first, rows, w->room, &data, err) ||
            write_piece(w, t, as, data, first, rows, err))
            return DEER_FAILED;
        w->done += rows * arch_matrix_columns(t) * sizeof(float);
        if (w->to->progress)
            w->to->progress(w->to->progress_context, w->done, w->total);
    }
    return as == WEIGHT_Q8 ? safetensors_append(&w->file, w->scales, all * sizeof *w->scales, err)
                           : DEER_OK;
}

/* ---------------------------------------------------------------- file --------------------- */

static json_t *metadata_of(const deer_config *config, const char *words)
{
    char *text = json_text(config_to_json(config), JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_t *metadata = text ? json_pack("{s:s, s:s}", "format", "pt", "deer.config", text) : NULL;
    if (metadata && words)
        json_put(metadata, "deer.tokenizer", json_string(words));
    free(text);
    return metadata;
}

deer_status model_write(const model_output *to, const char *where, const arch_tensor *tensors,
                        size_t count, const deer_config *config, const char *words,
                        const model_source *source, deer_error *err)
{
    writing w = {.to = to, .where = where, .tensor = tensors, .count = count, .source = source};
    json_t *metadata = metadata_of(config, words);
    table t = {NULL};
    deer_status status = metadata ? DEER_OK : deer_fail(err, "out of memory writing %s", to->path);

    if (!status)
        status = table_make(to, tensors, count, &t, err);
    if (!status)
        status = make_room(&w, err);
    if (!status)
        status = safetensors_create(to->path, t.item, t.count, metadata, &w.file, err);
    if (!status) {
        for (size_t i = 0; i < count && !status; i++)
            status = write_tensor(&w, i, err);
        status = safetensors_finish(&w.file, status, err);
    }
    free(w.room);
    free(w.kept);
    free(w.scales);
    table_free(&t);
    json_decref(metadata);
    return status;
}

/* ---------------------------------------------------------------- conversion --------------- */

typedef struct {
    safetensors file;
    deer_config config;
    match found;
    arch_tensor *tensor; /* [found.count] */
    checksum *sum;       /* of the tensor that is being read */
} conversion;

static deer_status check_float32(const safetensors *file, deer_error *err)
{
    for (size_t i = 0; i < file->count; i++)
        if (!safetensors_is_f32(&file->tensor[i]) && strncmp(file->tensor[i].name, "pad.", 4) != 0)
            return deer_fail(err, "%s is not all float32 (%s); convert the float32 file it is from",
                             file->path, file->tensor[i].name);
    return DEER_OK;
}

/* Rows in order; with the last of a tensor its checksum is known. */
static deer_status read_rows(void *context, size_t i, size_t first, size_t rows, float *room,
                             const float **data, deer_error *err)
{
    const conversion *c = context;
    const safetensor *t = c->found.tensor[i].is;
    size_t row = arch_matrix_columns(&c->tensor[i]) * sizeof(float), at = t->begin + first * row;
    char sum[CHECKSUM_DIGITS + 1];

    if (safetensors_read(&c->file, at, room, rows * row, err))
        return DEER_FAILED;
    if (!first)
        checksum_begin(c->sum);
    checksum_add(c->sum, room, rows * row);
    checksum_end(c->sum, sum);
    *data = room;
    return at + rows * row < t->end ? DEER_OK : safetensors_verify(&c->file, t, sum, err);
}

static deer_status open_source(const char *from, conversion *c, deer_error *err)
{
    const deer_config *config = &c->config;

    if (safetensors_open(from, &c->file, err) || model_read_config(&c->file, &c->config, err) ||
        check_float32(&c->file, err) ||
        match_tensors(&c->file, config, arch_layers(config, config->exits - 1), &c->found, err) ||
        match_verdict(&c->found, err))
        return DEER_FAILED;
    c->tensor = calloc(c->found.count, sizeof *c->tensor);
    c->sum = checksum_new();
    if (!c->tensor || !c->sum)
        return deer_fail(err, "out of memory converting %s", from);
    for (size_t i = 0; i < c->found.count; i++)
        c->tensor[i] = c->found.tensor[i].want;
    return DEER_OK;
}

deer_status model_convert(const char *from, const model_output *to, deer_error *err)
{
    conversion c = {.file = {.fd = -1}};
    model_source source = {read_rows, &c};
    deer_status status = open_source(from, &c, err);

    if (!status)
        status = model_write(to, from, c.tensor, c.found.count, &c.config,
                             safetensors_metadata(&c.file, "deer.tokenizer"), &source, err);
    checksum_free(c.sum);
    free(c.tensor);
    match_free(&c.found);
    safetensors_close(&c.file);
    return status;
}
