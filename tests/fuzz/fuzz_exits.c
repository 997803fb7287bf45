/* SPDX-License-Identifier: MIT */
/* fuzz_exits.c - evaluations whose exits another one is to repeat (deer-sim eval --exits). */
#include <math.h>

#include "datasets/cli/sim/sim_exits.h"
#include "tests/fuzz/fuzz.h"

enum { EXITS = 6 };

static void check_shares(const double *share)
{
    double sum = 0;

    for (int k = 0; k < EXITS; k++) {
        if (!(share[k] >= 0))
            abort();
        sum += share[k];
    }
    if (!(fabs(sum - 1) < 1e-9))
        abort();
}

static void read_as(const char *kind, const char *path)
{
    deer_error err = fuzz_error();
    exits_control control;
    char text[128];

    snprintf(text, sizeof text, "%s:%s", kind, path);
    if (sim_exits_read(text, EXITS, &control, &err))
        return;
    check_shares(control.first);
    for (int k = 0; k < EXITS && control.kind == EXITS_MARKOV; k++)
        check_shares(control.next[k]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = fuzz_file(data, size, "", 0, path);

    read_as("random", path);
    read_as("markov", path);
    close(fd);
    return 0;
}
