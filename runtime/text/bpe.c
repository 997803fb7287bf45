/* SPDX-License-Identifier: MIT */
/* bpe.c - byte-level byte-pair encoding. */
#include "runtime/text/bpe.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { LONGEST_TEXT = 16384, MAX_ADDED = 4096 };

/* GPT-2's split into words, numbers, punctuation and white space. Source: the Hugging Face
 * tokenizers library, pre_tokenizers/byte_level.rs. */
static const char pattern[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
                              "\\s+(?!\\S)|\\s+";

typedef struct {
    char *text;
    size_t length;
    int32_t id;
    bool normalized;
} added_token;

typedef struct {
    uint64_t pair; /* left << 32 | right; UINT64_MAX: empty */
    int32_t rank, id;
} merge;

struct bpe {
    int32_t byte[256]; /* id of each byte's symbol */
    merge *merge;      /* hash table */
    size_t slots;      /* a power of two */
    added_token *added;
    size_t n_added;
    bool nfc;
    pcre2_code *words;
};

/* ---------------------------------------------------------------- merges ------------------- */

static size_t slot_of(const bpe *t, uint64_t pair)
{
    uint64_t h = pair * 0x9e3779b97f4a7c15u;

    return (size_t)(h >> 32) & (t->slots - 1);
}

static const merge *find_merge(const bpe *t, int32_t left, int32_t right)
{
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;

    for (size_t i = slot_of(t, pair);; i = (i + 1) & (t->slots - 1)) {
        if (t->merge[i].pair == pair)
            return &t->merge[i];
        if (t->merge[i].pair == UINT64_MAX)
            return NULL;
    }
}

static void add_merge(bpe *t, int32_t left, int32_t right, int32_t rank, int32_t id)
{
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t i = slot_of(t, pair);

    while (t->merge[i].pair != UINT64_MAX && t->merge[i].pair != pair)
        i = (i + 1) & (t->slots - 1);
    if (t->merge[i].pair == UINT64_MAX) /* the first of equal ones has the lower rank */
        t->merge[i] = (merge){pair, rank, id};
}

/* Id of the token of `length` bytes, -1 when there is none. */
static int32_t id_of(const json_t *vocab, const char *text, size_t length)
{
    const json_t *id = json_object_getn(vocab, text, length);

    return id ? (int32_t)json_integer_value(id) : -1;
}

/* "left right", or ["left", "right"] in newer files. */
static bool read_merge(const json_t *entry, const json_t *vocab, int32_t *left, int32_t *right,
                       int32_t *id)
{
    const char *a = json_string_value(json_array_get(entry, 0));
    const char *b = json_string_value(json_array_get(entry, 1)), *text = json_string_value(entry);
    size_t m, n;
    char both[LONGEST_TEXT];

    if (text) {
        b = strchr(text, ' ');
        a = text;
        m = b ? (size_t)(b - a) : 0;
        b = b ? b + 1 : NULL;
    } else {
        m = a ? strlen(a) : 0;
    }
    n = b ? strlen(b) : 0;
    if (!m || !n || m + n >= sizeof both)
        return false;
    memcpy(both, a, m);
    memcpy(both + m, b, n);
    *left = id_of(vocab, a, m);
    *right = id_of(vocab, b, n);
    *id = id_of(vocab, both, m + n);
    return *left >= 0 && *right >= 0 && *id >= 0;
}

static deer_status read_merges(const char *where, bpe *t, const json_t *model, deer_error *err)
{
    const json_t *merges = json_object_get(model, "merges");
    const json_t *vocab = json_object_get(model, "vocab");
    size_t n = json_array_size(merges);

    for (t->slots = 1024; t->slots < 2 * n;)
        t->slots *= 2;
    t->merge = malloc(t->slots * sizeof *t->merge);
    if (!t->merge)
        return deer_fail(err, "out of memory reading the tokenizer of %s", where);
    memset(t->merge, 0xff, t->slots * sizeof *t->merge);
    for (size_t i = 0; i < n; i++) {
        int32_t left, right, id;

        if (!read_merge(json_array_get(merges, i), vocab, &left, &right, &id))
            return deer_fail(err, "%s: the tokenizer's merge %zu is not of words it has", where, i);
        add_merge(t, left, right, (int32_t)i, id);
    }
    return DEER_OK;
}

/* ---------------------------------------------------------------- vocabulary --------------- */

/* GPT-2's visible character for each byte: printable Latin-1 as it is, the others from U+0100 on.
 */
static size_t symbol_of(int byte, char *out)
{
    unsigned c = (unsigned)byte;

    if (!((byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae)) {
        unsigned before = 0;

        for (int b = 0; b < byte; b++)
            before += !((b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae);
        c = 256 + before;
    }
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = (char)(0xc0 | c >> 6);
    out[1] = (char)(0x80 | (c & 63));
    return 2;
}

static deer_status read_vocabulary(const char *where, bpe *t, const json_t *model, int vocab,
                                   deer_error *err)
{
    const json_t *words = json_object_get(model, "vocab"), *id;
    const char *word;
    char symbol[2];

    json_object_foreach((json_t *)(uintptr_t)words, word, id)
    {
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= vocab)
            return deer_fail(err, "%s: the tokenizer's id of '%s' lies outside the vocabulary",
                             where, word);
    }
    for (int b = 0; b < 256; b++) {
        t->byte[b] = id_of(words, symbol, symbol_of(b, symbol));
        if (t->byte[b] < 0 && b != 0xc0 && b != 0xc1 && b < 0xf5) /* those are never in UTF-8 */
            return deer_fail(err, "%s: the tokenizer has no token for byte %d", where, b);
    }
    return DEER_OK;
}

static int longest_first(const void *a, const void *b)
{
    const added_token *x = a, *y = b;

    return (x->length < y->length) - (x->length > y->length);
}

static deer_status read_added(const char *where, bpe *t, const json_t *list, int vocab,
                              deer_error *err)
{
    size_t n = json_array_size(list);

    if (n > MAX_ADDED)
        return deer_fail(err, "%s: the tokenizer adds more than %d tokens", where, MAX_ADDED);
    t->added = calloc(n + 1, sizeof *t->added);
    if (!t->added)
        return deer_fail(err, "out of memory reading the tokenizer of %s", where);
    for (size_t i = 0; i < n; i++) {
        const json_t *token = json_array_get(list, i), *id = json_object_get(token, "id");
        const char *text = json_string_value(json_object_get(token, "content"));
        added_token *to = &t->added[t->n_added++];

        if (!text || !*text || !json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) >= vocab)
            return deer_fail(err,
                             "%s: the tokenizer's added token %zu has no text, or an id outside "
                             "the vocabulary",
                             where, i);
        if (json_is_true(json_object_get(token, "single_word")) ||
            json_is_true(json_object_get(token, "lstrip")) ||
            json_is_true(json_object_get(token, "rstrip")))
            return deer_fail(err,
                             "%s: added token '%s' strips its neighbours, which is not supported",
                             where, text);
        *to = (added_token){strdup(text), strlen(text), (int32_t)json_integer_value(id),
                            json_is_true(json_object_get(token, "normalized"))};
        if (!to->text)
            return deer_fail(err, "out of memory reading the tokenizer of %s", where);
    }
    qsort(t->added, t->n_added, sizeof *t->added, longest_first);
    return DEER_OK;
}

/* ---------------------------------------------------------------- opening ------------------ */

static bool is_type(const json_t *part, const char *type)
{
    const char *is = json_string_value(json_object_get(part, "type"));

    return is && !strcmp(is, type);
}

/* None, NFC, or a sequence of no others. */
static deer_status read_normalizer(const char *where, const json_t *normalizer, bpe *t,
                                   deer_error *err)
{
    const json_t *parts = json_object_get(normalizer, "normalizers"), *part;
    const char *type = json_string_value(json_object_get(normalizer, "type"));
    size_t i;

    if (!normalizer || json_is_null(normalizer))
        return DEER_OK;
    if (!is_type(normalizer, "Sequence")) {
        t->nfc = is_type(normalizer, "NFC");
        return t->nfc ? DEER_OK
                      : deer_fail(err, "%s: the tokenizer's normalizer %s is not supported; NFC is",
                                  where, type ? type : "(without a type)");
    }
    json_array_foreach(parts, i, part)
    {
        const char *inner = json_string_value(json_object_get(part, "type"));

        if (!is_type(part, "NFC"))
            return deer_fail(err,
                             "%s: the tokenizer's normalizer %s, in a sequence, is not supported; "
                             "NFC is",
                             where, inner ? inner : "(without a type)");
        t->nfc = true;
    }
    return DEER_OK;
}

/* ByteLevel as GPT-2 has it, alone or in a sequence of one. */
static bool is_plain_byte_level(const json_t *before)
{
    if (is_type(before, "Sequence") &&
        json_array_size(json_object_get(before, "pretokenizers")) == 1)
        before = json_array_get(json_object_get(before, "pretokenizers"), 0);
    return is_type(before, "ByteLevel") &&
           !json_is_true(json_object_get(before, "add_prefix_space")) &&
           !json_is_false(json_object_get(before, "use_regex"));
}

static deer_status check_kind(const char *where, const json_t *json, bpe *t, deer_error *err)
{
    const json_t *model = json_object_get(json, "model");
    const json_t *before = json_object_get(json, "pre_tokenizer");
    const json_t *normalizer = json_object_get(json, "normalizer");
    static const char *const unsupported[] = {"dropout", "continuing_subword_prefix",
                                              "end_of_word_suffix", "byte_fallback",
                                              "ignore_merges"};

    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++) {
        const json_t *set = json_object_get(model, unsupported[i]);

        if (set && !json_is_null(set) && !json_is_false(set) &&
            !(json_is_number(set) && json_number_value(set) == 0) &&
            !(json_is_string(set) && !*json_string_value(set)))
            return deer_fail(err, "%s: the tokenizer uses %s, which is not supported", where,
                             unsupported[i]);
    }
    if (!is_plain_byte_level(before))
        return deer_fail(err, "%s: the tokenizer's pre_tokenizer is not plain ByteLevel", where);
    return read_normalizer(where, normalizer, t, err);
}

