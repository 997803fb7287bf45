/* SPDX-License-Identifier: MIT */
/* The page's judge against the program: judge.mjs REPORT.json TABLE.csv [OTHER.json ..]
 *
 * Every answer, ranking and sentence of the JSON and every row of the CSV is what reports/page/judge.js
 * says of the same question, and the JSON is as docs/report.schema.json describes it. With OTHER, a report of the same cache whose question was another one (a
 * runtime, rates, a weight, limits, other cameras or types): asked that, the judge of the first report says what the program said
 * in the second. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { readJson, readSchema, refusesMore, valid } from "./schema.mjs";
import { readTable } from "./table.mjs";

const Judge = createRequire(import.meta.url)("../../reports/page/judge.js");
const [report_path, table_path, ...others] = process.argv.slice(2);
const report = readJson(report_path);

/* What a shell makes of names that commands on the page have is the names. */
for (const name of ["cache/of_1.h5", "a b", "x; rm -rf ~", "it's", "$(id)", "-n", "", "\u00e9t\u00e9"])
  assert.equal(execFileSync("sh", ["-c", `printf %s ${Judge.word(name)}`], { encoding: "utf8" }), name);

/* ---------------------------------------------------------------- schema ------------------------- */

const schema = readSchema("report.schema.json");
for (const path of [report_path, ...others]) valid(readJson(path), schema, path);
refusesMore(report, schema);
assert.throws(() => valid({ ...report, deer_report: "2" }, schema, "a report"), /deer_report is string/);
assert.throws(() => valid({ ...report, demands: { ...report.demands, robots: 0 } }, schema, "a report"), /robots is 0/);

/* ---------------------------------------------------------------- answers ------------------------ */

/* JSON has six digits, and figures of 1e-4 add up. */
function near(value, reference, what) {
  if (reference === null || reference === undefined || reference === "") return assert.ok(!Number.isFinite(value), `${what}: ${value}, not unknown`);
  assert.ok(Math.abs(value - Number(reference)) <= 2e-4 * Math.abs(Number(reference)) + 1e-9, `${what}: ${value}, not ${reference}`);
}
const plain = (text) => text.replace(/(\d+\.\d+|\d+)/g, (x) => Number(Number(x).toPrecision(2))); /* the third digit may round */

/* The answers of `said` are those of judge to its question. */
function holds(judge, said) {
  let answers = 0;
  const asked = { ...Judge.make(said).asked() };
  for (const [r, choice] of said.choices.entries()) {
    const question = { ...asked, rate: choice.rate_hz };
    for (const a of said.answers.filter((x) => x.rate_hz === choice.rate_hz)) {
      const found = judge.answer(a.option, a.dtype, question), where = `${judge.describe(found)} at ${a.rate_hz} Hz`;
      assert.equal(found.verdict, a.verdict, where);
      assert.equal(found.sure, a.sure, where);
      assert.equal(found.deepest, a.deepest_exit, where);
      assert.equal(found.budget, a.budget_index, where);
      if (a.verdict !== "unknown") assert.equal(plain(found.reason), plain(a.reason), where);
      if (a.budget_index >= 0)
        for (const [key, list] of [["ms", a.ms], ["watts", a.watts], ["joules", a.joules], ["p99", a.p99_ms]])
          list.forEach((x, i) => near(found[key][i], x, `${where}: ${key}`));
      if (a.thresholds) {
        const file = judge.atBudget(found, "file", question);
        assert.equal(file.verdict, a.thresholds.verdict, `${where}, the file`);
        assert.equal(file.sure, a.thresholds.sure, `${where}, the file`);
        for (const [key, list] of [["ms", a.thresholds.ms], ["p99", a.thresholds.p99_ms], ["joules", a.thresholds.joules], ["watts", a.thresholds.watts]])
          list.forEach((x, i) => near(file[key]?.[i], x, `${where}, the file: ${key}`));
      }
      answers++;
    }
    const ranked = judge.rank(question), sentences = judge.sentences(question, ranked), index = (a) => said.answers.findIndex((x) => x.option === a.option && x.dtype === a.dtype && x.rate_hz === choice.rate_hz);
    assert.deepEqual(ranked.map((a) => said.answers[choice.ranking[ranked.indexOf(a)]].option), ranked.map((a) => a.option), `ranking at ${choice.rate_hz} Hz`);
    assert.equal(sentences.best ? index(sentences.best) : -1, choice.best, "the best");
    assert.equal(sentences.runnerUp ? index(sentences.runnerUp) : -1, choice.runner_up, "the runner-up");
    assert.equal(sentences.verdict, choice.verdict);
    assert.equal(plain(sentences.more), plain(choice.more));
    assert.ok(r < said.choices.length);
  }
  return answers;
}

/* Every row of the table. */
function rows(judge, table) {
  const asked = judge.asked(), budgets = report.budgets_gflops.length;
  table.forEach((row, i) => {
    const a = report.answers[Math.floor(i / budgets)], question = { ...asked, rate: Number(row.rate_hz) };
    const found = judge.atBudget(judge.answer(a.option, a.dtype, question), i % budgets, question), where = `row ${i}`;
    assert.equal(found.verdict, row.verdict, where);
    assert.equal(found.sure ? "yes" : "no", row.sure, where);
    near(judge.price(judge.machineOf(a.option), question)[1], row.price_usd, `${where}: price`);
    if (row.deepest_exit === "") return;
    near(found.ms[1], row.latency_ms, `${where}: ms`);
    near(found.ms[2], row.latency_high_ms, `${where}: ms at worst`);
    near(found.p99[1], row.p99_ms, `${where}: p99`);
    near(found.joules[1], row.energy_j, `${where}: joules`);
    near(found.watts[1], row.watts, `${where}: watts`);
    near(found.loss, row.loss, `${where}: loss`);
  });
  return table.length;
}

const judge = Judge.make(report);
console.log(`${holds(judge, report)} answers and ${rows(judge, readTable(table_path))} rows are the judge's`);
for (const path of others) console.log(`${holds(judge, readJson(path))} answers to another question are the judge's`);
