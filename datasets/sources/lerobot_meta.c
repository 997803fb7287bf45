/* SPDX-License-Identifier: MIT */
/* lerobot_meta.c - the metadata of LeRobot's datasets. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datasets/sources/columns.h"
#include "datasets/sources/lerobot.h"
#include "runtime/base/file.h"
#include "runtime/base/json/json_file.h"
#include "runtime/base/machine_failure.h"

enum { MOST_JSON = 256 << 20, MOST_EPISODES = 1000000, MOST_STEPS = 1000000 };

/* ---------------------------------------------------------------- JSON --------------------- */

json_t *lerobot_json(char *text, size_t size, const char *path, deer_error *err)
{
    json_error_t problem;
    bool quoted = false;
    json_t *root;

    json_mend_escapes(text, size);
    for (char *p = text; p < text + size; p++) {
        size_t n = 0;

        if (quoted && *p == '\\')
            p++;
        else if (*p == '"')
            quoted = !quoted;
        else if (!quoted)
            n = !strncmp(p, "NaN", 3)         ? 3
                : !strncmp(p, "Infinity", 8)  ? 8
                : !strncmp(p, "-Infinity", 9) ? 9
                                              : 0;
        if (n) {
            memset(p, ' ', n);
            p[0] = p[1] = '"';
            p += n - 1;
        }
    }
    root = json_parse(text, size, 0, &problem);
    if (!root)
        deer_fail(err, "%s is not JSON: line %d: %s", path, problem.line, problem.text);
    return root;
}

static json_t *read_json(const lerobot *d, const char *name, deer_error *err)
{
    char path[LEROBOT_PATH], *text;
    size_t size;
    json_t *root;

    snprintf(path, sizeof path, "%s/%s", d->folder, name);
    if (file_read(path, MOST_JSON, &text, &size, err))
        return NULL;
    root = lerobot_json(text, size, path, err);
    free(text);
    return root;
}

static bool there_is(const lerobot *d, const char *name)
{
    char path[LEROBOT_PATH];

    snprintf(path, sizeof path, "%s/%s", d->folder, name);
    return !access(path, F_OK);
}

/* Calls `take` with each line's object of a .jsonl file. */
static deer_status each_line(lerobot *d, const char *name,
                             deer_status (*take)(lerobot *d, const json_t *line, deer_error *err),
                             deer_error *err)
{
    char path[LEROBOT_PATH], *text;
    size_t size;
    deer_status status;

    snprintf(path, sizeof path, "%s/%s", d->folder, name);
    status = file_read(path, MOST_JSON, &text, &size, err);
    if (status)
        return status;
    for (char *line = text, *end; line < text + size && !status; line = end + 1) {
        json_t *object;

        end = memchr(line, '\n', (size_t)(text + size - line));
        end = end ? end : text + size;
        if (line + strspn(line, " \r\t") >= end)
            continue;
        object = lerobot_json(line, (size_t)(end - line), path, err);
        status = object ? take(d, object, err) : DEER_FAILED;
        json_decref(object);
    }
    free(text);
    return status;
}

/* ---------------------------------------------------------------- names of files ----------- */

/* Appends the value of {name} or {name:03d}; false when there is no such name. */
static bool append_value(const char *field, size_t n, const lerobot_episode *e, int64_t chunk,
                         const lerobot_place *place, const char *camera, int64_t frame, char *path,
                         size_t room)
{
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {{"episode_chunk", chunk},
                   {"episode_index", e->index},
                   {"frame_index", frame},
                   {"chunk_index", place ? place->chunk : chunk},
                   {"file_index", place ? place->file : 0}};
    size_t length = strcspn(field, ":}");
    int width = 0;

    if (field[length] == ':')
        width = atoi(field + length + 1);
    if (width < 0 || width > 12 || length > n)
        return false;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strlen(numbers[i].name) == length && !strncmp(field, numbers[i].name, length)) {
            snprintf(path, room, "%0*lld", width, (long long)numbers[i].value);
            return true;
        }
    if (camera &&
        ((length == 9 && (!strncmp(field, "video_key", 9) || !strncmp(field, "image_key", 9))))) {
        snprintf(path, room, "%s", camera);
        return true;
    }
    return false;
}

/* A name below the folder, in one line. */
static bool is_harmless(const char *name)
{
    if (*name == '/' || strstr(name, ".."))
        return false;
    for (; *name; name++)
        if (iscntrl((unsigned char)*name))
            return false;
    return true;
}

