/* SPDX-License-Identifier: MIT */
/* test_import.c - folders of official weights: what becomes of good ones and of hostile ones. */
#include "tests/import/whole_file.h"

#include <jansson.h>
#include <math.h>

#include "runtime/base/file.h"
#include "runtime/import/weights.h"
#include "runtime/model/safetensors.h"

static small_model small; /* its folder also holds the folder to import from */
static char weights_path[96], config_path[96], out[64];
static char *weights_bytes, *config;
static size_t weights_size, config_size;

/* The source's files lie beside the model: DIR/config.json, DIR/weights.safetensors. */
static int start(void **state)
{
    (void)state;
    small_model_make(&small);
    snprintf(weights_path, sizeof weights_path, "%s/weights.safetensors", small.folder);
    snprintf(config_path, sizeof config_path, "%s/config.json", small.folder);
    snprintf(out, sizeof out, "%s/out", small.folder);
    ok(file_read("tests/data/golden_c/weights.safetensors", 1 << 28, &weights_bytes, &weights_size,
                 &error));
    ok(file_read("tests/data/golden_c/config.json", 1 << 20, &config, &config_size, &error));
    return 0;
}

static int end(void **state)
{
    (void)state;
    free(weights_bytes);
    free(config);
    small_model_remove(&small);
    return 0;
}

static void put_good_files(void)
{
    ok(file_write(weights_path, weights_bytes, weights_size, &error));
    ok(file_write(config_path, config, config_size, &error));
}

/* The folder as it is now is refused, and nothing is written. */
static void refuse(const char *words)
{
    int files = small_model_files(&small);

    error.message[0] = 0;
    assert_int_equal(official_import_folder(small.folder, out, &error), DEER_FAILED);
    says(words);
    assert_int_equal(small_model_files(&small), files);
}

/* ---------------------------------------------------------------- good --------------------- */

static bool is_used(const safetensors *model, const char *name)
{
    return safetensors_find(model, name) != NULL;
}

/* Every weight under its own name, bit for bit; what never runs is left out; prefixes nest. */
static void test_contents(void **state)
{
    whole_file from, to;

    (void)state;
    whole_file_open("tests/data/golden_c/weights.safetensors", &from);
    whole_file_open(small.path, &to);
    for (size_t i = 0; i < to.file.count; i++) {
        const safetensor *t = &to.file.tensor[i], *u = safetensors_find(&from.file, t->name);
        if (!strncmp(t->name, "pad.", 4))
            continue;
        assert_non_null(u);
        assert_int_equal(t->end - t->begin, u->end - u->begin);
        assert_memory_equal(to.data + t->begin, from.data + u->begin, t->end - t->begin);
        assert_int_equal((to.file.data_offset + t->begin) % 64, 0);
    }
    assert_false(is_used(&to.file, "vision_encoder.visual.ln_post.weight"));
    assert_false(is_used(&to.file, "vision_encoder.visual.proj"));
    whole_file_close(&from);
    whole_file_close(&to);
}

/* In order of execution: each part begins where the one before it ends, aligned. */
static void test_order(void **state)
{
    static const char *const parts[] = {"vision_encoder.",
                                        "perceiver.",
                                        "lang_encoder.transformer.wte.",
                                        "extra_exit.",
                                        "lang_encoder.transformer.blocks.0.",
                                        "lang_encoder.transformer.blocks.1.",
                                        "lang_encoder.transformer.blocks.2.",
                                        "lang_encoder.transformer.blocks.3."};
    safetensors file;
    size_t place = 0;

    (void)state;
    ok(safetensors_open(small.path, &file, &error));
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
        size_t begin = SIZE_MAX, last = 0;
        for (size_t i = 0; i < file.count; i++) {
            if (strncmp(file.tensor[i].name, parts[p], strlen(parts[p])))
                continue;
            begin = file.tensor[i].begin < begin ? file.tensor[i].begin : begin;
            last = file.tensor[i].end > last ? file.tensor[i].end : last;
        }
        assert_int_equal(begin, (place + 63) / 64 * 64);
        place = last;
    }
    assert_int_equal(place, file.data_size);
    safetensors_close(&file);
}

