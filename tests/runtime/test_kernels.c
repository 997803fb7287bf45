/* SPDX-License-Identifier: MIT */
/* test_kernels.c - the fast kernels against the plain ones, and small facts that must hold. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/half.h"
#include "runtime/deer.h"
#include "runtime/kernels/blas.h"
#include "runtime/kernels/isa.h"
#include "runtime/kernels/isa_amx.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/tiles.h"
#include "tests/base/with_threads.h"
#include "tests/runtime/tile_emulator.h"

/* float32 sums of up to 300 values of size 1: relative noise about 300 * 6e-8. */
static const float tolerance = 2e-5f;

static uint64_t seed = 1;

static float draw(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(seed >> 40) / (1 << 24) * 2 - 1);
}

static float *fill(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = draw();
    return x;
}

static void assert_within(const float *a, const float *b, int n, float bound)
{
    for (int i = 0; i < n; i++)
        if (!(fabsf(a[i] - b[i]) <= bound * (1 + fabsf(b[i]))))
            fail_msg("value %d: %.9g and %.9g", i, (double)a[i], (double)b[i]);
}

static void assert_close(const float *a, const float *b, int n)
{
    assert_within(a, b, n, tolerance);
}

static float x[40000], w[110000], b[300], y[20000], z[20000];

/* ---------------------------------------------------------------- instruction sets --------- */

static const isa *set_named(const char *name)
{
    const isa *list[ISA_MOST];
    int sets = isa_list(list);

    for (int s = 0; s < sets; s++)
        if (!strcmp(list[s]->name, name))
            return list[s];
    return NULL;
}

/* Those of this processor, the last in plain C, and before that AMX's tiles over AVX2: emulated,
 * where the processor has none. */
static int all_sets(const isa *list[ISA_MOST])
{
    int sets = isa_list(list);
#if defined(__x86_64__)
    static isa amx;
    void amx_for_avx2(isa * set, const isa *base);

    if (set_named("avx2")) {
        amx_for_avx2(&amx, set_named("avx2"));
        amx.name = "amx over avx2";
        tiles_emulate();
        list[sets] = list[sets - 1];
        list[sets++ - 1] = &amx;
    }
#endif
    return sets;
}

/* No thread keeps tiles behind a product. */
static void assert_no_tiles_are_held(void)
{
#if defined(__x86_64__)
    assert_int_equal(tiles_held(), 0);
#endif
}

/* test_neon.sh reads the line. */
static void test_isa_list(void **state)
{
    const isa *list[ISA_MOST];
    int sets = isa_list(list);

    (void)state;
    print_message("instruction sets:");
    for (int s = 0; s < sets; s++)
        print_message(" %s", list[s]->name);
    print_message("\n");
}

/* Linux says what the processor has; tiles are there if the system grants them, too. */
static void test_isa_list_is_what_linux_says(void **state)
{
#if defined(__x86_64__)
    static char flags[1 << 16];
    FILE *f = fopen("/proc/cpuinfo", "r");
    size_t length = f ? fread(flags, 1, sizeof flags - 1, f) : 0;
    bool tiles;

    if (f)
        fclose(f);
    flags[length] = 0;
    if (!strstr(flags, " avx2 "))
        skip();
    assert_non_null(set_named("avx2"));
    assert_int_equal(set_named("avx512_dot") != NULL,
                     strstr(flags, " avx512_bf16 ") && strstr(flags, " avx512_vnni "));
    tiles =
        strstr(flags, " amx_tile ") && strstr(flags, " amx_bf16 ") && strstr(flags, " amx_int8 ");
    assert_true(tiles || !isa_amx_granted());
    assert_int_equal(set_named("amx") != NULL, isa_amx_granted());
#endif
    (void)state;
}

static double seconds_of(const isa *set, weight_dtype type)
{
    int sets;
    const isa_time *time = isa_times(&sets);

    for (int s = 0; s < sets; s++)
        if (time[s].set == set)
            return time[s].seconds[type];
    fail_msg("%s was not tried", set->name);
    return NAN;
}

