/* SPDX-License-Identifier: MIT */
/* calvin.c - reading CALVIN's frames and annotations. */
#include "datasets/sources/calvin.h"

#include <ctype.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "datasets/demos/language.h"
#include "datasets/sources/npy.h"
#include "runtime/base/file.h"
#include "runtime/base/machine_failure.h"
#include "runtime/base/threads/jobs.h"
#include "runtime/import/pickle.h"

enum { MAX_FRAME = 64 << 20, MAX_ANNOTATIONS = 256 << 20, MAX_RUN = 4096, PATH = 9000 };

static const size_t MAX_VIDEO = (size_t)1 << 33; /* bytes of a run's pixels */

typedef struct {
    char instruction[DEMO_INSTRUCTION], task[DEMO_TASK];
    long first, last; /* frames, both included */
} run;

struct calvin {
    char *folder;
    char prefix[64]; /* of a frame's file, before the digits */
    int digits;
    run *run;
    int count;
};

/* ---------------------------------------------------------------- annotations -------------- */

/* False when it does not fit; what is no text is empty. */
static bool copy_text(const pickle_value *v, char *to, size_t room)
{
    size_t n = v->kind == PICKLE_TEXT ? v->as.text.size : 0;

    if (n >= room)
        return false;
    memcpy(to, n ? v->as.text.at : "", n);
    to[n] = 0;
    return true;
}

static bool is_range(const run *r)
{
    return r->first >= 0 && r->last >= r->first && r->last < 10000000 &&
           r->last - r->first < MAX_RUN;
}

/* Two numbers `stride` apart; frames below ten million are exact as floats. */
static bool read_pair(number_type type, const void *from, int64_t stride, run *r)
{
    float pair[2];

    number_to_float(type, from, (ptrdiff_t)stride, 2, pair);
    if (!(pair[0] >= 0 && pair[1] >= 0 && pair[0] < 1e7f && pair[1] < 1e7f))
        return false;
    r->first = (long)pair[0];
    r->last = (long)pair[1];
    return is_range(r);
}

/* (first, last) as a tuple, a list or an array of two. */
static bool read_range(const pickle_value *v, run *r)
{
    if ((v->kind == PICKLE_TUPLE || v->kind == PICKLE_LIST) && v->as.many.count == 2 &&
        v->as.many.item[0]->kind == PICKLE_INT && v->as.many.item[1]->kind == PICKLE_INT) {
        r->first = v->as.many.item[0]->as.integer;
        r->last = v->as.many.item[1]->as.integer;
    } else if (v->kind == PICKLE_ARRAY && v->as.tensor.from && pickle_elements(v) == 2) {
        return read_pair(v->as.tensor.type, v->as.tensor.from->as.text.at, 1, r);
    } else {
        return false;
    }
    return is_range(r);
}

/* A list of ranges, or an array [N,2] of them. */
static size_t count_ranges(const pickle_value *ranges)
{
    if (ranges->kind == PICKLE_LIST)
        return ranges->as.many.count;
    return ranges->kind == PICKLE_ARRAY && ranges->as.tensor.from && ranges->as.tensor.rank == 2 &&
                   ranges->as.tensor.shape[1] == 2
               ? (size_t)ranges->as.tensor.shape[0]
               : 0;
}

static bool range_at(const pickle_value *ranges, size_t i, run *r)
{
    size_t size;

    if (ranges->kind == PICKLE_LIST)
        return read_range(ranges->as.many.item[i], r);
    size = number_size(ranges->as.tensor.type) * (size_t)ranges->as.tensor.stride[0];
    return read_pair(ranges->as.tensor.type, ranges->as.tensor.from->as.text.at + size * i,
                     ranges->as.tensor.stride[1], r);
}

