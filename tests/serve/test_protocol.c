/* SPDX-License-Identifier: MIT */
/* test_protocol.c - messages of the policy server without a socket: MessagePack, arrays, images,
 * observations and answers, what is counted and logged. That openpi's own packer is understood,
 * robot.py shows.
 */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/half.h"
#include "runtime/base/random.h"
#include "runtime/serve/metrics.h"
#include "runtime/serve/protocol.h"
#include "runtime/serve/step_log.h"

/* ---------------------------------------------------------------- MessagePack -------------- */

static msgpack_value only(const void *bytes, size_t size)
{
    msgpack_reader in = {bytes, (const uint8_t *)bytes + size};
    msgpack_value v;

    assert_int_equal(msgpack_check(bytes, size, NULL), DEER_OK);
    assert_true(msgpack_next(&in, &v));
    return v;
}

#define ONLY(text) only(text, sizeof(text) - 1)

static bool says(msgpack_value v, const char *text)
{
    return msgpack_is(&v, text);
}

/* Every form of a number, by the specification. */
static void test_numbers(void **state)
{
    (void)state;
    assert_int_equal(ONLY("\x7f").integer, 127);
    assert_int_equal(ONLY("\xe0").integer, -32);
    assert_int_equal(ONLY("\xcc\xff").integer, 255);
    assert_int_equal(ONLY("\xcd\xff\xfe").integer, 65534);
    assert_int_equal(ONLY("\xce\xff\xff\xff\xff").integer, 4294967295);
    assert_true(ONLY("\xcf\xff\xff\xff\xff\xff\xff\xff\xff").integer == INT64_MAX);
    assert_true(ONLY("\xcf\xff\xff\xff\xff\xff\xff\xff\xff").real == 0x1p64);
    assert_int_equal(ONLY("\xd0\x80").integer, -128);
    assert_int_equal(ONLY("\xd1\x80\x00").integer, -32768);
    assert_int_equal(ONLY("\xd2\x80\x00\x00\x00").integer, INT32_MIN);
    assert_true(ONLY("\xd3\x80\x00\x00\x00\x00\x00\x00\x00").integer == INT64_MIN);
    assert_true(ONLY("\xca\x3f\xc0\x00\x00").real == 1.5);
    assert_true(ONLY("\xcb\xbf\xf8\x00\x00\x00\x00\x00\x00").real == -1.5);
    assert_true(ONLY("\xc3").boolean && !ONLY("\xc2").boolean);
    assert_int_equal(ONLY("\xc0").type, MSGPACK_NIL);
    assert_int_equal(ONLY("\xd4\x01\x02").type, MSGPACK_EXTENSION);
    assert_int_equal(ONLY("\xc7\x02\x01\x02\x03").size, 3);
    assert_true(says(ONLY("\xd9\x02hi"), "hi"));
    assert_true(says(ONLY("\xc4\x02hi"), "hi"));
    assert_false(says(ONLY("\xa3hit"), "hi"));
}

/* What is written is read again; lengths and numbers at the edges of their forms. */
static void test_written_and_read(void **state)
{
    static const int64_t integers[] = {0, 127, 128, -32, -33, INT64_MAX, INT64_MIN};
    static const size_t lengths[] = {0, 1, 31, 32, 255, 256, 70000};
    char *text = calloc(1, 70001);
    msgpack_buffer out = {0};
    msgpack_reader in;
    msgpack_value v;

    (void)state;
    assert_non_null(text);
    msgpack_put_list(&out, 7 + 2 * 7 + 1);
    for (int i = 0; i < 7; i++)
        msgpack_put_integer(&out, integers[i]);
    for (int i = 0; i < 7; i++) {
        memset(text, 'a', lengths[i]);
        text[lengths[i]] = 0;
        msgpack_put_text(&out, text);
        msgpack_put_bytes(&out, text, lengths[i]);
    }
    msgpack_put_real(&out, NAN);
    assert_false(out.failed);
    assert_int_equal(msgpack_check(out.data, out.size, NULL), DEER_OK);
    in = (msgpack_reader){out.data, out.data + out.size};
    assert_true(msgpack_next(&in, &v) && v.type == MSGPACK_LIST && v.count == 22);
    for (int i = 0; i < 7; i++)
        assert_true(msgpack_next(&in, &v) && v.type == MSGPACK_INTEGER && v.integer == integers[i]);
    for (int i = 0; i < 7; i++) {
        assert_true(msgpack_next(&in, &v) && v.type == MSGPACK_TEXT && v.size == lengths[i]);
        assert_true(msgpack_next(&in, &v) && v.type == MSGPACK_BYTES && v.size == lengths[i]);
    }
    assert_true(msgpack_next(&in, &v) && v.type == MSGPACK_NIL);
    assert_false(msgpack_next(&in, &v));
    msgpack_free(&out);
    free(text);
}

