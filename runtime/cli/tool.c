/* SPDX-License-Identifier: MIT */
/* tool.c - options, messages and progress of the command-line programs. */
#include "runtime/cli/tool.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/file.h"

/* ---------------------------------------------------------------- program ------------------ */

static const char *program_name;
static bool failed; /* a message says so already */

/* Runs at exit: what was printed must have arrived, or a full disk looks like success. */
static void close_output(void)
{
    bool lost;

    errno = 0;
    lost = ferror(stdout);
    lost = fflush(stdout) || lost;
    if (!lost || failed)
        return;
    fprintf(stderr, "%s: cannot write to standard output: %s\n", program_name,
            errno ? strerror(errno) : "output was lost");
    _exit(TOOL_FAILED);
}

/* Interrupted: no half-written files stay. */
static void end_by_signal(int number)
{
    file_remove_unfinished();
    signal(number, SIG_DFL);
    raise(number);
}

static void watch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (signal(numbers[i], end_by_signal) == SIG_IGN)
            signal(numbers[i], SIG_IGN); /* as nohup wants it */
}

/* What every program does first; harmless to repeat. */
static void start_program(const char *name)
{
    if (!program_name) {
        atexit(close_output);
        watch_signals();
        signal(SIGXFSZ, SIG_IGN); /* a file-size limit then fails the write, which says so */
    }
    program_name = name;
}

/* ---------------------------------------------------------------- options ------------------ */

static const tool_option *find_option(const tool_command *command, const char *name, size_t length)
{
    for (const tool_option *o = command->options; o->name; o++)
        if (strlen(o->name) == length && !strncmp(o->name, name, length))
            return o;
    return NULL;
}

static bool store_bytes(double *bytes, const char *text)
{
    static const char units[] = "KMG";
    char *end;
    double value = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end) : NULL;

    *bytes = value * (unit ? pow(1000, (double)(unit - units + 1)) : 1);
    return end != text && value > 0 && isfinite(value) && (!*end || (unit && !end[1]));
}

static bool add_file(file_list *files, const char *name)
{
    if (files->count == FILE_LIST_MOST)
        return false;
    files->name[files->count++] = name;
    return true;
}

/* Stores a value; false when the text is not one of the option's type. */
static bool store(const tool_option *o, const char *text)
{
    char *end = NULL;
    double number;

    errno = 0;
    switch (o->type) {
    case TOOL_FLAG:
        *(bool *)o->value = true;
        return true;
    case TOOL_TEXT:
    case TOOL_FILE:
    case TOOL_OUTPUT:
        text = strcmp(text, "-") ? text : FILE_STDOUT;
        /* fall through */
    case TOOL_STRING:
        *(const char **)o->value = text;
        return *text != 0;
    case TOOL_INT:
        *(long *)o->value = strtol(text, &end, 10);
        return end != text && !*end && !errno && *(long *)o->value != TOOL_NOT_GIVEN;
    case TOOL_MAYBE:
        *(double *)o->value = INFINITY;
        if (!*text)
            return true;
        /* fall through */
    case TOOL_DOUBLE:
        number = strtod(text, &end);
        *(double *)o->value = number;
        return end != text && !*end && isfinite(number);
    case TOOL_BYTES:
        return store_bytes(o->value, text);
    case TOOL_FILES:
        return *text && add_file(o->value, text);
    case TOOL_RENAMED: /* stored under its new name */
        break;
    }
    return false;
}

/* Options of a command line as far as it is read. */
typedef struct {
    const tool_command *command;
    int argc;
    char **argv;
    bool given[TOOL_MOST_OPTIONS];
} command_line;

/* The option that argv[i] = "--name[=value]" names, by its present name; NULL on an error already
 * printed. */
static const tool_option *named_option(const command_line *line, int i)
{
    const tool_command *command = line->command;
    const char *name = line->argv[i] + 2;
    int length = (int)strcspn(name, "=");
    const tool_option *o = find_option(command, name, (size_t)length);

    if (!o) {
        tool_usage(command, "unknown option --%.*s", length, name);
    } else if (o->type == TOOL_RENAMED) {
        const char *present = o->value;
        fprintf(stderr, "%s: --%s is now --%s; the next version takes the new name only\n",
                command->name, o->name, present);
        o = find_option(command, present, strlen(present));
    }
    return o;
}

/* The value of option o at argv[i]: behind its "=", or the next word; then *taken is 2. NULL on an
 * error already printed. */
static const char *option_value(const command_line *line, const tool_option *o, int i, int *taken)
{
    const char *equals = strchr(line->argv[i], '=');
    const char *next = i + 1 < line->argc ? line->argv[i + 1] : NULL;

    if (equals)
        return equals + 1;
    if (o->type == TOOL_OUTPUT && (!next || !strncmp(next, "--", 2)))
        return FILE_STDOUT;
    if (o->type == TOOL_MAYBE && (!next || !strchr("0123456789.", *next)))
        return "";
    if (!next)
        tool_usage(line->command, "--%s needs a value: %s", o->name, o->argument);
    *taken = 2;
    return next;
}

