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
    _exit(DEER_FAILED);
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

static void print_option(const tool_option *o)
{
    char left[64];

    snprintf(left, sizeof left, "--%s%s%s", o->name, o->argument ? " " : "",
             o->argument ? o->argument : "");
    printf("  %-26s %s\n", left, o->help);
}

static void print_help(const tool_command *command)
{
    printf("%s - %s\n\nusage: %s %s\n\n", command->name, command->summary, command->name,
           command->usage);
    for (const tool_option *o = command->options; o->name; o++)
        print_option(o);
    printf("  %-26s %s\n", "--help", "this text");
    printf("  %-26s %s\n", "--version", "the version");
    printf("\nexamples:\n");
    for (const char *line = command->example; *line;) {
        size_t n = strcspn(line, "\n");
        printf("  %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

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
    case TOOL_STRING:
        *(const char **)o->value = text;
        return *text != 0;
    case TOOL_INT:
        *(long *)o->value = strtol(text, &end, 10);
        return end != text && !*end && !errno && *(long *)o->value != TOOL_NOT_GIVEN;
    case TOOL_DOUBLE:
        number = strtod(text, &end);
        *(double *)o->value = number;
        return end != text && !*end && isfinite(number);
    case TOOL_BYTES:
        return store_bytes(o->value, text);
    }
    return false;
}

/* Parses argv[i] = "--name[=value]" and maybe its value behind; returns how many words it took, 0
 * on an error already printed. */
static int parse_option(const tool_command *command, int argc, char **argv, int i)
{
    const char *name = argv[i] + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const tool_option *o = find_option(command, name, length);
    const char *value = equals ? equals + 1 : NULL;
    int taken = 1;

    if (!o) {
        tool_usage(command, "unknown option --%.*s", (int)length, name);
        return 0;
    }
    if (o->type == TOOL_FLAG && value) {
        tool_usage(command, "--%s takes no value", o->name);
        return 0;
    }
    if (o->type != TOOL_FLAG && !value) {
        if (i + 1 >= argc) {
            tool_usage(command, "--%s needs a value: %s", o->name, o->argument);
            return 0;
        }
        value = argv[i + 1];
        taken = 2;
    }
    if (!store(o, value)) {
        tool_usage(command, "'%s' is no value for --%s %s", value, o->name, o->argument);
        return 0;
    }
    return taken;
}

bool tool_parse(const tool_command *command, int argc, char **argv, const char **rest, int *n_rest,
                int *status)
{
    int count = 0;

    start_program(command->name);
    *status = DEER_USAGE;
    for (int i = 1; i < argc;) {
        int taken = 1;
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            print_help(command);
            *status = DEER_OK;
            return true;
        }
        if (!strcmp(argv[i], "--version")) {
            printf("%s %s\n", command->name, DEER_VERSION);
            *status = DEER_OK;
            return true;
        }
        if (!strncmp(argv[i], "--", 2) && argv[i][2]) {
            taken = parse_option(command, argc, argv, i);
            if (!taken)
                return true;
        } else if (rest) {
            rest[count++] = argv[i];
        } else {
            tool_usage(command, "unexpected argument '%s'", argv[i]);
            return true;
        }
        i += taken;
    }
    if (n_rest)
        *n_rest = count;
    *status = DEER_OK;
    return false;
}

int tool_fail(const tool_command *command, deer_status status, const deer_error *err)
{
    failed = true;
    fprintf(stderr, "%s: %s\n", command->name, err->message);
    return (int)status;
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
    return DEER_USAGE;
}

bool tool_outside(const tool_command *command, const char *option, long value, long low, long high)
{
    if (value == TOOL_NOT_GIVEN || (value >= low && value <= high))
        return false;
    tool_usage(command, "--%s must be %ld to %ld, not %ld", option, low, high, value);
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

int tool_dispatch(const char *program, const char *summary, const tool_subcommand *commands,
                  int argc, char **argv)
{
    start_program(program);
    if (argc > 1 && !strcmp(argv[1], "--version")) {
        printf("%s %s\n", program, DEER_VERSION);
        return DEER_OK;
    }
    for (const tool_subcommand *c = commands; argc > 1 && c->name; c++)
        if (!strcmp(argv[1], c->name))
            return c->run(argc - 1, argv + 1);
    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        printf("%s - %s\n\nusage: %s COMMAND [options]\n\n", program, summary, program);
        for (const tool_subcommand *c = commands; c->name; c++)
            printf("  %-10s %s\n", c->name, c->summary);
        printf("\n'%s COMMAND --help' explains a command, with examples.\n", program);
        return DEER_OK;
    }
    if (argc > 1)
        fprintf(stderr, "%s: unknown command '%s' (see %s --help)\n", program, argv[1], program);
    else
        fprintf(stderr, "%s: which command? (see %s --help)\n", program, program);
    return DEER_USAGE;
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
