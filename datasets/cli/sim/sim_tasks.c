/* SPDX-License-Identifier: MIT */
/* sim_tasks.c - choosing tasks by name, and deer-sim tasks. */
#include <stdio.h>
#include <string.h>

#include "datasets/cli/sim/sim_commands.h"
#include "datasets/tabletop/tabletop.h"
#include "runtime/cli/tool.h"

static bool matches(int task, const char *name, size_t length)
{
    const char *task_name = tabletop_task_name(task), *family = tabletop_task_family(task);

    return (length == 3 && !strncmp(name, "all", 3) && task < tabletop_tasks()) ||
           (length == 5 && !strncmp(name, "every", 5)) ||
           (strlen(task_name) == length && !strncmp(name, task_name, length)) ||
           (strlen(family) == length && !strncmp(name, family, length));
}

int sim_select_tasks(const char *names, int *tasks, const char **unknown)
{
    bool chosen[256] = {false};
    int count = 0;

    for (const char *p = names; *p;) {
        size_t length = strcspn(p, ",");
        int found = 0;
        for (int t = 0; t < tabletop_every_task(); t++)
            if (matches(t, p, length)) {
                chosen[t] = true;
                found++;
            }
        if (!found) {
            *unknown = p;
            return -1;
        }
        p += length + (p[length] == ',');
    }
    for (int t = 0; t < tabletop_every_task(); t++)
        if (chosen[t])
            tasks[count++] = t;
    return count;
}

bool sim_split(const tool_command *command, const char *name, tabletop_split *split)
{
    *split = strcmp(name, "unseen") ? TABLETOP_SEEN : TABLETOP_UNSEEN;
    if (*split == TABLETOP_UNSEEN || !strcmp(name, "seen"))
        return true;
    tool_usage(command, "--split is seen or unseen, not '%s'", name);
    return false;
}

int sim_tasks_main(int argc, char **argv)
{
    const tool_option options[] = {{NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {"deer-sim tasks", "lists the tasks", "", options, "deer-sim tasks"};
    int status;

    if (tool_parse(&self, argc, argv, NULL, NULL, &status))
        return status;
    printf("%-14s %s\n", "family", "task");
    for (int t = 0; t < tabletop_every_task(); t++)
        printf("%-14s %s\n", tabletop_task_family(t), tabletop_task_name(t));
    return DEER_OK;
}
