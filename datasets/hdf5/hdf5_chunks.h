/* SPDX-License-Identifier: MIT */
/* hdf5_chunks.h - reading and copying a dataset's chunks without trusting them. */
#ifndef DATASETS_HDF5_CHUNKS_H
#define DATASETS_HDF5_CHUNKS_H

#include "datasets/hdf5/hdf5_io.h"

/* Reads an open dataset whole into memory of type `type`. No chunk is inflated beyond its size.
 * Fails, without a message, when it is damaged, of a kind that is not read, or memory is short. */
deer_status hdf5_chunks_read(hid_t dataset, hid_t type, void *data);

/* Makes in `file`, under `name`, a dataset like an open one and copies what it holds, chunk by
 * chunk as they are stored. Fails, without a message, when it cannot be read or written. */
deer_status hdf5_chunks_copy(hid_t from, hid_t file, const char *name);

#endif
