/* SPDX-License-Identifier: MIT */
/* tokenizer.c - the official prompt, and the word-level tokenizer. */
#include "runtime/text/tokenizer.h"

#include <ctype.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file_kind.h"
#include "runtime/base/json/json_build.h"
#include "runtime/base/json/json_file.h"
#include "runtime/base/text.h"
#include "runtime/text/bpe.h"

enum { MAX_WORD = 255 };

static const char space[] = " \t\r\n\v\f";

enum { MAX_AROUND = 8 };

/* Tokens that go before or behind every prompt. */
typedef struct {
    int32_t id[MAX_AROUND];
    int count;
} ids_around;

struct tokenizer {
    json_t *json;
    bpe *bpe;      /* NULL: word-level */
    json_t *words; /* word -> id, borrowed from json */
    bool lowercase;
    int unknown; /* -1: none */
    int image, end_of_chunk, end_of_text;
    ids_around before, behind;
};

/* An id as the file has it; INT_MAX, which no vocabulary has room for, for one that is no int. */
static int id_of(const json_t *value)
{
    json_int_t id = json_integer_value(value);

    return id >= 0 && id < INT_MAX ? (int)id : INT_MAX;
}

static int find(const tokenizer *t, const char *word)
{
    json_t *id = json_object_get(t->words, word);

    return id ? id_of(id) : -1;
}

/* A special token is a word of the vocabulary, or only an added token of the file. */
static int find_special(const tokenizer *t, const char *word)
{
    json_t *list = json_object_get(t->json, "added_tokens"), *token;
    int id = find(t, word);
    size_t i;

    json_array_foreach(list, i, token)
    {
        const char *content = json_string_value(json_object_get(token, "content"));
        if (id < 0 && content && !strcmp(content, word))
            id = id_of(json_object_get(token, "id"));
    }
    return id;
}

static deer_status check_words(const char *where, const tokenizer *t, int vocab, deer_error *err)
{
    const char *word;
    json_t *id;

    json_object_foreach(t->words, word, id)
    {
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= vocab)
            return deer_fail(err, "%s: the tokenizer's id of '%s' lies outside the vocabulary",
                             where, word);
    }
    if (t->image >= vocab || t->end_of_chunk >= vocab || t->end_of_text >= vocab)
        return deer_fail(err, "%s: the id of a special token lies outside the vocabulary", where);
    if (t->image < 0 || t->end_of_chunk < 0 || t->end_of_text < 0)
        return deer_fail(err, "%s: the tokenizer lacks <image>, <|endofchunk|> or <|endoftext|>",
                         where);
    return DEER_OK;
}

/* Files of 2020 do not say the type; they have merges where it is BPE. */
static const char *type_of(const json_t *model)
{
    const char *type = json_string_value(json_object_get(model, "type"));

    return type || !json_is_array(json_object_get(model, "merges")) ? type : "BPE";
}

/* Ids of one part of a template's: "special_tokens" says them. */
static bool add_ids(const json_t *processor, const json_t *piece, int vocab, ids_around *to)
{
    const char *name =
        json_string_value(json_object_get(json_object_get(piece, "SpecialToken"), "id"));
    const json_t *ids =
        json_object_get(json_object_get(json_object_get(processor, "special_tokens"), name), "ids");
    const json_t *id;
    size_t i;

    json_array_foreach(ids, i, id)
    {
        if (to->count == MAX_AROUND || !json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) >= vocab)
            return false;
        to->id[to->count++] = (int32_t)json_integer_value(id);
    }
    return json_array_size(ids) > 0;
}

/* TemplateProcessing: tokens before and behind what one text gives. */
static deer_status read_template(const char *where, const json_t *processor, int vocab,
                                 tokenizer *t, deer_error *err)
{
    const json_t *pieces = json_object_get(processor, "single"), *piece;
    bool behind = false, ok = json_array_size(pieces) > 0;
    size_t i;

    json_array_foreach(pieces, i, piece)
    {
        if (json_object_get(piece, "Sequence")) {
            ok = ok && !behind;
            behind = true;
        } else {
            ok = ok && add_ids(processor, piece, vocab, behind ? &t->behind : &t->before);
        }
    }
    return ok && behind ? DEER_OK
                        : deer_fail(err,
                                    "%s: the tokenizer's post_processor has a template that is "
                                    "not understood",
                                    where);
}

