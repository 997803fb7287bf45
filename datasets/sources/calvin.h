/* SPDX-License-Identifier: MIT */
/* calvin.h - CALVIN's dataset folders.
 *
 *   calvin *d;
 *   if (calvin_open("task_D_D/training", &d, &err)) ...
 *   for (int i = 0; i < calvin_count(d); i++)
 *       if (calvin_read(d, i, threads, &episode, &err)) ...     // demo_episode_free
 *   calvin_close(d);
 *
 * A split is a folder of one episode_NNNNNNN.npz a step, with lang_annotations/auto_lang_ann.npy
 * (or auto_lang_ann.npy beside them): which runs of steps have an instruction. One annotated run is
 * one demonstration: rgb_static, rgb_gripper, and rel_actions (seven numbers in -1..1: position and
 * Euler angles scaled by 0.02 and 0.05, gripper +1 open / -1 closed), as the official code trains
 * on. Source: CALVIN's dataset/README.md. */
#ifndef DATASETS_CALVIN_H
#define DATASETS_CALVIN_H

#include "datasets/demos/demos.h"

typedef struct calvin calvin;

/* Reads the annotations; the frames only when asked for. */
deer_status calvin_open(const char *folder, calvin **d, deer_error *err);

/* The same of the annotations in another folder of the split ("lang_clip_resnet50"); NULL: the
 * usual ones. */
deer_status calvin_open_annotated(const char *folder, const char *annotations, calvin **d,
                                  deer_error *err);
void calvin_close(calvin *d);

int calvin_count(const calvin *d);
int calvin_steps(const calvin *d, int i);

/* Identity of the annotations (runs, instructions, tasks): 32 hexadecimal digits. */
void calvin_fingerprint(const calvin *d, char fingerprint[DEER_FINGERPRINT]);

/* Reads run i whole, its frames by several threads. Actions are finite and in -1..1. */
deer_status calvin_read(const calvin *d, int i, int threads, demo_episode *e, deer_error *err);

#endif
