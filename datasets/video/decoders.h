/* SPDX-License-Identifier: MIT */
/* decoders.h - FFmpeg's functions, opened by name when a first picture is read: their libraries
 * bring a hundred others, which whoever reads no pictures need not wait for, nor have.
 *
 *   if (decoders_open(&err)) ...
 *   ff.av_frame_alloc();
 */
#ifndef DATASETS_VIDEO_DECODERS_H
#define DATASETS_VIDEO_DECODERS_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include "runtime/deer.h"

/* Of libavformat, and of libavcodec and libavutil, which it is made with. */
#define DECODERS_FORMAT(F)                                                                         \
    F(av_dict_free)                                                                                \
    F(av_dict_set)                                                                                 \
    F(av_find_best_stream)                                                                         \
    F(av_frame_alloc)                                                                              \
    F(av_frame_free)                                                                               \
    F(av_frame_unref)                                                                              \
    F(av_free)                                                                                     \
    F(av_freep)                                                                                    \
    F(av_log_set_level)                                                                            \
    F(av_malloc)                                                                                   \
    F(av_new_packet)                                                                               \
    F(av_packet_alloc)                                                                             \
    F(av_packet_free)                                                                              \
    F(av_packet_unref)                                                                             \
    F(av_pix_fmt_desc_get)                                                                         \
    F(av_read_frame)                                                                               \
    F(av_seek_frame)                                                                               \
    F(av_strerror)                                                                                 \
    F(avcodec_alloc_context3)                                                                      \
    F(avcodec_find_decoder)                                                                        \
    F(avcodec_flush_buffers)                                                                       \
    F(avcodec_free_context)                                                                        \
    F(avcodec_open2)                                                                               \
    F(avcodec_parameters_to_context)                                                               \
    F(avcodec_receive_frame)                                                                       \
    F(avcodec_send_packet)                                                                         \
    F(avformat_alloc_context)                                                                      \
    F(avformat_close_input)                                                                        \
    F(avformat_find_stream_info)                                                                   \
    F(avformat_open_input)                                                                         \
    F(avio_alloc_context)                                                                          \
    F(avio_context_free)

#define DECODERS_SCALE(F)                                                                          \
    F(sws_freeContext)                                                                             \
    F(sws_getCachedContext)                                                                        \
    F(sws_getCoefficients)                                                                         \
    F(sws_scale)                                                                                   \
    F(sws_setColorspaceDetails)

typedef struct {
#define MEMBER(name) __typeof__(name) *name;
    DECODERS_FORMAT(MEMBER)
    DECODERS_SCALE(MEMBER)
#undef MEMBER
} decoder_functions;

extern decoder_functions ff;

/* Fills ff, once in a process; a failure is the machine's, not a file's. */
deer_status decoders_open(deer_error *err);

#endif
