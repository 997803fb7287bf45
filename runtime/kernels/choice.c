/* SPDX-License-Identifier: MIT */
/* choice.c - which instruction set is the fastest here, found by trying.
 *
 * Processors that report the same flags differ in what their instructions take: products of
 * bfloat16 pairs, for one, run at full rate on some and at half on others. So each set multiplies
 * the same few rows by the same weights, which stay in the cache, some runs in turns: a millisecond
 * or two in all. Few rows, as of a decoder's tokens, stand for many, too, as of images: those are
 * dealt to tiles of as many (BLOCK in linear.c). */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/kernels/blas.h"
#include "runtime/kernels/tiles.h"

enum { ROWS = 14, PANELS = 4, OUTPUTS = PANELS * ISA_PANEL, MOST_INPUTS = 4 * ISA_WORDS };
enum { ROUNDS = 6, SURE = 3 }; /* runs that hardly all fall into another program's time */

static const double clearly = 0.85; /* of the time: less would be what runs differ by anyway */
static const double hopeless = 2;   /* times the fastest one's: not tried again */

typedef struct {
    float x[MOST_INPUTS]; /* of every row */
    uint32_t panels[PANELS * ISA_WORDS * ISA_PANEL];
    uint32_t operand[ROWS * (ISA_WORDS * ISA_SUBWORDS + ISA_SPARE)];
    isa_row row[ROWS];
    float scale[OUTPUTS], y[ROWS * OUTPUTS];
} trial;

/* ---------------------------------------------------------------- trying ------------------- */

static void fill(trial *t)
{
    for (int i = 0; i < MOST_INPUTS; i++)
        t->x[i] = 1;
    for (int i = 0; i < PANELS * ISA_WORDS * ISA_PANEL; i++)
        t->panels[i] = 0x3f803f80; /* about one, of whichever type */
    for (int i = 0; i < OUTPUTS; i++)
        t->scale[i] = 1;
}

/* As linear.c deals rows to tiles. */
static void multiply(const isa *set, weight_dtype type, trial *t)
{
    int most = set->rows[type], tiles = (ROWS + most - 1) / most;
    long stride = isa_row_stride(set->subwords[type]);

    for (int panel = 0; panel < PANELS; panel += set->panels[type])
        for (int i = 0; i < tiles; i++) {
            int begin = ROWS * i / tiles, end = ROWS * (i + 1) / tiles;
            tile_product(set, type, t->y + begin * OUTPUTS, OUTPUTS, OUTPUTS,
                         t->operand + begin * stride, t->row + begin, end - begin, t->panels,
                         ISA_WORDS * ISA_PANEL, ISA_WORDS, t->scale, NULL, false, i == 0, panel,
                         set->panels[type]);
        }
    if (set->leave)
        set->leave();
}

static double seconds_of(const isa *set, weight_dtype type, trial *t)
{
    double start;

    set->operand[type](t->operand, t->row, t->x, 0, ROWS, ISA_WORDS * matrix_inputs(type));
    start = clock_seconds();
    multiply(set, type, t);
    return clock_seconds() - start;
}

static void try_type(isa_time *times, int sets, weight_dtype type, trial *t)
{
    double best = INFINITY;

    for (int round = 0; round < ROUNDS; round++)
        for (int s = 0; s < sets; s++) {
            double *shortest = &times[s].seconds[type];
            if (*shortest > hopeless * best && round >= SURE)
                continue;
            *shortest = fmin(*shortest, seconds_of(times[s].set, type, t));
            best = fmin(best, *shortest);
        }
}

static isa_time times[ISA_MOST];
static int tried;
static pthread_once_t trying = PTHREAD_ONCE_INIT;

static void try_all(void)
{
    const isa *list[ISA_MOST];
    trial *t = malloc(sizeof *t);

    tried = isa_list(list);
    if (t)
        fill(t);
    for (int s = 0; s < tried; s++)
        times[s] = (isa_time){list[s], {INFINITY, INFINITY, INFINITY}};
    for (int type = 0; t && tried > 1 && type < WEIGHT_DTYPES; type++)
        try_type(times, tried, (weight_dtype)type, t);
    free(t);
}

