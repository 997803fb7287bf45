/* SPDX-License-Identifier: MIT */
/* test_gpu_kernels.c - each shader against the plain version of what it computes, on sizes that
 * divide nothing, as a GPU gets it and as a software driver does. Runs on Mesa's lavapipe, with
 * matrix units emulated, or on DEER_DEVICE, with its own. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/gpu/tape.h"
#include "runtime/kernels/kernels.h"
#include "tests/gpu/keep_driver.h"
#include "tests/gpu/matrix_driver.h"

static deer_error error;
static gpu_home home;
static char *arena; /* [ROOM] of weights, as the device has them */
static size_t used;

enum { ROOM = 8 << 20 };

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", error.message);
}

static int start(void **state)
{
    const char *wish = getenv("DEER_DEVICE");

    (void)state;
    arena = aligned_alloc(4096, ROOM);
    gpu_driver_of_tests = wish ? NULL : matrix_driver();
    ok(gpu_open(wish ? wish : "llvmpipe", NULL, &home.gpu, &error));
    ok(gpu_buffer_make(home.gpu, ROOM, GPU_LOCAL, &home.stretch[0].buffer, &error));
    home.stretch[0].begin = arena;
    home.stretch[0].bytes = ROOM;
    home.stretches = 1;
    return 0;
}

static int end(void **state)
{
    (void)state;
    gpu_buffer_free(home.gpu, &home.stretch[0].buffer);
    gpu_close(home.gpu);
    gpu_driver_of_tests = NULL;
    free(arena);
    return 0;
}

/* ---------------------------------------------------------------- numbers ------------------ */

static uint32_t seed = 1;

static float next(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(seed >> 8) / 8388608.0f - 1;
}

static float *numbers(size_t n)
{
    float *x = malloc((n + 1) * sizeof *x);

    for (size_t i = 0; i < n; i++)
        x[i] = next();
    return x;
}

