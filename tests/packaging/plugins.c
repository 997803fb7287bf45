/* SPDX-License-Identifier: MIT */
/* plugins.c - a program that uses jansson, and loads and unloads the given shared objects. */
#include <dlfcn.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static void *allocate(size_t n)
{
    return malloc(n);
}

int main(int argc, char **argv)
{
    void *plugin[8];
    json_malloc_t get;
    json_free_t put;

    json_set_alloc_funcs(allocate, free);
    for (int i = 1; i < argc && i <= 8; i++)
        if (!(plugin[i - 1] = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL))) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
    for (int i = 1; i < argc && i <= 8; i++)
        dlclose(plugin[i - 1]);
    json_decref(json_pack("{s:i}", "one", 1));
    json_get_alloc_funcs(&get, &put);
    puts(get == allocate ? "as it was" : "watched");
    return 0;
}
