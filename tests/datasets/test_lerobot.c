/* SPDX-License-Identifier: MIT */
/* test_lerobot.c - LeRobot's datasets: actions bit for bit, pixels within the codec's error,
 * damaged tables refused. tests/data/make_lerobot.py says what is in there. */
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "datasets/parquet/parquet.h"
#include "datasets/sources/source.h"
#include "datasets/video/video.h"
#include "runtime/base/file.h"

static deer_error error;
static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test_lerobot.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void says(const char *words)
{
    assert_null(strchr(error.message, '\n'));
    if (!strstr(error.message, words))
        fail_msg("'%s' does not say '%s'", error.message, words);
}

static void check_episode(const demo_episode *e, int index, int pixel_error[2])
{
    static const int steps[2] = {5, 4};

    assert_int_equal(e->steps, steps[index]);
    assert_string_equal(e->instruction, index ? "push the block" : "open the drawer");
    assert_int_equal(e->static_height, 32);
    assert_int_equal(e->static_width, 48);
    for (int t = 0; t < e->steps; t++) {
        for (int c = 0; c < 6; c++)
            assert_true(e->actions[7 * t + c] == (float)((index * 5 + t) * 0.1 - 0.4 + c * 0.01));
        assert_true(e->actions[7 * t + 6] == (t % 2 ? 1.0f : -1.0f));
        for (int i = 0; i < 32 * 48; i++) {
            int grey = 40 + 20 * (5 * index + t) - (i % 48 >= 24 ? 10 : 0);

            for (int k = 0; k < 3; k++) {
                size_t at = (size_t)((t * 32 * 48 + i) * 3 + k);
                int a = abs(e->static_rgb[at] - grey), b = abs(e->gripper_rgb[at] - grey);

                pixel_error[0] = a > pixel_error[0] ? a : pixel_error[0];
                pixel_error[1] = b > pixel_error[1] ? b : pixel_error[1];
            }
        }
    }
}

static void check_set(const char *path, int most_static, int most_wrist)
{
    source_options o = {.path = &path, .paths = 1};
    int pixel_error[2] = {0, 0};
    void *s;

    if (source_lerobot.open(&o, &s, &error))
        fail_msg("%s", error.message);
    assert_int_equal(source_lerobot.count(s), 2);
    for (int i = 1; i >= 0; i--) { /* backwards: a video may be gone through in any order */
        demo_episode e;

        if (source_lerobot.read(s, i, &e, &error))
            fail_msg("%s", error.message);
        check_episode(&e, i, pixel_error);
        demo_episode_free(&e);
    }
    source_lerobot.close(s);
    print_message("%s: pixels differ by at most %d and %d\n", path, pixel_error[0], pixel_error[1]);
    assert_true(pixel_error[0] <= most_static && pixel_error[1] <= most_wrist);
}

static void test_version_2(void **state)
{
    (void)state;
    check_set("tests/data/lerobot/v21", 6, 6);
}

/* The wrist's images are PNG in the table: exact. */
static void test_version_3(void **state)
{
    (void)state;
    check_set("tests/data/lerobot/v30", 6, 0);
}

static deer_status open_with(source_options o)
{
    void *s;
    deer_status status = source_lerobot.open(&o, &s, &error);

    if (!status)
        source_lerobot.close(s);
    return status;
}

static void test_options(void **state)
{
    const char *path = "tests/data/lerobot/v21";
    source_options o = {.path = &path, .paths = 1};
    demo_episode e;
    void *s;

    (void)state;
    o.static_camera = "wrist";
    o.gripper_camera = "observation.images.front";
    o.actions = "gripper,yaw,2,3,4,1,0";
    o.scale = "minmax";
    o.instruction = "lift it";
    assert_int_equal(source_lerobot.open(&o, &s, &error), DEER_OK);
    assert_int_equal(source_lerobot.read(s, 0, &e, &error), DEER_OK);
    assert_string_equal(e.instruction, "lift it");
    assert_true(e.actions[0] == -1 && e.actions[7] == 1); /* the gripper */
    assert_true(fabsf(e.actions[6] + 1) < 1e-6f);         /* x is at its least of all episodes */
    assert_true(fabsf(e.actions[7 * 4 + 6]) < 1e-6f);     /* and in the middle: 0.0 of -0.4..0.4 */
    demo_episode_free(&e);
    source_lerobot.close(s);
    o.static_camera = "side";
    assert_int_equal(open_with(o), DEER_FAILED);
    says("say which with --static-camera: observation.images.front, observation.images.wrist");
    o.static_camera = NULL;
    o.actions = "0,1,2,3,4,5,elbow";
    assert_int_equal(open_with(o), DEER_USAGE);
    says("'elbow' is no column of the actions: a number from 0, or one of x, y, z");
    o.actions = "0,1,2,3,4,5,7";
    assert_int_equal(open_with(o), DEER_USAGE);
    o.actions = NULL;
    o.scale = "quantile";
    assert_int_equal(open_with(o), DEER_FAILED);
    says("no q01 and q99");
}