static float to_bf16(float x)
{
    uint16_t half;
    uint32_t bits;

    weight_to_bf16(&x, 1, &half);
    bits = (uint32_t)half << 16;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The inputs of 8-bit weights, as the processor rounds them: 2,048 on a scale. */
static void to_bytes(float *x, int k)
{
    for (int from = 0; from < k; from += 2048) {
        int some = k - from < 2048 ? k - from : 2048;
        float top = 0;
        for (int i = 0; i < some; i++)
            top = fmaxf(top, fabsf(x[from + i]));
        for (int i = 0; i < some; i++)
            x[from + i] = rintf(x[from + i] * (127 / top)) * (top / 127);
    }
}

static void *place(const void *from, size_t bytes)
{
    void *to = arena + used;

    assert_true(used + bytes + 64 <= ROOM);
    if (from)
        memcpy(to, from, bytes);
    used += (bytes + 63) / 64 * 64;
    return to;
}

/* ---------------------------------------------------------------- running ------------------ */

enum { LIVE_WORDS = 512, TABLE = 300 };

/* Slices stand for what they are called here: x and y come in and go out as these do. */
#define X SLICE_HIDDEN
#define Y SLICE_WIDE
#define X_IN SLICE_EMBEDDED_IN
#define Y_OUT SLICE_HIDDEN_OUT

static gpu_dispatch copy_of(const gpu_program *p, gpu_slice to, gpu_slice from)
{
    return (gpu_dispatch){.kernel = GPU_COPY,
                          .view = {{NULL, to, 0, p->size[to]}, {NULL, from, 0, p->size[to]}},
                          .barrier = true};
}

static gpu_view view_of(const gpu_program *p, gpu_slice s)
{
    return (gpu_view){NULL, s, 0, p->size[s]};
}

/* What a device keeps to itself is filled by a copy, as a model's weights are. */
static void bring_weights(void)
{
    gpu_stretch s = home.stretch[0];

    s.bytes = (used + 63) / 64 * 64;
    ok(home_fill(home.gpu, &s, &error));
}

/* Runs dispatches on x [xs] and the orders given; y [ys] holds what it had and gets the result. */
static void run(const gpu_dispatch *list, int count, const float *x, size_t xs, float *y, size_t ys,
                const uint32_t *live, size_t byte_words, size_t scale_words)
{
    deer_model none = {.config = {.name = "a kernel"}};
    gpu_program p = {.model = &none, .units = 1};
    gpu_tape t;
    int unit = 0, n = 0;

    for (int i = 0; i < SLICES; i++)
        p.size[i] = 1;
    p.size[X] = p.size[X_IN] = xs;
    p.size[Y] = p.size[Y_OUT] = p.size[SLICE_FEATURES_OUT] = ys;
    p.size[SLICE_LIVE] = p.size[SLICE_TELL_IN] = LIVE_WORDS;
    p.size[SLICE_BYTES] = byte_words + 1;
    p.size[SLICE_BYTE_SCALES] = scale_words + 1;
    p.size[SLICE_SLOPES] = p.size[SLICE_SLOPES_IN] = 16;
    p.list = calloc((size_t)count + 5, sizeof *p.list);
    p.unit = calloc(1, sizeof *p.unit);
    p.list[n++] = copy_of(&p, SLICE_LIVE, SLICE_TELL_IN);
    p.list[n++] = copy_of(&p, X, X_IN);
    p.list[n++] = copy_of(&p, Y, SLICE_FEATURES_OUT);
    p.list[n++] = copy_of(&p, SLICE_SLOPES, SLICE_SLOPES_IN);
    for (int i = 0; i < count; i++) {
        p.list[n] = list[i];
        for (int v = 0; v < GPU_VIEWS; v++)
            if (!list[i].view[v].weight)
                p.list[n].view[v] = view_of(&p, list[i].view[v].slice);
        p.list[n++].barrier = true;
    }
    p.list[n++] = copy_of(&p, Y_OUT, Y);
    p.count = p.unit[0].end = n;
    ok(tape_make(&home, &p, &t, &error));
    bring_weights();
    memcpy(tape_words(&t, SLICE_TELL_IN), live, LIVE_WORDS * 4);
    memcpy(tape_words(&t, X_IN), x, xs * 4);
    memcpy(tape_words(&t, SLICE_FEATURES_OUT), y, ys * 4);
    for (int i = 0; i < 16; i++)
        tape_floats(&t, SLICE_SLOPES_IN)[i] = 0.5f / (float)(i + 1);
    ok(tape_run(&t, &unit, 1, &error));
    ok(tape_wait(&t, &error));
    memcpy(y, tape_words(&t, Y_OUT), ys * 4);
    tape_free(&t);
}

static double worst(const float *got, const float *want, size_t n)
{
    double most = 0;

    for (size_t i = 0; i < n; i++) {
        double e = fabs((double)got[i] - (double)want[i]);
        most = e <= most ? most : isnan(e) ? INFINITY : e;
    }
    return most;
}

/* ---------------------------------------------------------------- products ----------------- */

typedef struct {
    int m, n, k, then, add;
    bool bias, many;
    uint32_t slices;
} shape;

/* Weights [n, k] of a type, into the arena as panels; w becomes what they stand for. */
static matrix pack(weight_dtype type, float *w, int n, int k)
{
    size_t words = matrix_panel_words(type, n, k), count = (size_t)n * (size_t)k;
    uint32_t *panels = place(NULL, words * 4);
    float *scales = place(NULL, ((size_t)n + 15) / 16 * 64);
    void *rows = malloc(count * 4);

    memset(scales, 0, ((size_t)n + 15) / 16 * 64);
    memcpy(rows, w, count * 4);
    if (type == WEIGHT_BF16)
        weight_to_bf16(w, count, rows);
    if (type == WEIGHT_Q8)
        weight_to_q8(w, (size_t)n, (size_t)k, rows, scales);
    for (size_t i = 0; i < count; i++) {
        if (type == WEIGHT_BF16)
            w[i] = to_bf16(w[i]);
        if (type == WEIGHT_Q8)
            w[i] = ((float)((uint8_t *)rows)[i] - 128) * scales[i / (size_t)k];
    }
    assert_true(matrix_pack(panels, rows, type, n, k, 0, (n + 15) / 16));
    free(rows);
    return (matrix){type, n, k, panels, scales};
}

static void activate(float *y, int n, int then)
{
    if (then == 1)
        reference_gelu(y, n);
    if (then == 2)
        reference_quick_gelu(y, n);
    for (int i = 0; then == 3 && i < n; i++)
        y[i] = fmaxf(0, y[i]);
}

/* Before the product: bytes of the inputs, where the weights are. */
static gpu_dispatch quantise_of(const matrix *w, int m, int lanes)
{
    uint32_t words = (uint32_t)matrix_words(WEIGHT_Q8, w->k),
             chunks = ((uint32_t)w->k + 2047) / 2048;

    return (gpu_dispatch){
        .kernel = GPU_QUANTISE,
        .constants = {(uint32_t)lanes},
        .view = {{.slice = SLICE_BYTES}, {.slice = SLICE_BYTE_SCALES}, {.slice = X}},
        .push = {64, (uint32_t)w->k, words, (uint32_t)w->k, 0},
        .groups = {chunks, (uint32_t)m, 1}};
}

static gpu_dispatch product_of(const matrix *w, const shape *s, const float *b, const float *gate)
{
    bool bytes = w->type == WEIGHT_Q8;
    uint32_t rows = s->m <= 2 ? 2 : 16, panels = ((uint32_t)s->n + 15) / 16, m = (uint32_t)s->m;
    uint32_t words = (uint32_t)matrix_words(w->type, s->k);
    gpu_dispatch d = {.kernel = s->many ? GPU_LINEAR_MANY : GPU_LINEAR_FEW,
                      .constants = {(uint32_t)w->type, rows, s->slices},
                      .view = {{.slice = Y},
                               {.slice = bytes ? SLICE_BYTES : X},
                               {.slice = SLICE_BYTE_SCALES},
                               {w->panels, 0, 0, matrix_panel_words(w->type, s->n, s->k)},
                               {w->scale, 0, 0, (size_t)s->n},
                               {b, 0, 0, (size_t)s->n},
                               {gate, 0, 0, 1}},
                      .push = {64, (uint32_t)s->n, (uint32_t)s->k, words,
                               bytes ? words : (uint32_t)s->k, 0, (uint32_t)s->n, 0,
                               (uint32_t)s->then, (uint32_t)s->add, s->bias},
                      .groups = {s->many ? (panels + 3) / 4 : panels,
                                 s->many ? (m + 63) / 64 : (m + rows - 1) / rows, 1}};

    return d;
}

/* then(x w^T + b) in plain C, of inputs rounded as those of such weights are. */
static void expect(float *want, const float *x, const float *w, const float *b, weight_dtype type,
                   const shape *s)
{
    size_t m = (size_t)s->m, k = (size_t)s->k;
    float *in = malloc(m * k * 4);

    memcpy(in, x, m * k * 4);
    for (size_t i = 0; i < m * k && type == WEIGHT_BF16; i++)
        in[i] = to_bf16(in[i]);
    for (size_t r = 0; r < m && type == WEIGHT_Q8; r++)
        to_bytes(in + r * k, s->k);
    reference_linear(want, in, w, s->bias ? b : NULL, s->m, s->n, s->k);
    activate(want, s->m * s->n, s->then);
    free(in);
}

/* y (+)= then(x w^T + b) on the device and in plain C; the largest difference. */
static double product_error(weight_dtype type, const shape *s, float *result)
{
    size_t m = (size_t)s->m, n = (size_t)s->n, k = (size_t)s->k;
    float *x = numbers(m * k), *w = numbers(n * k), *b = numbers(n), *y = numbers(m * n);
    float *want = malloc(m * n * 4), gate = 0.7f, scale = s->add == 2 ? tanhf(gate) : 1;
    uint32_t live[LIVE_WORDS] = {[64] = 0, [65] = (uint32_t)s->m};
    gpu_dispatch list[2];
    matrix packed;
    double e;
    int count = 0;

    used = 0;
    for (size_t i = 0; i < n * k; i++)
        w[i] /= sqrtf((float)s->k);
    packed = pack(type, w, s->n, s->k);
    if (type == WEIGHT_Q8)
        list[count++] = quantise_of(&packed, s->m, s->slices == 2 ? 8 : 64);
    list[count++] = product_of(&packed, s, place(b, n * 4), place(&gate, 4));
    expect(want, x, w, b, type, s);
    for (size_t i = 0; i < m * n; i++)
        want[i] = (s->add ? y[i] : 0) + scale * want[i];
    run(list, count, x, m * k, y, m * n, live, m * (k + 3) / 4 + m, m * (k / 2048 + 1));
    e = worst(y, want, m * n);
    memcpy(result, y, m * n * 4);
    free(x), free(w), free(b), free(y), free(want);
    return e;
}

static const shape shapes[] = {
    {.m = 1, .n = 1, .k = 1, .bias = true},
    {.m = 2, .n = 6, .k = 30, .bias = true, .then = 3},
    {.m = 5, .n = 17, .k = 33, .then = 1},
    {.m = 11, .n = 48, .k = 127, .bias = true, .add = 1},
    {.m = 16, .n = 31, .k = 200, .then = 2},
    {.m = 19, .n = 64, .k = 129, .add = 2},
    {.m = 14, .n = 40, .k = 2051, .bias = true},
    {.m = 65, .n = 70, .k = 35, .bias = true, .add = 1},
};

/* Sums differ by their order: 2e-6 on results of rms 0.6; a byte that is rounded the other way,
 * where a division differs in its last place, makes 1e-3. */
static void products(weight_dtype type, double tolerance)
{
    static float result[2][65 * 70]; /* of bytes: four at a time, and one by one */

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int way = 0; way < 3; way++) {
            shape s = shapes[i];
            uint32_t before = seed;
            double e;
            s.many = way == 2;
            s.slices = way == 0 ? 2 : 32;
            e = product_error(type, &s, result[0]);
            if (!(e <= tolerance))
                fail_msg("%s, shape %zu, way %d: off by %g", weight_dtype_name(type), i, way, e);
            if (type != WEIGHT_Q8 || !home.gpu->dots)
                continue;
            home.gpu->dots = false;
            seed = before;
            product_error(type, &s, result[1]);
            home.gpu->dots = true;
            assert_memory_equal(result[0], result[1], (size_t)s.m * (size_t)s.n * 4);
        }
}

