/* SPDX-License-Identifier: MIT */
/* fuzz_tokenizer.c - tokenizer.json of both kinds: what is accepted encodes any text, with ids
 * inside the vocabulary. */
#include "runtime/text/tokenizer.h"
#include "tests/fuzz/fuzz.h"

enum { VOCAB = 1000, ROOM = 64 };

static void encode(const tokenizer *t, const char *text)
{
    int32_t ids[ROOM];
    deer_error err = fuzz_error();
    int n = tokenizer_prompt(t, text, ids, ROOM, &err);

    if (n > ROOM)
        abort();
    for (int i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= VOCAB)
            abort();
}

static void use(const char *json)
{
    static const char *const texts[] = {"lift the red block", "", "  a  don't 12\t\n\xc3\xa9",
                                        "aaaa<image>  \xf0\x9f\x98\x80<|endoftext|>"};
    deer_error err = fuzz_error();
    tokenizer *t;

    if (tokenizer_new("fuzz", json, VOCAB, &t, &err))
        return;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        encode(t, texts[i]);
    encode(t, json);
    tokenizer_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *completed;
    deer_error err = fuzz_error();

    memcpy(text, data, size);
    text[size] = 0;
    use(text);
    if (!tokenizer_complete("fuzz", text, &completed, &err))
        use(completed);
    free(completed);
    free(text);
    return 0;
}