/* A copy of version 2.1 with another meta/info.json. */
static void with_info(const char *from, const char *to)
{
    char command[512];

    snprintf(command, sizeof command,
             "rm -rf '%s/d' && cp -r tests/data/lerobot/v21 '%s/d' && sed -i 's|%s|%s|' "
             "'%s/d/meta/info.json'",
             folder, folder, from, to, folder);
    assert_int_equal(system(command), 0);
}

static void test_metadata_are_checked(void **state)
{
    char set[128];
    const char *path = set;
    const source_options o = {.path = &path, .paths = 1};

    (void)state;
    snprintf(set, sizeof set, "%s/d", folder);
    with_info("v2.1", "v1.6");
    assert_int_equal(open_with(o), DEER_FAILED);
    says("is of version v1.6; v2.0, v2.1 and v3.0 are read");
    with_info("\"yaw\"", "\"shoulder_pan\"");
    assert_int_equal(open_with(o), DEER_FAILED);
    says("deer's policies take seven, changes of x, y, z, roll, pitch, yaw, and the gripper");
    with_info("\"shape\": .7.", "\"shape\": [14]");
    assert_int_equal(open_with(o), DEER_FAILED);
    says("are 14 numbers");
    with_info("data/chunk", "../../etc/chunk");
    assert_int_equal(open_with(o), DEER_OK);
    {
        void *s;
        demo_episode e;

        assert_int_equal(source_lerobot.open(&o, &s, &error), DEER_OK);
        assert_int_equal(source_lerobot.read(s, 0, &e, &error), DEER_FAILED);
        says("a template of names that is not understood");
        source_lerobot.close(s);
    }
    with_info("{\"code", "[\"code");
    assert_int_equal(open_with(o), DEER_FAILED);
    says("is not JSON");
}

/* ---------------------------------------------------------------- odd ones ----------------- */

static void run_in_copy(const char *version, const char *command)
{
    char line[1024];

    snprintf(line, sizeof line,
             "rm -rf '%s/d' && cp -r tests/data/lerobot/%s '%s/d' && cd '%s/d' && %s", folder,
             version, folder, folder, command);
    assert_int_equal(system(line), 0);
}

/* Reads episode 0 of the copy. */
static deer_status read_copy(source_options o, demo_episode *e)
{
    char set[128];
    const char *path = set;
    void *s;
    deer_status status;

    snprintf(set, sizeof set, "%s/d", folder);
    o.path = &path;
    o.paths = 1;
    status = source_lerobot.open(&o, &s, &error);
    if (status)
        return status;
    status = source_lerobot.read(s, 0, e, &error);
    source_lerobot.close(s);
    return status;
}

static void refused(const char *version, const char *command, const char *words)
{
    demo_episode e;

    run_in_copy(version, command);
    assert_int_equal(read_copy((source_options){.path = NULL}, &e), DEER_FAILED);
    says(words);
}

/* What libavformat would open besides the file itself, and a pipe, which it would wait for. */
static void test_videos_lead_nowhere(void **state)
{
    static const char film[] = "cd videos/chunk-000/observation.images.front && "
                               "mv episode_000000.mp4 film.mp4 && ";
    char command[512];

    (void)state;
    snprintf(command, sizeof command,
             "%sprintf 'ffconcat version 1.0\nfile film.mp4\n' > episode_000000.mp4", film);
    refused("v21", command, "episode_000000.mp4 cannot be opened as a video: ");
    snprintf(command, sizeof command,
             "%sprintf '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfilm.mp4\n"
             "#EXT-X-ENDLIST\n' > episode_000000.mp4",
             film);
    refused("v21", command, "mp4, Matroska and AVI are read; it begins with 23 45 58");
    snprintf(command, sizeof command, "%smkfifo episode_000000.mp4", film);
    refused("v21", command, "is not a regular file");
    refused("v21",
            "printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n' > "
            "videos/chunk-000/observation.images.front/episode_000000.mp4",
            "is a Git LFS pointer");
}

