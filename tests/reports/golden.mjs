/* SPDX-License-Identifier: MIT */
/* A report's numbers against those written down: golden.mjs REPORT.json GOLDEN.json
 *
 * Costs are exact. Everything that comes from the policy's arithmetic may differ by what another
 * processor's rounding does to it: losses by 2%, shares of steps by 0.01, the recommended budget by
 * one point. With --write the golden file is written instead. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";

const [report_path, golden_path, write] = process.argv.slice(2);
const report = JSON.parse(readFileSync(report_path, "utf8"));
const last = report.frontiers.at(-1);

const found = {
  episodes: report.cache.episodes,
  steps: report.cache.steps,
  tasks: report.tasks.map((t) => t.name),
  exits: report.exits.map((e) => ({ total_gflops: e.total_gflops, llm_gflops: e.llm_gflops, loss: e.loss })),
  recommended_budget: report.recommended_budget,
  frontier: [4, 8, 12].map((b) => ({ budget: report.budgets_gflops[b], loss: last.points[b].loss, oracle: last.oracle_loss[b], official: report.official[b].loss, fractions: last.points[b].exit_fractions })),
};

const within = (value, reference, relative, absolute, what) =>
  assert.ok(Math.abs(value - reference) <= relative * Math.abs(reference) + absolute, `${what}: ${value}, not ${reference}`);

if (write) {
  writeFileSync(golden_path, `${JSON.stringify(found, null, 1)}\n`);
} else {
  const golden = JSON.parse(readFileSync(golden_path, "utf8"));
  for (const key of ["episodes", "steps", "tasks"]) assert.deepEqual(found[key], golden[key], key);
  golden.exits.forEach((e, k) => {
    within(found.exits[k].total_gflops, e.total_gflops, 1e-5, 0, `exit ${k}, all GFLOPs`);
    within(found.exits[k].llm_gflops, e.llm_gflops, 1e-5, 0, `exit ${k}, LLM GFLOPs`);
    within(found.exits[k].loss, e.loss, 0.04, 1e-9, `exit ${k}, loss`);
  });
  within(found.recommended_budget, golden.recommended_budget, 0, 1, "recommended budget");
  golden.frontier.forEach((p, i) => {
    within(found.frontier[i].budget, p.budget, 1e-5, 0, "budget");
    for (const key of ["loss", "oracle", "official"]) within(found.frontier[i][key], p[key], 0.04, 1e-6, `${key} at ${p.budget}`);
    p.fractions.forEach((f, k) => within(found.frontier[i].fractions[k], f, 0, 0.04, `share of exit ${k} at ${p.budget}`));
  });
  console.log("the report's numbers are as written down");
}
