/* SPDX-License-Identifier: MIT */
/* protocol.c - openpi's messages. */
#include "runtime/serve/protocol.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/number.h"
#include "runtime/base/text.h"

void protocol_tidy(char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

/* ---------------------------------------------------------------- requests ----------------- */

/* Which parts of a request were there. */
enum { HAS_IMAGE = 1, HAS_WRIST = 2, HAS_PROMPT = 4, HAS_TASK = 8, HAS_RESET = 16 };

static bool is_utf8(const char *text, size_t size)
{
    size_t length;

    for (size_t at = 0; at < size; at += length)
        if (!(length = text_character(text + at, size - at)))
            return false;
    return true;
}

static deer_status take_text(msgpack_reader *in, const char *name, char to[PROTOCOL_TEXT],
                             deer_error *err)
{
    msgpack_value text = array_scalar(in);

    if (text.type != MSGPACK_TEXT)
        return deer_fail_with(DEER_USAGE, err, "%s is no text", name);
    if (text.size >= PROTOCOL_TEXT)
        return deer_fail_with(DEER_USAGE, err, "%s has %zu bytes, more than %d", name, text.size,
                              PROTOCOL_TEXT - 1);
    if (memchr(text.bytes, 0, text.size))
        return deer_fail_with(DEER_USAGE, err, "%s has a zero in it", name);
    if (!is_utf8((const char *)text.bytes, text.size))
        return deer_fail_with(DEER_USAGE, err, "%s is not UTF-8", name);
    memcpy(to, text.bytes, text.size);
    to[text.size] = 0;
    return DEER_OK;
}

static deer_status take_image(msgpack_reader *in, const char *name, image_store *store,
                              deer_camera *camera, deer_image *image, deer_error *err)
{
    array a;
    deer_status status = array_read(in, name, &a, err);

    return status ? status : image_from_array(&a, name, store, camera, image, err);
}

static deer_status take_reset(msgpack_reader *in, bool *reset, deer_error *err)
{
    msgpack_value v = array_scalar(in);

    if (v.type != MSGPACK_BOOLEAN)
        return deer_fail_with(DEER_USAGE, err, "deer/reset is neither true nor false");
    *reset = v.boolean;
    return DEER_OK;
}

/* The part that a key names; 0: none of ours. */
static int part_of(const msgpack_value *key, const protocol_keys *keys)
{
    const struct {
        const char *name;
        int part;
    } parts[] = {{keys->image, HAS_IMAGE},
                 {keys->wrist_image, HAS_WRIST},
                 {keys->prompt, HAS_PROMPT},
                 {"deer/task", HAS_TASK},
                 {"deer/reset", HAS_RESET}};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (msgpack_is(key, parts[i].name))
            return parts[i].part;
    return 0;
}

/* The value of a key. */
static deer_status take_part(msgpack_reader *in, int part, const protocol_keys *keys,
                             image_store store[2], protocol_request *r, deer_error *err)
{
    switch (part) {
    case HAS_IMAGE:
        return take_image(in, keys->image, &store[0], &r->static_view, &r->seen.static_view, err);
    case HAS_WRIST:
        return take_image(in, keys->wrist_image, &store[1], &r->gripper_view, &r->seen.gripper_view,
                          err);
    case HAS_PROMPT:
        return take_text(in, keys->prompt, r->prompt, err);
    case HAS_TASK:
        return take_text(in, "deer/task", r->task, err);
    case HAS_RESET:
        return take_reset(in, &r->reset, err);
    default:
        msgpack_skip(in);
        return DEER_OK;
    }
}

deer_status protocol_read_request(const uint8_t *message, size_t size, const protocol_keys *keys,
                                  image_store store[2], protocol_request *r, deer_error *err)
{
    msgpack_reader in = {message, message + size};
    msgpack_value map, key;
    int seen = 0;

    r->reset = false;
    r->prompt[0] = r->task[0] = 0;
    if (msgpack_check(message, size, err))
        return DEER_USAGE;
    msgpack_next(&in, &map);
    if (map.type != MSGPACK_MAP)
        return deer_fail_with(DEER_USAGE, err, "the message is no map");
    for (uint32_t i = 0; i < map.count; i++) {
        deer_status status;
        int part;

        msgpack_next(&in, &key);
        if (key.type != MSGPACK_TEXT && key.type != MSGPACK_BYTES)
            return deer_fail_with(DEER_USAGE, err, "the message has a key that is no text");
        part = part_of(&key, keys);
        if (part & seen)
            return deer_fail_with(DEER_USAGE, err, "the message has a key twice");
        seen |= part;
        status = take_part(&in, part, keys, store, r, err);
        if (status)
            return status;
    }
    for (int part = HAS_IMAGE; part <= HAS_PROMPT; part *= 2)
        if (!(seen & part))
            return deer_fail_with(DEER_USAGE, err, "the message has no %s",
                                  part == HAS_IMAGE   ? keys->image
                                  : part == HAS_WRIST ? keys->wrist_image
                                                      : keys->prompt);
    return DEER_OK;
}

void protocol_write_request(msgpack_buffer *out, const protocol_keys *keys,
                            const protocol_request *r)
{
    msgpack_put_map(out, 3 + (*r->task != 0) + r->reset);
    msgpack_put_text(out, keys->image);
    array_write_image(out, (uint32_t)r->static_view.height, (uint32_t)r->static_view.width,
                      r->seen.static_view.pixels);
    msgpack_put_text(out, keys->wrist_image);
    array_write_image(out, (uint32_t)r->gripper_view.height, (uint32_t)r->gripper_view.width,
                      r->seen.gripper_view.pixels);
    msgpack_put_text(out, keys->prompt);
    msgpack_put_text(out, r->prompt);
    if (*r->task) {
        msgpack_put_text(out, "deer/task");
        msgpack_put_text(out, r->task);
    }
    if (r->reset) {
        msgpack_put_text(out, "deer/reset");
        msgpack_put_boolean(out, true);
    }
}

/* ---------------------------------------------------------------- answers ------------------ */

static void put_number(msgpack_buffer *out, const char *key, double value)
{
    msgpack_put_text(out, key);
    msgpack_put_real(out, value);
}

/* What the connection's steps used, of what they may. */
static void write_account(msgpack_buffer *out, const deer_governor *g)
{
    msgpack_put_text(out, "deer/budget");
    msgpack_put_map(out, 5);
    msgpack_put_text(out, "steps");
    msgpack_put_integer(out, g->steps);
    put_number(out, "asked_gflops", g->budget_gflops);
    put_number(out, "used_gflops", g->used_gflops / (double)g->steps);
    put_number(out, "ahead_gflops", g->ahead_gflops);
    put_number(out, "setting_gflops", g->setting_gflops);
}

void protocol_write_answer(msgpack_buffer *out, const protocol_answer *a)
{
    bool again = !isnan(a->prev_total_ms), governed = a->account.horizon > 0;

    msgpack_put_map(out, 6 + governed);
    msgpack_put_text(out, "actions");
    array_write_floats(out, 1, DEER_COMMAND, a->command);
    msgpack_put_text(out, "deer/exit");
    msgpack_put_integer(out, a->exit);
    put_number(out, "deer/delta", a->delta);
    put_number(out, "deer/gflops", a->gflops);
    msgpack_put_text(out, "deer/late");
    msgpack_put_boolean(out, a->late);
    msgpack_put_text(out, "server_timing");
    msgpack_put_map(out, 2 + again);
    put_number(out, "infer_ms", a->infer_ms);
    put_number(out, "queue_ms", a->queue_ms);
    if (again)
        put_number(out, "prev_total_ms", a->prev_total_ms);
    if (governed)
        write_account(out, &a->account);
}

/* The first row of an array of floats [n, 7]. */
static deer_status take_actions(msgpack_reader *in, float command[DEER_COMMAND], deer_error *err)
{
    array a;

    if (array_read(in, "actions", &a, err))
        return DEER_FAILED;
    if (a.kind != 'f' || a.item_size < 4 || a.dimensions != 2 || a.shape[0] < 1 ||
        a.shape[1] != DEER_COMMAND)
        return deer_fail(err, "the policy server's actions are not [1, %d] floats", DEER_COMMAND);
    number_to_float(a.item_size == 4 ? NUMBER_F32 : NUMBER_F64, a.data, 1, DEER_COMMAND, command);
    for (int i = 0; i < DEER_COMMAND; i++)
        if (!isfinite(command[i]))
            return deer_fail(err, "the policy server's action is not finite");
    return DEER_OK;
}

static bool is_number(const msgpack_value *value)
{
    return value->type == MSGPACK_REAL || value->type == MSGPACK_INTEGER;
}

/* How long it took; what is no number, or no map at all, is passed over. */
static void take_timing(msgpack_reader in, protocol_answer *a)
{
    msgpack_value map, key, value;
    msgpack_reader at;

    msgpack_next(&in, &map);
    for (uint32_t i = 0; map.type == MSGPACK_MAP && i < map.count; i++) {
        msgpack_pair(&in, &key, &at, &value);
        if (!is_number(&value))
            continue;
        if (msgpack_is(&key, "infer_ms"))
            a->infer_ms = value.real;
        else if (msgpack_is(&key, "queue_ms"))
            a->queue_ms = value.real;
        else if (msgpack_is(&key, "prev_total_ms"))
            a->prev_total_ms = value.real;
    }
}

/* What deer says besides; values of other types are passed over. */
static void take_about(const msgpack_value *key, const msgpack_value *value, protocol_answer *a)
{
    if (msgpack_is(key, "deer/exit") && value->type == MSGPACK_INTEGER && value->integer >= 0 &&
        value->integer < DEER_MAX_EXITS)
        a->exit = (int32_t)value->integer;
    else if (msgpack_is(key, "deer/delta") && is_number(value))
        a->delta = value->real;
    else if (msgpack_is(key, "deer/gflops") && is_number(value))
        a->gflops = value->real;
    else if (msgpack_is(key, "deer/late") && value->type == MSGPACK_BOOLEAN)
        a->late = value->boolean;
}

deer_status protocol_read_answer(const uint8_t *message, size_t size, protocol_answer *a,
                                 deer_error *err)
{
    msgpack_reader in = {message, message + size}, at;
    msgpack_value map, key, value;
    bool has_actions = false;

    *a = (protocol_answer){.exit = -1,
                           .delta = NAN,
                           .gflops = NAN,
                           .infer_ms = NAN,
                           .queue_ms = NAN,
                           .prev_total_ms = NAN};
    if (msgpack_check(message, size, err))
        return DEER_FAILED;
    msgpack_next(&in, &map);
    if (map.type != MSGPACK_MAP)
        return deer_fail(err, "the policy server's answer is no map");
    for (uint32_t i = 0; i < map.count; i++) {
        msgpack_pair(&in, &key, &at, &value);
        take_about(&key, &value, a);
        if (msgpack_is(&key, "server_timing"))
            take_timing(at, a);
        if (!msgpack_is(&key, "actions"))
            continue;
        if (take_actions(&at, a->command, err))
            return DEER_FAILED;
        has_actions = true;
    }
    return has_actions ? DEER_OK : deer_fail(err, "the policy server's answer has no actions");
}

/* ---------------------------------------------------------------- metadata ----------------- */

static void put_pair(msgpack_buffer *out, const char *key, const char *text)
{
    msgpack_put_text(out, key);
    msgpack_put_text(out, text);
}

static void put_count(msgpack_buffer *out, const char *key, int64_t value)
{
    msgpack_put_text(out, key);
    msgpack_put_integer(out, value);
}

void protocol_write_metadata(msgpack_buffer *out, const protocol_keys *keys,
                             const deer_model *model, const deer_thresholds *thresholds,
                             double rate)
{
    const deer_config *c = deer_model_config(model);

    msgpack_put_map(out, 10);
    put_pair(out, "server", "deer " DEER_VERSION);
    put_pair(out, "model", c->name);
    put_pair(out, "model_fingerprint", deer_model_fingerprint(model));
    put_pair(out, "weights", deer_model_type(model));
    put_count(out, "exits", c->exits);
    put_count(out, "deepest_exit", deer_thresholds_max_exit(thresholds));
    put_count(out, "image_size", c->image_size);
    msgpack_put_text(out, "action_scale");
    array_write_floats(out, 1, DEER_POSE, c->action_scale);
    put_number(out, "rate", rate);
    msgpack_put_text(out, "keys");
    msgpack_put_map(out, 3);
    put_pair(out, "image", keys->image);
    put_pair(out, "wrist_image", keys->wrist_image);
    put_pair(out, "prompt", keys->prompt);
}