/* VP9 says beside its pixels, not in their format, that they are of 0 to 255. */
static void test_full_range_video(void **state)
{
    static const int grey[3] = {6, 128, 250};
    const double seconds[3] = {0, 0.1, 0.2};
    uint8_t *rgb = malloc(3 * 32 * 48 * 3);
    video *v;

    (void)state;
    assert_int_equal(video_open("tests/data/lerobot/full_range.mp4", &v, &error), DEER_OK);
    assert_int_equal(video_read(v, seconds, 3, 0.05, rgb, &error), DEER_OK);
    video_close(v);
    for (int i = 0; i < 3 * 32 * 48 * 3; i++)
        assert_true(abs(rgb[i] - grey[i / (32 * 48 * 3)]) <= 3);
    free(rgb);
}

/* Adds a grey frame of side x side pixels, a JPEG of its own, to a file. */
static void add_frame(AVFormatContext *file, int side, int at)
{
    AVCodecContext *encoder = avcodec_alloc_context3(avcodec_find_encoder(AV_CODEC_ID_MJPEG));
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();

    encoder->width = encoder->height = frame->width = frame->height = side;
    encoder->pix_fmt = AV_PIX_FMT_YUVJ420P;
    encoder->time_base = (AVRational){1, 10};
    frame->format = encoder->pix_fmt;
    assert_int_equal(avcodec_open2(encoder, NULL, NULL), 0);
    assert_int_equal(av_frame_get_buffer(frame, 0), 0);
    for (int i = 0; i < 3; i++)
        memset(frame->data[i], 128, (size_t)frame->linesize[i] * (size_t)(i ? side / 2 : side));
    assert_int_equal(avcodec_send_frame(encoder, frame), 0);
    assert_int_equal(avcodec_send_frame(encoder, NULL), 0);
    assert_int_equal(avcodec_receive_packet(encoder, packet), 0);
    packet->stream_index = 0;
    packet->pts = packet->dts = at;
    av_packet_rescale_ts(packet, (AVRational){1, 10}, file->streams[0]->time_base);
    assert_int_equal(av_write_frame(file, packet), 0);
    av_frame_free(&frame);
    av_packet_free(&packet);
    avcodec_free_context(&encoder);
}

static void make_growing_video(const char *path)
{
    AVFormatContext *file;
    AVStream *stream;

    assert_true(avformat_alloc_output_context2(&file, NULL, "avi", path) >= 0);
    stream = avformat_new_stream(file, NULL);
    stream->codecpar->codec_type = AVMEDIA_TYPE_VIDEO;
    stream->codecpar->codec_id = AV_CODEC_ID_MJPEG;
    stream->codecpar->format = AV_PIX_FMT_YUVJ420P;
    stream->codecpar->width = stream->codecpar->height = 16;
    stream->time_base = (AVRational){1, 10};
    assert_true(avio_open(&file->pb, path, AVIO_FLAG_WRITE) >= 0);
    assert_true(avformat_write_header(file, NULL) >= 0);
    for (int i = 0; i < 3; i++)
        add_frame(file, i ? 256 : 16, i);
    assert_int_equal(av_write_trailer(file), 0);
    avio_closep(&file->pb);
    avformat_free_context(file);
}

/* What is read into has the size that was there first, however often other frames are met. */
static void test_frames_that_grow(void **state)
{
    const double seconds[2] = {0, 0.1};
    uint8_t *rgb = malloc(2 * 16 * 16 * 3);
    int height, width;
    char path[128];
    video *v;

    (void)state;
    snprintf(path, sizeof path, "%s/grow.avi", folder);
    make_growing_video(path);
    assert_int_equal(video_open(path, &v, &error), DEER_OK);
    video_size(v, &height, &width);
    assert_true(height == 16 && width == 16);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(video_read(v, seconds, 2, 0.05, rgb, &error), DEER_FAILED);
        says("has 256 x 256 pixels, not 16 x 16");
    }
    assert_int_equal(video_read(v, seconds, 1, 0.05, rgb, &error), DEER_OK);
    video_close(v);
    free(rgb);
}

/* Reads the frame of each tenth of a second alone, of the video that make_lerobot.py's open_groups
 * makes; how many were refused, the last with this error, the others being right. */
static int refused_frames(const char *path)
{
    uint8_t *rgb = malloc(48 * 64 * 3);
    deer_error last = {""};
    int refusals = 0;
    video *v;

    assert_int_equal(video_open(path, &v, &error), DEER_OK);
    for (int k = 0; k < 14; k++) {
        const double seconds = k * 0.1;

        if (video_read(v, &seconds, 1, 0.05, rgb, &error)) {
            refusals++;
            last = error;
            continue;
        }
        for (int i = 0; i < 48 * 64; i++)
            if (i % 64 < 24 && abs(rgb[3 * i] - (20 + 16 * k)) > 6)
                fail_msg("frame %d has a pixel of %d", k, rgb[3 * i]);
    }
    video_close(v);
    free(rgb);
    error = last;
    return refusals;
}