/* No other set is clearly faster than the one that is chosen; DEER_ISA decides, if it names one. */
static void test_choice(void **state)
{
    const isa *list[ISA_MOST];
    int sets = isa_list(list);
    deer_error err;

    (void)state;
    isa_use(NULL);
    assert_int_equal(isa_choose(&err), DEER_OK);
    for (int type = 0; type < WEIGHT_DTYPES; type++) {
        double chosen = seconds_of(isa_of((weight_dtype)type), (weight_dtype)type);
        assert_true(sets == 1 || (chosen > 0 && isfinite(chosen)));
        for (int s = 0; s < sets; s++)
            assert_true(isa_is_generic(list[s]) || /* for where there is nothing else */
                        seconds_of(list[s], (weight_dtype)type) > 0.7 * chosen);
    }
    isa_use(NULL);
    setenv("DEER_ISA", "abacus", 1);
    assert_int_equal(isa_choose(&err), DEER_USAGE);
    assert_non_null(strstr(err.message, "\"abacus\""));
    assert_non_null(strstr(err.message, list[0]->name));
    setenv("DEER_ISA", "amx", 1);
    assert_int_equal(isa_choose(&err), set_named("amx") ? DEER_OK : DEER_USAGE);
    if (!set_named("amx"))
        assert_non_null(strstr(err.message, "DEER_ISA is \"amx\", but this processor has "));
    for (int s = 0; s < sets; s++) {
        isa_use(NULL);
        setenv("DEER_ISA", list[s]->name, 1);
        assert_int_equal(isa_choose(&err), DEER_OK);
        for (int type = 0; type < WEIGHT_DTYPES; type++)
            assert_true(isa_of((weight_dtype)type) == list[s]);
    }
    unsetenv("DEER_ISA");
    isa_use(list[0]);
}

/* ---------------------------------------------------------------- products ----------------- */

enum { MOST_THREADS = 3 };

static workspace make_workspace(size_t bytes)
{
    workspace ws = {MOST_THREADS, (bytes + 63) / 64 * 64, NULL};

    ws.base = aligned_alloc(64, MOST_THREADS * ws.bytes);
    assert_non_null(ws.base);
    return ws;
}

/* A layer of this type, whose weights are made of w [n, k]; w becomes what they stand for. */
typedef struct {
    linear_layer layer;
    void *rows, *panels;
    float *scale;
} test_layer;

static void store_weight(void *rows, weight_dtype type, long at, float *value, float scale)
{
    uint32_t bits;

    memcpy(&bits, value, sizeof bits);
    if (type == WEIGHT_F32) {
        ((float *)rows)[at] = *value;
    } else if (type == WEIGHT_BF16) {
        bits &= 0xffff0000;
        ((uint16_t *)rows)[at] = (uint16_t)(bits >> 16);
        memcpy(value, &bits, sizeof bits);
    } else {
        long q = lrintf(*value / scale);
        ((uint8_t *)rows)[at] = (uint8_t)(q + 128);
        *value = (float)q * scale;
    }
}

static test_layer make_layer(weight_dtype type, int n, int k, const float *bias)
{
    test_layer t = {.layer = {{type, n, k, NULL, NULL}, bias}};
    size_t panels = matrix_panel_words(type, n, k);

    t.rows = calloc((size_t)n * (size_t)k, 4);
    t.panels = malloc(panels * 4);
    t.scale = calloc((size_t)n + 16, sizeof *t.scale);
    for (int i = 0; i < n; i++) {
        t.scale[i] = 1.0f / 127 / (float)(1 + i % 3);
        for (int j = 0; j < k; j++) {
            w[i * k + j] /= (float)(1 + i % 3);
            store_weight(t.rows, type, (long)i * k + j, &w[i * k + j], t.scale[i]);
        }
    }
    assert_true(matrix_pack(t.panels, t.rows, type, n, k, 0, (n + 15) / 16));
    t.layer.w.panels = t.panels;
    t.layer.w.scale = t.scale;
    return t;
}

