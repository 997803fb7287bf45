/* SPDX-License-Identifier: MIT */
/* sentence.h - the answer at a rate in plain words. */
#ifndef REPORTS_SENTENCE_H
#define REPORTS_SENTENCE_H

#include "reports/answer/report.h"

enum { SENTENCE_LENGTH = 800 };

/* Whether anything runs the policy at a rate: one sentence. */
void sentence_verdict(const report *r, int rate, char text[SENTENCE_LENGTH]);

/* What it costs, or by how much the nearest misses; and what was left out. */
void sentence_more(const report *r, int rate, char text[SENTENCE_LENGTH]);

#endif
