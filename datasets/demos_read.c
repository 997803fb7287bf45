/* demos_read.c - opening demonstrations: everything is checked before anything is believed. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "datasets/demos.h"
#include "datasets/hdf5_io.h"

enum { MAX_DEMOS = 1000000, MAX_STEPS = 1000000, MAX_SIDE = 4096, MAX_OBJECT = 4096 };

typedef struct {
    char        name[64];
    int         steps;
    hdf5_shape  view[2];    /* static, gripper */
    const char *dataset[2]; /* their names below obs/ */
    int         object_size;
} demo_entry;

struct demos {
    char       *path;
    hid_t       file;
    int         count;
    long        steps;
    demo_entry *entry;
};

/* What the two cameras are called: here, in robomimic, in LIBERO. */
static const char *const view_names[2][3] = {
    {"rgb_static", "agentview_image", "agentview_rgb"},
    {"rgb_gripper", "robot0_eye_in_hand_image", "eye_in_hand_rgb"},
};

void demo_episode_free(demo_episode *episode)
{
    free(episode->static_rgb);
    free(episode->gripper_rgb);
    free(episode->actions);
    free(episode->object);
    episode->static_rgb = episode->gripper_rgb = NULL;
    episode->actions = episode->object = NULL;
}

deer_observation demo_episode_observation(const demo_episode *e, int t)
{
    size_t s = (size_t)e->static_height * (size_t)e->static_width * 3;
    size_t g = (size_t)e->gripper_height * (size_t)e->gripper_width * 3;

    return (deer_observation){
        {e->static_rgb + (size_t)t * s, e->static_height, e->static_width},
        {e->gripper_rgb + (size_t)t * g, e->gripper_height, e->gripper_width}};
}

/* ---------------------------------------------------------------- listing ------------------ */

typedef struct {
    demos *d;
    int    room;
} listing;

static herr_t list_demo(hid_t group, const char *name, const H5L_info_t *info, void *user)
{
    listing *l = user;

    (void)group, (void)info;
    if (strlen(name) >= sizeof l->d->entry->name || l->d->count >= MAX_DEMOS)
        return -1;
    if (l->d->count == l->room) {
        int         room = l->room ? 2 * l->room : 64;
        demo_entry *grown = realloc(l->d->entry, (size_t)room * sizeof *grown);
        if (!grown)
            return -1;
        l->d->entry = grown;
        l->room = room;
    }
    memset(&l->d->entry[l->d->count], 0, sizeof *l->d->entry);
    strcpy(l->d->entry[l->d->count++].name, name);
    return 0;
}

/* demo_2 before demo_10. */
static int by_natural_order(const void *a, const void *b)
{
    return strverscmp(((const demo_entry *)a)->name, ((const demo_entry *)b)->name);
}

/* ---------------------------------------------------------------- checking ----------------- */

static void dataset_name(const demo_entry *e, const char *what, char out[160])
{
    snprintf(out, 160, "data/%s/%s", e->name, what);
}

static deer_status check_view(const demos *d, demo_entry *e, int view, deer_error *err)
{
    char        name[160];
    hdf5_shape *s = &e->view[view];

    for (int i = 0; i < 3 && !e->dataset[view]; i++) {
        snprintf(name, sizeof name, "data/%s/obs/%s", e->name, view_names[view][i]);
        if (!hdf5_shape_of(d->file, d->path, name, s, NULL))
            e->dataset[view] = view_names[view][i];
    }
    if (!e->dataset[view])
        return deer_fail(err, "%s: %s has no %s camera (obs/%s, %s or %s)", d->path, e->name,
                         view ? "wrist" : "static", view_names[view][0], view_names[view][1],
                         view_names[view][2]);
    if (s->rank != 4 || s->size[3] != 3 || s->type != H5T_INTEGER || s->bytes != 1)
        return deer_fail(err, "%s: %s/obs/%s is not u8 [T,H,W,3]", d->path, e->name,
                         e->dataset[view]);
    if (s->size[1] < 1 || s->size[1] > MAX_SIDE || s->size[2] < 1 || s->size[2] > MAX_SIDE)
        return deer_fail(err, "%s: %s/obs/%s has images of %llu x %llu pixels", d->path, e->name,
                         e->dataset[view], (unsigned long long)s->size[1],
                         (unsigned long long)s->size[2]);
    if (s->size[0] != (hsize_t)e->steps)
        return deer_fail(err, "%s: %s has %d actions but %llu images in obs/%s", d->path, e->name,
                         e->steps, (unsigned long long)s->size[0], e->dataset[view]);
    return DEER_OK;
}