/* Weights that are whole numbers already, of scale 1. */
static test_layer make_whole_layer(weight_dtype type, int n, int k)
{
    test_layer t = {.layer = {{type, n, k, NULL, NULL}, NULL}};

    t.rows = calloc((size_t)n * (size_t)k, 4);
    t.panels = malloc(matrix_panel_words(type, n, k) * 4);
    for (int i = 0; i < n * k; i++)
        store_weight(t.rows, type, i, &w[i], 1);
    assert_true(matrix_pack(t.panels, t.rows, type, n, k, 0, (n + 15) / 16));
    return t;
}

static void free_layer(test_layer *t)
{
    free(t->rows);
    free(t->panels);
    free(t->scale);
}

/* What a product of this type makes of activations: bfloat16 rounds to 2^-9 of each, 8 bits to
 * 1 / 254 of the largest of a row. Sums of k random errors grow with its square root; three of
 * those and a little more. */
static float error_bound(weight_dtype type, int k)
{
    float each = type == WEIGHT_F32 ? 1e-6f : type == WEIGHT_BF16 ? 0x1p-9f : 1.0f / 254;

    return 1e-5f + 4 * each * sqrtf((float)k);
}

static void check_product(weight_dtype type, int m, int n, int k)
{
    workspace ws = make_workspace(workspace_linear(m));
    float bound = error_bound(type, k);
    test_layer t;

    fill(x, m * k), fill(w, n * k), fill(b, n);
    t = make_layer(type, n, k, b);
    linear(&ws, y, x, &t.layer, m);
    reference_linear(z, x, w, b, m, n, k);
    for (int i = 0; i < m * n; i++)
        if (!(fabsf(y[i] - z[i]) <= bound))
            fail_msg("%s, type %d, %d x %d x %d: value %d is %g and not %g", isa_now()->name, type,
                     m, n, k, i, (double)y[i], (double)z[i]);
    linear_add(&ws, y, x, &t.layer, m); /* twice the same */
    for (int i = 0; i < m * n; i++)
        assert_true(fabsf(y[i] - 2 * z[i]) <= 2 * bound);
    linear_run(&ws, &(linear_job){.y = y,
                                  .x = x,
                                  .x_stride = 2 * k,
                                  .layer = &t.layer,
                                  .m = (m + 1) / 2}); /* every second row */
    for (int i = 0; i < (m + 1) / 2 * n; i++)
        assert_true(fabsf(y[i] - z[i / n * 2 * n + i % n]) <= bound);
    t.layer.b = NULL;
    linear_then(&ws, y, x, &t.layer, m, ACTIVATION_GELU);
    reference_linear(z, x, w, NULL, m, n, k);
    reference_gelu(z, m * n);
    for (int i = 0; i < m * n; i++)
        assert_true(fabsf(y[i] - z[i]) <= 1.2f * bound); /* gelu's slope is at most 1.13 */
    assert_no_tiles_are_held();
    x[k - 1] = NAN;
    linear(&ws, y, x, &t.layer, m);
    assert_true(isnan(y[0]) && isnan(y[n - 1]) && (m == 1 || !isnan(y[n])));
    free_layer(&t);
    free(ws.base);
}

/* On every instruction set that this processor has. Shapes with edges: fewer than 16 outputs, odd
 * inputs, more rows than a tile, a block, a chunk. */
static void test_linear(void **state)
{
    static const int sizes[][3] = {{1, 1, 1},    {1, 300, 300}, {7, 33, 65},  {14, 256, 64},
                                   {65, 1, 9},   {15, 48, 99},  {29, 17, 16}, {3, 37, 2100},
                                   {150, 40, 7}, {6, 35, 600},  {2, 31, 1030}};
    const isa *list[ISA_MOST];
    int sets = all_sets(list);

    (void)state;
    for (int s = 0; s < sets; s++) {
        isa_use(list[s]);
        for (int type = 0; type < WEIGHT_DTYPES; type++)
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
                check_product((weight_dtype)type, sizes[i][0], sizes[i][1], sizes[i][2]);
    }
    isa_use(list[0]);
}

/* The last of isa_list is for any processor of the kind, which may not have fused multiply-add. */
#ifdef __FP_FAST_FMAF
enum { GENERIC_IS_FUSED = 1 };
#else
enum { GENERIC_IS_FUSED = 0 };
#endif

