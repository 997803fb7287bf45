/* SPDX-License-Identifier: MIT */
/* journal.h - results of trials in a file, so that a search that was killed goes on.
 *
 *   journal_open(path, settings, &j, &err);
 *   if (!journal_find(j, &trial, &result)) {
 *       ... try it ...
 *       journal_add(j, &trial, &result, &err);       // written when it returns
 *   }
 *   journal_close(j);
 *
 * JSON, replaced as a whole after each trial. A result counts for a trial of the same number, unit
 * and point only. Several threads may add at once.
 */
#ifndef CALIB_JOURNAL_H
#define CALIB_JOURNAL_H

#include "calib/online/search.h"

typedef struct journal journal;

/* settings: what the results depend on besides the trial. A file with others is refused. */
deer_status journal_open(const char *path, const char *settings, journal **j, deer_error *err);
bool journal_find(journal *j, const online_trial *trial, online_result *result);
deer_status journal_add(journal *j, const online_trial *trial, const online_result *result,
                        deer_error *err);
int journal_known(const journal *j); /* results that were in the file when it was opened */
void journal_close(journal *j);

#endif
