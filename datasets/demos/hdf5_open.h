/* hdf5_open.h - opening HDF5 files of others, and saying why one does not open. */
#ifndef DATASETS_HDF5_OPEN_H
#define DATASETS_HDF5_OPEN_H

#include "datasets/demos/hdf5_io.h"

/* Opens a file for reading: H5Fclose it. H5I_INVALID_HID and an error that tells a file that is
 * missing, of another kind, open for writing elsewhere, not closed by its writer or cut off. */
hid_t hdf5_open(const char *path, deer_error *err);

#endif