/* What the tokenizers library adds to every text: a token at its start, for instance. */
static deer_status read_processor(const char *where, const json_t *processor, int vocab,
                                  tokenizer *t, deer_error *err)
{
    const char *type = json_string_value(json_object_get(processor, "type"));
    const json_t *parts = json_object_get(processor, "processors"), *part;
    deer_status status = DEER_OK;
    size_t i;

    if (!processor || json_is_null(processor) || (type && !strcmp(type, "ByteLevel")))
        return DEER_OK;
    if (type && !strcmp(type, "TemplateProcessing"))
        return read_template(where, processor, vocab, t, err);
    if (type && !strcmp(type, "Sequence")) {
        json_array_foreach(parts, i, part)
        {
            const char *inner = json_string_value(json_object_get(part, "type"));

            if (!status)
                status = inner && !strcmp(inner, "Sequence")
                             ? deer_fail(err, "%s: post_processor Sequence within Sequence", where)
                             : read_processor(where, part, vocab, t, err);
        }
        return status;
    }
    return deer_fail(err, "%s: the tokenizer's post_processor is %s, which is not supported", where,
                     type ? type : "of no type");
}

static deer_status read_model(const char *where, tokenizer *t, int vocab, deer_error *err)
{
    json_t *model = json_object_get(t->json, "model");
    const char *type = type_of(model);
    const char *unknown = json_string_value(json_object_get(model, "unk_token"));
    const char *normalizer =
        json_string_value(json_object_get(json_object_get(t->json, "normalizer"), "type"));

    if (!type || (strcmp(type, "WordLevel") && strcmp(type, "BPE")))
        return deer_fail(err, "%s: tokenizer of type %s; WordLevel and BPE are supported", where,
                         type ? type : "(none)");
    if (!strcmp(type, "BPE") && bpe_new(where, t->json, vocab, &t->bpe, err))
        return DEER_FAILED;
    t->words = json_object_get(model, "vocab");
    t->lowercase = normalizer && !strcmp(normalizer, "Lowercase");
    t->unknown = unknown ? find(t, unknown) : -1;
    t->image = find_special(t, "<image>");
    t->end_of_chunk = find_special(t, "<|endofchunk|>");
    t->end_of_text = find_special(t, "<|endoftext|>");
    if (check_words(where, t, vocab, err))
        return DEER_FAILED;
    return read_processor(where, json_object_get(t->json, "post_processor"), vocab, t, err);
}

deer_status tokenizer_new(const char *where, const char *text, int vocab, tokenizer **out,
                          deer_error *err)
{
    json_error_t problem;
    tokenizer *t = calloc(1, sizeof *t);

    *out = NULL;
    if (!t)
        return deer_fail(err, "out of memory reading the tokenizer of %s", where);
    t->json = json_parse(text, strlen(text), 0, &problem);
    if (!t->json) {
        tokenizer_free(t);
        return deer_fail(err, "%s: the tokenizer is not JSON: %s", where, problem.text);
    }
    if (read_model(where, t, vocab, err)) {
        tokenizer_free(t);
        return DEER_FAILED;
    }
    *out = t;
    return DEER_OK;
}

/* The id behind the last of both lists. */
static json_int_t next_id(const tokenizer *t)
{
    json_t *list = json_object_get(t->json, "added_tokens"), *entry;
    const char *word;
    int last = -1;
    size_t i;

    json_object_foreach(t->words, word, entry)
    {
        last = id_of(entry) > last ? id_of(entry) : last;
    }
    json_array_foreach(list, i, entry)
    {
        int id = id_of(json_object_get(entry, "id"));

        last = id > last ? id : last;
    }
    return (json_int_t)last + 1;
}