/* Lists inside each other, as deep as said and one deeper; as many values, and one more. */
static void test_limits(void **state)
{
    uint8_t deep[MSGPACK_DEPTH + 2];
    uint8_t *wide = malloc(MSGPACK_MOST_VALUES + 5);
    deer_error err;

    (void)state;
    assert_non_null(wide);
    memset(deep, 0x91, sizeof deep);
    deep[MSGPACK_DEPTH] = 0xc0;
    assert_int_equal(msgpack_check(deep, MSGPACK_DEPTH + 1, NULL), DEER_OK);
    deep[MSGPACK_DEPTH] = 0x91;
    deep[MSGPACK_DEPTH + 1] = 0xc0;
    assert_int_equal(msgpack_check(deep, MSGPACK_DEPTH + 2, &err), DEER_USAGE);
    assert_non_null(strstr(err.message, "more than 16 lists"));
    assert_int_equal(msgpack_check((const uint8_t *)"\x01\x02", 2, &err), DEER_USAGE);
    assert_non_null(strstr(err.message, "1 bytes follow"));
    memset(wide, 0xc0, MSGPACK_MOST_VALUES + 5);
    memcpy(wide, "\xdd\x00\x00\xff\xff", 5);
    assert_int_equal(msgpack_check(wide, MSGPACK_MOST_VALUES - 1 + 5, NULL), DEER_OK);
    memcpy(wide, "\xdd\x00\x01\x00\x00", 5);
    assert_int_equal(msgpack_check(wide, MSGPACK_MOST_VALUES + 5, &err), DEER_USAGE);
    assert_non_null(strstr(err.message, "more than 65536 values"));
    free(wide);
}

/* ---------------------------------------------------------------- images ------------------- */

/* The array of a map as openpi's client packs it; channels in front or behind. */
static deer_status take(const char *dtype, const uint32_t shape[3], const void *data, size_t bytes,
                        image_store *store, deer_camera *camera, deer_image *image)
{
    static msgpack_buffer out;
    msgpack_reader in;
    array a;

    out.size = 0;
    msgpack_put_map(&out, 4);
    msgpack_put_bytes(&out, "__ndarray__", 11);
    msgpack_put_boolean(&out, true);
    msgpack_put_bytes(&out, "shape", 5);
    msgpack_put_list(&out, 3);
    for (int i = 0; i < 3; i++)
        msgpack_put_integer(&out, shape[i]);
    msgpack_put_text(&out, "dtype");
    msgpack_put_text(&out, dtype);
    msgpack_put_text(&out, "data");
    msgpack_put_bytes(&out, data, bytes);
    assert_int_equal(msgpack_check(out.data, out.size, NULL), DEER_OK);
    in = (msgpack_reader){out.data, out.data + out.size};
    return array_read(&in, "it", &a, NULL) ? DEER_USAGE
                                           : image_from_array(&a, "it", store, camera, image, NULL);
}

/* Rows of interleaved bytes are used where they lie, planes are interleaved; [3, 2, 3] are planes,
 * as openpi has it. */
