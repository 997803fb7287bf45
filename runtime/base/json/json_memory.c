/* SPDX-License-Identifier: MIT */
/* json_memory.c - jansson's allocations, watched. */
#include "runtime/base/json/json_memory.h"

#include <jansson.h>

#include "runtime/base/machine_failure.h"

static json_malloc_t get;
static _Thread_local bool failed;

static void *get_noted(size_t n)
{
    void *memory = get(n);

    failed |= !machine_gave(memory);
    return memory;
}

__attribute__((constructor)) void json_memory_watch(void)
{
    json_malloc_t now;
    json_free_t put;

    json_get_alloc_funcs(&now, &put);
    if (now == get_noted)
        return;
    get = now;
    json_set_alloc_funcs(get_noted, put);
}

/* A library that is unloaded leaves things as they were. */
__attribute__((destructor)) static void watch_no_more(void)
{
    json_malloc_t now;
    json_free_t put;

    json_get_alloc_funcs(&now, &put);
    if (now == get_noted)
        json_set_alloc_funcs(get, put);
}

bool json_memory_failed(void)
{
    bool was = failed;

    failed = false;
    return was;
}