static void test_products_f32(void **state)
{
    (void)state;
    products(WEIGHT_F32, 4e-6);
}

static void test_products_bf16(void **state)
{
    (void)state;
    products(WEIGHT_BF16, 4e-6);
}

static void test_products_q8(void **state)
{
    (void)state;
    products(WEIGHT_Q8, 1e-5);
}

/* ---------------------------------------------------------------- matrix units ------------- */

/* More than one workgroup either way, and inputs on two scales. */
static const shape large = {
    .m = 67, .n = 70, .k = 2117, .bias = true, .then = 1, .add = 2, .many = true, .slices = 32};

static bool is_emulated(void)
{
    return gpu_driver_of_tests != NULL;
}

/* Of bytes the same bits as without them, where one compiler makes both. */
static void on_matrices(weight_dtype type, const shape *s, double tolerance)
{
    static float result[2][67 * 70];
    gpu_shape own = home.gpu->matrix[type];
    uint32_t before = seed;
    double e = product_error(type, s, result[0]);

    if (!(e <= tolerance))
        fail_msg("%s in %u by %u by %u, %d by %d by %d: off by %g", weight_dtype_name(type),
                 own.rows, own.outputs, own.inputs, s->m, s->n, s->k, e);
    seed = before;
    home.gpu->matrix[type] = (gpu_shape){0};
    product_error(type, s, result[1]);
    home.gpu->matrix[type] = own;
    if (type == WEIGHT_Q8 && is_emulated())
        assert_memory_equal(result[0], result[1], (size_t)s->m * (size_t)s->n * 4);
}