static void test_image_layouts(void **state)
{
    static const uint8_t rows[2 * 2 * 3] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    static const uint8_t planes[3 * 2 * 2] = {1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12};
    uint8_t ambiguous[3 * 2 * 3];
    image_store store = {0};
    deer_camera camera;
    deer_image image;

    (void)state;
    assert_int_equal(take("|u1", (uint32_t[]){2, 2, 3}, rows, sizeof rows, &store, &camera, &image),
                     DEER_OK);
    assert_null(store.pixels);
    assert_memory_equal(image.pixels, rows, sizeof rows);
    assert_int_equal(
        take("|u1", (uint32_t[]){3, 2, 2}, planes, sizeof planes, &store, &camera, &image),
        DEER_OK);
    assert_int_equal(image.bytes, sizeof rows);
    assert_memory_equal(image.pixels, rows, sizeof rows);
    assert_true(camera.width == 2 && camera.height == 2);
    for (int i = 0; i < 18; i++)
        ambiguous[i] = (uint8_t)i;
    assert_int_equal(take("|u1", (uint32_t[]){3, 2, 3}, ambiguous, 18, &store, &camera, &image),
                     DEER_OK);
    assert_true(camera.height == 2 && camera.width == 3);
    assert_true(image.pixels[0] == 0 && image.pixels[1] == 6 && image.pixels[2] == 12);
    image_store_free(&store);
}

/* 255 v in the array's own type, rounded down, as numpy has it: every half there is in 0..1, and
 * float32 and float64 beside each step. */
static void test_float_images(void **state)
{
    image_store store = {0};
    deer_camera camera;
    deer_image image;

    (void)state;
    for (uint32_t bits = 0; bits <= 0x3c00; bits++) { /* 0 to 1 */
        const uint16_t half[3] = {(uint16_t)bits, 0, 0x3c00};
        float product = half_to_float(half_from_float(255 * half_to_float(half[0])));
        assert_int_equal(
            take("<f2", (uint32_t[]){1, 1, 3}, half, sizeof half, &store, &camera, &image),
            DEER_OK);
        assert_int_equal(image.pixels[0], (uint8_t)product);
        assert_true(image.pixels[1] == 0 && image.pixels[2] == 255);
    }
    for (int i = 0; i < 256; i++) {
        const float single[3] = {(float)i / 255, nextafterf((float)i / 255, 0), 1};
        const double number[3] = {i / 255.0, nextafter(i / 255.0, 0), 1};
        assert_int_equal(
            take("<f4", (uint32_t[]){1, 1, 3}, single, sizeof single, &store, &camera, &image),
            DEER_OK);
        for (int c = 0; c < 3; c++)
            assert_int_equal(image.pixels[c], (uint8_t)(255 * single[c]));
        assert_int_equal(
            take("<f8", (uint32_t[]){1, 1, 3}, number, sizeof number, &store, &camera, &image),
            DEER_OK);
        for (int c = 0; c < 3; c++)
            assert_int_equal(image.pixels[c], (uint8_t)(255 * number[c]));
    }
    for (int i = 0; i < 5; i++) {
        const float wrong[5] = {1.01f, -0.01f, NAN, INFINITY, -INFINITY};
        const float single[3] = {0, wrong[i], 0};
        assert_int_equal(
            take("<f4", (uint32_t[]){1, 1, 3}, single, sizeof single, &store, &camera, &image),
            DEER_USAGE);
    }
    image_store_free(&store);
}

/* ---------------------------------------------------------------- messages ----------------- */

static void fill(protocol_request *r, const uint8_t *pixels)
{
    *r = (protocol_request){.static_view = {.width = 5, .height = 4},
                            .gripper_view = {.width = 3, .height = 2},
                            .seen = {{pixels, 60}, {pixels + 60, 18}},
                            .prompt = "lift the red block",
                            .task = "lift_red",
                            .reset = true};
}

static void test_request(void **state)
{
    uint8_t pixels[78];
    image_store store[2] = {{0}, {0}};
    msgpack_buffer out = {0};
    protocol_request r, again;
    deer_error err;

    (void)state;
    for (int i = 0; i < 78; i++)
        pixels[i] = (uint8_t)(3 * i);
    fill(&r, pixels);
    protocol_write_request(&out, &PROTOCOL_KEYS, &r);
    assert_int_equal(protocol_read_request(out.data, out.size, &PROTOCOL_KEYS, store, &again, &err),
                     DEER_OK);
    assert_string_equal(again.prompt, r.prompt);
    assert_string_equal(again.task, r.task);
    assert_true(again.reset && again.static_view.width == 5 && again.gripper_view.height == 2);
    assert_memory_equal(again.seen.static_view.pixels, pixels, 60);
    assert_memory_equal(again.seen.gripper_view.pixels, pixels + 60, 18);
    assert_int_equal(protocol_read_request(out.data, out.size, &(protocol_keys){"a", "b", "prompt"},
                                           store, &again, &err),
                     DEER_USAGE);
    assert_string_equal(err.message, "the message has no a");
    for (size_t cut = 0; cut < out.size; cut++)
        assert_int_equal(protocol_read_request(out.data, cut, &PROTOCOL_KEYS, store, &again, &err),
                         DEER_USAGE);
    msgpack_free(&out);
}

