/* SPDX-License-Identifier: MIT */
/* lerobot.h - inside the reader of LeRobot's datasets (v2.0, v2.1, v3.0): what its metadata say.
 *
 * A dataset is a folder: meta/info.json (features, frame rate, templates of names), tables of
 * actions and times, and mp4 videos, or images in the tables or beside them. Version 2 has a table
 * and a video of each camera for each episode, and lists in meta (.jsonl); version 3 keeps many
 * episodes in a file and says in meta/episodes where each lies. Source: lerobot/datasets/utils.py
 * of both versions. */
#ifndef DATASETS_LEROBOT_H
#define DATASETS_LEROBOT_H

#include <jansson.h>

#include "datasets/demos/demos.h"
#include "datasets/sources/source.h"

enum { LEROBOT_CAMERAS = 2, LEROBOT_PATH = 4608, LEROBOT_WIDEST = 256 };

/* Where a part of an episode lies, in version 3. */
typedef struct {
    int64_t chunk, file;
    double from; /* seconds, in a video */
} lerobot_place;

typedef struct {
    int64_t index, steps;
    char *task;
    int tasks;
    lerobot_place data, video[LEROBOT_CAMERAS];
} lerobot_episode;

typedef struct {
    char *folder;
    int version; /* 2 or 3 */
    double fps;
    int64_t per_chunk;
    int64_t counted; /* episodes, as meta/info.json says; 0: it does not */
    char data_path[256], video_path[256], image_path[256]; /* templates */
    struct {
        char key[128];
        bool video;
    } camera[LEROBOT_CAMERAS];
    lerobot_episode *episode;
    int episodes;
    int width; /* of an action */
    char *name[LEROBOT_WIDEST];
    bool named;
    int column[DEMO_ACTION];
    bool scaled;
    double low[DEMO_ACTION], high[DEMO_ACTION]; /* map to -1 and 1 */
} lerobot;

/* Reads the metadata and chooses cameras, columns and scale; lerobot_free frees what was read. */
deer_status lerobot_read_meta(lerobot *d, const source_options *o, deer_error *err);
void lerobot_free(lerobot *d);

/* The file of an episode: a template with its numbers filled in, below the folder. */
deer_status lerobot_file(const lerobot *d, const char *template, const lerobot_episode *e,
                         const lerobot_place *place, const char *camera, int64_t frame,
                         char path[LEROBOT_PATH], deer_error *err);

/* JSON as Python writes it, NaN and Infinity included (they become empty texts); the caller frees.
 */
json_t *lerobot_json(char *text, size_t size, const char *path, deer_error *err);

/* The lists of episodes of version 3. */
deer_status lerobot_read_tables(lerobot *d, deer_error *err);

#endif