/* The same source makes the same file, and so the same fingerprint. */
static void test_reproducible(void **state)
{
    char *a, *b;
    size_t a_size, b_size;

    (void)state;
    put_good_files();
    ok(official_import_folder(small.folder, out, &error));
    ok(file_read(small.path, 1 << 28, &a, &a_size, &error));
    ok(file_read(out, 1 << 28, &b, &b_size, &error));
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a, b, a_size);
    free(a);
    free(b);
    unlink(out);
}

static void test_dimensions(void **state)
{
    deer_model *model = small_model_open(&small, DEER_ALL_EXITS);
    const deer_config *c = deer_model_config(model);

    (void)state;
    assert_string_equal(c->name, "mpt_dolly_3b");
    assert_true(c->image_size == 28 && c->patch_size == 14 && c->vision_width == 32);
    assert_true(c->vision_layers == 2 && c->vision_heads == 2 && c->vision_mlp == 128);
    assert_true(c->resampler_layers == 1 && c->resampler_heads == 2 && c->resampler_head_dim == 16);
    assert_true(c->resampler_latents == 4 && c->resampler_mlp == 128);
    assert_true(c->block == DEER_BLOCK_MPT_1B && c->d_model == 48 && c->heads == 3);
    assert_true(c->layers == 4 && c->mlp == 192 && c->vocab == 131 && c->max_text == 32);
    assert_true(c->media_token == 129 && c->cross_every == 1 && c->cross_heads == 2);
    assert_true(c->cross_head_dim == 16 && c->cross_mlp == 192);
    assert_true(c->lstm == DEER_LSTM_PLAIN && c->lstm_layers == 4 && c->lstm_hidden == 24);
    assert_true(c->head_mlp_layers == 3 && !c->head_mlp_layernorm);
    assert_true(c->head_mlp[0] == 32 && c->head_mlp[1] == 24 && c->head_mlp[2] == 16);
    assert_true(c->exits == 2 && c->exit_layers[0] == 1 && c->exit_layers[1] == 3);
    deer_model_close(model);
}

/* ---------------------------------------------------------------- refused ------------------ */

static void refuse_field(const char *name, json_t *value, const char *words)
{
    json_t *json = json_loadb(config, config_size, 0, NULL);

    put_good_files();
    assert_non_null(json_object_get(json, name));
    if (value)
        json_object_set_new(json, name, value);
    else
        json_object_del(json, name);
    json_dump_file(json, config_path, 0);
    json_decref(json);
    refuse(words);
}

static json_t *numbers(int count)
{
    json_t *list = json_array();

    for (int i = 1; i <= count; i++)
        json_array_append_new(list, json_integer(i));
    return list;
}

static void test_configuration_refused(void **state)
{
    static const char *const needed[] = {
        "image_size",    "patch",          "vit_layers", "vit_heads",  "perc_heads",
        "perc_dim_head", "d_model",        "n_heads",    "n_layers",   "xattn_every",
        "xattn_heads",   "xattn_dim_head", "media_id",   "perc_depth", "exit_ids"};

    (void)state;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        refuse_field(needed[i], NULL, "weights.safetensors");
        refuse_field(needed[i], json_string("x"), "weights.safetensors");
        refuse_field(needed[i], json_integer(2147483647), "weights.safetensors");
        refuse_field(needed[i], json_integer(-1), "weights.safetensors");
    }
    refuse_field("exit_ids", numbers(40), "exits");
    refuse_field("exit_ids", json_pack("[s,i]", "0", 3), "exit_layers");
    refuse_field("exit_ids", json_pack("[i,i]", 3, 9), "exit_layers");
    refuse_field("d_model", json_integer(45), "shape");
    refuse_field("exit_ids", json_pack("[i,i]", 1, 4), "exit_layers");
    refuse_field("n_layers", json_integer(3), "exit_layers");
}