/* A row's result depends neither on the rows beside it nor on threads; with float32 and 8-bit
 * weights (and fused sums) not on the instruction set either. */
static void test_linear_is_reproducible(void **state)
{
    enum { M = 33, N = 150, K = 555 };
    workspace ws = make_workspace(workspace_linear(M));
    const isa *list[ISA_MOST];
    int sets = all_sets(list);
    test_layer t;

    (void)state;
    fill(x, M * K), fill(w, N * K), fill(b, N);
    for (int type = 0; type < WEIGHT_DTYPES; type++) {
        t = make_layer((weight_dtype)type, N, K, b);
        for (int s = 0; s < sets; s++) {
            bool fused = GENERIC_IS_FUSED || s < sets - 1, same;
            isa_use(list[s]);
            with_threads(1);
            same = type != WEIGHT_BF16 && fused && s > 0;
            linear(&ws, same ? y : z, x, &t.layer, M);
            if (same)
                assert_memory_equal(y, z, M * N * sizeof *y);
            with_threads(MOST_THREADS);
            linear(&ws, y, x, &t.layer, M);
            assert_memory_equal(y, z, M * N * sizeof *y);
            assert_no_tiles_are_held();
            for (int i = 0; i < M; i++) {
                linear(&ws, y, x + i * K, &t.layer, 1);
                assert_memory_equal(y, z + i * N, N * sizeof *y);
            }
        }
        free_layer(&t);
    }
    isa_use(list[0]);
    free(ws.base);
}

/* ---------------------------------------------------------------- tiles -------------------- */

/* -3 to 3, and 127 once in every row: what every type holds exactly, whose sums are exact. */
static void fill_whole(float *to, int rows, int k, bool with_largest)
{
    for (int i = 0; i < rows * k; i++)
        to[i] = (float)(int)(draw() * 3.5f);
    for (int r = 0; with_largest && r < rows; r++)
        to[r * k + r % k] = 127;
}

/* Room for `count` values of 4 bytes and none more, so that a sanitizer sees what is beyond. */
static void *exactly(size_t count)
{
    void *room = malloc(count * 4);

    assert_non_null(room);
    return room;
}

/* One tile, where there is memory for what it may touch alone; y's columns beside it stay. */
static void check_tile(const isa *set, weight_dtype type, int rows, int panels, int k)
{
    enum { BESIDE = 3 };
    int n = panels * ISA_PANEL, words = matrix_words(type, k), subwords = set->subwords[type];
    long stride = isa_row_stride(subwords), y_stride = n + BESIDE;
    size_t size = (size_t)((rows - 1) * stride + (words + 15) / 16 * 16 * subwords);
    uint32_t *operand = exactly(size), *weights = exactly(matrix_panel_words(type, n, k));
    float *sums = exactly((size_t)((rows - 1) * y_stride + n)), ones[ISA_PANELS * ISA_PANEL];
    isa_row row[ISA_ROWS];
    test_layer t;

    fill_whole(x, rows, k, true), fill_whole(w, n, k, false), fill_whole(b, n, 1, false);
    t = make_whole_layer(type, n, k);
    memcpy(weights, t.panels, matrix_panel_words(type, n, k) * 4);
    for (int i = 0; i < n; i++)
        ones[i] = 1;
    memset(operand, 0xff, size * 4); /* no number at all */
    set->operand[type](operand, row, x, k, rows, k);
    reference_linear(z, x, w, NULL, rows, n, k);
    for (int i = 0; i < (rows - 1) * y_stride + n; i++)
        sums[i] = 1000;
    set->tile[type][panels - 1][rows](sums, y_stride, operand, weights, (long)words * ISA_PANEL,
                                      words, row, ones, NULL, false, true);
    for (int r = 0; r < rows; r++)
        assert_memory_equal(sums + r * y_stride, z + r * n, (size_t)n * 4);
    set->tile[type][panels - 1][rows](sums, y_stride, operand, weights, (long)words * ISA_PANEL,
                                      words, row, ones, b, true, false);
    if (set->leave)
        set->leave();
    for (int i = 0; i < (rows - 1) * y_stride + n; i++) {
        int r = (int)(i / y_stride), j = (int)(i % y_stride);
        assert_true(sums[i] == (j < n ? 2 * z[r * n + j] + b[j] : 1000));
    }
    free_layer(&t);
    free(operand), free(weights), free(sums);
}

