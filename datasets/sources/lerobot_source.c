/* SPDX-License-Identifier: MIT */
/* lerobot_source.c - LeRobot's datasets as a source: actions out of tables, frames out of videos.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "datasets/demos/language.h"
#include "datasets/parquet/parquet.h"
#include "datasets/sources/lerobot.h"
#include "datasets/video/video.h"
#include "runtime/base/file.h"
#include "runtime/base/machine_failure.h"

enum { MOST_IMAGE = 64 << 20 };
static const size_t MOST_VIDEO = (size_t)1 << 33; /* bytes of an episode's pixels */

/* Rows of one episode that stand together. */
typedef struct {
    double episode;
    int64_t first, count;
} rows;

/* The table at hand: version 3 keeps many episodes in one. */
typedef struct {
    char path[LEROBOT_PATH]; /* empty: none */
    parquet_column action, time, episode, image[LEROBOT_CAMERAS];
    rows *rows; /* [parts], by episode, then by place */
    size_t parts;
} table;

typedef struct {
    lerobot d;
    table table;
    char *instruction;
    char identity[DEER_FINGERPRINT];
} lerobot_set;

static bool probe(const char *path)
{
    struct stat info;
    char name[LEROBOT_PATH];

    return snprintf(name, sizeof name, "%s/meta/info.json", path) < (int)sizeof name &&
           !stat(name, &info);
}

/* ---------------------------------------------------------------- tables ------------------- */

static void free_table(table *t)
{
    parquet_column_free(&t->action);
    parquet_column_free(&t->time);
    parquet_column_free(&t->episode);
    for (int v = 0; v < LEROBOT_CAMERAS; v++)
        parquet_column_free(&t->image[v]);
    free(t->rows);
    t->rows = NULL;
    t->parts = 0;
    *t->path = 0;
}

static deer_status read_columns(const lerobot *d, const parquet *p, table *t, deer_error *err)
{
    char name[160];

    if (parquet_read(p, "action", &t->action, err) || parquet_read(p, "timestamp", &t->time, err) ||
        parquet_read(p, "episode_index", &t->episode, err))
        return DEER_FAILED;
    if (!t->action.number || !t->time.number || !t->episode.number ||
        t->time.count != t->time.rows || t->episode.count != t->episode.rows)
        return deer_fail(err, "%s: action, timestamp and episode_index are not numbers", t->path);
    for (int v = 0; v < LEROBOT_CAMERAS; v++) {
        snprintf(name, sizeof name, "%s.bytes", d->camera[v].key);
        if (!d->camera[v].video && parquet_has(p, name) &&
            (parquet_read(p, name, &t->image[v], err) ||
             (!t->image[v].bytes && deer_fail(err, "%s: %s holds no images", t->path, name))))
            return DEER_FAILED;
    }
    return DEER_OK;
}

static int by_episode(const void *a, const void *b)
{
    const rows *x = a, *y = b;

    return x->episode != y->episode ? (x->episode > y->episode) - (x->episode < y->episode)
                                    : (x->first > y->first) - (x->first < y->first);
}

/* Lists which rows are whose, once for all episodes of a table. */
static deer_status list_rows(table *t, deer_error *err)
{
    const double *episode = t->episode.number;
    size_t room = 0;

    for (int64_t r = 0; r < t->episode.rows; r++)
        room += !r || episode[r] != episode[r - 1];
    t->rows = malloc((room + 1) * sizeof *t->rows);
    if (!t->rows)
        return machine_fail(err, "out of memory reading %s", t->path);
    for (int64_t r = 0; r < t->episode.rows; r++)
        if (t->parts && t->rows[t->parts - 1].episode == episode[r] &&
            t->rows[t->parts - 1].first + t->rows[t->parts - 1].count == r)
            t->rows[t->parts - 1].count++;
        else if (!isnan(episode[r])) /* is nobody's */
            t->rows[t->parts++] = (rows){episode[r], r, 1};
    qsort(t->rows, t->parts, sizeof *t->rows, by_episode);
    return DEER_OK;
}

