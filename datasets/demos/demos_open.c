/* demos_open.c - opening demonstrations: everything is checked before anything is believed. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/demos/demos_internal.h"
#include "datasets/demos/hdf5_filter.h"
#include "datasets/demos/hdf5_open.h"

enum { MAX_DEMOS = 1000000, MAX_STEPS = 1000000, MAX_SIDE = 4096, MAX_OBJECT = 4096 };
static const uint64_t MAX_VIDEO = 1ull << 33; /* bytes of one camera in one demonstration */

/* What the two cameras are called: here, in robomimic, in LIBERO. */
static const char *const view_names[DEMOS_VIEWS][3] = {
    {"rgb_static", "agentview_image", "agentview_rgb"},
    {"rgb_gripper", "robot0_eye_in_hand_image", "eye_in_hand_rgb"},
};

void demos_path(const demo_entry *entry, const char *what, char out[DEMOS_PATH])
{
    snprintf(out, DEMOS_PATH, "data/%s/%s", entry->name, what);
}

/* ---------------------------------------------------------------- listing ------------------ */

const demo_file *demos_file_of(const demos *d, const demo_entry *entry)
{
    return &d->file[entry->in];
}

typedef struct {
    demos *d;
    int in;
} listing;

/* Names stand in messages of one line. */
static bool usable_name(const char *name)
{
    if (strlen(name) >= sizeof((demo_entry *)0)->name)
        return false;
    for (; *name; name++)
        if (!isprint((unsigned char)*name))
            return false;
    return true;
}

static demo_entry *add_entry(demos *d)
{
    if (d->count == d->room) {
        int room = d->room ? 2 * d->room : 64;
        demo_entry *grown = realloc(d->entry, (size_t)room * sizeof *grown);

        if (!grown)
            return NULL;
        d->entry = grown;
        d->room = room;
    }
    memset(&d->entry[d->count], 0, sizeof *d->entry);
    return &d->entry[d->count++];
}

static herr_t list_demo(hid_t group, const char *name, const H5L_info_t *info, void *user)
{
    const listing *l = user;
    demo_entry *e = usable_name(name) && l->d->count < MAX_DEMOS ? add_entry(l->d) : NULL;

    (void)group, (void)info;
    if (!e)
        return -1;
    strcpy(e->name, name);
    strcpy(e->shown, name);
    e->in = l->in;
    return l->d->files > 1 &&
                   snprintf(e->shown, sizeof e->shown, "%d:%s", l->in + 1, name) >= 64
               ? -1
               : 0;
}

/* demo_2 before demo_10. */
static int by_natural_order(const void *a, const void *b)
{
    return strverscmp(((const demo_entry *)a)->name, ((const demo_entry *)b)->name);
}

/* Every demonstration of a file, or those of the mask, behind those of the files before it. */
static deer_status list_file(demos *d, int in, deer_error *err)
{
    const demo_file *f = &d->file[in];
    listing l = {d, in};
    int first = d->count;
    hid_t group = H5Gopen2(f->file, "data", H5P_DEFAULT);
    herr_t failed;

    if (group < 0)
        return deer_fail(err, "%s has no group /data; is it a demonstrations file?", f->path);
    failed = H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, list_demo, &l);
    H5Gclose(group);
    if (failed < 0)
        return deer_fail(err, "%s: the names in /data cannot be read or used", f->path);
    if (d->count == first)
        return deer_fail(err, "%s holds no demonstrations", f->path);
    qsort(d->entry + first, (size_t)(d->count - first), sizeof *d->entry, by_natural_order);
    return d->mask ? demos_apply_mask(d, in, first, err) : DEER_OK;
}

/* ---------------------------------------------------------------- checking ----------------- */

/* A few bytes of file may declare petabytes of pixels: believe only what its storage can hold. */
static deer_status check_size(const char *path, const char *name, const hdf5_shape *s,
                              deer_error *err)
{
    uint64_t bytes = s->size[0] * s->size[1] * s->size[2] * 3; /* bounded by MAX_STEPS, MAX_SIDE */

    if (bytes > MAX_VIDEO)
        return deer_fail(err, "%s: %s has %llu bytes; at most %llu are read at once", path, name,
                         (unsigned long long)bytes, (unsigned long long)MAX_VIDEO);
    if (bytes / s->ratio > s->stored)
        return deer_fail(err, "%s: %s declares %llu bytes of pixels but stores %llu", path, name,
                         (unsigned long long)bytes, (unsigned long long)s->stored);
    return DEER_OK;
}

/* Float pixels, signed ones, and channels in front can be converted, but only knowingly. */
static deer_status refuse_images(const char *path, const char *name, const hdf5_shape *s,
                                 deer_error *err)
{
    char is[HDF5_IO_SHAPE];
    bool first = s->rank == 4 && s->size[1] == 3 && s->size[3] != 3;
    bool convertible = s->rank == 4 && (first || s->size[3] == 3) &&
                       (s->type == H5T_FLOAT || (s->type == H5T_INTEGER && !s->is_signed));

    return deer_fail(err, "%s: %s is %s, need u1 [T,H,W,3]%s", path, name,
                     hdf5_shape_text(s, is),
                     convertible ? "; deer-data import --hdf5 converts it" : "");
}

