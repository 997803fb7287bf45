/* SPDX-License-Identifier: MIT */
/* video.c - decoding with FFmpeg: libavformat, libavcodec and libswscale. */
#include "datasets/video/video.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/video/decoders.h"
#include "runtime/base/file_kind.h"
#include "runtime/base/machine_failure.h"
#include "runtime/import/bytes.h"

enum { MOST_SIDE = 4096, MOST_SECONDS = 100000000, WINDOW = 1 << 16 };

/* What libavcodec is to find, and to end with: it would fill what is damaged from around it. */
enum { STRICT = AV_EF_EXPLODE | AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER };

struct video {
    char *path;
    byte_source from;
    int64_t at; /* where libavformat reads next */
    AVIOContext *reading;
    AVFormatContext *file;
    AVCodecContext *decoder;
    int stream;
    int height, width; /* when it was opened: frames of another size are refused */
    double start;      /* seconds, of the stream's first frame */
    AVPacket *packet;
    AVFrame *frame, *before; /* the last two decoded */
    struct SwsContext *convert;
    bool begun;        /* since the last seek */
    int64_t key;       /* when the keyframe that decoding began at is shown */
    double key_stored; /* seconds, when it is decoded, which is what is searched for */
    double fed;        /* seconds, of the last packet that the decoder got */
};

/* What libavcodec calls a failure. */
static const char *said(int result, char text[AV_ERROR_MAX_STRING_SIZE])
{
    ff.av_strerror(result, text, AV_ERROR_MAX_STRING_SIZE);
    return text;
}

/* ---------------------------------------------------------------- conversion --------------- */

/* How YUV is meant, where that is not swscale's own idea of it (BT.601 in 16 to 235). */
static bool set_colours(struct SwsContext *convert, const AVFrame *f)
{
    const AVPixFmtDescriptor *is = ff.av_pix_fmt_desc_get(f->format);
    bool full = f->color_range == AVCOL_RANGE_JPEG;
    int matrix = f->colorspace == AVCOL_SPC_BT709        ? SWS_CS_ITU709
                 : f->colorspace == AVCOL_SPC_BT2020_NCL ? SWS_CS_BT2020
                                                         : SWS_CS_DEFAULT;

    if (!is || is->nb_components < 3 || is->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL) ||
        (!full && matrix == SWS_CS_DEFAULT))
        return is != NULL;
    return ff.sws_setColorspaceDetails(convert, ff.sws_getCoefficients(matrix), full,
                                       ff.sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16,
                                       1 << 16) >= 0;
}