static deer_status use_table(lerobot_set *s, const lerobot_episode *e, deer_error *err)
{
    char path[LEROBOT_PATH];
    parquet *p;
    deer_status status;

    if (lerobot_file(&s->d, s->d.data_path, e, s->d.version == 3 ? &e->data : NULL, NULL, 0, path,
                     err))
        return DEER_FAILED;
    if (!strcmp(path, s->table.path))
        return DEER_OK;
    free_table(&s->table);
    if (parquet_open(path, &p, err))
        return DEER_FAILED;
    strcpy(s->table.path, path);
    status = read_columns(&s->d, p, &s->table, err);
    if (!status)
        status = list_rows(&s->table, err);
    parquet_close(p);
    if (status)
        free_table(&s->table);
    return status;
}

/* The rows of an episode, which stand together. */
static deer_status find_rows(const lerobot_set *s, const lerobot_episode *e, int64_t *first,
                             deer_error *err)
{
    const table *t = &s->table;
    size_t low = 0, high = t->parts, i;
    int64_t count = 0;

    while (low < high) { /* the first part that is not of an episode before */
        size_t middle = low + (high - low) / 2;

        if (t->rows[middle].episode < (double)e->index)
            low = middle + 1;
        else
            high = middle;
    }
    for (i = low; i < t->parts && t->rows[i].episode == (double)e->index; i++)
        count += t->rows[i].count;
    if (count != e->steps || i != low + 1)
        return deer_fail(err, "%s has %lld rows of episode %lld, not %lld together", t->path,
                         (long long)count, (long long)e->index, (long long)e->steps);
    *first = t->rows[low].first;
    return DEER_OK;
}

static deer_status read_actions(const lerobot_set *s, const lerobot_episode *e, int64_t first,
                                float *actions, deer_error *err)
{
    const parquet_column *a = &s->table.action;
    const lerobot *d = &s->d;

    for (int64_t t = 0; t < e->steps; t++) {
        int64_t at = a->first[first + t];

        if (a->first[first + t + 1] - at != d->width)
            return deer_fail(err, "%s: row %lld has an action of %lld numbers, not %d",
                             s->table.path, (long long)(first + t),
                             (long long)(a->first[first + t + 1] - at), d->width);
        for (int c = 0; c < DEMO_ACTION; c++) {
            double v = a->number[at + d->column[c]];

            if (d->scaled && isfinite(v)) /* what is none stays none, and is refused */
                v = d->high[c] > d->low[c]
                        ? fmax(-1, fmin(1, 2 * (v - d->low[c]) / (d->high[c] - d->low[c]) - 1))
                        : 0;
            if (!(fabs(v) <= 1.001))
                return deer_fail(err,
                                 "%s: row %lld: number %d of the action is %g; -1 to 1 is "
                                 "expected (--action-scale minmax maps to it)",
                                 s->table.path, (long long)(first + t), d->column[c], v);
            *actions++ = (float)v;
        }
    }
    return DEER_OK;
}

/* ---------------------------------------------------------------- pixels ------------------- */

/* Room for the pixels of a camera, once the size is known. */
static deer_status make_room(const lerobot_set *s, int64_t steps, int height, int width,
                             uint8_t **rgb, deer_error *err)
{
    size_t bytes = (size_t)steps * (size_t)height * (size_t)width * 3;

    if (bytes > MOST_VIDEO)
        return deer_fail(err, "%s: an episode has %zu MB of pixels; at most %zu are read",
                         s->d.folder, bytes >> 20, MOST_VIDEO >> 20);
    *rgb = malloc(bytes);
    return *rgb ? DEER_OK : machine_fail(err, "out of memory reading %s", s->d.folder);
}

static deer_status read_video(const lerobot_set *s, const lerobot_episode *e, int view,
                              int64_t first, int *height, int *width, uint8_t **rgb,
                              deer_error *err)
{
    const lerobot *d = &s->d;
    char path[LEROBOT_PATH];
    double *seconds = malloc((size_t)e->steps * sizeof *seconds);
    video *v = NULL;
    deer_status status =
        seconds ? lerobot_file(d, d->video_path, e, d->version == 3 ? &e->video[view] : NULL,
                               d->camera[view].key, 0, path, err)
                : machine_fail(err, "out of memory reading %s", d->folder);

    for (int64_t t = 0; t < e->steps && !status; t++)
        seconds[t] = s->table.time.number[first + t] + (d->version == 3 ? e->video[view].from : 0);
    if (!status)
        status = video_open(path, &v, err);
    if (!status) {
        video_size(v, height, width);
        status = make_room(s, e->steps, *height, *width, rgb, err);
    }
    if (!status)
        status = video_read(v, seconds, (int)e->steps, 0.5 / d->fps, *rgb, err);
    video_close(v);
    free(seconds);
    return status;
}