/* A prompt is UTF-8, or the client's mistake; so logs can have it. */
static void test_prompts_are_utf8(void **state)
{
    static const char *const wrong[] = {"lift \xff", "\xc0\xaf", "\xed\xa0\x80", "lift \xe2\x82"};
    uint8_t pixels[78] = {0};
    image_store store[2] = {{0}, {0}};
    msgpack_buffer out = {0};
    protocol_request r, again;
    deer_error err;

    (void)state;
    for (size_t i = 0; i <= sizeof wrong / sizeof *wrong; i++) {
        bool is_wrong = i < sizeof wrong / sizeof *wrong;
        fill(&r, pixels);
        strcpy(r.prompt, is_wrong ? wrong[i] : "soul\xc3\xa8ve le bloc rouge \xf0\x9f\xa6\x8c");
        out.size = 0;
        protocol_write_request(&out, &PROTOCOL_KEYS, &r);
        assert_int_equal(
            protocol_read_request(out.data, out.size, &PROTOCOL_KEYS, store, &again, &err),
            is_wrong ? DEER_USAGE : DEER_OK);
        assert_string_equal(is_wrong ? err.message : again.prompt,
                            is_wrong ? "prompt is not UTF-8" : r.prompt);
    }
    msgpack_free(&out);
}

static void test_answer(void **state)
{
    const protocol_answer a = {.command = {0.5f, -1, 1, FLT_MIN, 0.25f, -0.75f, 1},
                               .exit = 3,
                               .delta = 0.125,
                               .gflops = 0.02,
                               .late = true,
                               .infer_ms = 1.5,
                               .queue_ms = 0.25,
                               .prev_total_ms = NAN};
    protocol_answer second = a, again;
    msgpack_buffer out = {0};

    (void)state;
    protocol_write_answer(&out, &a);
    assert_int_equal(protocol_read_answer(out.data, out.size, &again, NULL), DEER_OK);
    assert_memory_equal(again.command, a.command, sizeof a.command);
    assert_true(again.exit == 3 && again.delta == 0.125 && again.gflops == 0.02 && again.late);
    assert_true(again.infer_ms == 1.5 && again.queue_ms == 0.25 && isnan(again.prev_total_ms));
    for (size_t cut = 0; cut < out.size; cut++)
        assert_int_equal(protocol_read_answer(out.data, cut, &again, NULL), DEER_FAILED);
    second.prev_total_ms = 2;
    out.size = 0;
    protocol_write_answer(&out, &second);
    assert_int_equal(protocol_read_answer(out.data, out.size, &again, NULL), DEER_OK);
    assert_true(again.prev_total_ms == 2);
    msgpack_free(&out);
}

/* Bytes changed at random: read or refused, never a crash (the fuzz target does more of it). */
static void test_damage(void **state)
{
    uint8_t pixels[78] = {0};
    image_store store[2] = {{0}, {0}};
    msgpack_buffer out = {0};
    protocol_request r, again;
    protocol_answer answer;
    uint64_t random = 1;
    int refused = 0;

    (void)state;
    fill(&r, pixels);
    protocol_write_request(&out, &PROTOCOL_KEYS, &r);
    for (int i = 0; i < 20000; i++) {
        size_t at = (size_t)random_below(&random, (int)out.size);
        uint8_t was = out.data[at];
        out.data[at] = (uint8_t)random_next(&random);
        refused += !!protocol_read_request(out.data, out.size, &PROTOCOL_KEYS, store, &again, NULL);
        protocol_read_answer(out.data, out.size, &answer, NULL);
        out.data[at] = was;
    }
    assert_in_range(refused, 1000, 19999);
    image_store_free(&store[0]);
    image_store_free(&store[1]);
    msgpack_free(&out);
}

static void test_tidy(void **state)
{
    char text[] = "a\nb\xc3\xa9\x7f~ ";

    (void)state;
    protocol_tidy(text);
    assert_string_equal(text, "a?b???~ ");
}