static void test_files_refused(void **state)
{
    (void)state;
    put_good_files();
    unlink(weights_path);
    refuse("weights.safetensors: No such file");
    put_good_files();
    unlink(config_path);
    refuse("config.json: No such file");
    put_good_files();
    ok(file_write(config_path, "{", 1, &error));
    refuse("not JSON");
    put_good_files();
    ok(file_write(weights_path, weights_bytes, weights_size / 2, &error));
    refuse("beyond the end of the file");
}

/* The good weights with one name in their header spelled differently, at the same length. */
static void refuse_renamed(const char *from, const char *to, const char *words)
{
    char *copy = malloc(weights_size), *at;

    assert_int_equal(strlen(from), strlen(to));
    put_good_files();
    memcpy(copy, weights_bytes, weights_size);
    while ((at = memmem(copy, weights_size, from, strlen(from))))
        memcpy(at, to, strlen(to));
    ok(file_write(weights_path, copy, weights_size, &error));
    refuse(words);
    free(copy);
}

static void test_weights_refused(void **state)
{
    (void)state;
    refuse_renamed("perceiver.latents", "perceiver.latentz", "lacks the resampler");
    refuse_renamed("perceiver.norm.bias", "perceiver.norm.bia5", "perceiver.norm.bias is missing");
    says("; perceiver.norm.bia5 is left over");
    refuse_renamed("extra_exit.rnn", "extra_exit.rnm", "lstm");
    refuse_renamed("extra_exit.actions", "extra_exit.actionz", "lacks the exits' action head");
    refuse_renamed("extra_exit.gripper", "extra_exit.grippez", "extra_exit.gripper.mlp");
}

/* A pose MLP with more layers than the runtime has room for. */
static void test_too_many_head_layers(void **state)
{
    enum { LINEAR = 20 };
    safetensors_item items[LINEAR];
    const float zeros[LINEAR] = {0};
    char names[LINEAR][64];
    json_t *metadata = json_object();
    safetensors_writer file;

    (void)state;
    put_good_files();
    for (int i = 0; i < LINEAR; i++) {
        snprintf(names[i], sizeof names[i], "extra_exit.actions.mlp.%d.weight", i);
        items[i] = (safetensors_item){names[i], NUMBER_F32, 2, {1, 1}};
    }
    ok(safetensors_create(weights_path, items, LINEAR, metadata, &file, &error));
    ok(safetensors_append(&file, zeros, sizeof zeros, &error));
    ok(safetensors_finish(&file, DEER_OK, &error));
    json_decref(metadata);
    refuse("weights.safetensors");
}

/* What fills nothing is named, or allowed; what never runs is neither. */
static void test_left_over(void **state)
{
    official_sources from = {.folder = small.folder};
    char *copy = malloc(weights_size), *at;

    (void)state;
    refuse_renamed("vision_encoder.visual.ln_post.bias", "vision_encoder.visual.ln_past.bias",
                   "tensor vision_encoder.visual.ln_past.bias is left over");
    from.allow_left_over = true;
    ok(official_import(&from, out, &error));
    assert_int_equal(unlink(out), 0);
    memcpy(copy, weights_bytes, weights_size);
    while ((at = memmem(copy, weights_size, "visual.ln_post.bias", 19)))
        memcpy(at, "other", 5); /* another part than ours */
    ok(file_write(weights_path, copy, weights_size, &error));
    from.allow_left_over = false;
    ok(official_import(&from, out, &error));
    assert_int_equal(unlink(out), 0);
    free(copy);
}

/* Refused when made, not later on the robot. */
static void test_not_finite(void **state)
{
    const float bad = NAN;
    safetensors file;
    const safetensor *t;
    char *copy = malloc(weights_size);

    (void)state;
    put_good_files();
    ok(safetensors_open("tests/data/golden_c/weights.safetensors", &file, &error));
    t = safetensors_find(&file, "perceiver.latents");
    memcpy(copy, weights_bytes, weights_size);
    memcpy(copy + file.data_offset + t->begin, &bad, 4);
    ok(file_write(weights_path, copy, weights_size, &error));
    refuse("perceiver.latents holds a value that is not finite: element 0");
    safetensors_close(&file);
    free(copy);
}