static void all_on_matrices(weight_dtype type, double tolerance)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        shape s = shapes[i];
        s.many = true;
        s.slices = 32;
        on_matrices(type, &s, tolerance);
    }
    on_matrices(type, &large, tolerance);
}

/* What devices prefer, and what else they offer; a device's own shape, where it is no emulation. */
static void test_matrices(void **state)
{
    static const struct {
        weight_dtype type;
        gpu_shape shape;
        uint32_t subgroup;
    } cases[] = {
        {WEIGHT_Q8, {16, 16, 32}, 32},  {WEIGHT_Q8, {16, 16, 16}, 64},
        {WEIGHT_Q8, {8, 8, 32}, 8},     {WEIGHT_Q8, {8, 16, 32}, 16},
        {WEIGHT_Q8, {32, 8, 64}, 32},   {WEIGHT_BF16, {16, 16, 16}, 32},
        {WEIGHT_BF16, {16, 8, 8}, 32},  {WEIGHT_BF16, {8, 8, 16}, 8},
        {WEIGHT_BF16, {8, 32, 32}, 64},
    };
    const gpu_matrices own = home.gpu->offered;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases && is_emulated(); i++) {
        home.gpu->offered.subgroup = cases[i].subgroup;
        home.gpu->matrix[cases[i].type] = cases[i].shape;
        all_on_matrices(cases[i].type, 1e-5);
        home.gpu->matrix[cases[i].type] = (gpu_shape){0};
    }
    home.gpu->offered = own;
    for (int type = WEIGHT_BF16; type < WEIGHT_DTYPES && !is_emulated(); type++) {
        home.gpu->matrix[type] = own.shape[type];
        all_on_matrices((weight_dtype)type, 5e-5); /* units may cut sums off */
        home.gpu->matrix[type] = (gpu_shape){0};
    }
}