static deer_status check_images(const demos *d, const demo_entry *e, const char *name,
                                const hdf5_shape *s, deer_error *err)
{
    const char *path = demos_file_of(d, e)->path;

    if (s->rank != 4 || s->size[3] != 3 || s->type != H5T_INTEGER || s->bytes != 1 || s->is_signed)
        return refuse_images(path, name, s, err);
    if (s->size[1] < 1 || s->size[1] > MAX_SIDE || s->size[2] < 1 || s->size[2] > MAX_SIDE)
        return deer_fail(err, "%s: %s has images of %llu x %llu pixels", path, name,
                         (unsigned long long)s->size[1], (unsigned long long)s->size[2]);
    if (s->size[0] != (hsize_t)e->steps)
        return deer_fail(err, "%s: %s has %d actions but %llu images in %s", path, e->name,
                         e->steps, (unsigned long long)s->size[0], name);
    if (s->missing)
        return hdf5_filter_fail(path, name, s->missing, err);
    return check_size(path, name, s, err);
}

/* ---------------------------------------------------------------- cameras ------------------ */

typedef struct {
    char text[192];
    size_t used;
    hid_t obs;
} camera_list;

/* Adds a name below obs/ that looks like a camera's: three dimensions and more. */
static herr_t list_camera(hid_t obs, const char *name, const H5L_info_t *info, void *user)
{
    camera_list *list = user;
    hdf5_shape s;
    int n;

    (void)info;
    if (!usable_name(name) || hdf5_shape_of(obs, "", name, &s, NULL) || s.rank < 3)
        return 0;
    n = snprintf(list->text + list->used, sizeof list->text - list->used, "%s%s",
                 list->used ? ", " : "", name);
    if (n > 0 && list->used + (size_t)n < sizeof list->text)
        list->used += (size_t)n;
    else
        list->text[list->used] = 0;
    return 0;
}

/* "; there are a, b" for messages. */
static void cameras_there(const demos *d, const demo_entry *e, char text[224])
{
    camera_list list = {.used = 0};
    char name[DEMOS_PATH];
    hid_t obs;

    demos_path(e, "obs", name);
    obs = H5Gopen2(demos_file_of(d, e)->file, name, H5P_DEFAULT);
    if (obs >= 0) {
        H5Literate(obs, H5_INDEX_NAME, H5_ITER_INC, NULL, list_camera, &list);
        H5Gclose(obs);
    }
    snprintf(text, 224, "%s%s",
             obs < 0     ? "it has no group obs"
             : list.used ? "there are: "
                         : "there is none",
             list.text);
}

static deer_status no_camera(const demos *d, const demo_entry *e, int view, deer_error *err)
{
    const char *path = demos_file_of(d, e)->path;
    char there[224];

    cameras_there(d, e, there);
    if (*d->camera[view])
        return deer_fail(err, "%s: %s has no camera obs/%s; %s", path, e->name, d->camera[view],
                         there);
    return deer_fail(err,
                     "%s: %s has no %s camera (obs/%s, %s or %s); say its name with --%s-camera; %s",
                     path, e->name, view ? "wrist" : "static", view_names[view][0],
                     view_names[view][1], view_names[view][2], view ? "gripper" : "static", there);
}

static deer_status check_view(const demos *d, demo_entry *e, int view, deer_error *err)
{
    const demo_file *f = demos_file_of(d, e);
    char what[128], name[DEMOS_PATH];
    bool given = *d->camera[view] != 0;

    for (int i = 0; i < (given ? 1 : 3); i++) {
        const char *camera = given ? d->camera[view] : view_names[view][i];

        snprintf(what, sizeof what, "obs/%s", camera);
        demos_path(e, what, name);
        if (!hdf5_shape_of(f->file, f->path, name, &e->view[view], NULL)) {
            e->dataset[view] = camera;
            return check_images(d, e, name, &e->view[view], err);
        }
    }
    return no_camera(d, e, view, err);
}

static deer_status check_actions(const demos *d, demo_entry *e, deer_error *err)
{
    const demo_file *f = demos_file_of(d, e);
    char name[DEMOS_PATH], is[HDF5_IO_SHAPE];
    hdf5_shape s;

    demos_path(e, "actions", name);
    if (hdf5_shape_of(f->file, f->path, name, &s, err))
        return DEER_FAILED;
    if (s.rank != 2 || s.size[1] != DEMO_ACTION || s.type != H5T_FLOAT)
        return deer_fail(err, "%s: %s is %s, need floats [T,7]%s", f->path, name,
                         hdf5_shape_text(&s, is),
                         s.rank == 2 && s.size[1] > DEMO_ACTION && s.type == H5T_FLOAT
                             ? "; deer-data import --hdf5 --action-columns chooses seven"
                             : "");
    if (s.missing)
        return hdf5_filter_fail(f->path, name, s.missing, err);
    if (s.size[0] < 1 || s.size[0] > MAX_STEPS)
        return deer_fail(err, "%s: %s has %llu steps", f->path, name,
                         (unsigned long long)s.size[0]);
    e->steps = (int)s.size[0];
    return DEER_OK;
}

