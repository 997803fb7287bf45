/* SPDX-License-Identifier: MIT */
/* machine_failure.c - counting failures of the machine. */
#include "runtime/base/machine_failure.h"

#include <errno.h>
#include <stdatomic.h>

static atomic_uint failures;

unsigned machine_failures(void)
{
    return atomic_load(&failures);
}

void machine_failed(void)
{
    atomic_fetch_add(&failures, 1);
}

void machine_failed_by(int number)
{
    static const int numbers[] = {ENOMEM, EIO,    ENOSPC, EDQUOT,    EMFILE,
                                  ENFILE, ESTALE, ENODEV, ETIMEDOUT, ENXIO};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (number == numbers[i]) {
            machine_failed();
            return;
        }
}

bool machine_gave(bool memory)
{
    if (!memory)
        machine_failed();
    return memory;
}