/* Of what a device lists the first that can be used; nothing without what it takes besides. */
static void test_matrices_offered(void **state)
{
    const gpu_matrices *m = &home.gpu->offered;

    (void)state;
    if (!is_emulated())
        skip();
    assert_int_equal(m->subgroup, MATRIX_SUBGROUP);
    assert_memory_equal(&m->shape[WEIGHT_F32], &((gpu_shape){0}), sizeof m->shape[0]);
    assert_memory_equal(&m->shape[WEIGHT_BF16], &((gpu_shape){8, 16, 16}), sizeof m->shape[0]);
    assert_memory_equal(&m->shape[WEIGHT_Q8], &((gpu_shape){16, 8, 32}), sizeof m->shape[0]);
    matrix_units.no_bfloat16 = true;
    assert_int_equal(matrices_offered(home.gpu, home.gpu->physical).shape[WEIGHT_BF16].rows, 0);
    assert_int_equal(matrices_offered(home.gpu, home.gpu->physical).shape[WEIGHT_Q8].rows, 16);
    matrix_units.no_bfloat16 = false;
}

/* What is wrong is done without, and said; what is right stays. */
static void test_matrices_proved(void **state)
{
    deer_model none = {.config = {.name = "a kernel"}};

    (void)state;
    home.model = &none;
    for (int type = WEIGHT_BF16; type < WEIGHT_DTYPES; type++) {
        ok(products_prove(&home, (weight_dtype)type, &error));
        assert_memory_equal(&home.gpu->matrix[type], &home.gpu->offered.shape[type],
                            sizeof(gpu_shape));
        home.gpu->matrix[type] = (gpu_shape){0};
    }
    assert_string_equal(home.gpu->note, "");
    home.model = NULL;
}

/* ---------------------------------------------------------------- the others --------------- */