static deer_status check_demo(const demos *d, demo_entry *e, deer_error *err)
{
    char       name[160];
    hdf5_shape s;

    dataset_name(e, "actions", name);
    if (hdf5_shape_of(d->file, d->path, name, &s, err))
        return DEER_FAILED;
    if (s.rank != 2 || s.size[1] != DEMO_ACTION || s.type != H5T_FLOAT)
        return deer_fail(err, "%s: %s is not a float dataset [T,7]", d->path, name);
    if (s.size[0] < 1 || s.size[0] > MAX_STEPS)
        return deer_fail(err, "%s: %s has %llu steps", d->path, name, (unsigned long long)s.size[0]);
    e->steps = (int)s.size[0];
    if (check_view(d, e, 0, err) || check_view(d, e, 1, err))
        return DEER_FAILED;
    dataset_name(e, "obs/object", name);
    if (!hdf5_shape_of(d->file, d->path, name, &s, NULL) && s.rank == 2 &&
        s.size[0] == (hsize_t)e->steps && s.size[1] >= 1 && s.size[1] <= MAX_OBJECT &&
        s.type == H5T_FLOAT)
        e->object_size = (int)s.size[1];
    return DEER_OK;
}

static deer_status list_and_check(demos *d, deer_error *err)
{
    listing l = {d, 0};
    hid_t   group = H5Gopen2(d->file, "data", H5P_DEFAULT);
    herr_t  failed;

    if (group < 0)
        return deer_fail(err, "%s has no group /data; is it a demonstrations file?", d->path);
    failed = H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, list_demo, &l);
    H5Gclose(group);
    if (failed < 0)
        return deer_fail(err, "%s: the list of demonstrations cannot be read", d->path);
    if (d->count == 0)
        return deer_fail(err, "%s holds no demonstrations", d->path);
    qsort(d->entry, (size_t)d->count, sizeof *d->entry, by_natural_order);
    for (int i = 0; i < d->count; i++) {
        if (check_demo(d, &d->entry[i], err))
            return DEER_FAILED;
        d->steps += d->entry[i].steps;
    }
    return DEER_OK;
}

deer_status demos_open(const char *path, demos **out, deer_error *err)
{
    demos *d;

    *out = NULL;
    hdf5_quiet();
    if (access(path, R_OK))
        return deer_fail(err, "cannot open %s: %s", path, strerror(errno));
    d = calloc(1, sizeof *d);
    if (!d)
        return deer_fail(err, "out of memory opening %s", path);
    d->file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    d->path = strdup(path);
    if (d->file < 0 || !d->path) {
        demos_close(d);
        return deer_fail(err, "%s is not a readable HDF5 file; is it complete?", path);
    }
    if (list_and_check(d, err)) {
        demos_close(d);
        return DEER_FAILED;
    }
    *out = d;
    return DEER_OK;
}

void demos_close(demos *d)
{
    if (!d)
        return;
    if (d->file >= 0)
        H5Fclose(d->file);
    free(d->path);
    free(d->entry);
    free(d);
}

int demos_count(const demos *d)
{
    return d->count;
}

const char *demos_name(const demos *d, int i)
{
    return d->entry[i].name;
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
        if (!strcmp(d->entry[i].name, name))
            return i;
    return -1;
}

/* ---------------------------------------------------------------- reading ------------------ */

static void read_texts(const demos *d, const demo_entry *entry, demo_episode *e)
{
    char  name[160];
    hid_t group;

    snprintf(name, sizeof name, "data/%s", entry->name);
    group = H5Gopen2(d->file, name, H5P_DEFAULT);
    hdf5_text_get(group, "language", e->instruction, sizeof e->instruction);
    hdf5_text_get(group, "task", e->task, sizeof e->task);
    hdf5_integer_get(group, "seed", &e->seed);
    H5Gclose(group);
}

static deer_status check_actions(const demos *d, const demo_episode *e, deer_error *err)
{
    for (int i = 0; i < e->steps * DEMO_ACTION; i++)
        if (!(fabsf(e->actions[i]) <= 1.001f))
            return deer_fail(err, "%s: action %d of step %d in %s is %g; -1 to 1 is expected", d->path,
                             i % DEMO_ACTION, i / DEMO_ACTION, e->name, (double)e->actions[i]);
    return DEER_OK;
}

