/* SPDX-License-Identifier: MIT */
/* fuzz_npy.c - numpy's arrays: what is accepted lies in the file, and can be read as numbers. */
#include "datasets/sources/npy.h"
#include "runtime/import/pickle.h"
#include "tests/fuzz/fuzz.h"

enum { LARGEST = 1 << 16 };

static void read_array(const uint8_t *data, size_t size)
{
    deer_error err = fuzz_error();
    npy array;

    if (npy_parse("fuzz", data, size, &array, &err))
        return;
    fuzz_touch(array.data, array.size);
    if (array.object) {
        pickle p;

        if (!pickle_read("fuzz", array.data, array.size, &p, &err))
            pickle_free(&p);
    } else if (array.elements <= LARGEST) {
        float *out = malloc((size_t)array.elements * sizeof *out + 1);

        number_to_float(array.type, array.data, 1, (size_t)array.elements, out);
        free(out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t text = fuzz_text(data, size);
    uint8_t *file;

    if (!text || text > 0xffff) {
        read_array(data, size);
        return 0;
    }
    file = malloc(10 + size); /* exactly: reading behind it is noticed */
    memcpy(file, "\x93NUMPY\x01", 8);
    file[8] = (uint8_t)text;
    file[9] = (uint8_t)(text >> 8);
    memcpy(file + 10, data, text);
    if (text < size)
        memcpy(file + 10 + text, data + text + 1, size - text - 1);
    read_array(file, 10 + size - (text < size));
    free(file);
    return 0;
}
