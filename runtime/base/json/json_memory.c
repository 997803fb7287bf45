/* SPDX-License-Identifier: MIT */
/* json_memory.c - jansson's allocations, watched. */
#include "runtime/base/json/json_memory.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <string.h>
#include <sys/auxv.h>

#include "runtime/base/machine_failure.h"

/* Where they are is known from the start: elsewhere the first look at them takes memory. */
#define IN_EVERY_THREAD _Thread_local __attribute__((tls_model("initial-exec")))

static json_malloc_t get;
static IN_EVERY_THREAD jmp_buf *reading; /* where a reading of this thread's ends */
static IN_EVERY_THREAD bool failed;

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

void json_memory_watch(void)
{
    json_malloc_t now;
    json_free_t put;

    json_get_alloc_funcs(&now, &put);
    if (now == get_watched)
        return;
    get = now;
    json_set_alloc_funcs(get_watched, put);
}

/* The library, or what it was linked into, is not unloaded any more: jansson has a function of it.
 */
static void stay(void)
{
    Dl_info here, program;

    if (dladdr(&get, &here) && dladdr((void *)getauxval(AT_PHDR), &program) &&
        here.dli_fbase != program.dli_fbase)
        dlopen(here.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

__attribute__((constructor)) static void begin(void)
{
    stay();
    json_memory_watch();
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
