/* SPDX-License-Identifier: MIT */
/* demos.h - recorded demonstrations, in the robomimic HDF5 layout.
 *
 *   demos *d = NULL;
 *   demo_episode e;
 *   if (demos_open("demos.h5", &d, &err)) ...
 *   for (int i = 0; i < demos_count(d); i++) {
 *       if (demos_read(d, i, &e, &err)) ...
 *       ... e.static_rgb, e.actions ...
 *       demo_episode_free(&e);
 *   }
 *   demos_close(d);
 *
 * Layout: /data attributes total, env_args; /data/<demo> attributes num_samples, language, task,
 * seed; /data/<demo>/obs/rgb_static and rgb_gripper u8 [T,H,W,3], actions f32 [T,7] in -1..1
 * (xyz, euler angles, gripper +1 open / -1 closed), obs/object f32 [T,D] (simulator state,
 * optional). Images are compressed by gzip, one frame a chunk. Files of others open when they have
 * the two cameras under these names, under robomimic's and LIBERO's (agentview_image or
 * agentview_rgb, robot0_eye_in_hand_image or eye_in_hand_rgb), or under names that are said. Values
 * stay as recorded: a policy must have been trained on the same convention (robosuite's own gripper
 * action is +1 for closed).
 */
#ifndef DATASETS_DEMOS_H
#define DATASETS_DEMOS_H

#include <stdint.h>

#include "datasets/demos/demo_sizes.h"
#include "runtime/deer.h"

/* One episode, all its steps. Arrays are owned by the episode (demo_episode_free) when read, and
 * by the caller when written. */
typedef struct {
    char name[64];                      /* "demo_12" */
    char instruction[DEMO_INSTRUCTION]; /* what the robot was told */
    char task[DEMO_TASK];               /* task family, may be empty */
    size_t instruction_bytes;           /* of the whole instruction, when that has more room */
    int wordings;                       /* that the instruction was chosen from */
    bool guessed;                       /* the instruction is only the file's name */
    uint64_t seed;                      /* of the simulator, 0 if unknown */
    int steps;                          /* T */
    int static_height, static_width;
    int gripper_height, gripper_width;
    uint8_t *static_rgb;  /* [T, static_height, static_width, 3] */
    uint8_t *gripper_rgb; /* [T, gripper_height, gripper_width, 3] */
    float *actions;       /* [T, 7] */
    int object_size;      /* D, 0 if there is none */
    float *object;        /* [T, D] */
} demo_episode;

void demo_episode_free(demo_episode *episode);

/* The cameras of the episode's images, as a session takes them. */
void demo_episode_cameras(const demo_episode *episode, deer_camera *static_view,
                          deer_camera *gripper_view);

/* The observation of step t: points into the episode. */
deer_observation demo_episode_observation(const demo_episode *episode, int t);

typedef struct demos demos;

/* How demonstrations are read; all zero: as they are. */
typedef struct {
    const char *static_camera, *gripper_camera; /* names below obs/; NULL: the usual names */
    const char *instruction; /* in place of what is recorded; NULL: what is recorded */
    const char *mask;        /* only those that the dataset mask/<this> lists; NULL: all */
    uint64_t seed;           /* chooses where one has several wordings */
    bool convert;  /* pixels that are floats, wider integers, RGBA or have channels in front, too */
    bool tolerant; /* a demonstration that is not fit for reading fails when it is read */
    bool task_of_file;         /* the file's name is the task of those without one of their own */
    bool follow_links;         /* into files of the same folder (hdf5_follow_links) */
    const int *action_columns; /* [DEMO_ACTION] of wider actions; NULL: they are seven */
} demos_options;

/* Opens a file for reading and checks its structure: every demonstration's datasets, ranks, types
 * and equal lengths. A file without demonstrations is an error. */
deer_status demos_open(const char *path, demos **d, deer_error *err);

/* Opens n files as one, in this order. With several each demonstration's name starts with the
 * number of its file: "2:demo_0". options may be NULL. */
deer_status demos_open_files(const char *const *paths, int n, const demos_options *options,
                             demos **d, deer_error *err);
void demos_close(demos *d);

int demos_count(const demos *d);
const char *demos_name(const demos *d, int i);
int demos_steps(const demos *d, int i); /* steps of demonstration i */
long demos_total_steps(const demos *d);

/* Whether a file's marks say that its images are upside down: LIBERO's and robosuite's writers keep
 * the rows as OpenGL has them, the lowest first. */
bool demos_upside_down(const demos *d);

/* Index of the demonstration of that name, -1 if there is none. */
int demos_find(const demos *d, const char *name);

/* Steps an episode could have had, as the recording states it (env_args: "horizon", or within
 * "env_kwargs"), the most of several files; 0: not stated by each. */
int demos_horizon(const demos *d);

/* Identity of the contents (xxHash of names, tasks, instructions, actions and pixels): 32 hex
 * digits. Depends on every byte that replay reads, not on how they are compressed; reads the whole
 * file the first time, then keeps the answer. */
deer_status demos_fingerprint(demos *d, char fingerprint[DEER_FINGERPRINT], deer_error *err);

/* Fills everything of demonstration i but its arrays, which stay NULL. A text missing in the
 * demonstration is taken from the file's JSON attributes (env_args, problem_info), or stays empty;
 * one that is there and cannot be read is an error. */
deer_status demos_describe(const demos *d, int i, demo_episode *episode, deer_error *err);

/* Reads the actions of demonstration i alone, [demos_steps(d, i), 7]. */
deer_status demos_read_actions(demos *d, int i, float *actions, deer_error *err);

/* The same without looking at the values: they may be anything, NaN included. */
deer_status demos_read_raw_actions(demos *d, int i, float *actions, deer_error *err);

/* Reads demonstration i whole. Actions must be finite and within -1..1 (1e-3 of slack). */
deer_status demos_read(demos *d, int i, demo_episode *episode, deer_error *err);

typedef struct demos_writer demos_writer;

/* Starts a file under a temporary name beside path; it appears at path only by demos_writer_finish.
 * env_args is a JSON text kept as the robomimic attribute of that name. */
deer_status demos_writer_open(const char *path, const char *env_args, demos_writer **w,
                              deer_error *err);

/* Appends an episode as /data/demo_<n>; its name field is ignored. Refuses what demos_read would:
 * empty episodes and images, actions that are not finite or not within -1..1. */
deer_status demos_writer_add(demos_writer *w, const demo_episode *episode, deer_error *err);

/* Appends demonstration i of an open file: pixels and actions as they are stored there, compressed
 * or not, and what it is known to have been told. */
deer_status demos_writer_copy(demos_writer *w, const demos *from, int i, deer_error *err);

/* Flushes, fsyncs and renames into place. Frees the writer whatever happens. */
deer_status demos_writer_finish(demos_writer *w, deer_error *err);

/* Throws the unfinished file away. */
void demos_writer_abandon(demos_writer *w);

#endif