/* Every number of rows and panels; inputs that are no whole words, steps of AMX, few, or so many
 * that tiles give hints. */
static void test_every_tile(void **state)
{
    static const int inputs[] = {1, 31, 64, 66, 131, 300};
    const isa *list[ISA_MOST];
    int sets = all_sets(list);

    (void)state;
    for (int s = 0; s < sets; s++)
        for (weight_dtype type = 0; type < WEIGHT_DTYPES; type++)
            for (int rows = 1; rows <= list[s]->rows[type]; rows++)
                for (int panels = 1; panels <= tile_panels(list[s], type, rows); panels++)
                    check_tile(list[s], type, rows, panels, inputs[(rows + panels + s) % 6]);
    assert_no_tiles_are_held();
}

/* An operand that forgets the last input. */
static isa_operand *whole_operand;
static void lossy_operand(uint32_t *to, isa_row *row, const float *from, long stride, int rows,
                          int k)
{
    float copy[ISA_ROWS][200];

    for (int r = 0; r < rows; r++) {
        memcpy(copy[r], from + r * stride, (size_t)k * sizeof *from);
        copy[r][k - 1] = 0;
    }
    whole_operand(to, row, copy[0], 200, rows, k);
}

/* Every set proves itself, and none that is wrong. */
static void test_wrong_sets_are_found(void **state)
{
    const isa *list[ISA_MOST];
    int sets = all_sets(list);

    (void)state;
    for (int s = 0; s < sets; s++)
        for (weight_dtype type = 0; type < WEIGHT_DTYPES; type++) {
            isa wrong = *list[s];
            assert_true(isa_is_right(list[s], type));
            whole_operand = wrong.operand[type];
            wrong.operand[type] = lossy_operand;
            assert_false(isa_is_right(&wrong, type));
        }
    assert_no_tiles_are_held();
#if defined(__x86_64__)
    print_message("tile instructions emulated: %ld\n", tiles_instructions());
    assert_true(!set_named("avx2") || isa_amx_granted() || tiles_instructions() > 5000);
#endif
}

static void test_pack_refuses(void **state)
{
    static const uint32_t bad32[] = {0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001};
    uint32_t rows[3 * 5] = {0}, panels[16 * 5];

    (void)state;
    assert_true(matrix_pack(panels, rows, WEIGHT_F32, 3, 5, 0, 1));
    for (int i = 0; i < 4; i++) {
        rows[14] = bad32[i];
        assert_false(matrix_pack(panels, rows, WEIGHT_F32, 3, 5, 0, 1));
        rows[14] = bad32[i] >> 16 ? bad32[i] >> 16 : 0; /* the 29th of 3 x 10 */
        if (rows[14] & 0x7f)
            assert_false(matrix_pack(panels, rows, WEIGHT_BF16, 3, 10, 0, 1));
        rows[14] = bad32[i] & 0xffff0000;
        assert_false(matrix_pack(panels, rows, WEIGHT_BF16, 3, 10, 0, 1));
    }
}

/* What OpenBLAS says of itself, as versions that were built either way do. */
static void test_blas_of_64_bits_is_left_alone(void **state)
{
    (void)state;
    assert_true(blas_has_ints("OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH NO_AFFINITY Zen "
                              "MAX_THREADS=64"));
    assert_false(blas_has_ints("OpenBLAS 0.3.21 USE64BITINT DYNAMIC_ARCH NO_AFFINITY Zen "
                               "MAX_THREADS=64"));
    assert_false(blas_has_ints(NULL));
}

/* By OpenBLAS on the last set, plain C: more inputs than are unpacked at a time, outputs that are
 * no multiple of a panel. Elsewhere it has nothing to do, nor where it was built without. */
