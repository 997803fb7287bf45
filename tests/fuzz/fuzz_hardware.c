/* SPDX-License-Identifier: MIT */
/* fuzz_hardware.c - profiles of machines. */
#include "budgets/machines/hardware.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    deer_error err = fuzz_error();
    deer_hardware *h = malloc(sizeof *h);
    char *text = malloc(size + 1); /* exactly: reading behind it is noticed */

    memcpy(text, data, size);
    text[size] = 0;
    (void)deer_hardware_parse(text, size, "fuzz", h, &err);
    free(text);
    free(h);
    return 0;
}
