/* SPDX-License-Identifier: MIT */
/* blas.c - OpenBLAS, opened by name when the first product asks for it: nothing links it, and where
 * a set of ours has tiles it is never loaded. */
#include "runtime/kernels/blas.h"

#include <stdatomic.h>
#include <string.h>

#include "runtime/kernels/tiles.h"

static atomic_bool unused;

void blas_use(bool use)
{
    atomic_store(&unused, !use);
}

bool blas_has_ints(const char *config)
{
    return config && !strstr(config, "USE64BITINT");
}

#ifdef DEER_BLAS
#include <cblas.h>
#include <dlfcn.h>
#include <pthread.h>

_Static_assert(sizeof(blasint) == sizeof(int), "the headers are of an OpenBLAS with ints");

static __typeof__(cblas_sgemm) *sgemm;
static pthread_once_t opening = PTHREAD_ONCE_INIT;

static void open_blas(void)
{
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    __typeof__(openblas_get_config) *config = NULL;
    __typeof__(openblas_set_num_threads) *set_threads;

    if (library)
        *(void **)&config = dlsym(library, "openblas_get_config");
    if (!config || !blas_has_ints(config()))
        return;
    *(void **)&set_threads = dlsym(library, "openblas_set_num_threads");
    if (set_threads)
        *(void **)&sgemm = dlsym(library, "cblas_sgemm");
    if (sgemm)
        set_threads(1);
}

bool blas_ready(void)
{
    pthread_once(&opening, open_blas);
    return sgemm != NULL;
}

/* Panels, beside each other, as rows of a matrix [k][outputs]. */
static void unpack(float *to, const matrix *w, int panel, int panels, int from, int k)
{
    for (int p = 0; p < panels; p++) {
        const uint32_t *words = w->panels + ((long)(panel + p) * w->k + from) * ISA_PANEL;
        for (int i = 0; i < k; i++)
            memcpy(to + i * BLAS_OUTPUTS + p * ISA_PANEL, words + (long)i * ISA_PANEL,
                   ISA_PANEL * sizeof *to);
    }
}

/* What the sums begin with. */
static void start_rows(const linear_job *job, int first_row, int end_row, int first, int end)
{
    const float *bias = job->layer->b;

    for (int r = first_row; r < end_row; r++) {
        float *y = job->y + (long)r * job->layer->w.n;
        for (int j = first; j < end; j++)
            y[j] = (job->add ? y[j] : 0) + (bias ? bias[j] : 0);
    }
}

void blas_rows(const linear_job *job, int first_row, int end_row, int first_panel, int end_panel,
               float *room)
{
    const matrix *w = &job->layer->w;
    const float *x = job->x + first_row * job->x_stride;

    for (int panel = first_panel; panel < end_panel; panel += BLAS_OUTPUTS / ISA_PANEL) {
        int panels = smaller(end_panel - panel, BLAS_OUTPUTS / ISA_PANEL),
            first = panel * ISA_PANEL;
        int n = smaller(w->n - first, panels * ISA_PANEL);
        start_rows(job, first_row, end_row, first, first + n);
        for (int from = 0; from < w->k; from += ISA_WORDS) {
            int k = smaller(w->k - from, ISA_WORDS);
            unpack(room, w, panel, panels, from, k);
            sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, end_row - first_row, n, k, 1, x + from,
                  (blasint)job->x_stride, room, BLAS_OUTPUTS, 1,
                  job->y + (long)first_row * w->n + first, w->n);
        }
    }
}

#else

bool blas_ready(void)
{
    return false;
}

void blas_rows(const linear_job *job, int first_row, int end_row, int first_panel, int end_panel,
               float *room)
{
    (void)job, (void)first_row, (void)end_row, (void)first_panel, (void)end_panel, (void)room;
}

#endif

bool blas_takes(const isa *set, const linear_job *job)
{
    return isa_is_generic(set) && job->layer->w.type == WEIGHT_F32 && job->m >= BLAS_ROWS &&
           !atomic_load_explicit(&unused, memory_order_relaxed) && blas_ready();
}