static void test_blas(void **state)
{
    static const int sizes[][3] = {{64, 100, 600}, {97, 17, 33}, {200, 65, 90}, {70, 3, 1}};
    const isa *list[ISA_MOST];
    int sets = isa_list(list);
    linear_job job = {.layer = &(linear_layer){.w = {.type = WEIGHT_F32}}, .m = BLAS_ROWS};

    (void)state;
    print_message("OpenBLAS: %s\n", blas_ready() ? "called" : "not here");
    for (int s = 0; s < sets; s++)
        assert_int_equal(blas_takes(list[s], &job), blas_ready() && s == sets - 1);
    blas_use(false);
    assert_false(blas_takes(list[sets - 1], &job));
    blas_use(true);
    job.m--;
    assert_false(blas_takes(list[sets - 1], &job));
    isa_use(list[sets - 1]);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_product(WEIGHT_F32, sizes[i][0], sizes[i][1], sizes[i][2]);
    isa_use(list[0]);
}

static void test_layer_norm(void **state)
{
    (void)state;
    fill(x, 5 * 77), fill(w, 77), fill(b, 77);
    for (int i = 0; i < 77; i++)
        x[i] = 1000 + x[i] * 0.01f; /* a large mean must not eat the variance */
    for (int n = 1; n < 77; n++) {
        layer_norm(y, x + n, w, b, 1, n);
        reference_layer_norm(z, x + n, w, b, 1, n);
        for (int i = 0; i < n; i++)
            assert_true(fabsf(y[i] - z[i]) < 2e-2f); /* inputs are only good to 1000 * 6e-8 */
    }
    layer_norm(y, x + 77, w, b, 4, 77);
    reference_layer_norm(z, x + 77, w, b, 4, 77);
    assert_close(y, z, 4 * 77);
    memcpy(y, x + 77, 4 * 77 * sizeof *y);
    layer_norm_within(y + 20, 77, w, b, 4, 50);
    for (int r = 0; r < 4; r++) {
        const float *row = x + 77 * (r + 1);
        reference_layer_norm(z, row + 20, w, b, 1, 50);
        assert_close(y + 77 * r + 20, z, 50);
        assert_memory_equal(y + 77 * r, row, 20 * sizeof *y);
        assert_memory_equal(y + 77 * r + 70, row + 70, 7 * sizeof *y);
    }
    layer_norm(y, x, w, NULL, 1, 77);
    reference_layer_norm(z, x, w, NULL, 1, 77);
    for (int i = 0; i < 77; i++)
        assert_true(fabsf(y[i] - z[i]) <
                    2e-2f); /* inputs themselves are only good to 1000 * 6e-8 */
}

/* Over the whole range, in units of the argument's own rounding; far out they are 0 and x exactly.
 */
static void test_activations(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++)
        x[i] = (float)(i - 10000) / 1000;
    memcpy(y, x, sizeof y), memcpy(z, x, sizeof z);
    gelu(y, 20000), reference_gelu(z, 20000);
    for (int i = 0; i < 20000; i++)
        assert_true(fabsf(y[i] - z[i]) <= 3e-7f * fabsf(x[i]));
    memcpy(y, x, sizeof y), memcpy(z, x, sizeof z);
    quick_gelu(y, 20000), reference_quick_gelu(z, 20000);
    for (int i = 0; i < 20000; i++)
        assert_true(fabsf(y[i] - z[i]) <= 3e-7f * fabsf(x[i]));
    for (int which = 0; which < 2; which++) {
        float far[6] = {-1e30f, -1000, 1000, 1e30f, -0.0f, NAN};
        (which ? gelu : quick_gelu)(far, 6);
        assert_true(far[0] == 0 && far[1] == 0 && far[2] == 1000 && far[3] == 1e30f && far[4] == 0);
        assert_true(isnan(far[5]));
    }
}

