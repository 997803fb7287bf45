/* SPDX-License-Identifier: MIT */
/* weights.c - safetensors and PyTorch checkpoints behind one face. */
#include "runtime/import/weights.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file_kind.h"
#include "runtime/base/json/json_file.h"
#include "runtime/base/machine_failure.h"

enum { MAX_INDEX = 64 << 20, MAX_PARTS = 1000, MAX_NAME = 512, MAX_ATTRIBUTES = 1000000 };

/* ---------------------------------------------------------------- table -------------------- */

static weights_tensor *add(weights *w, deer_error *err)
{
    if (w->count == w->room) {
        size_t room = w->room ? 2 * w->room : 256;
        weights_tensor *tensor = realloc(w->tensor, room * sizeof *tensor);
        char **names = tensor ? realloc(w->names, room * sizeof *names) : NULL;

        w->tensor = tensor ? tensor : w->tensor;
        w->names = names ? names : w->names;
        if (!names) {
            machine_fail(err, "out of memory reading %s", w->path);
            return NULL;
        }
        w->room = room;
    }
    w->names[w->count] = NULL;
    w->tensor[w->count] = (weights_tensor){.name = NULL};
    return &w->tensor[w->count++];
}

static deer_status list_safetensors(weights *w, int part, deer_error *err)
{
    const safetensors *file = &w->safetensors[part];

    for (size_t i = 0; i < file->count; i++) {
        weights_tensor *t = add(w, err);

        if (!t)
            return DEER_FAILED;
        t->name = file->tensor[i].name;
        t->part = part;
        t->own = &file->tensor[i];
        t->rank = file->tensor[i].rank;
        if (t->rank > SAFETENSORS_RANK)
            return deer_fail(err, "%s: tensor %s has %d dimensions", w->path, t->name, t->rank);
        memcpy(t->shape, file->tensor[i].shape, sizeof file->tensor[i].shape);
    }
    return DEER_OK;
}

/* Adds a tensor of that name; takes the name. */
static deer_status add_named(weights *w, int part, char *name, const pickle_value *value,
                             deer_error *err)
{
    weights_tensor *t = name ? add(w, err) : NULL;

    if (!t) {
        free(name);
        return machine_fail(err, "out of memory reading %s", w->path);
    }
    w->names[w->count - 1] = name;
    t->name = name;
    t->part = part;
    t->own = value;
    t->rank = value->as.tensor.rank;
    memcpy(t->shape, value->as.tensor.shape, sizeof t->shape);
    return DEER_OK;
}

/* The tensors among the attributes of a TorchScript module and of the modules in it: names as a
 * state dict has them, joined by dots. Modules may be shared, or hold themselves: attributes that
 * are looked at are counted. */
static deer_status list_modules(weights *w, int part, const pickle_value *module,
                                const char *prefix, int *left, deer_error *err)
{
    for (size_t i = 0; i + 1 < module->as.many.count; i += 2) {
        const pickle_value *key = module->as.many.item[i], *value = module->as.many.item[i + 1];
        deer_status status;
        char *name;

        if (--*left < 0 || strlen(prefix) + 1 > MAX_NAME)
            return deer_fail(err, "%s has modules without end", w->pth[part].path);
        if ((value->kind != PICKLE_TENSOR && value->kind != PICKLE_OBJECT) ||
            key->kind != PICKLE_TEXT)
            continue;
        if (!key->as.text.size || key->as.text.size > MAX_NAME ||
            memchr(key->as.text.at, 0, key->as.text.size))
            return deer_fail(err, "%s has a module without a proper name", w->pth[part].path);
        if (asprintf(&name, "%s%s%.*s", prefix, *prefix ? "." : "", (int)key->as.text.size,
                     key->as.text.at) < 0)
            return machine_fail(err, "out of memory reading %s", w->path);
        if (value->kind == PICKLE_TENSOR) {
            status = add_named(w, part, name, value, err);
        } else {
            status = list_modules(w, part, value, name, left, err);
            free(name);
        }
        if (status)
            return status;
    }
    return DEER_OK;
}

/* ---------------------------------------------------------------- state dict --------------- */