/* The words behind a TOOL_FILES option and its first value, up to the next option; returns how many
 * it took, -1 on an error already printed. */
static int store_more(const command_line *line, const tool_option *o, int from)
{
    int i = from;

    for (; i < line->argc && strncmp(line->argv[i], "--", 2) != 0; i++)
        if (!store(o, line->argv[i])) {
            tool_usage(line->command, "'%s' is no value for --%s %s", line->argv[i], o->name,
                       o->argument);
            return -1;
        }
    return i - from;
}

/* Whether the option may stand here once more; otherwise prints why not. */
static bool is_first(command_line *line, const tool_option *o)
{
    bool *given = &line->given[o - line->command->options];

    if (*given && o->type != TOOL_FLAG && o->type != TOOL_FILES) {
        tool_usage(line->command, "--%s is given twice", o->name);
        return false;
    }
    *given = true;
    return true;
}

/* Parses argv[i] = "--name[=value]" and maybe its value behind; returns how many words it took, 0
 * on an error already printed. */
static int parse_option(command_line *line, int i)
{
    const tool_option *o = named_option(line, i);
    const char *value = NULL;
    int taken = 1;

    if (!o || !is_first(line, o))
        return 0;
    if (o->type == TOOL_FLAG && strchr(line->argv[i], '=')) {
        tool_usage(line->command, "--%s takes no value", o->name);
        return 0;
    }
    if (o->type != TOOL_FLAG && !(value = option_value(line, o, i, &taken)))
        return 0;
    if (!store(o, value)) {
        tool_usage(line->command, "'%s' is no value for --%s %s", value, o->name, o->argument);
        return 0;
    }
    if (o->type == TOOL_FILES) {
        int more = store_more(line, o, i + taken);

        taken = more < 0 ? 0 : taken + more;
    }
    return taken;
}

/* Whether the word asks for what every command can say of itself; then says so. */
static bool says_of_itself(const tool_command *command, const char *word)
{
    if (!strcmp(word, "--help") || !strcmp(word, "-h"))
        tool_print_help(command);
    else if (!strcmp(word, "--help-table"))
        tool_print_table(command);
    else if (!strcmp(word, "--version"))
        printf("%s %s\n", command->name, DEER_VERSION);
    else
        return false;
    return true;
}

bool tool_parse(const tool_command *command, int argc, char **argv, const char **rest, int *n_rest,
                int *status)
{
    command_line line = {.command = command, .argc = argc, .argv = argv};
    int count = 0, taken;

    start_program(command->name);
    *status = TOOL_USAGE;
    for (int i = 1; i < argc; i += taken) {
        taken = 1;
        if (says_of_itself(command, argv[i])) {
            *status = TOOL_DONE;
            return true;
        }
        if (!strncmp(argv[i], "--", 2) && argv[i][2]) {
            taken = parse_option(&line, i);
            if (!taken)
                return true;
        } else if (rest) {
            rest[count++] = argv[i];
        } else {
            tool_usage(command, "unexpected argument '%s'", argv[i]);
            return true;
        }
    }
    if (n_rest)
        *n_rest = count;
    *status = TOOL_DONE;
    return file_list_wrong(command, rest, count, status);
}

int tool_exit_status(deer_status status)
{
    return status == DEER_OK           ? TOOL_DONE
           : status == DEER_USAGE      ? TOOL_USAGE
           : status == DEER_INFEASIBLE ? TOOL_INFEASIBLE
                                       : TOOL_FAILED;
}

int tool_fail(const tool_command *command, deer_status status, const deer_error *err)
{
    failed = true;
    fprintf(stderr, "%s: %s\n", command->name, err->message);
    return tool_exit_status(status);
}

int tool_usage(const tool_command *command, const char *format, ...)
{
    va_list args;

    failed = true;
    fprintf(stderr, "%s: ", command->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, " (see %s --help)\n", command->name);
    return TOOL_USAGE;
}

const char *tool_only(const char *const *rest, int n_rest, const char *option)
{
    if (option)
        return n_rest == 0 ? option : NULL;
    return n_rest == 1 ? rest[0] : NULL;
}

bool tool_outside(const tool_command *command, const char *option, long value, long low, long high)
{
    if (value == TOOL_NOT_GIVEN || (value >= low && value <= high))
        return false;
    tool_usage(command, "--%s must be %ld to %ld, not %ld", option, low, high, value);
    return true;
}

bool tool_rate_outside(const tool_command *command, double hz)
{
    if (isnan(hz) || (hz >= 1e-3 && hz <= 1e5))
        return false;
    tool_usage(command, "--rate must be from 0.001 to 100000 Hz, not %g", hz);
    return true;
}

