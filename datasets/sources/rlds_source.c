/* SPDX-License-Identifier: MIT */
/* rlds_source.c - RLDS datasets as TensorFlow's datasets store them: an episode a record, its
 * steps' features behind one another in lists. Source: tensorflow_datasets,
 * core/example_serializer.py. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/demos/language.h"
#include "datasets/sources/columns.h"
#include "datasets/sources/rlds.h"
#include "datasets/tfrecord/example.h"
#include "datasets/tfrecord/tfrecord.h"
#include "datasets/video/video.h"
#include "runtime/base/machine_failure.h"

static const size_t MOST_PIXELS = (size_t)1 << 33; /* bytes, of an episode and a camera */

typedef struct {
    char *path;
    size_t size;
    struct timespec written;
    tfrecord_index index;
} shard;

typedef struct {
    char *folder, *instruction;
    rlds_names names;
    int column[DEMO_ACTION];
    shard *shard;
    int shards, episodes;
    char identity[DEER_FINGERPRINT];
} rlds_set;

/* ---------------------------------------------------------------- files -------------------- */

static bool probe(const char *path)
{
    struct dirent **list;
    int n = scandir(path, &list, rlds_is_shard, NULL);

    for (int i = 0; i < n; i++)
        free(list[i]);
    if (n >= 0)
        free(list);
    return n > 0;
}

static deer_status open_shard(rlds_set *s, const rlds_shard *listed, deer_error *err)
{
    shard *own = &s->shard[s->shards];
    byte_source file;
    deer_status status;

    if (asprintf(&own->path, "%s/%s", s->folder, listed->name) < 0) {
        own->path = NULL;
        return machine_fail(err, "out of memory opening %s", s->folder);
    }
    s->shards++;
    status = tfrecord_open(own->path, &file, &own->index, err);
    if (status)
        return status;
    own->size = file.size;
    own->written = file.opened.st_mtim;
    bytes_close(&file);
    if (listed->records >= 0 && own->index.count != (uint64_t)listed->records)
        return deer_fail(err,
                         "%s has %zu records, dataset_info.json counts %lld; copy or download it "
                         "again",
                         own->path, own->index.count, (long long)listed->records);
    if (own->index.count > (size_t)(INT32_MAX - s->episodes))
        return deer_fail(err, "%s has too many episodes", s->folder);
    s->episodes += (int)own->index.count;
    return DEER_OK;
}

static deer_status open_shards(rlds_set *s, const source_options *o, deer_error *err)
{
    rlds_list list;
    deer_status status = rlds_list_shards(s->folder, o, &list, err);

    if (status)
        return status;
    s->shard = calloc((size_t)list.count, sizeof *s->shard);
    if (!s->shard)
        status = machine_fail(err, "out of memory opening %s", s->folder);
    for (int i = 0; i < list.count && !status; i++)
        status = open_shard(s, &list.shard[i], err);
    rlds_list_free(&list);
    return status || s->episodes ? status : deer_fail(err, "%s has no episodes", s->folder);
}

/* ---------------------------------------------------------------- an episode --------------- */

typedef struct {
    const rlds_set *s;
    const uint8_t *data;
    size_t size;
    char where[RLDS_PATH]; /* starts messages */
} record;

/* A list of this kind; it must be there. */
static deer_status find(const record *r, const char *name, example_kind kind, example_list *list,
                        deer_error *err)
{
    if (example_find(r->data, r->size, name, list) && list->kind == kind)
        return DEER_OK;
    return list->broken ? deer_fail(err, "%s is damaged", r->where)
                        : deer_fail(err, "%s has no %s, or of another kind", r->where, name);
}

static deer_status count_steps(const record *r, int *steps, deer_error *err)
{
    example_list list;
    size_t n = 0, width = (size_t)r->s->names.width;
    float value;

    if (find(r, "steps/action", EXAMPLE_FLOATS, &list, err))
        return DEER_FAILED;
    while (example_float(&list, &value))
        n++;
    if (list.broken)
        return deer_fail(err, "%s is damaged", r->where);
    if (!n || n % width || n / width > INT32_MAX)
        return deer_fail(err, "%s has %zu numbers of actions of %zu each", r->where, n, width);
    *steps = (int)(n / width);
    return DEER_OK;
}

static deer_status take_action(const record *r, const float *all, int step, float *action,
                               deer_error *err)
{
    for (int c = 0; c < DEMO_ACTION; c++) {
        action[c] = all[r->s->column[c]];
        if (!(fabsf(action[c]) <= 1.001f))
            return deer_fail(err, "%s: step %d: number %d of the action is %g; -1 to 1 is expected",
                             r->where, step, r->s->column[c], (double)action[c]);
    }
    return DEER_OK;
}