static deer_status read_arrays(const demos *d, const demo_entry *entry, demo_episode *e,
                               deer_error *err)
{
    char     name[160];
    uint8_t *pixels[2] = {e->static_rgb, e->gripper_rgb};

    for (int view = 0; view < 2; view++) {
        snprintf(name, sizeof name, "data/%s/obs/%s", entry->name, entry->dataset[view]);
        if (hdf5_read(d->file, d->path, name, H5T_NATIVE_UINT8, pixels[view], err))
            return DEER_FAILED;
    }
    dataset_name(entry, "actions", name);
    if (hdf5_read(d->file, d->path, name, H5T_NATIVE_FLOAT, e->actions, err) ||
        check_actions(d, e, err))
        return DEER_FAILED;
    dataset_name(entry, "obs/object", name);
    if (e->object_size && hdf5_read(d->file, d->path, name, H5T_NATIVE_FLOAT, e->object, err))
        return DEER_FAILED;
    return DEER_OK;
}

static size_t pixels_of(const hdf5_shape *s)
{
    return (size_t)(s->size[0] * s->size[1] * s->size[2]) * 3;
}

deer_status demos_read(demos *d, int i, demo_episode *e, deer_error *err)
{
    const demo_entry *entry = &d->entry[i];

    memset(e, 0, sizeof *e);
    strcpy(e->name, entry->name);
    e->steps = entry->steps;
    e->static_height = (int)entry->view[0].size[1];
    e->static_width = (int)entry->view[0].size[2];
    e->gripper_height = (int)entry->view[1].size[1];
    e->gripper_width = (int)entry->view[1].size[2];
    e->object_size = entry->object_size;
    e->static_rgb = malloc(pixels_of(&entry->view[0]));
    e->gripper_rgb = malloc(pixels_of(&entry->view[1]));
    e->actions = malloc((size_t)e->steps * DEMO_ACTION * sizeof *e->actions);
    e->object = malloc(((size_t)e->steps * (size_t)e->object_size + 1) * sizeof *e->object);
    if (!e->static_rgb || !e->gripper_rgb || !e->actions || !e->object) {
        demo_episode_free(e);
        return deer_fail(err, "out of memory reading %s of %s", entry->name, d->path);
    }
    read_texts(d, entry, e);
    if (read_arrays(d, entry, e, err)) {
        demo_episode_free(e);
        return DEER_FAILED;
    }
    return DEER_OK;
}

static void hash_episode(XXH3_state_t *state, const demo_episode *e)
{
    size_t s = (size_t)e->static_height * (size_t)e->static_width * 3;
    size_t g = (size_t)e->gripper_height * (size_t)e->gripper_width * 3;
    int    shape[5] = {e->steps, e->static_height, e->static_width, e->gripper_height,
                       e->gripper_width};

    XXH3_128bits_update(state, shape, sizeof shape);
    XXH3_128bits_update(state, e->instruction, strlen(e->instruction) + 1);
    XXH3_128bits_update(state, e->static_rgb, (size_t)e->steps * s);
    XXH3_128bits_update(state, e->gripper_rgb, (size_t)e->steps * g);
    XXH3_128bits_update(state, e->actions, (size_t)e->steps * DEMO_ACTION * sizeof *e->actions);
}

deer_status demos_fingerprint(demos *d, char fingerprint[DEER_FINGERPRINT], deer_error *err)
{
    XXH3_state_t *state = XXH3_createState();
    XXH128_hash_t hash;
    deer_status   status = state ? DEER_OK : deer_fail(err, "out of memory");

    if (state)
        XXH3_128bits_reset(state);
    for (int i = 0; i < d->count && !status; i++) {
        demo_episode e;
        status = demos_read(d, i, &e, err);
        if (!status) {
            hash_episode(state, &e);
            demo_episode_free(&e);
        }
    }
    if (!status) {
        hash = XXH3_128bits_digest(state);
        snprintf(fingerprint, DEER_FINGERPRINT, "%016llx%016llx", (unsigned long long)hash.high64,
                 (unsigned long long)hash.low64);
    }
    XXH3_freeState(state);
    return status;
}
