/* SPDX-License-Identifier: MIT */
/* plugins.c - a program that uses jansson, and loads and unloads the given shared objects. */
#include <dlfcn.h>
#include <jansson.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    void *plugin[8];
    json_t *json;

    for (int i = 1; i < argc && i <= 8; i++)
        if (!(plugin[i - 1] = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL))) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
    for (int i = 1; i < argc && i <= 8; i++)
        dlclose(plugin[i - 1]);
    json = json_pack("{s:i}", "one", 1);
    puts(json ? "jansson still works" : "nothing was made");
    json_decref(json);
    return 0;
}