deer_status lerobot_file(const lerobot *d, const char *template, const lerobot_episode *e,
                         const lerobot_place *place, const char *camera, int64_t frame,
                         char path[LEROBOT_PATH], deer_error *err)
{
    char name[1024] = "";
    size_t used = 0;
    bool ok = *template != 0;

    for (const char *p = template; *p && ok;) {
        const char *end = *p == '{' ? strchr(p, '}') : NULL;

        if (end) {
            ok = append_value(p + 1, (size_t)(end - p), e, e->index / d->per_chunk, place, camera,
                              frame, name + used, sizeof name - used);
            p = end + 1;
        } else {
            name[used] = *p++;
            name[used + 1] = 0;
        }
        used = strlen(name);
        ok = ok && used < 900;
    }
    if (!ok || !is_harmless(name))
        return deer_fail(err, "%s/meta/info.json has a template of names that is not understood",
                         d->folder);
    snprintf(path, LEROBOT_PATH, "%s/%s", d->folder, name);
    return DEER_OK;
}

/* ---------------------------------------------------------------- features ----------------- */

/* Names of an action's numbers: a list, a list in a list, or an object of such. */
static void take_names(lerobot *d, const json_t *names)
{
    const json_t *inner;
    const char *key;
    size_t i;

    if (json_is_object(names))
        json_object_foreach((json_t *)(uintptr_t)names, key, inner) take_names(d, inner);
    json_array_foreach(names, i, inner)
    {
        if (json_is_array(inner))
            take_names(d, inner);
        for (int c = 0; c < LEROBOT_WIDEST && json_is_string(inner); c++)
            if (!d->name[c]) {
                d->name[c] = strdup(json_string_value(inner));
                machine_gave(d->name[c]);
                break;
            }
    }
}

static void list_names(const lerobot *d, char text[200])
{
    *text = 0;
    for (int i = 0; i < d->width && d->named && strlen(text) < 150; i++)
        snprintf(text + strlen(text), 200 - strlen(text), "%s%.40s", i ? ", " : ": ", d->name[i]);
    for (char *p = text; *p; p++)
        *p = iscntrl((unsigned char)*p) ? '?' : *p;
}

/* Whether the numbers are called after joints or motors. */
static bool are_joints(const lerobot *d)
{
    static const char *const words[] = {"joint", "motor", ".pos",  "shoulder",
                                        "elbow", "waist", "wrist_"};

    for (int i = 0; d->named && i < d->width; i++)
        for (size_t w = 0; w < sizeof words / sizeof *words; w++)
            if (strstr(d->name[i], words[w]))
                return true;
    return false;
}

static deer_status take_actions(lerobot *d, const json_t *features, const char *columns,
                                deer_error *err)
{
    const json_t *action = json_object_get(features, "action");
    json_int_t width = json_integer_value(json_array_get(json_object_get(action, "shape"), 0));
    unsigned before = machine_failures();
    char names[200];

    if (width < 1 || width > LEROBOT_WIDEST)
        return deer_fail(err, "%s/meta/info.json has no feature action of 1 to %d numbers",
                         d->folder, LEROBOT_WIDEST);
    d->width = (int)width;
    take_names(d, json_object_get(action, "names"));
    if (machine_failures() != before)
        return deer_fail(err, "out of memory for the names of %s's actions", d->folder);
    d->named = d->name[d->width - 1] && (d->width == LEROBOT_WIDEST || !d->name[d->width]);
    if (columns) {
        deer_status status = columns_read(columns, d->named ? (const char *const *)d->name : NULL,
                                          d->width, d->column, err);
        for (int i = 0; i < DEMO_ACTION && !status; i++)
            if (d->column[i] >= d->width)
                status = deer_fail_with(DEER_USAGE, err, "actions of %s have %d numbers", d->folder,
                                        d->width);
        return status;
    }
    for (int i = 0; i < DEMO_ACTION; i++)
        d->column[i] = i;
    list_names(d, names);
    if (d->width == DEMO_ACTION && !are_joints(d))
        return DEER_OK;
    return deer_fail(err,
                     "actions of %s are %d numbers%s; deer's policies take seven, changes of x, y, "
                     "z, roll, pitch, yaw, and the gripper: say with --action-columns which, if "
                     "they are there",
                     d->folder, d->width, names);
}

/* ---------------------------------------------------------------- cameras ------------------ */

static bool is_camera(const json_t *feature)
{
    const char *type = json_string_value(json_object_get(feature, "dtype"));

    return type && (!strcmp(type, "video") || !strcmp(type, "image"));
}