/* The first keys of a dict, for messages. */
static void list_keys(const pickle_value *dict, char text[200])
{
    size_t used = 0;

    *text = 0;
    for (size_t i = 0; i + 1 < dict->as.many.count && i < 16 && used < 140; i += 2) {
        const pickle_value *key = dict->as.many.item[i];

        if (key->kind != PICKLE_TEXT)
            continue;
        used += (size_t)snprintf(text + used, 200 - used, "%s", used ? ", " : "");
        for (size_t c = 0; c < key->as.text.size && c < 48; c++)
            text[used++] = isprint((unsigned char)key->as.text.at[c]) ? key->as.text.at[c] : '?';
        text[used] = 0;
    }
}

/* The dict that training code put the weights into: by the names it is known under, one in the
 * other; the root where there is none. */
static const pickle_value *find_state(const pickle_value *root)
{
    static const char *const names[] = {"model_state_dict", "state_dict",     "model",
                                        "module",           "ema_state_dict", "ema"};
    const pickle_value *state = root;

    for (int depth = 0; depth < 4; depth++) {
        const pickle_value *found = NULL;

        for (size_t i = 0; i < sizeof names / sizeof *names && !found; i++) {
            found = pickle_get(state, names[i]);
            if (found && found->kind != PICKLE_DICT && found->kind != PICKLE_OPAQUE)
                found = NULL;
        }
        if (!found)
            break;
        state = found;
    }
    return state;
}

static deer_status no_state(const weights *w, const char *path, const pickle_value *state,
                            deer_error *err)
{
    char text[200];

    if (state->kind == PICKLE_OPAQUE)
        return deer_fail(err,
                         "%s holds no state dict but %s, which is not run: torch.save the model's "
                         "state_dict()",
                         path, pickle_opaque_name(state, text, sizeof text));
    if (state->kind != PICKLE_DICT)
        return deer_fail(err, "%s holds no state dict", path);
    if (w->foreigns)
        return deer_fail(err, "%s holds no tensors that are read; %s comes from %s", path,
                         w->foreign[0].name,
                         pickle_opaque_name(w->foreign[0].is, text, sizeof text));
    list_keys(state, text);
    return deer_fail(err, "%s holds no state dict that is known; it begins with the keys %s", path,
                     *text ? text : "(none)");
}

static deer_status add_foreign(weights *w, const pickle_value *key, const pickle_value *value,
                               deer_error *err)
{
    weights_foreign *grown = realloc(w->foreign, (w->foreigns + 1) * sizeof *grown);

    if (!grown)
        return machine_fail(err, "out of memory reading %s", w->path);
    w->foreign = grown;
    grown[w->foreigns].name = strndup(key->as.text.at, key->as.text.size);
    grown[w->foreigns].is = value;
    return grown[w->foreigns++].name ? DEER_OK
                                     : machine_fail(err, "out of memory reading %s", w->path);
}

static deer_status list_pth(weights *w, int part, deer_error *err)
{
    const char *path = w->pth[part].path;
    const pickle_value *root = w->pth[part].pickle.root, *state = find_state(root);
    int left = MAX_ATTRIBUTES;
    size_t before = w->count;

    if (root->kind == PICKLE_OBJECT)
        return list_modules(w, part, root, "", &left, err);
    if (state->kind != PICKLE_DICT)
        return no_state(w, path, state, err);
    for (size_t i = 0; i + 1 < state->as.many.count; i += 2) {
        const pickle_value *key = state->as.many.item[i], *value = state->as.many.item[i + 1];
        bool tensor = value->kind == PICKLE_TENSOR;

        if ((!tensor && value->kind != PICKLE_OPAQUE) || key->kind != PICKLE_TEXT)
            continue;
        if (key->as.text.size > MAX_NAME || memchr(key->as.text.at, 0, key->as.text.size))
            return deer_fail(err, "%s has a tensor without a proper name", path);
        if (tensor ? add_named(w, part, strndup(key->as.text.at, key->as.text.size), value, err)
                   : add_foreign(w, key, value, err))
            return DEER_FAILED;
    }
    return w->count > before ? DEER_OK : no_state(w, path, state, err);
}

