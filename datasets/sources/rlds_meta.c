/* SPDX-License-Identifier: MIT */
/* rlds_meta.c - reading features.json of TensorFlow's datasets. */
#include "datasets/sources/rlds.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/json/json_file.h"

enum { MOST_META = 16 << 20, MOST_IMAGES = 32, DEEPEST = 8 };

/* The images that there are, by their names in the records. */
typedef struct {
    char name[MOST_IMAGES][RLDS_NAME];
    int n;
} image_list;

static json_t *features_of(const json_t *feature)
{
    return json_object_get(json_object_get(feature, "featuresDict"), "features");
}

static void list_images(const json_t *features, const char *prefix, int depth, image_list *list)
{
    const char *name;
    json_t *feature;

    json_object_foreach((json_t *)(uintptr_t)features, name, feature)
    {
        char full[RLDS_NAME];

        if (snprintf(full, sizeof full, "%s/%s", prefix, name) >= (int)sizeof full)
            continue;
        if (json_is_object(json_object_get(feature, "image")) && list->n < MOST_IMAGES)
            strcpy(list->name[list->n++], full);
        else if (depth < DEEPEST)
            list_images(features_of(feature), full, depth + 1, list);
    }
}

/* "steps/observation/image" is called image, observation/image or by all of its name. */
static bool is_called(const char *full, const char *name)
{
    size_t n = strlen(full), m = strlen(name);

    return n == m ? !strcmp(full, name)
                  : n > m && full[n - m - 1] == '/' && !strcmp(full + n - m, name);
}

static const char *find_image(const image_list *list, const char *const *names, int n)
{
    for (int k = 0; k < n; k++)
        for (int i = 0; i < list->n; i++)
            if (is_called(list->name[i], names[k]))
                return list->name[i];
    return NULL;
}

static deer_status choose_camera(const char *folder, const image_list *list, const char *asked,
                                 int view, char *chosen, deer_error *err)
{
    static const char *const usual[2][6] = {
        {"image", "image_0", "agentview_rgb", "static_image", "rgb_static", "front_image"},
        {"wrist_image", "hand_image", "image_wrist", "eye_in_hand_rgb", "gripper_image",
         "rgb_gripper"}};
    const char *found = asked ? find_image(list, &asked, 1) : find_image(list, usual[view], 6);
    char all[512] = "";

    if (found) {
        strcpy(chosen, found);
        return DEER_OK;
    }
    for (int i = 0; i < list->n && strlen(all) + strlen(list->name[i]) < sizeof all - 3; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "", list->name[i]);
    return deer_fail(err, "%s: no %s camera%s%s; --%s-camera takes one of: %s", folder,
                     view ? "gripper" : "static", asked ? " " : "", asked ? asked : "",
                     view ? "gripper" : "static", *all ? all : "there are no images");
}

/* The numbers of a tensor with this shape; 0 where it is none, or too large. */
static int elements(const json_t *tensor)
{
    json_t *sizes = json_object_get(json_object_get(tensor, "shape"), "dimensions"), *one;
    long n = 1;
    size_t i;

    json_array_foreach(sizes, i, one)
    {
        long size = json_is_string(one) ? strtol(json_string_value(one), NULL, 10)
                                        : (long)json_integer_value(one);

        n = size > 0 && size <= 4096 && n <= 4096 ? n * size : 0;
    }
    return json_is_object(tensor) && n <= 4096 ? (int)n : 0;
}

static deer_status read_steps(const char *folder, const json_t *steps, const source_options *o,
                              rlds_names *names, deer_error *err)
{
    static const char *const texts[] = {"language_instruction", "natural_language_instruction"};
    json_t *observation = features_of(json_object_get(steps, "observation"));
    image_list images = {.n = 0};

    names->width = elements(json_object_get(json_object_get(steps, "action"), "tensor"));
    if (!names->width)
        return deer_fail(err, "%s: features.json has no steps/action that is a list of numbers",
                         folder);
    for (int i = 0; i < 2; i++)
        if (json_object_get(steps, texts[i]))
            snprintf(names->instruction, RLDS_NAME, "steps/%s", texts[i]);
        else if (json_object_get(observation, texts[i]))
            snprintf(names->instruction, RLDS_NAME, "steps/observation/%s", texts[i]);
    list_images(steps, "steps", 0, &images);
    if (choose_camera(folder, &images, o->static_camera, 0, names->image[0], err))
        return DEER_FAILED;
    return choose_camera(folder, &images, o->gripper_camera, 1, names->image[1], err);
}

deer_status rlds_read_names(const char *folder, const source_options *o, rlds_names *names,
                            deer_error *err)
{
    char path[RLDS_PATH];
    json_t *json, *steps;
    deer_status status;

    *names = (rlds_names){.width = 0};
    snprintf(path, sizeof path, "%s/features.json", folder);
    json = json_file_read(path, MOST_META, err);
    if (!json)
        return DEER_FAILED;
    steps = json_object_get(features_of(json), "steps");
    steps = features_of(json_object_get(json_object_get(steps, "sequence"), "feature"));
    status = json_is_object(steps)
                 ? read_steps(folder, steps, o, names, err)
                 : deer_fail(err, "%s has no steps: this is no RLDS dataset", path);
    json_decref(json);
    return status;
}