static deer_status read_actions(const record *r, int steps, float *actions, deer_error *err)
{
    float all[4096] = {0};
    example_list list;
    deer_status status = find(r, "steps/action", EXAMPLE_FLOATS, &list, err);

    for (int t = 0; t < steps && !status; t++) {
        for (int c = 0; c < r->s->names.width; c++)
            example_float(&list, &all[c]);
        status = take_action(r, all, t, actions + (size_t)t * DEMO_ACTION, err);
    }
    return status;
}

/* Puts image t beside the others; the first decides the size. */
static deer_status take_image(const record *r, const uint8_t *bytes, size_t size, int t, int steps,
                              int *height, int *width, uint8_t **rgb, deer_error *err)
{
    uint8_t *one;
    int h, w;
    size_t pixels;
    deer_status status = video_image(r->where, bytes, size, &h, &w, &one, err);

    if (status)
        return status;
    pixels = (size_t)h * (size_t)w * 3;
    if (!t) {
        *height = h;
        *width = w;
        *rgb = pixels <= MOST_PIXELS / (size_t)steps ? malloc((size_t)steps * pixels) : NULL;
        if (pixels > MOST_PIXELS / (size_t)steps || !machine_gave(*rgb))
            status = deer_fail(err, "%s: no room for %d images of %d x %d", r->where, steps, w, h);
    }
    if (!status && (h != *height || w != *width))
        status = deer_fail(err, "%s: images have different sizes", r->where);
    if (!status)
        memcpy(*rgb + (size_t)t * pixels, one, pixels);
    free(one);
    return status;
}

static deer_status read_images(const record *r, int view, demo_episode *to, deer_error *err)
{
    int *height = view ? &to->gripper_height : &to->static_height;
    int *width = view ? &to->gripper_width : &to->static_width, t = 0;
    uint8_t **rgb = view ? &to->gripper_rgb : &to->static_rgb;
    const uint8_t *bytes;
    size_t size;
    example_list list;
    deer_status status = find(r, r->s->names.image[view], EXAMPLE_BYTES, &list, err);

    for (; !status && t < to->steps && example_bytes(&list, &bytes, &size); t++)
        status = take_image(r, bytes, size, t, to->steps, height, width, rgb, err);
    if (!status && (t < to->steps || list.broken || example_bytes(&list, &bytes, &size)))
        status = deer_fail(err, "%s: %s has not %d images, one a step", r->where,
                           r->s->names.image[view], to->steps);
    return status;
}

static deer_status read_text(const record *r, demo_episode *to, deer_error *err)
{
    const char *given = r->s->instruction;
    const uint8_t *text = (const uint8_t *)given;
    size_t size = given ? strlen(given) : 0;
    example_list list;

    to->wordings = 1;
    if (!given && !*r->s->names.instruction)
        return deer_fail(err, "%s records no instructions; give one with --instruction",
                         r->s->folder);
    if (!given && find(r, r->s->names.instruction, EXAMPLE_BYTES, &list, err))
        return DEER_FAILED;
    if (!given && !example_bytes(&list, &text, &size))
        return deer_fail(err, "%s has no instruction", r->where);
    if (!size || size >= sizeof to->instruction || memchr(text, 0, size))
        return deer_fail(err, "%s: an instruction of %zu bytes; 1 to %zu are read", r->where, size,
                         sizeof to->instruction - 1);
    memcpy(to->instruction, text, size);
    if (!language_is_utf8(to->instruction))
        return deer_fail(err,
                         "%s has an instruction that is no UTF-8; write it as UTF-8, or give one "
                         "with --instruction",
                         r->where);
    if (!language_clean(to->instruction))
        return deer_fail(err, "%s has an empty instruction; give one with --instruction", r->where);
    snprintf(to->task, sizeof to->task, "%.*s", DEMO_TASK - 1, to->instruction);
    language_clean(to->task); /* a character may be cut in two */
    return DEER_OK;
}

static deer_status read_record(const record *r, demo_episode *to, deer_error *err)
{
    if (count_steps(r, &to->steps, err) || read_text(r, to, err))
        return DEER_FAILED;
    to->actions = malloc((size_t)to->steps * DEMO_ACTION * sizeof *to->actions);
    if (!to->actions)
        return machine_fail(err, "out of memory reading %s", r->where);
    if (read_actions(r, to->steps, to->actions, err) || read_images(r, 0, to, err))
        return DEER_FAILED;
    return read_images(r, 1, to, err);
}

/* ---------------------------------------------------------------- source ------------------- */