deer_status bpe_new(const char *where, const json_t *json, int vocab, bpe **out, deer_error *err)
{
    const json_t *model = json_object_get(json, "model");
    bpe *t = calloc(1, sizeof *t);
    size_t place;
    int problem;
    deer_status status;

    *out = NULL;
    if (!t)
        return deer_fail(err, "out of memory reading the tokenizer of %s", where);
    status = check_kind(where, json, t, err);
    if (!status)
        status = read_vocabulary(where, t, model, vocab, err);
    if (!status)
        status = read_merges(where, t, model, err);
    if (!status)
        status = read_added(where, t, json_object_get(json, "added_tokens"), vocab, err);
    if (!status) {
        t->words = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                                 &problem, &place, NULL);
        if (!t->words)
            status = deer_fail(err, "out of memory reading the tokenizer of %s", where);
    }
    if (status)
        bpe_free(t);
    else
        *out = t;
    return status;
}

void bpe_free(bpe *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_added; i++)
        free(t->added[i].text);
    free(t->added);
    free(t->merge);
    pcre2_code_free(t->words);
    free(t);
}

/* ---------------------------------------------------------------- encoding ----------------- */

typedef struct {
    const bpe *t;
    int32_t *ids;
    int n, room;
    int32_t *symbol; /* [LONGEST_TEXT] of the piece at hand */
    pcre2_match_data *match;
} encoding;