/* One image: of the table, or a file beside it. */
static deer_status read_image(const lerobot_set *s, const lerobot_episode *e, int view, int64_t row,
                              int64_t frame, int *height, int *width, uint8_t **rgb,
                              deer_error *err)
{
    const parquet_column *image = &s->table.image[view];
    char path[LEROBOT_PATH], *bytes;
    size_t size;
    deer_status status;

    if (image->bytes && image->count == image->rows && image->bytes[row].at)
        return video_image(s->table.path, image->bytes[row].at, image->bytes[row].size, height,
                           width, rgb, err);
    if (lerobot_file(&s->d, s->d.image_path, e, NULL, s->d.camera[view].key, frame, path, err) ||
        file_read(path, MOST_IMAGE, &bytes, &size, err))
        return DEER_FAILED;
    status = video_image(path, (const uint8_t *)bytes, size, height, width, rgb, err);
    free(bytes);
    return status;
}

static deer_status read_images(const lerobot_set *s, const lerobot_episode *e, int view,
                               int64_t first, int *height, int *width, uint8_t **rgb,
                               deer_error *err)
{
    for (int64_t t = 0; t < e->steps; t++) {
        int h, w;
        uint8_t *one;
        deer_status status = read_image(s, e, view, first + t, t, &h, &w, &one, err);

        if (!status && !t) {
            *height = h;
            *width = w;
            status = make_room(s, e->steps, h, w, rgb, err);
        }
        if (!status && (h != *height || w != *width))
            status = deer_fail(err, "%s: images of %s have different sizes", s->table.path,
                               s->d.camera[view].key);
        if (!status)
            memcpy(*rgb + (size_t)t * (size_t)h * (size_t)w * 3, one, (size_t)h * (size_t)w * 3);
        free(one);
        if (status)
            return status;
    }
    return DEER_OK;
}

/* ---------------------------------------------------------------- source ------------------- */

static void close_set(void *source)
{
    lerobot_set *s = source;

    if (!s)
        return;
    free_table(&s->table);
    lerobot_free(&s->d);
    free(s->instruction);
    free(s);
}

