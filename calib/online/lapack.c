/* SPDX-License-Identifier: MIT */
/* lapack.c - LAPACKE, opened when it is first needed. */
#include "calib/online/lapack.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

lapack_functions lapack;
static pthread_once_t opening = PTHREAD_ONCE_INIT;
static const char *const threads = "OPENBLAS_NUM_THREADS";

/* Functions are data to dlsym. */
static void find(void *library, const char *name, void *function)
{
    *(void **)function = dlsym(library, name);
}

/* What is set for the library alone is not left to the programs that are run. */
static void open_once(void)
{
    bool said = getenv(threads) != NULL;
    void *library;

    if (!said)
        setenv(threads, "1", 1);
    library = dlopen("liblapacke.so.3", RTLD_NOW | RTLD_LOCAL);
    if (!said)
        unsetenv(threads);
    if (!library)
        return;
    find(library, "LAPACKE_dpotrf", &lapack.potrf);
    find(library, "LAPACKE_dpotrs", &lapack.potrs);
    find(library, "LAPACKE_dtrtrs", &lapack.trtrs);
}

deer_status lapack_open(deer_error *err)
{
    pthread_once(&opening, open_once);
    return lapack.potrf && lapack.potrs && lapack.trtrs
               ? DEER_OK
               : deer_fail(err, "there is no liblapacke.so.3, which a search by trial factors its "
                                "matrices with: install the package liblapacke");
}
