/* SPDX-License-Identifier: MIT */
/* question_options.h - a question from the command line.
 *
 *   question q;
 *   if (question_parse(argc, argv, &q, &status))
 *       return status;                        // --help, or wrong usage: already printed
 *   ...
 *   question_free(&q);
 */
#ifndef REPORTS_QUESTION_OPTIONS_H
#define REPORTS_QUESTION_OPTIONS_H

#include "reports/answer/question.h"

/* True when the program should end now with *status: after --help and wrong usage. */
bool question_parse(int argc, char **argv, question *q, int *status);
void question_free(question *q);

#endif