const isa_time *isa_times(int *count)
{
    pthread_once(&trying, try_all);
    *count = tried;
    return times;
}

/* ---------------------------------------------------------------- OpenBLAS ----------------- */

enum { TIMES = 5, MANY = TIMES * ROWS };

typedef struct {
    trial tiles;
    float x[MANY * ISA_WORDS], y[MANY * OUTPUTS], room[ISA_WORDS * BLAS_OUTPUTS];
} blas_trial;

/* The same product of many rows by OpenBLAS and by tiles of plain C. */
static bool blas_is_faster(const isa *set, blas_trial *t)
{
    const linear_layer layer = {{WEIGHT_F32, OUTPUTS, ISA_WORDS, t->tiles.panels, NULL}, NULL};
    const linear_job job = {
        .y = t->y, .x = t->x, .x_stride = ISA_WORDS, .layer = &layer, .m = MANY};
    double by_tiles = INFINITY, by_blas = INFINITY;

    for (int round = 0; round < ROUNDS; round++) {
        double start = clock_seconds(), middle;
        for (int i = 0; i < TIMES; i++)
            multiply(set, WEIGHT_F32, &t->tiles);
        middle = clock_seconds();
        blas_rows(&job, 0, MANY, 0, PANELS, t->room);
        by_tiles = fmin(by_tiles, middle - start);
        by_blas = fmin(by_blas, clock_seconds() - middle);
    }
    return by_blas < clearly * by_tiles;
}

/* Loads it now and not in a step. Where it has nothing but SSE, plain C is as fast. */
static void try_blas(const isa *set)
{
    blas_trial *t = blas_ready() ? calloc(1, sizeof *t) : NULL;

    if (!t)
        return;
    fill(&t->tiles);
    set->operand[WEIGHT_F32](t->tiles.operand, t->tiles.row, t->tiles.x, 0, ROWS, ISA_WORDS);
    blas_use(blas_is_faster(set, t));
    free(t);
}

/* ---------------------------------------------------------------- choosing ----------------- */

/* The first one unless another is clearly faster: so that the next run decides alike. Never plain C
 * where there are tiles: its sums may be other ones, and a busy moment must not change what a
 * policy answers. */
static const isa *fastest(weight_dtype type)
{
    const isa *list[ISA_MOST];
    int sets = isa_list(list), best = 0;
    const isa_time *time;

    if (sets == 1 || isa_is_generic(list[1]))
        return list[0]; /* nothing to choose from */
    time = isa_times(&sets);
    for (int s = 1; s < sets; s++)
        if (!isa_is_generic(time[s].set) &&
            time[s].seconds[type] < clearly * time[best].seconds[type])
            best = s;
    return time[best].set;
}

static deer_status use_named(const char *name, deer_error *err)
{
    const isa *list[ISA_MOST];
    int sets = isa_list(list);
    char names[128] = "";

    for (int s = 0; s < sets; s++) {
        if (!strcmp(list[s]->name, name)) {
            isa_use(list[s]);
            return DEER_OK;
        }
        strcat(strcat(names, s ? ", " : ""), list[s]->name);
    }
    return deer_fail_with(DEER_USAGE, err, "DEER_ISA is \"%s\", but this processor has %s", name,
                          names);
}

static deer_status choose(deer_error *err)
{
    const char *name = getenv("DEER_ISA");
    deer_status status = DEER_OK;

    if (isa_is_chosen())
        return DEER_OK;
    if (name && *name)
        status = use_named(name, err);
    for (int type = 0; type < WEIGHT_DTYPES && !(name && *name); type++)
        isa_use_for((weight_dtype)type, fastest((weight_dtype)type));
    if (!status && isa_is_generic(isa_now()))
        try_blas(isa_now());
    return status;
}

/* One thread at a time: of two that open a model at once neither works while the other still tries
 * OpenBLAS. */
deer_status isa_choose(deer_error *err)
{
    static pthread_mutex_t choosing = PTHREAD_MUTEX_INITIALIZER;
    deer_status status;

    pthread_mutex_lock(&choosing);
    status = choose(err);
    pthread_mutex_unlock(&choosing);
    return status;
}