/* The checkpoint, with or without the files it was trained from, gives the same model. */
static void test_sources(void **state)
{
    official_sources from = {.checkpoint = "tests/data/golden_c/deer_ckpt.pth",
                             .config = "tests/data/golden_c/config.json",
                             .vision = "tests/data/golden_c/sources/open_clip_pytorch_model.bin"};
    char *expected, *got;
    size_t expected_size, got_size;

    (void)state;
    ok(file_read(small.path, 1 << 28, &expected, &expected_size, &error));
    for (int all = 0; all < 2; all++) {
        ok(official_import(&from, out, &error));
        ok(file_read(out, 1 << 28, &got, &got_size, &error));
        assert_int_equal(got_size, expected_size);
        assert_memory_equal(got, expected, got_size);
        free(got);
        from.flamingo = "tests/data/golden_c/sources/openflamingo_checkpoint.pt";
        from.llm = "tests/data/golden_c/sources/mpt_pytorch_model.bin";
    }
    free(expected);
    assert_int_equal(unlink(out), 0);
}

static void test_missing_parts(void **state)
{
    official_sources from = {.checkpoint = "tests/data/golden_c/deer_ckpt.pth",
                             .config = "tests/data/golden_c/config.json"};

    (void)state;
    assert_int_equal(official_import(&from, out, &error), DEER_FAILED);
    says("lacks the vision tower: give CLIP's with --vision");
    from.vision = "tests/data/golden_c/sources/open_clip_pytorch_model.bin";
    from.config = NULL;
    assert_int_equal(official_import(&from, out, &error), DEER_FAILED);
    says("say them with --config");
    from.checkpoint = from.vision;
    assert_int_equal(official_import(&from, out, &error), DEER_FAILED);
    says("is it a DeeR checkpoint?");
}

/* Shards beside an index, and indexes that lead elsewhere. */
/* An index of every tensor of weights.safetensors, and of one more. */
static void write_index(const char *index, const char *more, const char *shard)
{
    char path[96], *text;
    weights w;
    json_t *map = json_object(), *root = json_object();

    snprintf(path, sizeof path, "%s/weights.safetensors", small.folder);
    ok(weights_open(path, &w, &error));
    for (size_t i = 0; i < w.count; i++)
        json_object_set_new(map, w.tensor[i].name, json_string("weights.safetensors"));
    weights_close(&w);
    if (more)
        json_object_set_new(map, more, json_string(shard));
    json_object_set_new(root, "weight_map", map);
    text = json_dumps(root, 0);
    ok(file_write(index, text, strlen(text), &error));
    free(text);
    json_decref(root);
}