static void check_softmax(int rows, const softmax_form *form)
{
    int n = form->n, stride = (n + 15) / 16 * 16;

    fill(x, rows * stride);
    for (int i = 0; i < rows * stride; i++)
        y[i] = x[i] = i % 7 == 3 ? x[i] * 200 : x[i] * 5 + 1000;
    softmax(y, stride, rows, form);
    for (int r = 0; r < rows; r++) {
        int used = form->used + r * form->more;
        double sum = 0, score[80];
        for (int j = 0; j < used; j++)
            score[j] = exp(((double)x[r * stride + j] - 1000) * (double)form->scale +
                           (double)form->slope * (j - (n - 1)));
        for (int j = 0; j < used; j++)
            sum += score[j];
        for (int j = 0; j < n; j++)
            assert_true(fabs(y[r * stride + j] - (j < used ? score[j] / sum : 0)) < 2e-5);
    }
}

static void test_softmax(void **state)
{
    (void)state;
    for (int n = 1; n < 70; n++) {
        check_softmax(1, &(softmax_form){.n = n, .used = (n + 1) / 2, .scale = 1});
        check_softmax(20, &(softmax_form){.n = n, .used = n, .scale = 0.25f});
        check_softmax(
            n, &(softmax_form){.n = n, .used = 1, .more = 1, .scale = 0.125f, .slope = 0.5f});
    }
    y[0] = 1, y[1] = NAN, y[2] = 2;
    softmax(y, 16, 1, &(softmax_form){.n = 3, .used = 3, .scale = 1});
    assert_true(isnan(y[0]) && isnan(y[1]) && isnan(y[2])); /* never hides a NaN */
}

/* Two sequences at once, heads whose width is no multiple of 16, odd numbers of keys. bfloat16
 * rounds by up to 2^-9: scores of size 1, probabilities and values, which are averaged. */
static void check_attention(weight_dtype type, int dim, int keys)
{
    enum { T = 13, MOST = 1061, HEADS = 3 };
    float slopes[HEADS] = {0.5f, 0.25f, 0.125f}, scores[MOST];
    float bound = type == WEIGHT_F32 ? tolerance : 0x1p-7f;
    int width = HEADS * dim;
    workspace ws = make_workspace(workspace_attention(keys, dim));
    attention_job job = {.out = y,
                         .q = x,
                         .k = w,
                         .v = w + width,
                         .q_stride = width,
                         .kv_stride = 2 * width,
                         .sequences = 2,
                         .tq = T,
                         .tk = keys,
                         .heads = HEADS,
                         .dim = dim,
                         .type = type,
                         .scale = 0.35f};

    fill(x, 2 * T * width), fill(w, 2 * keys * 2 * width);
    attention_run(&ws, &job);
    for (int i = 0; i < 2; i++) {
        attention_job one = job;
        one.out = z + i * T * width;
        one.q += i * T * width;
        one.k += i * keys * 2 * width, one.v += i * keys * 2 * width;
        reference_attention(&one, scores);
    }
    assert_within(y, z, 2 * T * width, bound);
    fill(x, T * 3 * width);
    job = (attention_job){.out = y,
                          .q = x,
                          .k = x + width,
                          .v = x + 2 * width,
                          .q_stride = 3 * width,
                          .kv_stride = 3 * width,
                          .sequences = 1,
                          .tq = T,
                          .tk = T,
                          .heads = HEADS,
                          .dim = dim,
                          .type = type,
                          .scale = 0.35f,
                          .slopes = slopes};
    attention_run(&ws, &job);
    job.out = z;
    reference_attention(&job, scores);
    assert_within(y, z, T * width, bound);
    assert_within(y, x + 2 * width, width,
                  bound); /* the first token sees itself alone: its own value */
    free(ws.base);
}

static void test_attention(void **state)
{
    const isa *list[ISA_MOST];
    int sets = all_sets(list);

    (void)state;
    for (int s = 0; s < sets; s++) {
        isa_use(list[s]);
        for (weight_dtype type = WEIGHT_F32; type <= WEIGHT_BF16; type++) {
            check_attention(type, 8, 1061); /* more keys than an operand holds */
            check_attention(type, 16, 30);
            check_attention(type, 37, 29);
            assert_no_tiles_are_held();
        }
    }
    isa_use(list[0]);
}

