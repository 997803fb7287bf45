/* SPDX-License-Identifier: MIT */
/* model_commands.h - the commands of deer-model that write model files. */
#ifndef RUNTIME_MODEL_COMMANDS_H
#define RUNTIME_MODEL_COMMANDS_H

#include "runtime/cli/tool.h"
#include "runtime/import/model_file.h"

int command_import(int argc, char **argv);
int command_convert(int argc, char **argv);
int command_synth(int argc, char **argv);

/* What --dtype says; false for another word. NULL is f32. */
static inline bool command_dtype(const char *name, weight_dtype *dtype)
{
    *dtype = WEIGHT_F32;
    return !name || weight_dtype_from_name(name, dtype);
}

/* Shows how far a file is: model_output.progress, its context a tool_progress. */
static inline void command_progress(void *context, uint64_t bytes, uint64_t total)
{
    tool_progress *p = context;

    p->total = (double)total / 1e6;
    tool_progress_update(p, (double)bytes / 1e6);
}

#endif