static deer_status read_episode(void *source, int i, demo_episode *to, deer_error *err)
{
    const rlds_set *s = source;
    const shard *own = s->shard;
    byte_source file;
    uint8_t *data = NULL;
    record r = {.s = s};
    deer_status status;

    *to = (demo_episode){.steps = 0};
    for (; (size_t)i >= own->index.count; own++)
        i -= (int)own->index.count;
    snprintf(r.where, sizeof r.where, "%s: record %d", own->path, i);
    if (bytes_open(own->path, &file, err))
        return DEER_FAILED;
    status = file.size == own->size ? tfrecord_read(&file, &own->index.record[i], &data, err)
                                    : deer_fail(err, "%s has been written to since", own->path);
    r.data = data;
    r.size = own->index.record[i].size;
    if (!status)
        status = read_record(&r, to, err);
    free(data);
    bytes_close(&file);
    if (status)
        demo_episode_free(to);
    return status;
}

static void close_set(void *source)
{
    rlds_set *s = source;

    if (!s)
        return;
    for (int i = 0; i < s->shards; i++) {
        tfrecord_free(&s->shard[i].index);
        free(s->shard[i].path);
    }
    free(s->shard);
    free(s->folder);
    free(s->instruction);
    free(s);
}

static void identify(rlds_set *s)
{
    char text[8192];
    int used =
        snprintf(text, sizeof text, "rlds %s %s %s %.2000s", s->names.image[0], s->names.image[1],
                 s->names.instruction, s->instruction ? s->instruction : "");

    for (int c = 0; c < DEMO_ACTION; c++)
        used += snprintf(text + used, sizeof text - (size_t)used, " %d", s->column[c]);
    for (int i = 0; i < s->shards; i++) {
        source_hash(text, (size_t)used, s->identity);
        used = snprintf(text, sizeof text, "%s %s %zu %zu %lld.%ld", s->identity, s->shard[i].path,
                        s->shard[i].size, s->shard[i].index.count,
                        (long long)s->shard[i].written.tv_sec, s->shard[i].written.tv_nsec);
    }
    source_hash(text, (size_t)used, s->identity);
}

static deer_status choose_columns(rlds_set *s, const source_options *o, deer_error *err)
{
    for (int c = 0; c < DEMO_ACTION; c++)
        s->column[c] = c;
    if (!o->actions && s->names.width != DEMO_ACTION)
        return deer_fail_with(DEER_USAGE, err,
                              "%s: actions have %d numbers, not %d; say which with "
                              "--action-columns",
                              s->folder, s->names.width, DEMO_ACTION);
    if (o->actions && columns_read(o->actions, NULL, 0, s->column, err))
        return DEER_USAGE;
    for (int c = 0; c < DEMO_ACTION; c++)
        if (s->column[c] >= s->names.width)
            return deer_fail_with(DEER_USAGE, err, "%s: there is no column %d of actions of %d",
                                  s->folder, s->column[c], s->names.width);
    return DEER_OK;
}

static deer_status fill(rlds_set *s, const source_options *o, deer_error *err)
{
    deer_status status;

    s->folder = strdup(o->path[0]);
    s->instruction = o->instruction ? strdup(o->instruction) : NULL;
    if (!s->folder || (o->instruction && !s->instruction) || strlen(s->folder) > 4000)
        return machine_fail(err, "out of memory opening %s", o->path[0]);
    status = rlds_read_names(s->folder, o, &s->names, err);
    if (!status)
        status = choose_columns(s, o, err);
    return status ? status : open_shards(s, o, err);
}

static deer_status open_set(const source_options *o, void **out, deer_error *err)
{
    rlds_set *s;
    deer_status status;

    *out = NULL;
    if (source_refuses("rlds", "annotations", o->annotations, err) ||
        source_refuses("rlds", "mask", o->mask, err) ||
        source_refuses("rlds", "action-scale", o->scale, err))
        return DEER_USAGE;
    s = calloc(1, sizeof *s);
    status = s ? fill(s, o, err) : machine_fail(err, "out of memory opening %s", o->path[0]);
    if (status) {
        close_set(s);
        return status;
    }
    identify(s);
    *out = s;
    return DEER_OK;
}

static int count(const void *source)
{
    return ((const rlds_set *)source)->episodes;
}

static void fingerprint(const void *source, char out[DEER_FINGERPRINT])
{
    memcpy(out, ((const rlds_set *)source)->identity, DEER_FINGERPRINT);
}

const source_kind source_rlds = {.name = "rlds",
                                 .takes = "DIR",
                                 .help = "a dataset of RLDS, TFRecord files",
                                 .env_args = "{\"env_name\":\"rlds\"}",
                                 .probe = probe,
                                 .open = open_set,
                                 .count = count,
                                 .fingerprint = fingerprint,
                                 .read = read_episode,
                                 .close = close_set};
