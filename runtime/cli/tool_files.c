/* SPDX-License-Identifier: MIT */
/* tool_files.c - outputs that cannot be, found out before the work instead of after it. */
#include <stdio.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/machine_failure.h"
#include "runtime/cli/tool.h"

static const char *value_of(const tool_option *o)
{
    return *(const char **)o->value;
}

/* Where an option has a command write, NULL if nowhere. */
static const char *place_of(const tool_option *o)
{
    bool is = o->type == TOOL_FILE || o->type == TOOL_TEXT || o->type == TOOL_OUTPUT;

    return is ? value_of(o) : NULL;
}

static bool is_printed(const tool_option *o)
{
    const char *path = place_of(o);

    return path && file_is_stdout(path);
}

/* The file that an option has a command write, NULL if none. */
static const char *output_of(const tool_option *o)
{
    return is_printed(o) ? NULL : place_of(o);
}

/* The file or folder that an option has a command read. */
static const char *input_of(const tool_option *o)
{
    bool is = o->type == TOOL_STRING && o->argument &&
              (!strcmp(o->argument, "FILE") || !strcmp(o->argument, "DIR"));

    return is ? value_of(o) : NULL;
}

/* The same of an argument without an option, FILE or NAME=FILE. */
static const char *input_in(const char *argument)
{
    const char *equals = strchr(argument, '=');

    return equals ? equals + 1 : argument;
}

/* The option or argument that names what an output would overwrite, NULL if none does. */
static const char *overwritten(const tool_command *command, const tool_option *output,
                               const char *const *rest, int n_rest)
{
    const char *path = output_of(output);

    for (const tool_option *o = command->options; o->name; o++) {
        const char *other = o < output ? output_of(o) : NULL;

        other = other ? other : input_of(o);
        if (other && file_overlap(path, other))
            return other;
    }
    for (int i = 0; rest && i < n_rest; i++)
        if (file_overlap(path, input_in(rest[i])))
            return rest[i];
    return NULL;
}

/* The option before an output that prints, too; NULL if none does. */
static const char *printed_before(const tool_command *command, const tool_option *output)
{
    for (const tool_option *o = command->options; o < output && is_printed(output); o++)
        if (is_printed(o))
            return o->name;
    return NULL;
}

/* A file in some format has parts that are written out of order. */
static bool cannot_be_printed(const tool_option *o)
{
    return o->type == TOOL_FILE && is_printed(o);
}

bool file_list_wrong(const tool_command *command, const char *const *rest, int n_rest, int *status)
{
    deer_error err;

    *status = DEER_OK;
    for (const tool_option *o = command->options; o->name && !*status; o++) {
        unsigned before = machine_failures();
        const char *path = output_of(o), *printed = printed_before(command, o),
                   *other = path ? overwritten(command, o, rest, n_rest) : NULL;

        if (cannot_be_printed(o))
            *status = tool_usage(command, "--%s needs a file's name, not standard output", o->name);
        else if (printed)
            *status = tool_usage(
                command, "--%s and --%s both write to standard output; give one another place",
                printed, o->name);
        else if (other && machine_failures() != before)
            *status = tool_fail(command, file_overlap_unknown(path, other, &err), &err);
        else if (other)
            *status = tool_usage(
                command,
                "--%s %s would overwrite %s, which the command names, too; give it another place",
                o->name, path, other);
        else if (path && file_check_output(path, &err))
            *status = tool_fail(command, DEER_FAILED, &err);
    }
    return *status != DEER_OK;
}
