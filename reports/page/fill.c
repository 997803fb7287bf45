/* SPDX-License-Identifier: MIT */
/* fill.c - a template, tag by tag. */
#include "reports/page/fill.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/formats/text.h"

enum { DEPTH = 16, TAG = 160 };

/* Where names are looked up, innermost last. */
typedef struct {
    const json_t *value;
    const char *key; /* of an object's member */
    int index;       /* of a list's item; -1: of nothing */
} place;

typedef struct {
    const fill *f;
    place place[DEPTH];
    int places;
    deer_error *err;
} filling;

/* ---------------------------------------------------------------- paths -------------------- */

static const json_t *path(const filling *s, const char **at);

static const place *innermost(const filling *s)
{
    int i = s->places - 1;

    while (i > 0 && s->place[i].index < 0)
        i--;
    return &s->place[i];
}

static size_t word_length(const char *text)
{
    size_t n = 0;

    while (isalnum((unsigned char)text[n]) || text[n] == '_')
        n++;
    return n;
}

static const json_t *member(const json_t *object, const char *name, size_t length)
{
    char key[TAG];

    snprintf(key, sizeof key, "%.*s", (int)length, name);
    return json_object_get(object, key);
}

static const json_t *look_up(const filling *s, const char *name, size_t length)
{
    const json_t *found = NULL;

    for (int i = s->places - 1; i >= 0 && !found; i--)
        found = member(s->place[i].value, name, length);
    return found;
}

/* What lies between brackets; *at behind the closing one. */
static const json_t *indexed(const filling *s, const json_t *list, const char **at)
{
    long i;

    (*at)++;
    if (**at == '@') {
        i = innermost(s)->index;
        (*at)++;
    } else if (**at == '-' || isdigit((unsigned char)**at)) {
        i = strtol(*at, (char **)(uintptr_t)at, 10);
        i += i < 0 ? (long)json_array_size(list) : 0;
    } else {
        i = (long)json_integer_value(path(s, at));
    }
    *at += **at == ']';
    return i < 0 ? NULL : json_array_get(list, (size_t)i);
}

/* The value at *at, which moves behind its path; NULL where there is none. */
static const json_t *path(const filling *s, const char **at)
{
    size_t n = word_length(*at);
    const json_t *value = n ? look_up(s, *at, n) : s->place[s->places - 1].value;

    *at += n ? n : **at == '.';
    for (;;) {
        if (**at == '[') {
            value = indexed(s, value, at);
        } else if (**at == '.' && (n = word_length(*at + 1))) {
            value = member(value, *at + 1, n);
            *at += 1 + n;
        } else {
            return value;
        }
    }
}

/* ---------------------------------------------------------------- values ------------------- */