/* ---------------------------------------------------------------- opening ------------------ */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && !strcmp(text + n - m, end);
}

/* Safetensors or PyTorch; anything else is named. */
static deer_status check_kind(const char *path, bool *torch, deer_error *err)
{
    char is[FILE_KIND];

    file_kind(path, is);
    *torch = strstr(is, "zip archive") || strstr(is, "PyTorch");
    if (*torch || strstr(is, "safetensors") || strstr(is, "begins with") ||
        strstr(is, "cannot be opened") || strstr(is, "not a regular"))
        return DEER_OK; /* what is wrong with the last is said by who reads it */
    return deer_fail(err, "%s holds no weights: it %s", path, is);
}

/* One more file. The kind of the first is that of all. */
static deer_status open_part(weights *w, const char *path, deer_error *err)
{
    bool torch;
    int part = w->parts;
    void *grown;
    deer_status status;

    if (check_kind(path, &torch, err))
        return DEER_FAILED;
    if (part && torch != w->torch)
        return deer_fail(err, "%s mixes safetensors and PyTorch files", w->path);
    w->torch = torch;
    grown = torch ? realloc(w->pth, (size_t)(part + 1) * sizeof *w->pth)
                  : realloc(w->safetensors, (size_t)(part + 1) * sizeof *w->safetensors);
    if (!grown)
        return machine_fail(err, "out of memory opening %s", path);
    if (torch)
        w->pth = grown;
    else
        w->safetensors = grown;
    status = torch ? pth_open(path, &w->pth[part], err)
                   : safetensors_open(path, &w->safetensors[part], err);
    if (!status)
        w->parts++;
    return status;
}

/* Shard `name` lies beside the index; it is a name, not a way out of the folder. */
static deer_status open_shard(weights *w, const char *name, deer_error *err)
{
    const char *slash = strrchr(w->path, '/');
    char path[4096];
    int length = slash ? (int)(slash + 1 - w->path) : 0;

    if (strchr(name, '/') || !strcmp(name, "..") || !*name)
        return deer_fail(err, "%s names a shard outside of its folder: %s", w->path, name);
    for (int i = 0; i < w->parts; i++) {
        const char *had = w->torch ? w->pth[i].path : w->safetensors[i].path;

        if (!strcmp(had + length, name))
            return DEER_OK;
    }
    if (w->parts == MAX_PARTS)
        return deer_fail(err, "%s names more than %d shards", w->path, MAX_PARTS);
    if (snprintf(path, sizeof path, "%.*s%s", length, w->path, name) >= (int)sizeof path)
        return deer_fail(err, "%s: the name of a shard is too long", w->path);
    return open_part(w, path, err);
}