/* Of two copies of a tensor the one in the shard that the index names is taken. */
static void test_stale_copies(void **state)
{
    static const struct {
        const char *a, *b;
    } maps[] = {{"one.safetensors", "two.safetensors"}, {"two.safetensors", "one.safetensors"}};
    static const char header[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                                 "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}";
    char index[96], path[96], text[256], file[256] = {0};
    uint64_t length = strlen(header);

    (void)state;
    for (int shard = 0; shard < 2; shard++) {
        const float value[2] = {shard ? 3 : 1, shard ? 4 : 2};

        memcpy(file, &length, 8);
        memcpy(file + 8, header, length);
        memcpy(file + 8 + length, value, 8);
        snprintf(path, sizeof path, "%s/%s.safetensors", small.folder, shard ? "two" : "one");
        ok(file_write(path, file, 8 + length + 8, &error));
    }
    snprintf(index, sizeof index, "%s/model.safetensors.index.json", small.folder);
    for (int i = 0; i < 2; i++) {
        float a = 0, b = 0;
        weights w;

        snprintf(text, sizeof text, "{\"weight_map\":{\"a\":\"%s\",\"b\":\"%s\"}}", maps[i].a,
                 maps[i].b);
        ok(file_write(index, text, strlen(text), &error));
        ok(weights_open(index, &w, &error));
        assert_int_equal(w.count, 2);
        for (size_t t = 0; t < 2; t++)
            ok(weights_read(&w, t, strcmp(w.tensor[t].name, "a") ? &b : &a, &error));
        assert_float_equal(a, i ? 3 : 1, 0);
        assert_float_equal(b, i ? 2 : 4, 0);
        weights_close(&w);
    }
    assert_int_equal(unlink(index), 0);
}

static void test_shards(void **state)
{
    static const char *const bad[][2] = {
        {"{\"weight_map\": {\"a\": \"../weights.safetensors\"}}", "outside of its folder"},
        {"{\"weight_map\": {\"a\": 1}}", "is no file name"},
        {"{\"weight_map\": {\"a\": \"gone.safetensors\"}}", "cannot open"},
        {"{\"weight_map\": {}}", "names no shards"},
        {"{\"weights\": {}}", "has no weight_map"},
        {"{", "is not JSON"}};
    char index[96];
    official_sources from = {.checkpoint = index, .config = config_path};

    (void)state;
    put_good_files();
    snprintf(index, sizeof index, "%s/model.safetensors.index.json", small.folder);
    write_index(index, NULL, NULL);
    ok(official_import(&from, out, &error));
    assert_int_equal(unlink(out), 0);
    write_index(index, "module.perceiver.latents.more", "weights.safetensors");
    assert_int_equal(official_import(&from, out, &error), DEER_FAILED);
    says("names tensor module.perceiver.latents.more in weights.safetensors, which does not have");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ok(file_write(index, bad[i][0], strlen(bad[i][0]), &error));
        assert_int_equal(official_import(&from, out, &error), DEER_FAILED);
        says(bad[i][1]);
    }
    assert_int_equal(unlink(index), 0);
}

static void test_unwritable(void **state)
{
    (void)state;
    put_good_files();
    assert_int_equal(official_import_folder(small.folder, "/nowhere/model", &error), DEER_FAILED);
    says("cannot create /nowhere/model: No such file");
}

/* ---------------------------------------------------------------- cut short --------------- */

/* Cuts the file in half, once. */
static void cut(void *context, uint64_t done, uint64_t total)
{
    const char *path = context;
    struct stat info;

    (void)total;
    if (done && !stat(path, &info) && info.st_size > 20000)
        assert_int_equal(truncate(path, info.st_size / 2), 0);
}

/* A file that another process cuts short in the midst of an import: one error, and no output. */
static void test_cut_short_meanwhile(void **state)
{
    char copy[128], *checkpoint;
    size_t size;

    (void)state;
    put_good_files();
    snprintf(copy, sizeof copy, "%s/copy.pth", small.folder);
    ok(file_read("tests/data/golden_c/deer_ckpt.pth", 1 << 28, &checkpoint, &size, &error));
    ok(file_write(copy, checkpoint, size, &error));
    for (int torch = 0; torch < 2; torch++) {
        char *file = torch ? copy : weights_path;
        official_sources from = {
            .checkpoint = file, .config = config_path, .progress = cut, .progress_context = file};

        if (torch) {
            from.vision = "tests/data/golden_c/sources/open_clip_pytorch_model.bin";
            from.flamingo = "tests/data/golden_c/sources/openflamingo_checkpoint.pt";
            from.llm = "tests/data/golden_c/sources/mpt_pytorch_model.bin";
        }
        assert_int_equal(official_import(&from, out, &error), DEER_FAILED);
        says(file);
        if (!strstr(error.message, "shorter") && !strstr(error.message, "written to"))
            fail_msg("'%s' does not say what happened", error.message);
        assert_int_not_equal(access(out, F_OK), 0);
    }
    unlink(copy);
    free(checkpoint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_reproducible),
        cmocka_unit_test(test_dimensions),
        cmocka_unit_test(test_configuration_refused),
        cmocka_unit_test(test_files_refused),
        cmocka_unit_test(test_weights_refused),
        cmocka_unit_test(test_too_many_head_layers),
        cmocka_unit_test(test_left_over),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_missing_parts),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_stale_copies),
        cmocka_unit_test(test_cut_short_meanwhile),
        cmocka_unit_test(test_unwritable),
    };

    return cmocka_run_group_tests(tests, start, end);
}