/* ---------------------------------------------------------------- counting ----------------- */

static void expect_line(const char *text, const char *line)
{
    const char *at = strstr(text, line);

    if (!at || (at > text && at[-1] != '\n') || at[strlen(line)] != '\n')
        fail_msg("no line '%s' in\n%s", line, text);
}

static void test_metrics(void **state)
{
    static const double seconds[] = {0.0001, 0.0005, 0.003, 0.3, 100};
    deer_drift_report drift = {.episodes = 3, .evidence = 2.5, .most = 4};
    metrics m;
    char *text;

    (void)state;
    metrics_start(&m, 3, 0.5, true);
    for (int i = 0; i < 5; i++)
        metrics_count_step(&m, &(metrics_step){.exit = i % 2,
                                               .llm_gflops = 0.25,
                                               .budget_gflops = 0.25,
                                               .step_seconds = seconds[i],
                                               .request_seconds = 0.001,
                                               .ahead_gflops = i == 2 ? 0.75 : -1,
                                               .late = i == 4});
    metrics_count_open(&m, 1);
    metrics_count_open(&m, 1);
    metrics_count_open(&m, -1);
    metrics_count_failure(&m);
    metrics_count_drift(&m, &drift);
    text = metrics_text(&m);
    assert_non_null(text);
    expect_line(text, "deer_steps_total 5");
    expect_line(text, "deer_exits_total{exit=\"0\"} 3");
    expect_line(text, "deer_exits_total{exit=\"1\"} 2");
    expect_line(text, "deer_exits_total{exit=\"2\"} 0");
    expect_line(text, "deer_step_seconds_bucket{le=\"0.0005\"} 2");
    expect_line(text, "deer_step_seconds_bucket{le=\"0.005\"} 3");
    expect_line(text, "deer_step_seconds_bucket{le=\"10\"} 4");
    expect_line(text, "deer_step_seconds_bucket{le=\"+Inf\"} 5");
    expect_line(text, "deer_step_seconds_count 5");
    expect_line(text, "deer_request_seconds_bucket{le=\"0.001\"} 5");
    expect_line(text, "deer_budget_used_ratio 0.5");
    expect_line(text, "deer_budget_most_ahead_gflops 0.75");
    expect_line(text, "deer_late_total 1");
    expect_line(text, "deer_failures_total 1");
    expect_line(text, "deer_connections 1");
    expect_line(text, "deer_connections_most 2");
    expect_line(text, "deer_connections_total 2");
    expect_line(text, "deer_drift_evidence 2.5");
    free(text);
    metrics_end(&m);
}

/* ---------------------------------------------------------------- the log ------------------ */

/* A line that cannot be written is lost alone, and closing says so. */
static void test_step_log(void **state)
{
    char path[] = "/tmp/deer-log-XXXXXX", line[512];
    step_log_about about = {.episode = "robot 1", .instruction = "say \"lift\"\n", .ms = NAN};
    const deer_action action = {.exit = 1, .delta = {0, 0.25f}};
    int fd = mkstemp(path), lines = 0;
    step_log *log;
    deer_error err;
    FILE *file;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(step_log_open(path, &log, &err), DEER_OK);
    assert_int_equal(step_log_write(log, &about, &action, &err), DEER_OK);
    about.instruction = "lift \xff";
    assert_int_equal(step_log_write(log, &about, &action, &err), DEER_FAILED);
    about.step = 1;
    assert_int_equal(step_log_write(log, &about, &action, &err), DEER_OK);
    assert_int_equal(step_log_close(log, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "not UTF-8"));
    file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        assert_non_null(strstr(line, "\"delta\":0.25,"));
        assert_non_null(strstr(line, "\"ms\":null"));
        assert_int_equal(!strstr(line, "\"instruction\":\"say \\\"lift\\\"\\n\""), lines++ > 0);
    }
    assert_int_equal(lines, 2);
    fclose(file);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),      cmocka_unit_test(test_written_and_read),
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_image_layouts),
        cmocka_unit_test(test_float_images), cmocka_unit_test(test_request),
        cmocka_unit_test(test_answer),       cmocka_unit_test(test_damage),
        cmocka_unit_test(test_tidy),         cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_step_log),     cmocka_unit_test(test_prompts_are_utf8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
