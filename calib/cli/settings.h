/* SPDX-License-Identifier: MIT */
/* settings.h - what the options of the sub-commands mean: words and parts. */
#ifndef CALIB_SETTINGS_H
#define CALIB_SETTINGS_H

#include "calib/pipeline/onpolicy.h"

/* Each parses a word into *value; an error names the words there are, with status DEER_USAGE. */
deer_status settings_criterion(const char *word, deer_criterion *value, deer_error *err);
deer_status settings_loss(const char *word, loss_reference *value, deer_error *err);
deer_status settings_history(const char *word, history_kind *value, deer_error *err);
deer_status settings_scope(const char *word, bool *llm, deer_error *err);
deer_status settings_method(const char *word, solve_method *value, deer_error *err);

/* "i/N", 0 <= i < N. */
deer_status settings_part(const char *word, int *part, int *parts, deer_error *err);

const char *settings_history_name(history_kind history);
const char *settings_loss_name(loss_reference loss);

/* "1,2,4:1,2": ages of the static camera's encodings and of the wrist's, 0 besides; ascending. */
deer_status settings_ages(const char *text, int ages[2], int age[2][CACHE_AGES], deer_error *err);

/* "9/0.6,2": rules of the static camera and the wrist's, each an age and perhaps a rho behind a
 * slash;
 * ",stagger" behind them for one encoding a step at most. */
deer_status settings_cameras(const char *text, deer_camera_rules *rules, deer_error *err);

#endif
