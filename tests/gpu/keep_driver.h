/* SPDX-License-Identifier: MIT */
/* keep_driver.h - keeps Mesa's software driver loaded until the end, so that the leak sanitizer can
 * name whose memory was lost (tests/lsan.supp). Where there is none, nothing happens. */
#ifndef TESTS_KEEP_DRIVER_H
#define TESTS_KEEP_DRIVER_H

#include <dlfcn.h>

static inline void keep_driver(void)
{
    dlopen("libvulkan_lvp.so", RTLD_NOW | RTLD_NODELETE);
}

#endif