bool tool_ends_otherwise(const tool_command *command, const char *option, const char *path,
                         const char *ending)
{
    size_t length = path ? strlen(path) : 0, end = strlen(ending);

    if (!path || (length > end && !strcmp(path + length - end, ending)))
        return false;
    tool_usage(command, "--%s must end in %s, not '%s'", option, ending, path);
    return true;
}

bool tool_is_short_form(int argc, char **argv)
{
    static const char *const common[] = {"--help", "--version", "--help-table"};

    if (argc < 2 || strncmp(argv[1], "--", 2) != 0)
        return false;
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (!strcmp(argv[1], common[i]))
            return false;
    return true;
}

static void print_commands(const char *program, const char *summary,
                           const tool_subcommand *commands)
{
    printf("%s - %s\n\nusage: %s COMMAND [options]\n\n", program, summary, program);
    for (const tool_subcommand *c = commands; c->name; c++)
        printf("  %-10s %s\n", c->name, c->summary);
    printf("\n'%s COMMAND --help' explains a command, with examples.\n", program);
}

/* The program's line, then every command's table. */
static int print_tables(const char *program, const char *summary, const tool_subcommand *commands)
{
    static char name[] = "command", option[] = "--help-table";
    char *argv[] = {name, option, NULL};

    printf("program\t%s\t%s\n", program, summary);
    for (const tool_subcommand *c = commands; c->name; c++)
        if (c->run(2, argv))
            return DEER_FAILED;
    return DEER_OK;
}

int tool_dispatch(const char *program, const char *summary, const tool_subcommand *commands,
                  int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;

    start_program(program);
    for (const tool_subcommand *c = commands; word && c->name; c++)
        if (!strcmp(word, c->name))
            return c->run(argc - 1, argv + 1);
    if (word && !strcmp(word, "--help-table"))
        return print_tables(program, summary, commands);
    if (word && !strcmp(word, "--version")) {
        printf("%s %s\n", program, DEER_VERSION);
        return TOOL_DONE;
    }
    if (word && (!strcmp(word, "--help") || !strcmp(word, "-h"))) {
        print_commands(program, summary, commands);
        return TOOL_DONE;
    }
    if (word)
        fprintf(stderr, "%s: unknown command '%s' (see %s --help)\n", program, word, program);
    else
        fprintf(stderr, "%s: which command? (see %s --help)\n", program, program);
    return TOOL_USAGE;
}

void tool_print_number(double value, int width, int digits)
{
    if (isfinite(value))
        printf(" %*.*f", width, digits, value);
    else
        printf(" %*s", width, "-");
}

/* ---------------------------------------------------------------- progress ----------------- */

long tool_cores(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
}

void tool_progress_start(tool_progress *p, const char *what, const char *unit, double total)
{
    *p = (tool_progress){.what = what,
                         .unit = unit,
                         .total = total,
                         .started = clock_seconds(),
                         .terminal = isatty(STDERR_FILENO)};
}

/* Columns of the terminal on standard error. */
static int terminal_columns(void)
{
    struct winsize size;

    return !ioctl(STDERR_FILENO, TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : 80;
}

/* A bar that takes at most `room` columns; none where that is too little for one. */
static void draw_bar(double part, int room, char bar[64])
{
    enum { WIDEST = 30, NARROWEST = 5, AROUND = 3 };
    int width = room - AROUND < WIDEST ? room - AROUND : WIDEST, filled = (int)(part * width);

    *bar = 0;
    if (width >= NARROWEST)
        snprintf(bar, 64, " [%.*s%*s]", filled, "##############################", width - filled,
                 "");
}

void tool_progress_update(tool_progress *p, double done)
{
    double now = clock_seconds(), elapsed = now - p->started;
    double part = p->total > 0 ? fmin(done / p->total, 1) : 1;
    double rate = elapsed > 0 ? done / elapsed : 0;
    double left = rate > 0 ? (p->total - done) / rate : 0;
    char bar[64], numbers[160];
    int room, name = (int)strlen(p->what), length;

    if (!p->terminal || (now - p->drawn < 0.1 && done < p->total))
        return;
    p->drawn = now;
    room = terminal_columns() - 1; /* the last column makes some terminals begin a new line */
    length = snprintf(numbers, sizeof numbers, " %3.0f%%  %.0f/%.0f %s  %.0f/s  ETA %.0f s",
                      100 * part, done, p->total, p->unit, rate, left);
    draw_bar(part, room - name - length, bar);
    fprintf(stderr, "\r%.*s%s%.*s\033[K", room, p->what, bar, room > name ? room - name : 0,
            numbers);
}

void tool_progress_end(tool_progress *p)
{
    if (p->terminal)
        fprintf(stderr, "\r\033[K");
}