static double number_of(const json_t *value)
{
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void write_number(FILE *out, double value)
{
    char text[TEXT_DIGITS];

    fputs(isfinite(value) ? text_digits(text, value, "") : "&ndash;", out);
}

static void write_value(FILE *out, const json_t *value)
{
    if (json_is_string(value))
        text_html(out, json_string_value(value));
    else if (json_is_integer(value))
        fprintf(out, "%lld", (long long)json_integer_value(value));
    else
        write_number(out, number_of(value));
}

static void write_range(FILE *out, const json_t *low, const json_t *value, const json_t *high)
{
    write_number(out, number_of(value));
    if (!json_is_number(value))
        return;
    fputs(" <small>", out);
    write_number(out, number_of(low));
    fputs(" to ", out);
    write_number(out, number_of(high));
    fputs("</small>", out);
}

static void write_list(FILE *out, const json_t *list, double factor)
{
    if (json_is_number(list))
        fprintf(out, "%.3g", factor * number_of(list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *x = json_array_get(list, i);

        fputs(i ? " " : "", out);
        if (json_is_number(x))
            write_number(out, factor * number_of(x));
        else
            text_html(out, json_is_null(x) ? "always" : json_string_value(x));
    }
}

static bool holds(const json_t *value)
{
    if (json_is_string(value))
        return *json_string_value(value);
    if (json_is_array(value))
        return json_array_size(value);
    return value && !json_is_null(value) && !json_is_false(value);
}

static bool is_word(const json_t *value, const char *word)
{
    char number[32];

    if (json_is_string(value))
        return !strcmp(json_string_value(value), word);
    snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
    return json_is_integer(value) && !strcmp(number, word);
}

/* A value's tag, what is behind its path said how. */
static deer_status write_tag(filling *s, const char *tag)
{
    const char *at = tag;
    const place *in = innermost(s);
    FILE *out = s->f->out;
    const json_t *value;

    if (*tag == '!')
        return s->f->part(s->f->context, tag + 1, in->index, out, s->err);
    if (!strcmp(tag, "@")) {
        if (in->key)
            text_html(out, in->key);
        else
            fprintf(out, "%d", in->index);
        return DEER_OK;
    }
    value = path(s, &at);
    if (!*at) {
        write_value(out, value);
    } else if (!strcmp(at, " range")) {
        write_range(out, json_array_get(value, 0), json_array_get(value, 1),
                    json_array_get(value, 2));
    } else if (!strncmp(at, " within ", 8)) {
        const json_t *pair = (at += 8, path(s, &at));

        write_range(out, json_array_get(pair, 0), value, json_array_get(pair, 1));
    } else if (!strncmp(at, " between ", 9)) {
        const json_t *low = (at += 9, path(s, &at)), *high = (at += *at == ' ', path(s, &at));

        write_range(out, low, value, high);
    } else if (!strcmp(at, " list") || !strcmp(at, " percents")) {
        write_list(out, value, at[1] == 'l' ? 1 : 100);
    } else {
        return deer_fail(s->err, "the page's template has a tag '%s' that says nothing", tag);
    }
    return DEER_OK;
}

/* ---------------------------------------------------------------- blocks ------------------- */

/* Behind the {{/}} of the block whose inside begins at text; NULL: it never ends. */
static const char *end_of(const char *text)
{
    for (int open = 1; (text = strstr(text, "{{")); text += 2) {
        open += text[2] == '#' ? 1 : text[2] == '/' ? -1 : 0;
        if (!open)
            return text + 5;
    }
    return NULL;
}

static deer_status write_text(filling *s, const char *text, const char *end);

static deer_status within(filling *s, place p, const char *text, const char *end)
{
    deer_status status;

    if (s->places == DEPTH)
        return deer_fail(s->err, "the page's template is nested too deeply");
    s->place[s->places++] = p;
    status = write_text(s, text, end);
    s->places--;
    return status;
}

static deer_status each(filling *s, const json_t *value, const char *text, const char *end)
{
    deer_status status = DEER_OK;
    json_t *all = (json_t *)(uintptr_t)value;
    int index = 0;

    for (size_t i = 0; i < json_array_size(value) && !status; i++)
        status = within(s, (place){json_array_get(value, i), NULL, (int)i}, text, end);
    for (void *m = json_object_iter(all); m && !status; m = json_object_iter_next(all, m))
        status = within(s, (place){json_object_iter_value(m), json_object_iter_key(m), index++},
                        text, end);
    return status;
}

/* A block: its tag without the mark, and its inside. */
static deer_status write_block(filling *s, const char *tag, const char *text, const char *end)
{
    size_t n = word_length(tag);
    const char *at = tag + n + (tag[n] == ' ');
    const json_t *value = path(s, &at);
    bool yes = !strncmp(tag, "if", n)       ? holds(value)
               : !strncmp(tag, "unless", n) ? !holds(value)
                                            : is_word(value, at + (*at == ' '));

    if (!strncmp(tag, "each", n))
        return each(s, value, text, end);
    if (!strncmp(tag, "with", n))
        return value && !json_is_null(value) ? within(s, (place){value, NULL, -1}, text, end)
                                             : DEER_OK;
    if (strncmp(tag, "if", n) && strncmp(tag, "unless", n) && strncmp(tag, "is", n))
        return deer_fail(s->err, "the page's template has a block '%s' that says nothing", tag);
    return yes ? write_text(s, text, end) : DEER_OK;
}

static deer_status write_text(filling *s, const char *text, const char *end)
{
    const char *mark;

    for (deer_status status = DEER_OK; (mark = strstr(text, "{{")) && mark < end;) {
        const char *close = strstr(mark, "}}"), *after;
        char tag[TAG];

        fwrite(text, 1, (size_t)(mark - text), s->f->out);
        if (!close || close - mark >= TAG)
            return deer_fail(s->err, "the page's template has a tag without an end");
        snprintf(tag, sizeof tag, "%.*s", (int)(close - mark - 2), mark + 2);
        text = close + 2;
        if (*tag != '#') {
            status = write_tag(s, tag);
        } else if ((after = end_of(text))) {
            status = write_block(s, tag + 1, text, after - 5);
            text = after;
        } else {
            status = deer_fail(s->err, "the page's template has a block '%s' without an end", tag);
        }
        if (status)
            return status;
    }
    fwrite(text, 1, (size_t)(end - text), s->f->out);
    return DEER_OK;
}

deer_status fill_template(const fill *f, const char *text, const json_t *root, deer_error *err)
{
    filling s = {.f = f, .place = {{root, NULL, -1}}, .places = 1, .err = err};

    return write_text(&s, text, text + strlen(text));
}
