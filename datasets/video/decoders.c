/* SPDX-License-Identifier: MIT */
/* decoders.c - opens the libraries of the versions that this was compiled for. */
#include "datasets/video/decoders.h"

#include <dlfcn.h>
#include <pthread.h>

#include "runtime/base/machine_failure.h"

#define FORMAT_VERSION AV_STRINGIFY(LIBAVFORMAT_VERSION_MAJOR)
#define SCALE_VERSION AV_STRINGIFY(LIBSWSCALE_VERSION_MAJOR)
#define FORMAT_LIBRARY "libavformat.so." FORMAT_VERSION
#define SCALE_LIBRARY "libswscale.so." SCALE_VERSION

decoder_functions ff;
static pthread_once_t opening = PTHREAD_ONCE_INIT;
static bool opened;

/* Functions are data to dlsym. */
static bool find(void *library, const char *name, void *function)
{
    *(void **)function = library ? dlsym(library, name) : NULL;
    return *(void **)function != NULL;
}

static void open_once(void)
{
    void *format = dlopen(FORMAT_LIBRARY, RTLD_LAZY | RTLD_LOCAL);
    void *scale = dlopen(SCALE_LIBRARY, RTLD_LAZY | RTLD_LOCAL);

    opened = true;
#define FIND_IN_FORMAT(name) opened = find(format, #name, &ff.name) && opened;
#define FIND_IN_SCALE(name) opened = find(scale, #name, &ff.name) && opened;
    DECODERS_FORMAT(FIND_IN_FORMAT)
    DECODERS_SCALE(FIND_IN_SCALE)
    if (opened)
        ff.av_log_set_level(AV_LOG_QUIET);
}

deer_status decoders_open(deer_error *err)
{
    pthread_once(&opening, open_once);
    return opened ? DEER_OK
                  : machine_fail(err, "cannot open " FORMAT_LIBRARY " and " SCALE_LIBRARY
                                      ", which decode videos and images: install FFmpeg's "
                                      "libraries (on Debian libavformat" FORMAT_VERSION
                                      " and libswscale" SCALE_VERSION ")");
}