/* Frames that are stored behind a keyframe and shown before it, and the last one. */
static void test_open_groups(void **state)
{
    (void)state;
    assert_int_equal(refused_frames("tests/data/lerobot/open_groups.mp4"), 0);
}

/* Damage in the midst of a slice is no pixels: it is refused with the time where it is. */
static void test_damaged_slices(void **state)
{
    char path[128], *bytes;
    size_t size;

    (void)state;
    snprintf(path, sizeof path, "%s/v.mp4", folder);
    assert_int_equal(
        file_read("tests/data/lerobot/open_groups.mp4", 1 << 20, &bytes, &size, &error), DEER_OK);
    for (size_t at = 800; at < 960; at += 40) { /* in the first keyframe, at bytes 48 to 1333 */
        char was[16];

        memcpy(was, bytes + at, sizeof was);
        memset(bytes + at, 0, sizeof was);
        assert_int_equal(file_write(path, bytes, size, &error), DEER_OK);
        memcpy(bytes + at, was, sizeof was);
        assert_int_equal(refused_frames(path), 6); /* and not those of the groups behind */
        says("v.mp4 is damaged at second 0 (");
    }
    free(bytes);
}

/* What is missing is said, and not taken as 0, as nothing or as the end. */
static void test_missing_values(void **state)
{
    static const char table[] = "data/chunk-000/episode_000000.parquet";
    char path[128], *bytes;
    const float first = -0.4f, none = NAN;
    size_t size, at = 0;
    demo_episode e;
    source_options o = {.scale = "minmax"};

    (void)state;
    refused("v21", "sed -i 's/\"episode_index\": 0, //' meta/episodes.jsonl",
            "an episode without index or length");
    refused("v21", "sed -i 's/\"tasks\"/\"words\"/' meta/episodes.jsonl",
            "episode 0 has no task; say one with --instruction");
    refused("v30", "sed -i 's/\"total_episodes\": 2/\"total_episodes\": 3/' meta/info.json",
            "counts 3 episodes, meta/episodes lists 2: a file is missing");
    refused("v21", "sed -i 1d meta/episodes.jsonl",
            "counts 2 episodes, meta/episodes.jsonl lists 1: a file is missing or cut off");
    run_in_copy("v21", ": > meta/episodes_stats.jsonl; echo >> meta/episodes_stats.jsonl");
    assert_int_equal(read_copy(o, &e), DEER_FAILED);
    says("no statistics for --action-scale");
    run_in_copy("v21", "true");
    snprintf(path, sizeof path, "%s/d/%s", folder, table);
    assert_int_equal(file_read(path, 1 << 20, &bytes, &size, &error), DEER_OK);
    while (at + 4 < size && memcmp(bytes + at, &first, 4) != 0)
        at++;
    assert_true(at + 4 < size);
    memcpy(bytes + at, &none, 4);
    assert_int_equal(file_write(path, bytes, size, &error), DEER_OK);
    free(bytes);
    assert_int_equal(read_copy(o, &e), DEER_FAILED);
    says("number 0 of the action is nan");
}

static void test_odd_tasks(void **state)
{
    demo_episode e;

    (void)state;
    refused("v21", "LC_ALL=C sed -i 's/drawer/\\xe9/' meta/episodes.jsonl",
            "episodes.jsonl is not JSON: line 1: unable to decode byte 0xe9");
    run_in_copy("v21", "sed -i 's/open the drawer/\\\\ud83d open \\\\ud83d\\\\ude00/' "
                       "meta/episodes.jsonl");
    assert_int_equal(read_copy((source_options){.path = NULL}, &e), DEER_OK);
    assert_string_equal(e.instruction, "\xef\xbf\xbd open \xf0\x9f\x98\x80");
    demo_episode_free(&e);
    run_in_copy("v21", "sed -i \"s/open the drawer/ $(printf %126s | tr ' ' x)\xc3\xa9 y/\" "
                       "meta/episodes.jsonl");
    assert_int_equal(read_copy((source_options){.path = NULL}, &e), DEER_OK);
    assert_int_equal(strlen(e.instruction), 130);
    assert_int_equal(strlen(e.task), 126); /* and no half of a character */
    demo_episode_free(&e);
}

