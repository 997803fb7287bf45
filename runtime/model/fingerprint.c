/* SPDX-License-Identifier: MIT */
/* fingerprint.c - one number for a configuration and its weights. */
#include <stdlib.h>

#include "runtime/model/model.h"

enum { PIECE = 1 << 20 }; /* bytes read at once */

/* Adds the data up to end. */
static deer_status add_data(const safetensors *file, size_t end, checksum *sum, deer_error *err)
{
    char *piece = malloc(PIECE);
    deer_status status = piece ? DEER_OK : deer_fail(err, "out of memory opening %s", file->path);

    for (size_t at = 0; at < end && !status; at += PIECE) {
        size_t n = end - at < PIECE ? end - at : PIECE;

        status = safetensors_read(file, at, piece, n, err);
        if (!status)
            checksum_add(sum, piece, n);
    }
    free(piece);
    return status;
}

deer_status model_fingerprint(const safetensors *file, size_t first_exit_end,
                              char out[DEER_FINGERPRINT], deer_error *err)
{
    checksum *sum = checksum_new();
    deer_status status = DEER_OK;

    if (!sum)
        return deer_fail(err, "out of memory opening %s", file->path);
    checksum_add(sum, file->header_text, file->header_size);
    if (!safetensors_has_sums(file))
        status = add_data(file, first_exit_end, sum, err);
    checksum_end(sum, out);
    checksum_free(sum);
    return status;
}
