/* SPDX-License-Identifier: MIT */
/* data_parts.h - an import in parts that survive being killed.
 *
 *   parts p;
 *   if (parts_open("demos.h5", source, episodes, 32, &p, &err)) ...   // demos.h5.parts/
 *   for (k = 0; k < p.count; k++)
 *       if (!parts_have(&p, k, &sum))                // done earlier, and still as it was
 *           write parts_file(&p, k), then parts_note(&p, k, &made, &err);
 *   parts_join(&p, env_args, &err);                  // demos.h5; the parts go away
 *   parts_close(&p);
 *
 * A part is a demonstrations file of a fixed number of the source's episodes, written whole or not
 * at all, and a note beside it: how many it holds and the hash of its bytes. Joining copies the
 * compressed data as it is, so that the result is the same bytes whether or not, and where, the
 * import was interrupted. */
#ifndef DATA_PARTS_H
#define DATA_PARTS_H

#include "datasets/demos/demos.h"

/* Episodes of a part, or of several. */
typedef struct {
    int kept, skipped;
    long steps;
} parts_sum;

typedef struct {
    char *out, *folder; /* OUT, OUT.parts */
    int episodes, each; /* of the source; of a part */
    int count;          /* parts */
    int lock;
} parts;

/* Begins or goes on. Fails when the folder is of another source (source, episodes, each), or
 * another process is at it. source: 32 hexadecimal digits. */
deer_status parts_open(const char *out, const char *source, int episodes, int each, parts *p,
                       deer_error *err);

/* Closes; the folder stays when a part in it need not be done again, or when the machine fails to
 * say so. */
void parts_close(parts *p);

/* First episode of part k, and the one behind its last. */
int parts_first(const parts *p, int k);
int parts_end(const parts *p, int k);

/* Where its demonstrations belong. */
void parts_file(const parts *p, int k, char path[4352]);

/* Whether part k is finished, whole and undamaged; then adds what is in it to sum. One that left
 * episodes out is to be done again: they may have been repaired. */
bool parts_have(const parts *p, int k, parts_sum *sum);

/* Says that part k is finished; its file is there unless it kept nothing. */
deer_status parts_note(const parts *p, int k, const parts_sum *made, deer_error *err);

/* Writes OUT of all parts, which must be there, and removes them. */
deer_status parts_join(const parts *p, const char *env_args, deer_error *err);

#endif