static deer_status fill_runs(const char *path, const pickle_value *root, calvin *d, deer_error *err)
{
    const pickle_value *language = pickle_get(root, "language"), *info = pickle_get(root, "info");
    const pickle_value *text = pickle_get(language, "ann"), *task = pickle_get(language, "task");
    const pickle_value *ranges = pickle_get(info, "indx");
    size_t n;

    if (!text || !ranges || text->kind != PICKLE_LIST || !text->as.many.count ||
        text->as.many.count > 10000000 || count_ranges(ranges) != text->as.many.count)
        return deer_fail(err, "%s lacks language.ann and info.indx of equal lengths", path);
    n = text->as.many.count;
    d->run = calloc(n, sizeof *d->run);
    if (!d->run)
        return machine_fail(err, "out of memory reading %s", path);
    for (size_t i = 0; i < n; i++) {
        run *r = &d->run[d->count++];

        if (!copy_text(text->as.many.item[i], r->instruction, sizeof r->instruction))
            return deer_fail(err, "%s: annotation %zu has %zu bytes; at most %zu are read", path, i,
                             text->as.many.item[i]->as.text.size, sizeof r->instruction - 1);
        if (!language_is_utf8(r->instruction))
            return deer_fail(err, "%s: annotation %zu is no UTF-8; write it as UTF-8", path, i);
        if (task && task->kind == PICKLE_LIST && task->as.many.count == n)
            copy_text(task->as.many.item[i], r->task, sizeof r->task);
        if (!*r->instruction || !range_at(ranges, i, r))
            return deer_fail(err,
                             "%s: annotation %zu has no text, or no range of at most %d frames",
                             path, i, MAX_RUN);
    }
    return DEER_OK;
}

static deer_status read_annotations(const char *path, calvin *d, deer_error *err)
{
    char *file;
    size_t size;
    npy array;
    pickle p;
    const pickle_value *root;
    deer_status status;

    if (file_read(path, MAX_ANNOTATIONS, &file, &size, err))
        return DEER_FAILED;
    status = npy_parse(path, (const uint8_t *)file, size, &array, err);
    if (!status && !array.object)
        status = deer_fail(err, "%s holds numbers, not annotations", path);
    if (!status)
        status = pickle_read(path, array.data, array.size, &p, err);
    if (!status) {
        root = p.root;
        if (root->kind == PICKLE_LIST && root->as.many.count == 1) /* an array without dimensions */
            root = root->as.many.item[0];
        status = fill_runs(path, root, d, err);
        pickle_free(&p);
    }
    free(file);
    return status;
}

/* ---------------------------------------------------------------- opening ------------------ */

/* The folders of a split that hold annotations, for messages. */
static void list_annotations(const char *folder, char text[256])
{
    DIR *dir = opendir(folder);
    struct dirent *e;
    size_t used = 0;

    *text = 0;
    while (dir && (e = readdir(dir))) {
        char path[PATH];
        int n;

        if (strncmp(e->d_name, "lang", 4) != 0 ||
            snprintf(path, sizeof path, "%s/%s/auto_lang_ann.npy", folder, e->d_name) >= PATH ||
            access(path, R_OK))
            continue;
        n = snprintf(text + used, 256 - used, "%s%s", used ? ", " : "", e->d_name);
        used += n > 0 && (size_t)n < 256 - used ? (size_t)n : 0;
    }
    text[used] = 0;
    if (dir)
        closedir(dir);
}

static deer_status no_annotations(const char *folder, const char *annotations, deer_error *err)
{
    char there[256];

    list_annotations(folder, there);
    if (*there)
        return deer_fail(err, "%s has no %s/auto_lang_ann.npy; say with --annotations which: %s",
                         folder, annotations ? annotations : "lang_annotations", there);
    return deer_fail(err,
                     "%s has no lang_annotations/auto_lang_ann.npy; is it a split of CALVIN "
                     "(.../training)?",
                     folder);
}

static deer_status find_annotations(const char *folder, const char *annotations, char path[PATH],
                                    deer_error *err)
{
    snprintf(path, PATH, "%s/%s/auto_lang_ann.npy", folder,
             annotations ? annotations : "lang_annotations");
    if (!access(path, F_OK))
        return DEER_OK;
    snprintf(path, PATH, "%s/auto_lang_ann.npy", folder);
    return !annotations && !access(path, F_OK) ? DEER_OK : no_annotations(folder, annotations, err);
}

/* "episode_", 7 of episode_0358482.npz: where that is not what the frames are called, the folder is
 * looked through for how else. */
