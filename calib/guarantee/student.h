/* SPDX-License-Identifier: MIT */
/* student.h - Student's t, for comparison: it assumes a normal mean, and errs on rare large values.
 */
#ifndef CALIB_STUDENT_H
#define CALIB_STUDENT_H

/* p-value of "mean of z [n] >= limit"; 1 with fewer than two draws. */
double student_p_value(const double *z, int n, double limit);

#endif
