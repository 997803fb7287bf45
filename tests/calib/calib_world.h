/* SPDX-License-Identifier: MIT */
/* calib_world.h - a small policy and a few made-up episodes, for tests of replay and the cache.
 *
 *   world w;
 *   world_make(&w, "cache");            // fails the test when it cannot
 *   replay with w.model and w.demos ...
 *   world_remove(&w);
 */
#ifndef TESTS_CALIB_WORLD_H
#define TESTS_CALIB_WORLD_H

#include <dirent.h>
#include <endian.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datasets/demos/demos.h"
#include "runtime/base/file.h"
#include "runtime/import/official.h"

typedef struct {
    char folder[64], model[96], demos[96];
} world;

static deer_error world_error;

static void world_ok(deer_status status)
{
    if (status)
        fail_msg("%s", world_error.message);
}

/* Rewrites a model file with a tokenizer among its metadata, and maybe another name, which makes it
 * another model. */
static void world_edit_model(const char *path, const char *name)
{
    static const char words[] =
        "{\"model\": {\"type\": \"WordLevel\", \"unk_token\": \"<unk>\", \"vocab\": {"
        "\"<|endoftext|>\": 0, \"<unk>\": 1, \"<|endofchunk|>\": 2, \"<image>\": %d, \"lift\": 4, "
        "\"the\": 5, \"red\": 6, \"block\": 7}}}";
    char *bytes, *text, *config_text, tokenizer[512];
    size_t size, length, data;
    uint64_t header;
    json_t *json, *metadata, *config;
    FILE *f;

    world_ok(file_read(path, 1 << 28, &bytes, &size, &world_error));
    memcpy(&header, bytes, 8);
    data = 8 + (size_t)le64toh(header);
    json = json_loadb(bytes + 8, data - 8, 0, NULL);
    metadata = json_object_get(json, "__metadata__");
    config = json_loads(json_string_value(json_object_get(metadata, "deer.config")), 0, NULL);
    if (name)
        json_object_set_new(config, "name", json_string(name));
    snprintf(tokenizer, sizeof tokenizer, words,
             (int)json_integer_value(json_object_get(config, "media_token")));
    config_text = json_dumps(config, 0);
    json_object_set_new(metadata, "deer.config", json_string(config_text));
    json_object_set_new(metadata, "deer.tokenizer", json_string(tokenizer));
    text = json_dumps(json, JSON_COMPACT);
    length = (strlen(text) + 63) / 64 * 64;
    header = htole64(length);
    f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(&header, 8, 1, f);
    fprintf(f, "%-*s", (int)length, text);
    fwrite(bytes + data, 1, size - data, f);
    assert_int_equal(fclose(f), 0);
    free(text);
    free(config_text);
    json_decref(config);
    json_decref(json);
    free(bytes);
}

static uint64_t world_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

enum { WORLD_SIDE = 28, WORLD_MOST_STEPS = 17 };

/* Episode e: 3 to 17 steps of slowly changing noise. */
static void world_episode(int e, uint64_t seed, demo_episode *d)
{
    static uint8_t pixels[2][WORLD_MOST_STEPS][WORLD_SIDE * WORLD_SIDE * 3];
    static float actions[WORLD_MOST_STEPS][DEMO_ACTION];
    uint64_t state = seed * 1000 + (uint64_t)e + 1;

    *d = (demo_episode){.steps = 3 + (e * 5) % (WORLD_MOST_STEPS - 2),
                        .static_height = WORLD_SIDE,
                        .static_width = WORLD_SIDE,
                        .gripper_height = WORLD_SIDE,
                        .gripper_width = WORLD_SIDE,
                        .static_rgb = pixels[0][0],
                        .gripper_rgb = pixels[1][0],
                        .actions = actions[0]};
    snprintf(d->instruction, sizeof d->instruction, e % 2 ? "lift the red block" : "lift red");
    snprintf(d->task, sizeof d->task, "lift");
    for (int t = 0; t < d->steps; t++) {
        for (int view = 0; view < 2; view++)
            for (int i = 0; i < WORLD_SIDE * WORLD_SIDE * 3; i++)
                pixels[view][t][i] = t && world_random(&state) % 3 ? pixels[view][t - 1][i]
                                                                   : (uint8_t)world_random(&state);
        for (int i = 0; i < DEMO_ACTION; i++)
            actions[t][i] = (float)(world_random(&state) % 2001) / 1000 - 1;
    }
}

static void world_write_demos(const char *path, int episodes, uint64_t seed)
{
    demos_writer *w;
    demo_episode d;

    world_ok(demos_writer_open(path, "{}", &w, &world_error));
    for (int e = 0; e < episodes; e++) {
        world_episode(e, seed, &d);
        world_ok(demos_writer_add(w, &d, &world_error));
    }
    world_ok(demos_writer_finish(w, &world_error));
}

static void world_make(world *w, const char *golden, int episodes)
{
    strcpy(w->folder, "/tmp/deer-world-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->model, sizeof w->model, "%s/model", w->folder);
    snprintf(w->demos, sizeof w->demos, "%s/demos.h5", w->folder);
    world_ok(official_import_folder(golden, w->model, &world_error));
    world_edit_model(w->model, NULL);
    world_write_demos(w->demos, episodes, 1);
}

/* Removes a folder and the files and folders in it. */
static void world_remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;

    while (folder && (entry = readdir(folder))) {
        char inner[512];

        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (unlink(inner))
            world_remove_folder(inner);
    }
    if (folder)
        closedir(folder);
    rmdir(path);
}

static void world_remove(world *w)
{
    world_remove_folder(w->folder);
}

#endif