/* Size and time of a file, as far as it is there. */
static void add_file(char identity[DEER_FINGERPRINT], const char *path)
{
    char text[LEROBOT_PATH + 128];
    struct stat info = {.st_size = -1};
    int used;

    (void)stat(path, &info);
    used = snprintf(text, sizeof text, "%s %s %lld %lld.%ld", identity, path,
                    (long long)info.st_size, (long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    source_hash(text, (size_t)used, identity);
}

/* Another table or video in the place of one is another dataset. */
static void add_episode(lerobot_set *s, const lerobot_episode *e)
{
    const lerobot *d = &s->d;
    char text[DEER_FINGERPRINT + 1200], path[LEROBOT_PATH];
    deer_error ignored;
    int used = snprintf(text, sizeof text, "%s %lld %lld %.1100s", s->identity, (long long)e->index,
                        (long long)e->steps, e->task);

    source_hash(text, (size_t)used, s->identity);
    if (!lerobot_file(d, d->data_path, e, d->version == 3 ? &e->data : NULL, NULL, 0, path,
                      &ignored))
        add_file(s->identity, path);
    for (int v = 0; v < LEROBOT_CAMERAS; v++)
        if (d->camera[v].video &&
            !lerobot_file(d, d->video_path, e, d->version == 3 ? &e->video[v] : NULL,
                          d->camera[v].key, 0, path, &ignored)) {
            used = snprintf(text, sizeof text, "%s %.17g", s->identity, e->video[v].from);
            source_hash(text, (size_t)used, s->identity);
            add_file(s->identity, path);
        }
}

static void identify(lerobot_set *s, const source_options *o)
{
    char text[8192];
    int used = snprintf(text, sizeof text, "%d %d %.17g %.3000s %.1100s %s %s %s", s->d.version,
                        s->d.episodes, s->d.fps, s->d.folder, o->instruction ? o->instruction : "",
                        s->d.camera[0].key, s->d.camera[1].key, o->scale ? o->scale : "");

    for (int i = 0; i < DEMO_ACTION; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, " %d %.17g %.17g", s->d.column[i],
                         s->d.low[i], s->d.high[i]);
    source_hash(text, (size_t)used, s->identity);
    for (int i = 0; i < s->d.episodes; i++)
        add_episode(s, &s->d.episode[i]);
}

static deer_status open_set(const source_options *o, void **out, deer_error *err)
{
    lerobot_set *s;
    deer_status status;

    *out = NULL;
    if (source_refuses("lerobot", "annotations", o->annotations, err) ||
        source_refuses("lerobot", "split", o->split, err) ||
        source_refuses("lerobot", "partial", o->partial ? "" : NULL, err) ||
        source_refuses("lerobot", "mask", o->mask, err))
        return DEER_USAGE;
    s = calloc(1, sizeof *s);
    if (!s || strlen(o->path[0]) > 3000)
        status = machine_fail(err, "out of memory opening %s", o->path[0]);
    else {
        s->d.folder = strdup(o->path[0]);
        s->instruction = o->instruction ? strdup(o->instruction) : NULL;
        status = !s->d.folder || (o->instruction && !s->instruction)
                     ? machine_fail(err, "out of memory opening %s", o->path[0])
                     : lerobot_read_meta(&s->d, o, err);
    }
    if (status) {
        close_set(s);
        return status;
    }
    identify(s, o);
    *out = s;
    return DEER_OK;
}

static int count(const void *source)
{
    return ((const lerobot_set *)source)->d.episodes;
}

static void fingerprint(const void *source, char out[DEER_FINGERPRINT])
{
    memcpy(out, ((const lerobot_set *)source)->identity, DEER_FINGERPRINT);
}

static deer_status read_view(const lerobot_set *s, const lerobot_episode *e, int view,
                             int64_t first, demo_episode *to, deer_error *err)
{
    int *height = view ? &to->gripper_height : &to->static_height;
    int *width = view ? &to->gripper_width : &to->static_width;
    uint8_t **rgb = view ? &to->gripper_rgb : &to->static_rgb;

    return s->d.camera[view].video ? read_video(s, e, view, first, height, width, rgb, err)
                                   : read_images(s, e, view, first, height, width, rgb, err);
}

static deer_status take_text(const lerobot_set *s, const lerobot_episode *e, demo_episode *to,
                             deer_error *err)
{
    const char *text = s->instruction ? s->instruction : e->task;

    to->wordings = s->instruction ? 1 : e->tasks;
    if (strlen(text) >= sizeof to->instruction)
        return deer_fail(err, "%s: the task of episode %lld has %zu bytes; at most %zu are read",
                         s->d.folder, (long long)e->index, strlen(text),
                         sizeof to->instruction - 1);
    if (!language_is_utf8(text))
        return deer_fail(err,
                         "%s: the task of episode %lld is no UTF-8; write it as UTF-8, or give one "
                         "with --instruction",
                         s->d.folder, (long long)e->index);
    strcpy(to->instruction, text);
    snprintf(to->task, sizeof to->task, "%s", e->task);
    language_clean(to->task); /* a character may be cut in two */
    if (!language_clean(to->instruction))
        return deer_fail(err, "%s: episode %lld has no task; say one with --instruction",
                         s->d.folder, (long long)e->index);
    return DEER_OK;
}

static deer_status read_episode(void *source, int i, demo_episode *to, deer_error *err)
{
    lerobot_set *s = source;
    const lerobot_episode *e = &s->d.episode[i];
    int64_t first = 0;
    deer_status status = use_table(s, e, err);

    *to = (demo_episode){.steps = (int)e->steps};
    if (!status)
        status = take_text(s, e, to, err);
    if (!status)
        status = find_rows(s, e, &first, err);
    if (status)
        return status;
    to->actions = malloc((size_t)e->steps * DEMO_ACTION * sizeof *to->actions);
    status = to->actions ? read_actions(s, e, first, to->actions, err)
                         : machine_fail(err, "out of memory reading %s", s->d.folder);
    for (int v = 0; v < LEROBOT_CAMERAS && !status; v++)
        status = read_view(s, e, v, first, to, err);
    if (status)
        demo_episode_free(to);
    return status;
}

const source_kind source_lerobot = {.name = "lerobot",
                                    .takes = "DIR",
                                    .help = "a dataset of LeRobot, v2.0 to v3.0",
                                    .env_args = "{\"env_name\":\"lerobot\"}",
                                    .probe = probe,
                                    .open = open_set,
                                    .count = count,
                                    .fingerprint = fingerprint,
                                    .read = read_episode,
                                    .close = close_set};
