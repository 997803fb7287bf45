/* SPDX-License-Identifier: MIT */
/* hdf5_text.h - texts in HDF5, whichever way they were written: attributes and datasets, of fixed
 * and variable length, opaque bytes, one or several.
 *
 *   hdf5_texts t = {NULL};
 *   if (hdf5_texts_of_attribute(group, "language", &t)) .. t.text[0] ..
 *   hdf5_texts_free(&t);
 */
#ifndef DATASETS_HDF5_TEXT_H
#define DATASETS_HDF5_TEXT_H

#include <hdf5.h>
#include <stdbool.h>

typedef struct {
    char **text; /* [count], each zero-terminated */
    size_t count;
    bool failed;  /* something that is there could not be read, or memory was short */
    bool garbled; /* a text was left out because it is no UTF-8 */
} hdf5_texts;

/* Appends the texts of an attribute, of a dataset below `object`. False where there is none, or it
 * holds no text; where it cannot be read texts have failed, too. At most 64 MB are read. */
bool hdf5_texts_of_attribute(hid_t object, const char *name, hdf5_texts *texts);
bool hdf5_texts_of_dataset(hid_t object, const char *name, hdf5_texts *texts);

/* Appends n bytes as a text; false, and failed, when out of memory. */
bool hdf5_texts_add(hdf5_texts *texts, const char *text, size_t n);
void hdf5_texts_free(hdf5_texts *texts);

#endif
