/* SPDX-License-Identifier: MIT */
/* hdf5_why.h - why an HDF5 file does not open. */
#ifndef DATASETS_HDF5_WHY_H
#define DATASETS_HDF5_WHY_H

#include "runtime/deer.h"

/* Fills the error for a file of `size` bytes, open at fd, that HDF5 did not open: of another kind,
 * open for writing elsewhere, not closed by its writer, cut off, or damaged. */
void hdf5_why(const char *path, int fd, uint64_t size, deer_error *err);

#endif