deer_status tokenizer_complete(const char *where, const char *text, char **completed,
                               deer_error *err)
{
    static const char *const needed[] = {"<|endofchunk|>", "<image>", "<PAD>"};
    char is[FILE_KIND];
    json_error_t problem;
    tokenizer t = {.json = json_parse(text, strlen(text), 0, &problem)};

    *completed = NULL;
    if (!json_is_object(t.json)) {
        json_decref(t.json);
        return strchr("{[ \t\r\n\xef", *text) && *text
                   ? deer_fail(err, "%s is no tokenizer.json: %s", where,
                               *problem.text ? problem.text : "it is no JSON object")
                   : deer_fail(
                         err, "%s is no tokenizer.json: it %s", where,
                         file_kind_of((const uint8_t *)text, strnlen(text, 512), strlen(text), is));
    }
    if (!json_is_array(json_object_get(t.json, "added_tokens")))
        json_put(t.json, "added_tokens", json_array());
    t.words = json_object_get(json_object_get(t.json, "model"), "vocab");
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (find_special(&t, needed[i]) < 0)
            json_push(json_object_get(t.json, "added_tokens"),
                      json_pack("{s:I, s:s, s:b, s:b, s:b, s:b, s:b}", "id", next_id(&t), "content",
                                needed[i], "special", 1, "single_word", 0, "lstrip", 0, "rstrip", 0,
                                "normalized", 0));
    *completed = json_text(t.json, JSON_COMPACT);
    return *completed ? DEER_OK : deer_fail(err, "out of memory reading %s", where);
}

void tokenizer_free(tokenizer *t)
{
    if (!t)
        return;
    json_decref(t->json);
    bpe_free(t->bpe);
    free(t);
}

/* The id of a word of `length` bytes, -1 when it is not known. */
static int find_word(const tokenizer *t, const char *start, size_t length)
{
    char word[MAX_WORD + 1];

    if (length > MAX_WORD)
        return -1;
    for (size_t i = 0; i < length; i++)
        word[i] = t->lowercase ? (char)tolower((unsigned char)start[i]) : start[i];
    word[length] = 0;
    return find(t, word);
}

int tokenizer_unknown(const tokenizer *t, const char *instruction)
{
    int unknown = 0;

    if (t->bpe)
        return 0;
    for (const char *p = instruction + strspn(instruction, space); *p; p += strspn(p, space)) {
        size_t length = strcspn(p, space);

        unknown += find_word(t, p, length) < 0;
        p += length;
    }
    return unknown;
}

/* The id that stands for a word, -1 (with a message) when there is none. */
static int word_id(const tokenizer *t, const char *start, size_t length, deer_error *err)
{
    int id = find_word(t, start, length);

    if (id < 0)
        id = t->unknown;
    if (id < 0)
        deer_fail(err, "the tokenizer does not know the word '%.*s'", (int)length, start);
    return id;
}

/* The words of an instruction; how many ids, -1 on failure. */
static int encode_words(const tokenizer *t, const char *text, size_t size, int32_t *ids, int room,
                        deer_error *err)
{
    const char *end = text + size;
    int n = 0;

    for (const char *p = text; p < end && n < room; p += strspn(p, space)) {
        size_t left = (size_t)(end - p), length = strcspn(p, space);
        int id = word_id(t, p, length < left ? length : left, err);

        if (id < 0)
            return -1;
        ids[n++] = id;
        p += length;
    }
    return n;
}

int tokenizer_prompt(const tokenizer *t, const char *instruction, int32_t *ids, int room,
                     deer_error *err)
{
    size_t length = strlen(instruction);
    const char *text = text_strip(instruction, &length);
    int n = 0, used;

    room -= t->behind.count; /* what is too long is cut before these are added */
    for (int i = 0; i < t->before.count && n < room; i++)
        ids[n++] = t->before.id[i];
    if (n < room)
        ids[n++] = t->image;
    used = t->bpe ? bpe_encode(t->bpe, text, length, ids + n, room - n, err)
                  : encode_words(t, text, length, ids + n, room - n, err);
    if (used < 0)
        return -1;
    n += used;
    if (n < room)
        ids[n++] = t->end_of_chunk;
    if (n < room)
        ids[n++] = t->end_of_text;
    for (int i = 0; i < t->behind.count && room > 0; i++)
        ids[n++] = t->behind.id[i];
    return n;
}