static bool to_rgb(struct SwsContext **convert, const AVFrame *f, int height, int width,
                   uint8_t *rgb)
{
    uint8_t *planes[4] = {rgb};
    int lines[4] = {3 * width};

    if (f->width != width || f->height != height)
        return false;
    *convert = ff.sws_getCachedContext(
        *convert, width, height, f->format, width, height, AV_PIX_FMT_RGB24,
        SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    return *convert && set_colours(*convert, f) &&
           ff.sws_scale(*convert, (const uint8_t *const *)f->data, f->linesize, 0, height, planes,
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
    uint8_t *buffer = ff.av_malloc(WINDOW);

    v->reading =
        buffer ? ff.avio_alloc_context(buffer, WINDOW, 0, v, read_bytes, NULL, move_to) : NULL;
    v->file = v->reading ? ff.avformat_alloc_context() : NULL;
    if (!v->reading)
        ff.av_free(buffer);
    if (v->file)
        v->file->pb = v->reading;
    return v->file != NULL;
}

/* ---------------------------------------------------------------- opening ------------------ */

static deer_status open_decoder(video *v, deer_error *err)
{
    const AVCodec *codec;
    AVStream *s;

    v->stream = ff.av_find_best_stream(v->file, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    if (v->stream < 0)
        return deer_fail(err, "%s holds no video that this libavcodec decodes", v->path);
    s = v->file->streams[v->stream];
    v->decoder = ff.avcodec_alloc_context3(codec);
    v->packet = ff.av_packet_alloc();
    v->frame = ff.av_frame_alloc();
    v->before = ff.av_frame_alloc();
    if (!v->decoder || !v->packet || !v->frame || !v->before)
        return machine_fail(err, "out of memory opening %s", v->path);
    if (ff.avcodec_parameters_to_context(v->decoder, s->codecpar) < 0 || s->codecpar->width < 1 ||
        s->codecpar->width > MOST_SIDE || s->codecpar->height < 1 ||
        s->codecpar->height > MOST_SIDE)
        return deer_fail(err, "%s: a video of %d x %d pixels is not read", v->path,
                         s->codecpar->height, s->codecpar->width);
    v->decoder->max_pixels = (int64_t)MOST_SIDE * MOST_SIDE;
    v->decoder->thread_count = 1; /* episodes are short */
    v->decoder->err_recognition = STRICT;
    v->decoder->error_concealment = 0;
    if (ff.avcodec_open2(v->decoder, codec, NULL) < 0)
        return deer_fail(err, "%s: the codec %s cannot be opened", v->path, codec->name);
    v->height = v->decoder->height;
    v->width = v->decoder->width;
    v->start = s->start_time == AV_NOPTS_VALUE ? 0 : (double)s->start_time * av_q2d(s->time_base);
    return DEER_OK;
}

/* Containers that are one file: a playlist would name others. */
static deer_status open_file(video *v, deer_error *err)
{
    AVDictionary *options = NULL;
    char is[FILE_KIND], why[AV_ERROR_MAX_STRING_SIZE];
    int result;

    if (bytes_open(v->path, &v->from, err))
        return DEER_FAILED;
    if (!prepare(v))
        return machine_fail(err, "out of memory opening %s", v->path);
    ff.av_dict_set(&options, "format_whitelist", "mov,matroska,avi", 0);
    ff.av_dict_set(&options, "protocol_whitelist", "", 0);
    ff.av_dict_set(&options, "enable_drefs", "0", 0);
    result = ff.avformat_open_input(&v->file, NULL, NULL, &options);
    ff.av_dict_free(&options);
    if (result == AVERROR(ENOMEM))
        machine_failed();
    if (result < 0)
        return deer_fail(err,
                         "%s cannot be opened as a video: %s (mp4, Matroska and AVI are read; it "
                         "%s)",
                         v->path, said(result, why), file_kind(v->path, is));
    result = ff.avformat_find_stream_info(v->file, NULL);
    if (result == AVERROR(ENOMEM))
        return machine_fail(err, "out of memory opening %s", v->path);
    if (result < 0)
        return deer_fail(err, "%s cannot be opened as a video: it is damaged", v->path);
    return open_decoder(v, err);
}

deer_status video_open(const char *path, video **out, deer_error *err)
{
    video *v;
    deer_status status;

    *out = NULL;
    if (decoders_open(err))
        return DEER_FAILED;
    v = calloc(1, sizeof *v);
    if (v) {
        v->path = strdup(path);
        v->from.fd = -1;
    }
    status = v && v->path ? open_file(v, err) : machine_fail(err, "out of memory opening %s", path);
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
    ff.sws_freeContext(v->convert);
    ff.av_frame_free(&v->frame);
    ff.av_frame_free(&v->before);
    ff.av_packet_free(&v->packet);
    ff.avcodec_free_context(&v->decoder);
    ff.avformat_close_input(&v->file);
    if (v->reading)
        ff.av_freep(&v->reading->buffer);
    ff.avio_context_free(&v->reading);
    bytes_close(&v->from);
    free(v->path);
    free(v);
}

void video_size(const video *v, int *height, int *width)
{
    *height = v->height;
    *width = v->width;
}

/* ---------------------------------------------------------------- frames ------------------- */

static double seconds_of(const video *v, int64_t time)
{
    return (double)time * av_q2d(v->file->streams[v->stream]->time_base) - v->start;
}

static double time_of(const video *v, const AVFrame *f)
{
    return seconds_of(v, f->best_effort_timestamp);
}

static deer_status damaged(const video *v, double seconds, int result, deer_error *err)
{
    char why[AV_ERROR_MAX_STRING_SIZE];

    if (result == AVERROR(ENOMEM))
        return machine_fail(err, "out of memory decoding %s", v->path);
    return deer_fail(err, "%s is damaged at second %g (%s); copy or download it again", v->path,
                     seconds, result ? said(result, why) : "a frame is not whole");
}

/* Whether a packet can be decoded: not what is shown before the keyframe that decoding began at but
 * stored behind it, since it needs what comes before that (open groups of pictures). */
static bool is_decodable(video *v, const AVPacket *p)
{
    if (!v->begun && p->flags & AV_PKT_FLAG_KEY) {
        v->begun = true;
        v->key = p->pts;
        v->key_stored = p->dts == AV_NOPTS_VALUE ? 0 : seconds_of(v, p->dts);
    }
    return v->begun && (v->key == AV_NOPTS_VALUE || p->pts == AV_NOPTS_VALUE || p->pts >= v->key);
}

static deer_status send(video *v, deer_error *err)
{
    const AVPacket *p = v->packet;
    int result;

    v->fed = seconds_of(v, p->pts == AV_NOPTS_VALUE ? p->dts : p->pts);
    if (p->flags & AV_PKT_FLAG_CORRUPT)
        return damaged(v, v->fed, 0, err);
    result = ff.avcodec_send_packet(v->decoder, p);
    return result < 0 ? damaged(v, v->fed, result, err) : DEER_OK;
}

/* Feeds the decoder one more packet, or its end. */
static deer_status feed(video *v, deer_error *err)
{
    int result;

    while ((result = ff.av_read_frame(v->file, v->packet)) >= 0) {
        bool ours = v->packet->stream_index == v->stream && is_decodable(v, v->packet);
        deer_status status = ours ? send(v, err) : DEER_OK;

        ff.av_packet_unref(v->packet);
        if (ours)
            return status;
    }
    if (result != AVERROR_EOF)
        return damaged(v, v->fed, result, err);
    result = ff.avcodec_send_packet(v->decoder, NULL);
    return result < 0 ? damaged(v, v->fed, result, err) : DEER_OK;
}

/* The next frame into v->frame, the last one into v->before; behind the last it has *ended. */
static deer_status decode(video *v, bool *ended, deer_error *err)
{
    AVFrame *last = v->before;
    int result;

    v->before = v->frame;
    v->frame = last;
    ff.av_frame_unref(v->frame);
    while ((result = ff.avcodec_receive_frame(v->decoder, v->frame)) == AVERROR(EAGAIN))
        if (feed(v, err))
            return DEER_FAILED;
    *ended = result == AVERROR_EOF;
    if (*ended)
        return DEER_OK;
    if (result < 0)
        return damaged(v, v->fed, result, err);
    if (v->frame->best_effort_timestamp == AV_NOPTS_VALUE)
        return deer_fail(err, "%s has a frame without a time behind second %g", v->path, v->fed);
    return v->frame->flags & AV_FRAME_FLAG_CORRUPT || v->frame->decode_error_flags
               ? damaged(v, time_of(v, v->frame), 0, err)
               : DEER_OK;
}

static deer_status seek(video *v, double seconds, deer_error *err)
{
    AVRational base = v->file->streams[v->stream]->time_base;
    int64_t at = (int64_t)floor((seconds + v->start) / av_q2d(base));

    ff.av_frame_unref(v->frame);
    ff.av_frame_unref(v->before);
    ff.avcodec_flush_buffers(v->decoder);
    v->begun = false;
    if (ff.av_seek_frame(v->file, v->stream, at, AVSEEK_FLAG_BACKWARD) < 0 &&
        ff.av_seek_frame(v->file, v->stream, 0, AVSEEK_FLAG_BACKWARD) < 0)
        return deer_fail(err, "%s: there is no way to second %g", v->path, seconds);
    return DEER_OK;
}

/* Decodes until the frame at hand is at or behind this time; *best is which of the last two is
 * nearer, NULL when neither is within the tolerance. */
static deer_status find(video *v, double seconds, double tolerance, bool *ended,
                        const AVFrame **best, deer_error *err)
{
    double least = tolerance;

    *best = NULL;
    while (!*ended && (!v->frame->buf[0] || time_of(v, v->frame) < seconds))
        if (decode(v, ended, err))
            return DEER_FAILED;
    for (int i = 0; i < 2; i++) {
        const AVFrame *f = i ? v->frame : v->before;

        if (f->buf[0] && fabs(time_of(v, f) - seconds) <= least) {
            least = fabs(time_of(v, f) - seconds);
            *best = f;
        }
    }
    return DEER_OK;
}

/* The frames that are wanted, and where they go. */
typedef struct {
    const double *seconds; /* [n] */
    int n;
    double tolerance;
    uint8_t *rgb; /* [n, height, width, 3] */
} wanted;

/* Reads them from a keyframe on that is not stored behind this time; *missing: the first is not
 * there.
 */
static deer_status read_from(video *v, double from, const wanted *w, bool *missing, deer_error *err)
{
    int height, width;
    bool ended = false;
    deer_status status = seek(v, from, err);

    *missing = false;
    video_size(v, &height, &width);
    for (int i = 0; i < w->n && !status; i++) {
        uint8_t *rgb = w->rgb + (size_t)i * (size_t)height * (size_t)width * 3;
        const AVFrame *f;

        status = find(v, w->seconds[i], w->tolerance, &ended, &f, err);
        if (status)
            return status;
        *missing = !f && !i;
        if (!f)
            status = deer_fail(err, "%s has no frame at second %g (of %d frames wanted: %d)",
                               v->path, w->seconds[i], w->n, i);
        else if (f->height != height || f->width != width)
            status = deer_fail(err, "%s: the frame at second %g has %d x %d pixels, not %d x %d",
                               v->path, w->seconds[i], f->height, f->width, height, width);
        else if (!to_rgb(&v->convert, f, height, width, rgb))
            status = deer_fail(err, "%s: the frame at second %g cannot be converted", v->path,
                               w->seconds[i]);
    }
    return status;
}

/* A keyframe that is stored before a time may be shown behind it, and decoders may hold back the
 * last frame behind one: then from keyframes before, in growing steps, at last from the beginning.
 */
deer_status video_read(video *v, const double *seconds, int n, double tolerance, uint8_t *rgb,
                       deer_error *err)
{
    const wanted w = {seconds, n, tolerance, rgb};
    double from = n ? seconds[0] - tolerance : 0;
    deer_status status;
    bool missing;

    for (int i = 0; i < n; i++)
        if (!(fabs(seconds[i]) < MOST_SECONDS))
            return deer_fail(err, "%s: a frame is wanted at second %g", v->path, seconds[i]);
    status = read_from(v, from, &w, &missing, err);
    for (double back = fmax(tolerance, 0.01); missing && from > 0; back *= 4) {
        from = fmax(0, fmin(from, v->key_stored) - back);
        status = read_from(v, from, &w, &missing, err);
    }
    return status;
}

/* ---------------------------------------------------------------- images ------------------- */

static bool worked(int result)
{
    if (result == AVERROR(ENOMEM))
        machine_failed();
    return result >= 0;
}

static bool decode_image(AVCodecContext *decoder, AVPacket *packet, AVFrame *frame)
{
    return worked(ff.avcodec_open2(decoder, NULL, NULL)) &&
           worked(ff.avcodec_send_packet(decoder, packet)) &&
           worked(ff.avcodec_receive_frame(decoder, frame)) && frame->width >= 1 &&
           frame->width <= MOST_SIDE && frame->height >= 1 && frame->height <= MOST_SIDE;
}

static deer_status image(const char *where, const uint8_t *data, size_t size, int *height,
                         int *width, uint8_t **rgb, deer_error *err)
{
    bool png = size > 8 && !memcmp(data, "\x89PNG", 4);
    bool jpeg = size > 8 && !memcmp(data, "\xff\xd8\xff", 3);
    const AVCodec *codec = ff.avcodec_find_decoder(png ? AV_CODEC_ID_PNG : AV_CODEC_ID_MJPEG);
    AVCodecContext *decoder = codec ? ff.avcodec_alloc_context3(codec) : NULL;
    AVPacket *packet = ff.av_packet_alloc();
    AVFrame *frame = ff.av_frame_alloc();
    struct SwsContext *convert = NULL;
    bool room = machine_gave(decoder) && machine_gave(packet) && machine_gave(frame);
    bool ok =
        (png || jpeg) && room && size < INT32_MAX && worked(ff.av_new_packet(packet, (int)size));

    if (ok) {
        memcpy(packet->data, data, size);
        decoder->max_pixels = (int64_t)MOST_SIDE * MOST_SIDE;
        decoder->thread_count = 1;
        decoder->err_recognition = STRICT;
        ok = decode_image(decoder, packet, frame);
    }
    if (ok) {
        *height = frame->height;
        *width = frame->width;
        *rgb = malloc((size_t)frame->height * (size_t)frame->width * 3);
        ok = machine_gave(*rgb) && to_rgb(&convert, frame, frame->height, frame->width, *rgb);
    }
    ff.sws_freeContext(convert);
    ff.av_frame_free(&frame);
    ff.av_packet_free(&packet);
    ff.avcodec_free_context(&decoder);
    if (ok)
        return DEER_OK;
    free(*rgb);
    *rgb = NULL;
    return deer_fail(err, "%s is no PNG or JPEG image that can be decoded", where);
}

deer_status video_image(const char *where, const uint8_t *data, size_t size, int *height,
                        int *width, uint8_t **rgb, deer_error *err)
{
    *rgb = NULL;
    if (decoders_open(err))
        return DEER_FAILED;
    return image(where, data, size, height, width, rgb, err);
}