static bool is_wrist(const char *key)
{
    return strstr(key, "wrist") || strstr(key, "hand") || strstr(key, "gripper");
}

static deer_status use_camera(lerobot *d, int view, const char *key, const json_t *feature,
                              deer_error *err)
{
    if (strlen(key) >= sizeof d->camera[view].key || !is_harmless(key) || strchr(key, '/'))
        return deer_fail(err, "%s has a camera without a proper name", d->folder);
    strcpy(d->camera[view].key, key);
    d->camera[view].video = !strcmp(json_string_value(json_object_get(feature, "dtype")), "video");
    return DEER_OK;
}

static deer_status no_camera(const lerobot *d, const json_t *features, int view, const char *asked,
                             deer_error *err)
{
    char there[256] = "";
    const char *key;
    json_t *feature;

    json_object_foreach((json_t *)(uintptr_t)features, key, feature)
    {
        if (is_camera(feature) && strlen(there) + strlen(key) < 250)
            snprintf(there + strlen(there), sizeof there - strlen(there), "%s%s",
                     *there ? ", " : "", key);
    }
    for (char *p = there; *p; p++)
        *p = iscntrl((unsigned char)*p) ? '?' : *p;
    return deer_fail(err, "%s has no %s camera %s%s; say which with --%s-camera: %s", d->folder,
                     view ? "wrist" : "static", asked ? "called " : "that stands out",
                     asked ? asked : "", view ? "gripper" : "static",
                     *there ? there : "(there is none)");
}

/* By its key or the key's last part, where asked for; else the only one of its kind. */
static deer_status find_camera(lerobot *d, const json_t *features, int view, const char *asked,
                               deer_error *err)
{
    const char *key, *found = NULL;
    json_t *feature;
    int count = 0;

    json_object_foreach((json_t *)(uintptr_t)features, key, feature)
    {
        const char *dot = strrchr(key, '.');
        bool fits = asked ? !strcmp(key, asked) || (dot && !strcmp(dot + 1, asked))
                          : is_wrist(key) == (view == 1);

        if (!is_camera(feature) || !fits)
            continue;
        found = key;
        count++;
    }
    return count == 1 ? use_camera(d, view, found, json_object_get(features, found), err)
                      : no_camera(d, features, view, asked, err);
}

/* ---------------------------------------------------------------- scale -------------------- */

static const char *low_name, *high_name;

/* Widens the range of the columns by one set of statistics. */
static deer_status take_range(lerobot *d, const json_t *stats, deer_error *err)
{
    const json_t *action = json_object_get(stats, "action");
    const json_t *low = json_object_get(action, low_name);
    const json_t *high = json_object_get(action, high_name);

    for (int i = 0; i < DEMO_ACTION; i++) {
        const json_t *a = json_array_get(low, (size_t)d->column[i]);
        const json_t *b = json_array_get(high, (size_t)d->column[i]);

        if (!json_is_number(a) || !json_is_number(b))
            return deer_fail(err, "%s: the statistics have no %s and %s of action %d", d->folder,
                             low_name, high_name, d->column[i]);
        d->low[i] = d->scaled ? fmin(d->low[i], json_number_value(a)) : json_number_value(a);
        d->high[i] = d->scaled ? fmax(d->high[i], json_number_value(b)) : json_number_value(b);
    }
    d->scaled = true;
    return DEER_OK;
}

static deer_status take_stats_line(lerobot *d, const json_t *line, deer_error *err)
{
    return take_range(d, json_object_get(line, "stats"), err);
}

static deer_status read_scale(lerobot *d, const char *scale, deer_error *err)
{
    bool quantile = scale && !strcmp(scale, "quantile");
    json_t *stats;
    deer_status status;

    if (!scale)
        return DEER_OK;
    if (!quantile && strcmp(scale, "minmax") != 0)
        return deer_fail_with(DEER_USAGE, err, "--action-scale takes minmax or quantile");
    low_name = quantile ? "q01" : "min";
    high_name = quantile ? "q99" : "max";
    if (!there_is(d, "meta/stats.json")) {
        status = each_line(d, "meta/episodes_stats.jsonl", take_stats_line, err);
        return status || d->scaled ? status
                                   : deer_fail(err,
                                               "%s/meta/episodes_stats.jsonl is empty: there "
                                               "are no statistics for --action-scale",
                                               d->folder);
    }
    stats = read_json(d, "meta/stats.json", err);
    status = stats ? take_range(d, stats, err) : DEER_FAILED;
    json_decref(stats);
    return status;
}