static void find_frame_names(calvin *d)
{
    char path[PATH];
    DIR *dir;
    struct dirent *e;

    strcpy(d->prefix, "episode_");
    d->digits = 7;
    snprintf(path, sizeof path, "%s/episode_%07ld.npz", d->folder, d->run[0].first);
    dir = access(path, F_OK) ? opendir(d->folder) : NULL;
    while (dir && (e = readdir(dir))) {
        size_t length = strlen(e->d_name), digits = 0;

        if (length < 5 || strcmp(e->d_name + length - 4, ".npz") != 0)
            continue;
        length -= 4;
        while (digits < length && isdigit((unsigned char)e->d_name[length - 1 - digits]))
            digits++;
        if (!digits || digits > 12 || length - digits >= sizeof d->prefix)
            continue;
        memcpy(d->prefix, e->d_name, length - digits);
        d->prefix[length - digits] = 0;
        d->digits = (int)digits;
        break;
    }
    if (dir)
        closedir(dir);
}

deer_status calvin_open_annotated(const char *folder, const char *annotations, calvin **out,
                                  deer_error *err)
{
    calvin *d = calloc(1, sizeof *d);
    char path[PATH];
    deer_status status;

    *out = NULL;
    if (d)
        d->folder = strdup(folder);
    if (!d || !d->folder || strlen(folder) + (annotations ? strlen(annotations) : 0) > 4096) {
        calvin_close(d);
        return machine_fail(err, "out of memory opening %s", folder);
    }
    status = find_annotations(folder, annotations, path, err);
    if (!status)
        status = read_annotations(path, d, err);
    if (!status)
        find_frame_names(d);
    if (status)
        calvin_close(d);
    else
        *out = d;
    return status;
}

deer_status calvin_open(const char *folder, calvin **out, deer_error *err)
{
    return calvin_open_annotated(folder, NULL, out, err);
}

void calvin_close(calvin *d)
{
    if (!d)
        return;
    free(d->folder);
    free(d->run);
    free(d);
}

int calvin_count(const calvin *d)
{
    return d->count;
}

int calvin_steps(const calvin *d, int i)
{
    return (int)(d->run[i].last - d->run[i].first + 1);
}