static void test_layernorm(void **state)
{
    static const int sizes[] = {1, 20, 63, 64, 129, 600};

    (void)state;
    for (int i = 0; i < 12; i++) {
        int n = sizes[i / 2], m = 3;
        uint32_t live[LIVE_WORDS] = {[64] = 0, [65] = (uint32_t)m};
        size_t size = (size_t)(m * n);
        float *x = numbers(size), *w = numbers((size_t)n), *b = numbers((size_t)n);
        float *y = numbers(size), *want = malloc(size * 4);
        used = 0;
        reference_layer_norm(want, x, w, b, m, n);
        run(&(gpu_dispatch){.kernel = GPU_LAYERNORM,
                            .constants = {i % 2 ? 8 : 64},
                            .view = {{.slice = Y},
                                     {.slice = X},
                                     {place(w, (size_t)n * 4), 0, 0, (size_t)n},
                                     {place(b, (size_t)n * 4), 0, 0, (size_t)n},
                                     {.slice = SLICE_NOTHING}},
                            .push = {64, (uint32_t)n, 1, 0, (uint32_t)n, 0, 0, (uint32_t)n, 0, 0,
                                     1},
                            .groups = {(uint32_t)m, 1, 1}},
            1, x, size, y, size, live, 0, 0);
        if (n > 1 && !(worst(y, want, size) <= 3e-6))
            fail_msg("LayerNorm of %d: off by %g", n, worst(y, want, size));
        free(x), free(w), free(b), free(y), free(want);
    }
}

/* tq queries of two sequences, the second one shorter; q, k and v lie in one row. */
static double attention_error(int tq, int heads, int dim, bool causal, const uint32_t tile[3])
{
    size_t width = (size_t)(heads * dim);
    int t[2] = {tq, tq - 1}, rows = 2 * tq - 1;
    size_t size = (size_t)rows * 3 * width;
    float *x = numbers(size), *y = numbers((size_t)rows * width),
          *want = malloc((size_t)rows * width * 4);
    float slopes[16], scores[600], scale = 1 / sqrtf((float)dim);
    uint32_t live[LIVE_WORDS] = {[64] = 0, [65] = 2}, bits;
    double e;
    int first = 0;

    for (int i = 0; i < 16; i++)
        slopes[i] = 0.5f / (float)(i + 1);
    for (int s = 0; s < 2; first += t[s++]) {
        const float *q = x + (size_t)first * 3 * width;
        uint32_t *entry = live + TABLE + 4 * s;
        entry[0] = entry[2] = (uint32_t)first;
        entry[1] = entry[3] = (uint32_t)t[s];
        if (t[s])
            reference_attention(&(attention_job){.out = want + (size_t)first * width,
                                                 .q = q,
                                                 .k = q + width,
                                                 .v = q + 2 * width,
                                                 .q_stride = (long)(3 * width),
                                                 .kv_stride = (long)(3 * width),
                                                 .sequences = 1,
                                                 .tq = t[s],
                                                 .tk = t[s],
                                                 .heads = heads,
                                                 .dim = dim,
                                                 .scale = scale,
                                                 .slopes = causal ? slopes : NULL},
                                scores);
    }
    memcpy(&bits, &scale, sizeof bits);
    run(&(gpu_dispatch){.kernel = GPU_ATTENTION,
                        .constants = {(uint32_t)dim, tile[0], tile[1], tile[2]},
                        .view = {{.slice = Y}, {.slice = X}, {.slice = X}, {.slice = SLICE_SLOPES}},
                        .push = {64, TABLE, 3 * (uint32_t)width, 3 * (uint32_t)width,
                                 (uint32_t)width, 0, (uint32_t)width, 2 * (uint32_t)width, causal,
                                 0, 0, bits},
                        .groups = {((uint32_t)tq + tile[0] - 1) / tile[0], (uint32_t)heads, 2}},
        1, x, size, y, (size_t)rows * width, live, 0, 0);
    e = worst(y, want, (size_t)rows * width);
    free(x), free(y), free(want);
    return e;
}