/* ---------------------------------------------------------------- episodes ----------------- */

static deer_status take_episode(lerobot *d, const json_t *line, deer_error *err)
{
    const json_t *tasks = json_object_get(line, "tasks");
    const char *task = json_string_value(json_array_get(tasks, 0));
    const json_t *number = json_object_get(line, "episode_index");
    json_int_t index = json_is_integer(number) ? json_integer_value(number) : -1;
    json_int_t steps = json_integer_value(json_object_get(line, "length"));
    lerobot_episode *grown;

    if (index < 0 || index >= MOST_EPISODES || steps < 1 || steps > MOST_STEPS ||
        d->episodes >= MOST_EPISODES)
        return deer_fail(err, "%s/meta/episodes.jsonl has an episode without index or length",
                         d->folder);
    grown = realloc(d->episode, (size_t)(d->episodes + 1) * sizeof *grown);
    if (!grown)
        return machine_fail(err, "out of memory opening %s", d->folder);
    d->episode = grown;
    grown[d->episodes] = (lerobot_episode){.index = index,
                                           .steps = steps,
                                           .task = strdup(task ? task : ""),
                                           .tasks = (int)json_array_size(tasks)};
    return grown[d->episodes++].task ? DEER_OK
                                     : machine_fail(err, "out of memory opening %s", d->folder);
}

static void copy_template(const json_t *info, const char *name, const char *usual, char to[256])
{
    const char *text = json_string_value(json_object_get(info, name));

    snprintf(to, 256, "%s", text ? text : usual);
}

static deer_status take_info(lerobot *d, const json_t *info, const source_options *o,
                             deer_error *err)
{
    const char *version = json_string_value(json_object_get(info, "codebase_version"));
    const json_t *features = json_object_get(info, "features");
    deer_status status;

    d->version = version && version[0] == 'v' ? atoi(version + 1) : 0;
    if (d->version != 2 && d->version != 3)
        return deer_fail(err, "%s is of version %.20s; v2.0, v2.1 and v3.0 are read", d->folder,
                         version ? version : "(none)");
    d->fps = json_number_value(json_object_get(info, "fps"));
    d->per_chunk = json_integer_value(json_object_get(info, "chunks_size"));
    d->counted = json_integer_value(json_object_get(info, "total_episodes"));
    if (d->per_chunk < 1)
        d->per_chunk = 1000;
    if (!(d->fps > 0 && d->fps < 100000) || !json_is_object(features))
        return deer_fail(err, "%s/meta/info.json lacks fps or features", d->folder);
    copy_template(info, "data_path",
                  d->version == 2
                      ? "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
                      : "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
                  d->data_path);
    copy_template(info, "video_path", "", d->video_path);
    copy_template(info, "image_path",
                  "images/{image_key}/episode_{episode_index:06d}/frame_{frame_index:06d}.png",
                  d->image_path);
    status = take_actions(d, features, o->actions, err);
    if (!status)
        status = find_camera(d, features, 0, o->static_camera, err);
    return status ? status : find_camera(d, features, 1, o->gripper_camera, err);
}

deer_status lerobot_read_meta(lerobot *d, const source_options *o, deer_error *err)
{
    json_t *info = read_json(d, "meta/info.json", err);
    deer_status status = info ? take_info(d, info, o, err) : DEER_FAILED;

    json_decref(info);
    if (!status)
        status = read_scale(d, o->scale, err);
    if (!status)
        status = d->version == 2 ? each_line(d, "meta/episodes.jsonl", take_episode, err)
                                 : lerobot_read_tables(d, err);
    if (!status && !d->episodes)
        status = deer_fail(err, "%s has no episodes", d->folder);
    if (!status && d->counted && d->counted != d->episodes)
        status = deer_fail(err,
                           "%s: meta/info.json counts %lld episodes, %s lists %d: a file is "
                           "missing or cut off, or of another version; copy or download it again",
                           d->folder, (long long)d->counted,
                           d->version == 2 ? "meta/episodes.jsonl" : "meta/episodes", d->episodes);
    return status;
}

void lerobot_free(lerobot *d)
{
    for (int i = 0; i < d->episodes; i++)
        free(d->episode[i].task);
    free(d->episode);
    for (int i = 0; i < LEROBOT_WIDEST; i++)
        free(d->name[i]);
    free(d->folder);
}
