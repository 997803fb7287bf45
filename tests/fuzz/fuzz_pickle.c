/* SPDX-License-Identifier: MIT */
/* fuzz_pickle.c - the restricted unpickler: every value of what it accepts can be walked. */
#include "runtime/import/pth.h"
#include "tests/fuzz/fuzz.h"

enum { DEEPEST = 200, LARGEST = 1 << 16 };

static void read_array(const pickle_value *v)
{
    pth none = {.path = (char *)(uintptr_t) "fuzz"};
    int64_t n = pickle_elements(v);
    deer_error err = fuzz_error();
    float *out;

    if (v->kind != PICKLE_ARRAY || n > LARGEST)
        return;
    out = malloc((size_t)n * sizeof *out + 1);
    if (out && !pth_read(&none, v, out, &err))
        fuzz_touch(out, (size_t)n * sizeof *out);
    free(out);
}

static void walk(const pickle_value *v, int depth, int *left)
{
    if (!v || depth > DEEPEST || --*left < 0)
        return;
    switch (v->kind) {
    case PICKLE_TEXT:
    case PICKLE_BYTES:
        fuzz_touch(v->as.text.at, v->as.text.size);
        break;
    case PICKLE_LIST:
    case PICKLE_TUPLE:
    case PICKLE_DICT:
        for (size_t i = 0; i < v->as.many.count; i++)
            walk(v->as.many.item[i], depth + 1, left);
        break;
    case PICKLE_TENSOR:
    case PICKLE_ARRAY:
        read_array(v);
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int left = 100000;
    deer_error err = fuzz_error();
    pickle p;

    if (pickle_read("fuzz", data, size, &p, &err))
        return 0;
    walk(p.root, 0, &left);
    pickle_integer(p.root, "exit_interval", 1);
    pickle_free(&p);
    return 0;
}
