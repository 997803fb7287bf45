/* SPDX-License-Identifier: MIT */
/* video.h - frames of a video by their time, and single images, as RGB.
 *
 *   video *v;
 *   if (video_open("episode_000000.mp4", &v, &err)) ...
 *   video_size(v, &height, &width);
 *   status = video_read(v, seconds, n, tolerance, rgb, &err);   // [n, height, width, 3]
 *   video_close(v);
 *
 * Any codec that libavcodec decodes (H.264, AV1); nothing is fetched over a network. */
#ifndef DATASETS_VIDEO_H
#define DATASETS_VIDEO_H

#include "runtime/deer.h"

typedef struct video video;

deer_status video_open(const char *path, video **v, deer_error *err);
void video_close(video *v);
void video_size(const video *v, int *height, int *width);

/* Reads the frames shown at n ascending times, in seconds from the video's start: for each the
 * nearest, which must lie within `tolerance`. What libavcodec finds damaged on the way is an error,
 * and no frame made up from its neighbours; H.264 has no checksums, so it does not find all. */
deer_status video_read(video *v, const double *seconds, int n, double tolerance, uint8_t *rgb,
                       deer_error *err);

/* Decodes one PNG or JPEG image in memory; the caller frees *rgb [height, width, 3]. `where` starts
 * the messages. */
deer_status video_image(const char *where, const uint8_t *data, size_t size, int *height,
                        int *width, uint8_t **rgb, deer_error *err);

#endif
