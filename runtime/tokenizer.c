/* tokenizer.c - word-level tokenizer. */
#include "runtime/tokenizer.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORD = 255 };

struct tokenizer {
    json_t *json;
    json_t *words; /* word -> id, borrowed from json */
    bool lowercase;
    int unknown; /* -1: none */
    int image, end_of_chunk, end_of_text;
};

static int find(const tokenizer *t, const char *word)
{
    json_t *id = json_object_get(t->words, word);

    return id ? (int)json_integer_value(id) : -1;
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
            id = (int)json_integer_value(json_object_get(token, "id"));
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

static deer_status read_model(const char *where, tokenizer *t, int vocab, deer_error *err)
{
    json_t *model = json_object_get(t->json, "model");
    const char *type = json_string_value(json_object_get(model, "type"));
    const char *unknown = json_string_value(json_object_get(model, "unk_token"));
    const char *normalizer =
        json_string_value(json_object_get(json_object_get(t->json, "normalizer"), "type"));

    if (!type || strcmp(type, "WordLevel"))
        return deer_fail(err, "%s: tokenizer of type %s; WordLevel is supported", where,
                         type ? type : "(none)");
    t->words = json_object_get(model, "vocab");
    t->lowercase = normalizer && !strcmp(normalizer, "Lowercase");
    t->unknown = unknown ? find(t, unknown) : -1;
    t->image = find_special(t, "<image>");
    t->end_of_chunk = find_special(t, "<|endofchunk|>");
    t->end_of_text = find_special(t, "<|endoftext|>");
    return check_words(where, t, vocab, err);
}

deer_status tokenizer_new(const char *where, const char *text, int vocab, tokenizer **out,
                          deer_error *err)
{
    json_error_t problem;
    tokenizer *t = calloc(1, sizeof *t);

    *out = NULL;
    if (!t)
        return deer_fail(err, "out of memory reading the tokenizer of %s", where);
    t->json = json_loads(text, 0, &problem);
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

void tokenizer_free(tokenizer *t)
{
    if (!t)
        return;
    json_decref(t->json);
    free(t);
}

/* The id of a word of `length` bytes, -1 (with a message) when there is none. */
static int word_id(const tokenizer *t, const char *start, size_t length, deer_error *err)
{
    char word[MAX_WORD + 1];
    int id = -1;

    if (length <= MAX_WORD) {
        for (size_t i = 0; i < length; i++)
            word[i] = t->lowercase ? (char)tolower((unsigned char)start[i]) : start[i];
        word[length] = 0;
        id = find(t, word);
    }
    if (id < 0)
        id = t->unknown;
    if (id < 0)
        deer_fail(err, "the tokenizer does not know the word '%.*s'", (int)length, start);
    return id;
}

int tokenizer_prompt(const tokenizer *t, const char *instruction, int32_t *ids, int room,
                     deer_error *err)
{
    static const char space[] = " \t\r\n\v\f";
    int n = 0;

    if (n < room)
        ids[n++] = t->image;
    for (const char *p = instruction + strspn(instruction, space); *p && n < room;
         p += strspn(p, space)) {
        size_t length = strcspn(p, space);
        int id = word_id(t, p, length, err);
        if (id < 0)
            return -1;
        ids[n++] = id;
        p += length;
    }
    if (n < room)
        ids[n++] = t->end_of_chunk;
    if (n < room)
        ids[n++] = t->end_of_text;
    return n;
}