static void emit(encoding *e, int32_t id)
{
    if (e->n < e->room)
        e->ids[e->n++] = id;
}

/* One piece: a symbol a byte, then the pair of lowest rank, the leftmost of equals, again and
 * again. */
static void encode_piece(encoding *e, const char *text, size_t length)
{
    int32_t *s = e->symbol;
    size_t n = length;

    for (size_t i = 0; i < n; i++)
        s[i] = e->t->byte[(unsigned char)text[i]];
    while (n > 1) {
        const merge *best = NULL;
        size_t at = 0;

        for (size_t i = 0; i + 1 < n; i++) {
            const merge *m = find_merge(e->t, s[i], s[i + 1]);

            if (m && (!best || m->rank < best->rank)) {
                best = m;
                at = i;
            }
        }
        if (!best)
            break;
        s[at] = best->id;
        memmove(s + at + 1, s + at + 2, (n - at - 2) * sizeof *s);
        n--;
    }
    for (size_t i = 0; i < n; i++)
        emit(e, s[i]);
}

static void encode_words(encoding *e, const char *text, size_t length)
{
    size_t at = 0;

    while (at < length && e->n < e->room) {
        const size_t *range;

        if (pcre2_match(e->t->words, (PCRE2_SPTR)text, length, at, PCRE2_NO_UTF_CHECK, e->match,
                        NULL) < 0)
            return; /* the pattern matches at every character: out of memory alone leads here */
        range = pcre2_get_ovector_pointer(e->match);
        encode_piece(e, text + range[0], range[1] - range[0]);
        at = range[1];
    }
}

