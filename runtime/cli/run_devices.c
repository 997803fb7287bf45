/* SPDX-License-Identifier: MIT */
/* run_devices.c - what a policy can run on. */
#include <stdio.h>

#include "runtime/base/json/json_build.h"
#include "runtime/base/machine_failure.h"
#include "runtime/cli/run_commands.h"
#include "runtime/cli/tool.h"
#include "runtime/gpu/gpu.h"

enum { DEVICES = 16 };

static void print(const gpu_about *list, int count)
{
    printf("%-40s %-10s %9s  %s\n", "device", "kind", "memory", "");
    printf("%-40s %-10s %9s\n", "cpu", "processor", "");
    for (int i = 0; i < count; i++) {
        const gpu_about *a = &list[i];

        printf("%-40s %-10s %6.1f GB  %s", a->name, a->kind, (double)a->memory / 1e9, a->driver);
        if (a->usable)
            printf("; uses %s\n", a->uses);
        else
            printf("; cannot be used: it lacks %s\n", a->missing);
    }
}

static json_t *device_json(const gpu_about *a)
{
    json_t *o = json_object();

    json_put(o, "name", json_string(a->name));
    json_put(o, "kind", json_string(a->kind));
    json_put(o, "memory_bytes", json_integer((json_int_t)a->memory));
    json_put(o, "driver", json_string(a->driver));
    json_put(o, "usable", json_boolean(a->usable));
    json_put(o, "uses", json_string(a->uses));
    json_put(o, "missing", json_string(a->missing));
    return o;
}

static deer_status print_json(const gpu_about *list, int count, const deer_error *why,
                              deer_error *err)
{
    json_t *o = json_object(), *all = json_array();

    for (int i = 0; i < count; i++)
        json_push(all, device_json(&list[i]));
    json_put(o, "gpus", all);
    json_put(o, "problem", why ? json_string(why->message) : json_null());
    return json_print(o, JSON_INDENT(2), err);
}

int run_devices_main(int argc, char **argv)
{
    static gpu_about list[DEVICES];
    bool json = false;
    const tool_option options[] = {
        {"json", TOOL_FLAG, &json, NULL, "print JSON on standard output"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {"deer-run devices", "lists what a policy can run on", "[options]",
                               options, "deer-run devices"};
    unsigned before = machine_failures();
    deer_error err, why;
    deer_status found, status = DEER_OK;
    int ended, count;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    found = gpu_list(list, DEVICES, &count, &why);
    if (found && machine_failures() != before)
        return tool_fail(&self, found, &why);
    count = count < DEVICES ? count : DEVICES;
    if (json)
        status = print_json(list, count, found ? &why : NULL, &err);
    else
        print(list, count);
    if (found && !json)
        fprintf(stderr, "%s\n", why.message);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}