/* Another table in the place of one is another dataset: an import does not go on with its parts. */
static void test_identity(void **state)
{
    char set[128], a[DEER_FINGERPRINT], b[DEER_FINGERPRINT];
    const char *path = set;
    const source_options o = {.path = &path, .paths = 1};
    void *s;

    (void)state;
    snprintf(set, sizeof set, "%s/d", folder);
    for (int i = 0; i < 3; i++) {
        run_in_copy("v21", i < 2 ? "touch -d 2024-01-02 data/*/* videos/*/*/*"
                                 : "touch -d 2024-01-02 data/*/* videos/*/*/* && "
                                   "touch data/chunk-000/episode_000001.parquet");
        assert_int_equal(source_lerobot.open(&o, &s, &error), DEER_OK);
        source_lerobot.fingerprint(s, i ? b : a);
        source_lerobot.close(s);
        assert_true(!i || !strcmp(a, b) == (i == 1));
    }
}

/* ---------------------------------------------------------------- damaged ones ------------- */

/* Every byte of a table changed, and every length: read or refused, nothing worse. */
static void test_damaged_tables(void **state)
{
    static const char *const tables[] = {
        "tests/data/lerobot/v21/data/chunk-000/episode_000000.parquet",
        "tests/data/lerobot/v30/meta/episodes/chunk-000/file-000.parquet"};
    static const char *const columns[] = {"action", "timestamp", "episode_index", "tasks",
                                          "length"};
    char path[128];

    (void)state;
    snprintf(path, sizeof path, "%s/t.parquet", folder);
    for (size_t f = 0; f < 2; f++) {
        char *bytes;
        size_t size;

        assert_int_equal(file_read(tables[f], 1 << 20, &bytes, &size, &error), DEER_OK);
        for (size_t at = 0; at < 2 * size; at++) {
            char was = bytes[at % size];
            FILE *out = fopen(path, "wb");
            parquet *p;
            parquet_column c;

            bytes[at % size] = (char)(was ^ (at < size ? 0xff : 0x81));
            fwrite(bytes, 1, at % 7 ? size : at % size, out);
            fclose(out);
            bytes[at % size] = was;
            if (parquet_open(path, &p, &error))
                continue;
            for (size_t i = 0; i < 5; i++)
                if (!parquet_read(p, columns[i], &c, &error))
                    parquet_column_free(&c);
            parquet_close(p);
        }
        free(bytes);
    }
}

static void test_damaged_videos(void **state)
{
    static const char source[] =
        "tests/data/lerobot/v21/videos/chunk-000/observation.images.front/episode_000000.mp4";
    const double seconds[3] = {0, 0.1, 0.4}, far = 7;
    uint8_t *rgb = malloc(3 * 32 * 48 * 3);
    char path[128], *bytes;
    size_t size;
    video *v;

    (void)state;
    assert_int_equal(video_open(source, &v, &error), DEER_OK);
    assert_int_equal(video_read(v, seconds, 3, 0.05, rgb, &error), DEER_OK);
    assert_true(abs(rgb[2 * 32 * 48 * 3] - 120) <= 6);
    assert_int_equal(video_read(v, &far, 1, 0.05, rgb, &error), DEER_FAILED);
    says("no frame at second 7");
    video_close(v);
    snprintf(path, sizeof path, "%s/v.mp4", folder);
    assert_int_equal(file_read(source, 1 << 20, &bytes, &size, &error), DEER_OK);
    for (size_t at = 0; at < size; at += 29) {
        FILE *out = fopen(path, "wb");
        int height, width;

        bytes[at] = (char)(bytes[at] ^ 0xff);
        fwrite(bytes, 1, at % 3 ? size : at, out);
        bytes[at] = (char)(bytes[at] ^ 0xff);
        fclose(out);
        if (video_open(path, &v, &error))
            continue;
        video_size(v, &height, &width);
        if (height == 32 && width == 48)
            (void)video_read(v, seconds, 3, 0.05, rgb, &error);
        video_close(v);
    }
    free(bytes);
    free(rgb);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_version_2),
        TEST(test_version_3),
        TEST(test_options),
        TEST(test_metadata_are_checked),
        TEST(test_damaged_tables),
        TEST(test_damaged_videos),
        TEST(test_videos_lead_nowhere),
        TEST(test_full_range_video),
        TEST(test_frames_that_grow),
        TEST(test_open_groups),
        TEST(test_damaged_slices),
        TEST(test_missing_values),
        TEST(test_odd_tasks),
        TEST(test_identity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
