/* SPDX-License-Identifier: MIT */
/* hdf5_filter.h - HDF5's compression filters: LZF is built in, of others what provides them. */
#ifndef DATASETS_HDF5_FILTER_H
#define DATASETS_HDF5_FILTER_H

#include "datasets/hdf5/hdf5_io.h"

/* Teaches HDF5 to read LZF, the compression of h5py. hdf5_quiet does it. */
void hdf5_filter_lzf(void);

/* The first filter of an open dataset that this HDF5 has not; 0 when all are there. */
H5Z_filter_t hdf5_filter_missing(hid_t dataset);

/* How many times smaller its filters may make an open dataset's data at the very most. */
uint64_t hdf5_filter_ratio(hid_t dataset);

/* The error for a dataset with a missing filter: names it, and how to get it or do without. */
deer_status hdf5_filter_fail(const char *path, const char *name, H5Z_filter_t filter,
                             deer_error *err);

#endif
