/* SPDX-License-Identifier: MIT */
/* json_memory.c - jansson's allocations, watched. */
#include "runtime/base/json/json_memory.h"

#include <setjmp.h>
#include <string.h>

#include "runtime/base/machine_failure.h"

static json_malloc_t get;
static _Thread_local jmp_buf *reading; /* where a reading of this thread's ends */
static _Thread_local bool failed;

static void *get_watched(size_t n)
{
    void *memory = get(n);

    if (machine_gave(memory))
        return memory;
    failed = true;
    if (reading)
        longjmp(*reading, 1);
    return NULL;
}

__attribute__((constructor)) void json_memory_watch(void)
{
    json_malloc_t now;
    json_free_t put;

    json_get_alloc_funcs(&now, &put);
    if (now == get_watched)
        return;
    get = now;
    json_set_alloc_funcs(get_watched, put);
}

/* A plugin that is unloaded leaves things as they were. */
__attribute__((destructor)) static void watch_no_more(void)
{
    json_malloc_t now;
    json_free_t put;

    json_get_alloc_funcs(&now, &put);
    if (now == get_watched)
        json_set_alloc_funcs(get, put);
}

json_t *json_parse(const char *text, size_t size, size_t flags, json_error_t *problem)
{
    jmp_buf end;
    json_t *json;

    if (setjmp(end)) {
        reading = NULL;
        if (problem)
            *problem = (json_error_t){.text = "out of memory"};
        return NULL;
    }
    reading = &end;
    json = json_loadb(text, size, flags, problem);
    reading = NULL;
    return json;
}

char *json_dumped(const json_t *json, size_t flags)
{
    char *text, *copy;
    json_malloc_t now;
    json_free_t put;

    failed = false;
    text = json_dumps(json, flags);
    copy = text && !failed ? strdup(text) : NULL;
    json_get_alloc_funcs(&now, &put);
    if (text)
        put(text);
    return copy;
}
