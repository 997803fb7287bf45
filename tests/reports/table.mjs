/* SPDX-License-Identifier: MIT */
/* table.mjs - tables of deer-report, for the tests beside it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

/* Rows of a CSV file as objects; the files of these tests have no commas inside fields. */
export function readTable(path) {
  const [header, ...lines] = readFileSync(path, "utf8").trimEnd().split("\n");
  const names = header.split(",");
  const rows = lines.map((line) => {
    const values = line.split(",");
    assert.equal(values.length, names.length, `${path}: columns`);
    return Object.fromEntries(values.map((value, i) => [names[i], value]));
  });
  for (const [i, a] of names.entries())
    for (const b of names.slice(i + 1)) assert.ok(rows.some((r) => r[a] !== r[b]), `${path}: ${a} and ${b} are the same`);
  return rows;
}