/* The longest added token of this kind at the start of text. */
static const added_token *added_at(const bpe *t, const char *text, size_t length, bool normalized)
{
    for (size_t i = 0; i < t->n_added; i++)
        if (t->added[i].normalized == normalized && t->added[i].length <= length &&
            !memcmp(t->added[i].text, text, t->added[i].length))
            return &t->added[i];
    return NULL;
}

static deer_status encode_raw(encoding *e, const char *text, size_t length, deer_error *err);

/* Cuts the added tokens of one kind out of text and encodes what lies between them. */
static deer_status cut(encoding *e, const char *text, size_t length, bool normalized,
                       deer_error *err)
{
    size_t from = 0, at = 0;
    deer_status status = DEER_OK;

    while (at <= length && !status) {
        const added_token *token =
            at < length ? added_at(e->t, text + at, length - at, normalized) : NULL;

        if (!token && at < length) {
            at++;
            continue;
        }
        if (at > from && normalized)
            encode_words(e, text + from, at - from);
        else if (at > from)
            status = encode_raw(e, text + from, at - from, err);
        if (!token)
            break;
        emit(e, token->id);
        at += token->length;
        from = at;
    }
    return status;
}

/* Normalizes, then cuts out the normalized added tokens. */
static deer_status encode_raw(encoding *e, const char *text, size_t length, deer_error *err)
{
    utf8proc_uint8_t *composed = NULL;
    utf8proc_ssize_t n;
    deer_status status;

    if (!e->t->nfc)
        return cut(e, text, length, true, err);
    n = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)length, &composed,
                     UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (n < 0 || n > LONGEST_TEXT) {
        free(composed);
        return deer_fail(err, "the instruction is not UTF-8");
    }
    status = cut(e, (const char *)composed, (size_t)n, true, err);
    free(composed);
    return status;
}

/* UTF8PROC functions accept what is not UTF-8 in places; this does not. */
static bool is_utf8(const char *text, size_t length)
{
    utf8proc_int32_t c;

    for (size_t at = 0; at < length;) {
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + at,
                                              (utf8proc_ssize_t)(length - at), &c);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

int bpe_encode(const bpe *t, const char *text, size_t length, int32_t *ids, int room,
               deer_error *err)
{
    encoding e = {.t = t, .ids = ids, .room = room};
    deer_status status = DEER_FAILED;

    if (length > LONGEST_TEXT / 4 || !is_utf8(text, length)) {
        deer_fail(err, "the instruction is not UTF-8, or longer than %d bytes", LONGEST_TEXT / 4);
        return -1;
    }
    e.symbol = malloc(LONGEST_TEXT * sizeof *e.symbol);
    e.match = pcre2_match_data_create(1, NULL);
    if (!e.symbol || !e.match)
        deer_fail(err, "out of memory for an instruction");
    else
        status = cut(&e, text, length, false, err);
    free(e.symbol);
    pcre2_match_data_free(e.match);
    return status ? -1 : e.n;
}