/* The simulator's state is read where it is as long as the episode, and else ignored. */
static void look_for_object(const demos *d, demo_entry *e)
{
    const demo_file *f = demos_file_of(d, e);
    char name[DEMOS_PATH];
    hdf5_shape s;

    demos_path(e, "obs/object", name);
    if (!hdf5_shape_of(f->file, f->path, name, &s, NULL) && s.rank == 2 && s.type == H5T_FLOAT &&
        s.size[0] == (hsize_t)e->steps && s.size[1] >= 1 && s.size[1] <= MAX_OBJECT)
        e->object_size = (int)s.size[1];
}

static deer_status check_all(demos *d, deer_error *err)
{
    for (int i = 0; i < d->count; i++) {
        demo_entry *e = &d->entry[i];
        if (check_actions(d, e, err) || check_view(d, e, 0, err) || check_view(d, e, 1, err))
            return DEER_FAILED;
        look_for_object(d, e);
        d->steps += e->steps;
    }
    return DEER_OK;
}

/* ---------------------------------------------------------------- opening ------------------ */

/* A camera is a name below obs/, not a way elsewhere. */
static deer_status take_camera(const char *name, char to[64], deer_error *err)
{
    if (name && (!*name || strlen(name) >= 64 || strchr(name, '/') || !strcmp(name, ".")))
        return deer_fail(err, "'%s' is no name of a camera", name);
    strcpy(to, name ? name : "");
    return DEER_OK;
}

static deer_status take_options(const demos_options *o, demos *d, deer_error *err)
{
    if (take_camera(o->static_camera, d->camera[0], err) ||
        take_camera(o->gripper_camera, d->camera[1], err))
        return DEER_FAILED;
    d->seed = o->seed;
    d->instruction = o->instruction ? strdup(o->instruction) : NULL;
    d->mask = o->mask ? strdup(o->mask) : NULL;
    return (o->instruction && !d->instruction) || (o->mask && !d->mask)
               ? deer_fail(err, "out of memory opening demonstrations")
               : DEER_OK;
}

static deer_status open_file(demos *d, int in, const char *path, deer_error *err)
{
    demo_file *f = &d->file[in];

    f->path = strdup(path);
    if (!f->path)
        return deer_fail(err, "out of memory opening %s", path);
    f->file = hdf5_open(path, err);
    if (f->file < 0 || list_file(d, in, err))
        return DEER_FAILED;
    demos_read_file_texts(f);
    return DEER_OK;
}

static deer_status open_all(const char *const *paths, int n, const demos_options *options, demos *d,
                            deer_error *err)
{
    d->file = calloc((size_t)n, sizeof *d->file);
    if (!d->file)
        return deer_fail(err, "out of memory opening %s", paths[0]);
    for (d->files = n, n = 0; n < d->files; n++)
        d->file[n].file = H5I_INVALID_HID;
    if (options && take_options(options, d, err))
        return DEER_FAILED;
    for (int i = 0; i < d->files; i++)
        if (open_file(d, i, paths[i], err))
            return DEER_FAILED;
    return check_all(d, err);
}

deer_status demos_open_files(const char *const *paths, int n, const demos_options *options,
                             demos **out, deer_error *err)
{
    demos *d = calloc(1, sizeof *d);

    *out = NULL;
    if (!d)
        return deer_fail(err, "out of memory opening %s", paths[0]);
    if (open_all(paths, n, options, d, err)) {
        demos_close(d);
        return DEER_FAILED;
    }
    *out = d;
    return DEER_OK;
}

deer_status demos_open(const char *path, demos **out, deer_error *err)
{
    return demos_open_files(&path, 1, NULL, out, err);
}

void demos_close(demos *d)
{
    if (!d)
        return;
    for (int i = 0; i < d->files; i++) {
        if (d->file[i].file >= 0)
            H5Fclose(d->file[i].file);
        hdf5_texts_free(&d->file[i].language);
        free(d->file[i].path);
    }
    free(d->file);
    free(d->instruction);
    free(d->mask);
    free(d->entry);
    free(d);
}

int demos_count(const demos *d)
{
    return d->count;
}

const char *demos_name(const demos *d, int i)
{
    return d->entry[i].shown;
}

int demos_steps(const demos *d, int i)
{
    return d->entry[i].steps;
}

long demos_total_steps(const demos *d)
{
    return d->steps;
}

int demos_find(const demos *d, const char *name)
{
    for (int i = 0; i < d->count; i++)
        if (!strcmp(d->entry[i].shown, name))
            return i;
    return -1;
}