static const char *part_name(const weights *w, int part)
{
    const char *path = w->torch ? w->pth[part].path : w->safetensors[part].path;
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Of the tensors listed keeps the copies in the shards that the map names; each name in the map
 * must be there. Takes the map apart. */
static deer_status keep_mapped(weights *w, json_t *map, deer_error *err)
{
    size_t kept = 0;
    const char *tensor;
    json_t *shard;

    for (size_t i = 0; i < w->count; i++) {
        const char *named = json_string_value(json_object_get(map, w->tensor[i].name));

        if (!named || strcmp(named, part_name(w, w->tensor[i].part)) != 0) {
            free(w->names[i]);
            continue;
        }
        json_object_del(map, w->tensor[i].name);
        w->tensor[kept] = w->tensor[i];
        w->names[kept++] = w->names[i];
    }
    w->count = kept;
    for (size_t i = 0; i < w->foreigns; i++)
        json_object_del(map, w->foreign[i].name);
    json_object_foreach(map, tensor, shard) return deer_fail(
        err, "%s names tensor %s in %s, which does not have it", w->path, tensor,
        json_string_value(shard));
    return DEER_OK;
}

static deer_status list_parts(weights *w, deer_error *err)
{
    deer_status status = DEER_OK;

    for (int i = 0; i < w->parts && !status; i++)
        status = w->torch ? list_pth(w, i, err) : list_safetensors(w, i, err);
    return status;
}

static deer_status open_index(weights *w, deer_error *err)
{
    char is[FILE_KIND];
    json_t *json, *shard, *map;
    const char *tensor;
    deer_status status = DEER_OK;

    if (strstr(file_kind(w->path, is), "LFS") || strstr(is, "web page"))
        return deer_fail(err, "%s is no index of shards: it %s", w->path, is);
    json = json_file_read(w->path, MAX_INDEX, err);
    map = json_object_get(json, "weight_map");
    if (!json)
        return DEER_FAILED;
    if (!json_is_object(map))
        status = deer_fail(err, "%s has no weight_map", w->path);
    if (!status)
        json_object_foreach(map, tensor, shard)
        {
            if (!status && !json_is_string(shard))
                status = deer_fail(err, "%s: weight_map of %s is no file name", w->path, tensor);
            if (!status)
                status = open_shard(w, json_string_value(shard), err);
        }
    if (!status && !w->parts)
        status = deer_fail(err, "%s names no shards", w->path);
    if (!status)
        status = list_parts(w, err);
    if (!status)
        status = keep_mapped(w, map, err);
    json_decref(json);
    return status;
}

deer_status weights_open(const char *path, weights *w, deer_error *err)
{
    deer_status status;

    *w = (weights){.path = strdup(path)};
    if (!w->path)
        return machine_fail(err, "out of memory opening %s", path);
    if (ends_with(path, ".index.json"))
        status = open_index(w, err);
    else if (!(status = open_part(w, path, err)))
        status = list_parts(w, err);
    if (status)
        weights_close(w);
    return status;
}

void weights_close(weights *w)
{
    for (int i = 0; i < w->parts; i++)
        if (w->torch)
            pth_close(&w->pth[i]);
        else
            safetensors_close(&w->safetensors[i]);
    for (size_t i = 0; i < w->count; i++)
        free(w->names[i]);
    for (size_t i = 0; i < w->foreigns; i++)
        free(w->foreign[i].name);
    free(w->foreign);
    free(w->pth);
    free(w->safetensors);
    free(w->names);
    free(w->tensor);
    free(w->path);
    *w = (weights){.path = NULL};
}

/* ---------------------------------------------------------------- reading ------------------ */

size_t weights_elements(const weights *w, size_t i)
{
    const weights_tensor *t = &w->tensor[i];
    size_t n = 1;

    if (w->torch)
        return (size_t)pickle_elements(t->own);
    for (int d = 0; d < t->rank; d++)
        n *= (size_t)t->shape[d];
    return n;
}

static deer_status read_own(const safetensors *file, const safetensor *t, size_t first, size_t rows,
                            size_t all, float *out, deer_error *err)
{
    const byte_source from = {.path = file->path, .fd = file->fd, .opened = file->opened};
    size_t row = all ? (t->end - t->begin) / all : 0;
    size_t at = file->data_offset + t->begin + first * row;

    if (!t->readable)
        return deer_fail(err, "%s: tensor %s has a type that is not read", file->path, t->name);
    if (bytes_numbers(&from, at, t->type, rows * row / number_size(t->type), out, err))
        return DEER_FAILED;
    return bytes_unchanged(&from, err);
}

deer_status weights_read_rows(const weights *w, size_t i, size_t first, size_t rows, float *out,
                              deer_error *err)
{
    const weights_tensor *t = &w->tensor[i];

    if (w->torch)
        return pth_read_rows(&w->pth[t->part], t->own, first, rows, out, err);
    return read_own(&w->safetensors[t->part], t->own, first, rows,
                    t->rank ? (size_t)t->shape[0] : 1, out, err);
}

deer_status weights_read(const weights *w, size_t i, float *out, deer_error *err)
{
    const weights_tensor *t = &w->tensor[i];

    return weights_read_rows(w, i, 0, t->rank ? (size_t)t->shape[0] : 1, out, err);
}

const pickle_value *weights_checkpoint(const weights *w)
{
    return w->torch ? w->pth[0].pickle.root : NULL;
}