/* Against libm, everywhere a gate can be. */
static void test_lstm_cell(void **state)
{
    enum { N = 999 };

    (void)state;
    for (int i = 0; i < N; i++)
        for (int g = 0; g < 4; g++)
            x[g * N + i] = (float)((i - N / 2) * (g == 2 ? -1 : 1)) / 25;
    fill(w, N);
    lstm_cell(x, w, y, y + N, N);
    for (int i = 0; i < N; i++) {
        double gate = 1 / (1 + exp(-(double)x[i])), candidate = tanh((double)x[2 * N + i]);
        double cell = gate * (double)w[i] + gate * candidate;
        assert_true(fabs((double)y[i] - cell) < 3e-7);
        assert_true(fabs((double)y[N + i] - gate * tanh(cell)) < 3e-7);
    }
    x[3] = NAN;
    lstm_cell(x, w, y, y + N, N);
    assert_true(isnan(y[3]) && isnan(y[N + 3]));
}

/* On every instruction set; weights that overshoot on both sides. */
static void test_filter_rows(void **state)
{
    enum { TAPS = 5, STRIDE = 250, N = 240 };
    static const int weight[TAPS] = {-900000, 3000000, 2700000, -700000, 94304};
    static uint8_t from[TAPS * STRIDE], to[N];
    const isa *list[ISA_MOST];
    int sets = isa_list(list);

    (void)state;
    for (int i = 0; i < TAPS * STRIDE; i++)
        from[i] = (uint8_t)(draw() > 0.5f ? 255 : draw() < -0.5f ? 0 : (int)(127 + 100 * draw()));
    for (int s = 0; s < sets; s++)
        for (int n = 16; n <= N; n += 16) {
            list[s]->filter_rows(to, from, STRIDE, weight, TAPS, n);
            for (int i = 0; i < n; i++) {
                long sum = 1 << (ISA_FILTER_BITS - 1);
                for (int t = 0; t < TAPS; t++)
                    sum += (long)weight[t] * from[t * STRIDE + i];
                sum >>= ISA_FILTER_BITS;
                assert_int_equal(to[i], sum < 0 ? 0 : sum > 255 ? 255 : sum);
            }
        }
}

static void test_max_pool(void **state)
{
    float rows[3][2] = {{1, -5}, {3, -7}, {2, -6}}, top[2];

    (void)state;
    max_pool(top, rows[0], 3, 2);
    assert_true(top[0] == 3 && top[1] == -5);
    rows[1][0] = NAN, rows[0][1] = NAN;
    max_pool(top, rows[0], 3, 2);
    assert_true(isnan(top[0]) && isnan(top[1]));
    relu(rows[0], 6);
    assert_true(rows[0][0] == 1 && isnan(rows[0][1]) && isnan(rows[1][0]) && rows[1][1] == 0);
}

/* Every half survives the way to float and back; rounding is to nearest, ties to even. */
static void test_half(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float value = half_to_float((uint16_t)h);
        if (isnan(value))
            assert_true((half_from_float(value) & 0x7c00) == 0x7c00 &&
                        half_from_float(value) & 0x3ff);
        else
            assert_int_equal(half_from_float(value), h);
    }
    assert_int_equal(half_from_float(1 + 0x1p-11f), half_from_float(1));            /* tie: even */
    assert_int_equal(half_from_float(1 + 0x3p-11f), half_from_float(1 + 0x2p-10f)); /* tie: even */
    assert_int_equal(half_from_float(1 + 0x1.02p-11f), half_from_float(1 + 0x1p-10f));
    assert_int_equal(half_from_float(65519), 0x7bff);
    assert_int_equal(half_from_float(65520), 0x7c00);
    assert_int_equal(half_from_float(0x1p-25f), 0);
    assert_int_equal(half_from_float(0x1.8p-25f), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_isa_list),
        cmocka_unit_test(test_isa_list_is_what_linux_says),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_every_tile),
        cmocka_unit_test(test_wrong_sets_are_found),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_blas),
        cmocka_unit_test(test_blas_of_64_bits_is_left_alone),
        cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_filter_rows),
        cmocka_unit_test(test_max_pool),
        cmocka_unit_test(test_lstm_cell),
        cmocka_unit_test(test_linear_is_reproducible),
        cmocka_unit_test(test_pack_refuses),
        cmocka_unit_test(test_half),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
