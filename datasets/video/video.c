/* SPDX-License-Identifier: MIT */
/* video.c - decoding with libavformat, libavcodec and libswscale. */
#include "datasets/video/video.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file_kind.h"
#include "runtime/import/bytes.h"

enum { MOST_SIDE = 4096, MOST_SECONDS = 100000000, WINDOW = 1 << 16 };

struct video {
    char *path;
    byte_source from;
    int64_t at; /* where libavformat reads next */
    AVIOContext *reading;
    AVFormatContext *file;
    AVCodecContext *decoder;
    int stream;
    double start; /* seconds, of the stream's first frame */
    AVPacket *packet;
    AVFrame *frame, *before; /* the last two decoded */
    struct SwsContext *convert;
    bool draining;
};

/* ---------------------------------------------------------------- conversion --------------- */

/* How YUV is meant, where that is not swscale's own idea of it (BT.601 in 16 to 235). */
static bool set_colours(struct SwsContext *convert, const AVFrame *f)
{
    const AVPixFmtDescriptor *is = av_pix_fmt_desc_get(f->format);
    bool full = f->color_range == AVCOL_RANGE_JPEG;
    int matrix = f->colorspace == AVCOL_SPC_BT709        ? SWS_CS_ITU709
                 : f->colorspace == AVCOL_SPC_BT2020_NCL ? SWS_CS_BT2020
                                                         : SWS_CS_DEFAULT;

    if (!is || is->nb_components < 3 || is->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL) ||
        (!full && matrix == SWS_CS_DEFAULT))
        return is != NULL;
    return sws_setColorspaceDetails(convert, sws_getCoefficients(matrix), full,
                                    sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16,
                                    1 << 16) >= 0;
}