static void test_attention(void **state)
{
    static const uint32_t tiles[][3] = {{16, 32, 64}, {8, 16, 64}, {4, 16, 64},
                                        {4, 32, 8},   {4, 8, 8},   {1, 4, 4}};
    static const int cases[][3] = {{1, 1, 5}, {11, 3, 6}, {33, 2, 12}, {70, 1, 16}};

    (void)state;
    for (size_t t = 0; t < sizeof tiles / sizeof *tiles; t++)
        for (int i = 0; i < 2; i++) {
            const int *c = cases[t % 4];
            double e = attention_error(c[0], c[1], c[2], i % 2, tiles[t]);
            if (!(e <= 2e-6))
                fail_msg("tile %zu, case %d: off by %g", t, i, e);
        }
}

/* Rows of a NaN are NaN, and no others. */
static void nan_with(const shape *s)
{
    uint32_t live[LIVE_WORDS] = {[64] = 0, [65] = 3};
    float *x = numbers(120), *w = numbers(200), y[15] = {0}, none[8] = {0};
    matrix packed;

    for (int type = 0; type < 3; type++) {
        gpu_dispatch list[2];
        int count = 0;
        used = 0;
        packed = pack((weight_dtype)type, w, 5, 40);
        x[45] = type == 1 ? INFINITY - INFINITY : NAN;
        if (type == WEIGHT_Q8)
            list[count++] = quantise_of(&packed, 3, 64);
        list[count++] = product_of(&packed, s, place(none, 32), place(none, 4));
        run(list, count, x, 120, y, 15, live, 64, 8);
        for (int i = 0; i < 15; i++)
            if (isnan(y[i]) != (i / 5 == 1))
                fail_msg("%s: result %d is %g", weight_dtype_names[type], i, (double)y[i]);
    }
    free(x), free(w);
}

static void test_nan(void **state)
{
    shape s = {.m = 3, .n = 5, .k = 40, .then = 3, .slices = 32};

    (void)state;
    nan_with(&s);
    s.many = true;
    nan_with(&s);
    memcpy(home.gpu->matrix, home.gpu->offered.shape, sizeof home.gpu->matrix);
    nan_with(&s);
    memset(home.gpu->matrix, 0, sizeof home.gpu->matrix);
}

/* What is called off touches nothing. */
static void test_called_off(void **state)
{
    const shape s = {.m = 3, .n = 5, .k = 40, .slices = 32};
    uint32_t live[LIVE_WORDS] = {[0] = 1, [64] = 0, [65] = 3};
    float *x = numbers(120), *w = numbers(200), y[15], none[8] = {0};
    matrix packed;

    (void)state;
    used = 0;
    packed = pack(WEIGHT_F32, w, 5, 40);
    for (int i = 0; i < 15; i++)
        y[i] = 7;
    run(&(gpu_dispatch[1]){product_of(&packed, &s, place(none, 32), place(none, 4))}[0], 1, x, 120,
        y, 15, live, 0, 0);
    for (int i = 0; i < 15; i++)
        assert_true(y[i] == 7);
    free(x), free(w);
}

/* A device that binds at multiples of 256 only: weights begin late in what is bound. */
static void test_coarse_alignment(void **state)
{
    VkDeviceSize own = home.gpu->limits.minStorageBufferOffsetAlignment;

    (void)state;
    home.gpu->limits.minStorageBufferOffsetAlignment = 256;
    products(WEIGHT_BF16, 4e-6);
    home.gpu->limits.minStorageBufferOffsetAlignment = own;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products_f32),
        cmocka_unit_test(test_products_bf16),
        cmocka_unit_test(test_products_q8),
        cmocka_unit_test(test_matrices),
        cmocka_unit_test(test_matrices_offered),
        cmocka_unit_test(test_matrices_proved),
        cmocka_unit_test(test_layernorm),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_nan),
        cmocka_unit_test(test_called_off),
        cmocka_unit_test(test_coarse_alignment),
    };

    keep_driver();
    return cmocka_run_group_tests(tests, start, end);
}
