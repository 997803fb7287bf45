/* SPDX-License-Identifier: MIT */
/* tool.h - what the command-line programs share: options, messages, progress. Not part of libdeer.
 *
 *   static const char *model, *out;
 *   static double      budget = NAN;
 *   static bool        json;
 *   const tool_option  options[] = {
 *       {"model", TOOL_STRING, &model, "FILE", "policy to run (required)"},
 *       {"avg-gflops", TOOL_DOUBLE, &budget, "X", "average budget, GFLOPs a step"},
 *       {"json", TOOL_FLAG, &json, NULL, "print JSON on standard output"},
 *       {NULL}};
 *   const tool_command self = {"deer-calib solve", "chooses thresholds under budgets",
 *                              "[options]", options,
 *                              "deer-calib solve --cache c --avg-gflops 0.01 --out t.json"};
 *   if (tool_parse(&self, argc, argv, &rest, &n_rest, &status))
 *       return status; // --help, --version or wrong usage; already printed
 *
 * A program that parsed or dispatched ends with status 1 and a message when its standard output
 * could not be written (a full disk), and meets a file-size limit as a failing write, not a signal.
 */
#ifndef RUNTIME_TOOL_H
#define RUNTIME_TOOL_H

#include <limits.h>

#include "runtime/base/file_list.h"
#include "runtime/deer.h"

typedef enum {
    TOOL_FLAG,    /* bool *: set to true */
    TOOL_STRING,  /* const char **: points into argv */
    TOOL_INT,     /* long *: a decimal integer, range-checked by the caller */
    TOOL_DOUBLE,  /* double *: a finite number */
    TOOL_MAYBE,   /* double *: a finite number, or infinity where none follows */
    TOOL_BYTES,   /* double *: a positive number and maybe K, M or G, powers of 1000 */
    TOOL_FILES,   /* file_list *: every word up to the next option, appended; may be repeated */
    TOOL_FILE,    /* const char **: a file to write, which must have a name */
    TOOL_TEXT,    /* const char **: a text to write into a file, or FILE_STDOUT for "-" */
    TOOL_OUTPUT,  /* const char **: a file to write, FILE_STDOUT for "-" and where none follows */
    TOOL_RENAMED, /* const char [], the new name: an old spelling, accepted and said so; not in help
                   */
} tool_type;

/* What a program ends with. */
enum {
    TOOL_DONE = 0,
    TOOL_FAILED = 1,     /* a file, the system or the data */
    TOOL_USAGE = 2,      /* the command line */
    TOOL_INFEASIBLE = 3, /* a budget that nothing can meet, or that is exceeded */
};

int tool_exit_status(deer_status status);

/* As the default of a TOOL_INT option: tells whether it was given. */
#define TOOL_NOT_GIVEN LONG_MIN

/* Options a command may have, old spellings included. */
enum { TOOL_MOST_OPTIONS = 64 };

/* Threads that any --threads may ask for. */
enum { TOOL_MOST_THREADS = 1024 };

typedef struct {
    const char *name; /* without the dashes; a NULL name ends the table */
    tool_type type;
    void *value;          /* holds the default until parsed */
    const char *argument; /* placeholder shown by --help, NULL for flags */
    const char *help;
} tool_option;

typedef struct {
    const char *name;    /* "deer-calib solve": starts every message */
    const char *summary; /* one line */
    const char *usage;   /* what follows the name, e.g. "M [options]" */
    const tool_option *options;
    const char *example; /* one or more lines, shown by --help */
} tool_command;

/* Parses options from argv[1..]; --name value and --name=value. An option with a value may be given
 * once. Positional arguments are collected into rest (at most argc of them; rest may be NULL if
 * none are allowed) and *n_rest. Returns true when the program should end now with *status: after
 * --help, --version and
 * --help-table, what manual pages and completion are made of (printed to stdout, status 0), and
 * after wrong usage (one line on stderr, status 2). */
bool tool_parse(const tool_command *command, int argc, char **argv, const char **rest, int *n_rest,
                int *status);

/* Whether an output cannot be written, or would overwrite an input or another output; then prints
 * so. tool_parse calls it. */
bool file_list_wrong(const tool_command *command, const char *const *rest, int n_rest, int *status);

/* Prints "name: message" on stderr and returns the exit status. */
int tool_fail(const tool_command *command, deer_status status, const deer_error *err);

/* The same for wrong usage: "name: message (see name --help)", status 2. */
int tool_usage(const tool_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The one name that a command is about: its only argument, or else what an option gives (not NULL).
 * NULL when there is none, or more than one. */
const char *tool_only(const char *const *rest, int n_rest, const char *option);

/* Whether an integer option was given outside its range; then prints so as tool_usage does. */
bool tool_outside(const tool_command *command, const char *option, long value, long low, long high);

/* Likewise of --rate, steps a second; NaN: not given. */
bool tool_rate_outside(const tool_command *command, double hz);

/* Whether a file's name was given (path is not NULL) without its type's ending, ".png"; then prints
 * so as tool_usage does. */
bool tool_ends_otherwise(const tool_command *command, const char *option, const char *path,
                         const char *ending);

/* For a program with sub-commands ("deer-calib solve"): runs the one argv[1] names with argv + 1,
 * prints the list for --help, the version for --version. */
typedef struct {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
} tool_subcommand;

int tool_dispatch(const char *program, const char *summary, const tool_subcommand *commands,
                  int argc, char **argv);

/* Whether a program that has a short form is called by it: an option follows the program's name,
 * and none of those that every program has. */
bool tool_is_short_form(int argc, char **argv);

/* Prints what --help and --help-table say of a command; tool_parse calls them. */
void tool_print_help(const tool_command *command);
void tool_print_table(const tool_command *command);

/* Prints a space and a number on standard output, or a dash where it is not known (not finite). */
void tool_print_number(double value, int width, int digits);

/* A progress bar with rate and ETA on stderr, one line however narrow the terminal is (then first
 * the bar and then the text is shorter); silent when stderr is not a terminal. */
typedef struct {
    const char *what; /* "replay" */
    const char *unit; /* "frames" */
    double total;
    double started, drawn; /* seconds */
    bool terminal;
} tool_progress;

void tool_progress_start(tool_progress *p, const char *what, const char *unit, double total);
void tool_progress_update(tool_progress *p, double done);
void tool_progress_end(tool_progress *p);

/* Cores this process may use: how many threads or workers a tool starts by default. */
long tool_cores(void);

#endif