static bool to_rgb(struct SwsContext **convert, const AVFrame *f, int height, int width,
                   uint8_t *rgb)
{
    uint8_t *planes[4] = {rgb};
    int lines[4] = {3 * width};

    if (f->width != width || f->height != height)
        return false;
    *convert =
        sws_getCachedContext(*convert, width, height, f->format, width, height, AV_PIX_FMT_RGB24,
                             SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    return *convert && set_colours(*convert, f) &&
           sws_scale(*convert, (const uint8_t *const *)f->data, f->linesize, 0, height, planes,
                     lines) == height;
}

/* ---------------------------------------------------------------- reading ------------------ */

/* libavformat gets the bytes of one regular file and opens none itself: it would wait for a pipe,
 * and follow what a file names. */
static int read_bytes(void *of, uint8_t *to, int room)
{
    video *v = of;
    int64_t left = (int64_t)v->from.size - v->at;
    int size = left < room ? (int)left : room;
    deer_error ignored;

    if (size <= 0)
        return AVERROR_EOF;
    if (bytes_read(&v->from, (size_t)v->at, to, (size_t)size, &ignored))
        return AVERROR(EIO);
    v->at += size;
    return size;
}

static int64_t move_to(void *of, int64_t to, int whence)
{
    video *v = of;
    int64_t size = (int64_t)v->from.size;

    if (whence & AVSEEK_SIZE)
        return size;
    whence &= ~AVSEEK_FORCE;
    to += whence == SEEK_CUR ? v->at : whence == SEEK_END ? size : 0;
    if (to < 0 || to > size)
        return AVERROR(EINVAL);
    return v->at = to;
}

static bool prepare(video *v)
{
    uint8_t *buffer = av_malloc(WINDOW);

    v->reading =
        buffer ? avio_alloc_context(buffer, WINDOW, 0, v, read_bytes, NULL, move_to) : NULL;
    v->file = v->reading ? avformat_alloc_context() : NULL;
    if (!v->reading)
        av_free(buffer);
    if (v->file)
        v->file->pb = v->reading;
    return v->file != NULL;
}

/* ---------------------------------------------------------------- opening ------------------ */

static deer_status open_decoder(video *v, deer_error *err)
{
    const AVCodec *codec;
    AVStream *s;

    v->stream = av_find_best_stream(v->file, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    if (v->stream < 0)
        return deer_fail(err, "%s holds no video that this libavcodec decodes", v->path);
    s = v->file->streams[v->stream];
    v->decoder = avcodec_alloc_context3(codec);
    v->packet = av_packet_alloc();
    v->frame = av_frame_alloc();
    v->before = av_frame_alloc();
    if (!v->decoder || !v->packet || !v->frame || !v->before)
        return deer_fail(err, "out of memory opening %s", v->path);
    if (avcodec_parameters_to_context(v->decoder, s->codecpar) < 0 || s->codecpar->width < 1 ||
        s->codecpar->width > MOST_SIDE || s->codecpar->height < 1 ||
        s->codecpar->height > MOST_SIDE)
        return deer_fail(err, "%s: a video of %d x %d pixels is not read", v->path,
                         s->codecpar->height, s->codecpar->width);
    v->decoder->max_pixels = (int64_t)MOST_SIDE * MOST_SIDE;
    v->decoder->thread_count = 1; /* episodes are short */
    if (avcodec_open2(v->decoder, codec, NULL) < 0)
        return deer_fail(err, "%s: the codec %s cannot be opened", v->path, codec->name);
    v->start = s->start_time == AV_NOPTS_VALUE ? 0 : (double)s->start_time * av_q2d(s->time_base);
    return DEER_OK;
}

/* Containers that are one file: a playlist would name others. */
static deer_status open_file(video *v, deer_error *err)
{
    AVDictionary *options = NULL;
    char is[FILE_KIND];
    int result;

    av_log_set_level(AV_LOG_QUIET);
    if (bytes_open(v->path, &v->from, err))
        return DEER_FAILED;
    if (!prepare(v))
        return deer_fail(err, "out of memory opening %s", v->path);
    av_dict_set(&options, "format_whitelist", "mov,matroska,avi", 0);
    av_dict_set(&options, "protocol_whitelist", "", 0);
    av_dict_set(&options, "enable_drefs", "0", 0);
    result = avformat_open_input(&v->file, NULL, NULL, &options);
    av_dict_free(&options);
    if (result < 0)
        return deer_fail(err,
                         "%s cannot be opened as a video: %s (mp4, Matroska and AVI are read; it "
                         "%s)",
                         v->path, av_err2str(result), file_kind(v->path, is));
    if (avformat_find_stream_info(v->file, NULL) < 0)
        return deer_fail(err, "%s cannot be opened as a video: it is damaged", v->path);
    return open_decoder(v, err);
}

deer_status video_open(const char *path, video **out, deer_error *err)
{
    video *v = calloc(1, sizeof *v);
    deer_status status;

    *out = NULL;
    if (v) {
        v->path = strdup(path);
        v->from.fd = -1;
    }
    status = v && v->path ? open_file(v, err) : deer_fail(err, "out of memory opening %s", path);
    if (status)
        video_close(v);
    else
        *out = v;
    return status;
}

void video_close(video *v)
{
    if (!v)
        return;
    sws_freeContext(v->convert);
    av_frame_free(&v->frame);
    av_frame_free(&v->before);
    av_packet_free(&v->packet);
    avcodec_free_context(&v->decoder);
    avformat_close_input(&v->file);
    if (v->reading)
        av_freep(&v->reading->buffer);
    avio_context_free(&v->reading);
    bytes_close(&v->from);
    free(v->path);
    free(v);
}

void video_size(const video *v, int *height, int *width)
{
    *height = v->decoder->height;
    *width = v->decoder->width;
}

/* ---------------------------------------------------------------- frames ------------------- */

static double time_of(const video *v, const AVFrame *f)
{
    return (double)f->best_effort_timestamp * av_q2d(v->file->streams[v->stream]->time_base) -
           v->start;
}

/* Feeds the decoder one more packet, or its end. */
static bool feed(video *v)
{
    if (v->draining)
        return false;
    while (av_read_frame(v->file, v->packet) >= 0) {
        bool ours = v->packet->stream_index == v->stream;
        int sent = ours ? avcodec_send_packet(v->decoder, v->packet) : 0;

        av_packet_unref(v->packet);
        if (ours)
            return sent >= 0;
    }
    v->draining = true;
    return avcodec_send_packet(v->decoder, NULL) >= 0;
}

/* The next frame into v->frame, the last one into v->before; false behind the last. */
static bool decode(video *v)
{
    AVFrame *last = v->before;

    v->before = v->frame;
    v->frame = last;
    av_frame_unref(v->frame);
    for (;;) {
        int result = avcodec_receive_frame(v->decoder, v->frame);

        if (result >= 0)
            return v->frame->best_effort_timestamp != AV_NOPTS_VALUE;
        if (result != AVERROR(EAGAIN) || !feed(v))
            return false;
    }
}

static deer_status seek(video *v, double seconds, deer_error *err)
{
    AVRational base = v->file->streams[v->stream]->time_base;
    int64_t at = (int64_t)floor((seconds + v->start) / av_q2d(base));

    av_frame_unref(v->frame);
    av_frame_unref(v->before);
    avcodec_flush_buffers(v->decoder);
    v->draining = false;
    if (av_seek_frame(v->file, v->stream, at, AVSEEK_FLAG_BACKWARD) < 0 &&
        av_seek_frame(v->file, v->stream, 0, AVSEEK_FLAG_BACKWARD) < 0)
        return deer_fail(err, "%s: there is no way to second %g", v->path, seconds);
    return DEER_OK;
}

/* Decodes until the frame at hand is at or behind this time; which of the last two is nearer, NULL
 * when neither is within the tolerance. */
static const AVFrame *find(video *v, double seconds, double tolerance, bool *ended)
{
    const AVFrame *best = NULL;
    double least = tolerance;

    while (!*ended && (!v->frame->buf[0] || time_of(v, v->frame) < seconds))
        *ended = !decode(v);
    for (int i = 0; i < 2; i++) {
        const AVFrame *f = i ? v->frame : v->before;

        if (f->buf[0] && fabs(time_of(v, f) - seconds) <= least) {
            least = fabs(time_of(v, f) - seconds);
            best = f;
        }
    }
    return best;
}

deer_status video_read(video *v, const double *seconds, int n, double tolerance, uint8_t *rgb,
                       deer_error *err)
{
    int height, width;
    bool ended = false;

    video_size(v, &height, &width);
    for (int i = 0; i < n; i++)
        if (!(fabs(seconds[i]) < MOST_SECONDS))
            return deer_fail(err, "%s: a frame is wanted at second %g", v->path, seconds[i]);
    if (seek(v, n ? seconds[0] - tolerance : 0, err))
        return DEER_FAILED;
    for (int i = 0; i < n; i++, rgb += (size_t)height * (size_t)width * 3) {
        const AVFrame *f = find(v, seconds[i], tolerance, &ended);

        if (!f)
            return deer_fail(err, "%s has no frame at second %g (of %d frames wanted: %d)", v->path,
                             seconds[i], n, i);
        if (!to_rgb(&v->convert, f, height, width, rgb))
            return deer_fail(err, "%s: the frame at second %g cannot be converted", v->path,
                             seconds[i]);
    }
    return DEER_OK;
}

/* ---------------------------------------------------------------- images ------------------- */

static bool decode_image(AVCodecContext *decoder, AVPacket *packet, AVFrame *frame)
{
    return avcodec_open2(decoder, NULL, NULL) >= 0 && avcodec_send_packet(decoder, packet) >= 0 &&
           avcodec_receive_frame(decoder, frame) >= 0 && frame->width >= 1 &&
           frame->width <= MOST_SIDE && frame->height >= 1 && frame->height <= MOST_SIDE;
}

deer_status video_image(const char *where, const uint8_t *data, size_t size, int *height,
                        int *width, uint8_t **rgb, deer_error *err)
{
    bool png = size > 8 && !memcmp(data, "\x89PNG", 4);
    bool jpeg = size > 8 && !memcmp(data, "\xff\xd8\xff", 3);
    const AVCodec *codec = avcodec_find_decoder(png ? AV_CODEC_ID_PNG : AV_CODEC_ID_MJPEG);
    AVCodecContext *decoder = codec ? avcodec_alloc_context3(codec) : NULL;
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    struct SwsContext *convert = NULL;
    bool ok = (png || jpeg) && decoder && packet && frame && size < INT32_MAX &&
              av_new_packet(packet, (int)size) >= 0;

    *rgb = NULL;
    av_log_set_level(AV_LOG_QUIET);
    if (ok) {
        memcpy(packet->data, data, size);
        decoder->max_pixels = (int64_t)MOST_SIDE * MOST_SIDE;
        decoder->thread_count = 1;
        ok = decode_image(decoder, packet, frame);
    }
    if (ok) {
        *height = frame->height;
        *width = frame->width;
        *rgb = malloc((size_t)frame->height * (size_t)frame->width * 3);
        ok = *rgb && to_rgb(&convert, frame, frame->height, frame->width, *rgb);
    }
    sws_freeContext(convert);
    av_frame_free(&frame);
    av_packet_free(&packet);
    avcodec_free_context(&decoder);
    if (ok)
        return DEER_OK;
    free(*rgb);
    *rgb = NULL;
    return deer_fail(err, "%s is no PNG or JPEG image that can be decoded", where);
}
