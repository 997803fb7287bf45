/* SPDX-License-Identifier: MIT */
/* rollouts.h - deer-report rollouts: evaluations of deer-sim eval --json, side by side. */
#ifndef REPORTS_ROLLOUTS_H
#define REPORTS_ROLLOUTS_H

/* Arguments NAME=FILE; prints a table, and with --out writes
 * {"rows":[{"name","success","success_low","success_high","rollouts","llm_gflops","total_gflops",
 * "peak_gflops","peak_total_gflops","memory_bytes","exit_fractions"}, ...]}. peak_gflops is of the
 * language model, as llm_gflops. Factors in the table are relative to the first row. --paired:
 * rollouts_paired.h. */
int report_rollouts_main(int argc, char **argv);

#endif