void calvin_fingerprint(const calvin *d, char fingerprint[DEER_FINGERPRINT])
{
    XXH128_hash_t hash = XXH3_128bits(d->run, (size_t)d->count * sizeof *d->run);

    snprintf(fingerprint, DEER_FINGERPRINT, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
}

/* ---------------------------------------------------------------- frames ------------------- */

typedef struct {
    const calvin *d;
    const run *r;
    demo_episode *e;
} frames;

static deer_status read_image(const byte_source *from, const zip *archive, const char *name,
                              int *height, int *width, uint8_t **out, deer_error *err)
{
    uint8_t *buffer;
    npy array;
    deer_status status = npz_read(from, archive, name, &array, &buffer, err);

    *out = NULL;
    if (!status && (array.object || array.type != NUMBER_U8 || array.rank != 3 ||
                    array.shape[2] != 3 || array.shape[0] < 1 || array.shape[0] > 4096 ||
                    array.shape[1] < 1 || array.shape[1] > 4096))
        status = deer_fail(err, "%s: %s is no image of bytes [height, width, 3]", from->path, name);
    if (!status) {
        *height = (int)array.shape[0];
        *width = (int)array.shape[1];
        *out = malloc(array.size);
        if (*out)
            memcpy(*out, array.data, array.size);
        else
            status = machine_fail(err, "out of memory reading %s", from->path);
    }
    free(buffer);
    return status;
}

static deer_status read_action(const byte_source *from, const zip *archive, float *action,
                               deer_error *err)
{
    uint8_t *buffer;
    npy array;
    deer_status status = npz_read(from, archive, "rel_actions", &array, &buffer, err);

    if (!status && (array.object || array.elements != DEMO_ACTION))
        status = deer_fail(err, "%s: rel_actions has not seven numbers", from->path);
    if (!status)
        number_to_float(array.type, array.data, 1, DEMO_ACTION, action);
    for (int i = 0; i < DEMO_ACTION && !status; i++)
        if (!(fabsf(action[i]) <= 1.001f))
            status = deer_fail(err, "%s: number %d of rel_actions is %g; -1 to 1 is expected",
                               from->path, i, (double)action[i]);
    free(buffer);
    return status;
}

/* One frame; the first sets the sizes (pictures NULL), the others must have the same. */
static deer_status read_frame(const calvin *d, const run *r, int t, demo_episode *e, bool first,
                              deer_error *err)
{
    char path[PATH], *frame;
    uint8_t *fixed = NULL, *wrist = NULL;
    int h[2] = {0, 0}, w[2] = {0, 0};
    size_t size;
    byte_source from;
    zip archive;
    deer_status status;

    snprintf(path, sizeof path, "%s/%s%0*ld.npz", d->folder, d->prefix, d->digits, r->first + t);
    if (file_read(path, MAX_FRAME, &frame, &size, err))
        return DEER_FAILED;
    from = bytes_of(path, frame, size);
    status = zip_open(&from, &archive, err);
    if (!status)
        status = read_image(&from, &archive, "rgb_static", &h[0], &w[0], &fixed, err);
    if (!status)
        status = read_image(&from, &archive, "rgb_gripper", &h[1], &w[1], &wrist, err);
    if (!status && !first)
        status = read_action(&from, &archive, e->actions + (size_t)t * DEMO_ACTION, err);
    zip_close(&archive);
    if (!status && first) {
        e->static_height = h[0];
        e->static_width = w[0];
        e->gripper_height = h[1];
        e->gripper_width = w[1];
    } else if (!status) {
        if (h[0] != e->static_height || w[0] != e->static_width || h[1] != e->gripper_height ||
            w[1] != e->gripper_width)
            status = deer_fail(err, "%s has images of another size than frame %ld", path, r->first);
    }
    if (!status && !first) {
        size_t a = (size_t)h[0] * (size_t)w[0] * 3, b = (size_t)h[1] * (size_t)w[1] * 3;

        memcpy(e->static_rgb + (size_t)t * a, fixed, a);
        memcpy(e->gripper_rgb + (size_t)t * b, wrist, b);
    }
    free(fixed);
    free(wrist);
    free(frame);
    return status;
}

static deer_status read_some(jobs *all, void *context, deer_error *err)
{
    frames *f = context;
    deer_status status = DEER_OK;

    for (int t; !status && (t = jobs_next(all)) >= 0;)
        status = read_frame(f->d, f->r, t, f->e, false, err);
    return status;
}

static size_t video_bytes(const demo_episode *e)
{
    return (size_t)e->steps * 3 *
           ((size_t)e->static_height * (size_t)e->static_width +
            (size_t)e->gripper_height * (size_t)e->gripper_width);
}

deer_status calvin_read(const calvin *d, int i, int threads, demo_episode *e, deer_error *err)
{
    const run *r = &d->run[i];
    size_t steps = (size_t)calvin_steps(d, i);
    deer_status status;

    *e = (demo_episode){.steps = (int)steps};
    snprintf(e->instruction, sizeof e->instruction, "%s", r->instruction);
    snprintf(e->task, sizeof e->task, "%s", r->task);
    if (read_frame(d, r, 0, e, true, err))
        return DEER_FAILED;
    if (video_bytes(e) > MAX_VIDEO)
        return deer_fail(err,
                         "%s: the run from frame %ld has %zu MB of pixels; at most %zu are read",
                         d->folder, r->first, video_bytes(e) >> 20, MAX_VIDEO >> 20);
    e->static_rgb = malloc(steps * (size_t)e->static_height * (size_t)e->static_width * 3);
    e->gripper_rgb = malloc(steps * (size_t)e->gripper_height * (size_t)e->gripper_width * 3);
    e->actions = malloc(steps * DEMO_ACTION * sizeof *e->actions);
    status = e->static_rgb && e->gripper_rgb && e->actions
                 ? jobs_run((int)steps, threads, read_some, &(frames){d, r, e}, err)
                 : machine_fail(err, "out of memory reading %s", d->folder);
    if (status)
        demo_episode_free(e);
    return status;
}
