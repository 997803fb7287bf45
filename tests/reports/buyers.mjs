/* SPDX-License-Identifier: MIT */
/* Five questions of a buyer (docs/report.md): buyers.mjs REPORT.json PAGE.html, of the published 3B shape.
 *
 * The page's judge is asked; each answer is worked out again from the report's figures by the few lines of
 * arithmetic that a buyer would do, without the judge. Then a browser asks the page: the answers must be seen
 * without scrolling once the fields of the question are filled in. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const { chromium } = createRequire(join(process.cwd(), "package.json"))("playwright-core");
const Judge = createRequire(import.meta.url)("../../reports/page/judge.js");
const report = JSON.parse(readFileSync(process.argv[2], "utf8")), judge = Judge.make(report);
const asked = { ...judge.asked(), runtime: "tuned" };
const last = report.exits.length - 1, [LOW, EXPECTED, HIGH] = [0, 1, 2];

/* ---------------------------------------------------------------- by hand ------------------------ */

const machine = (name) => report.machines.find((m) => m.name === name);
const options = (m) => report.options.filter((o) => report.machines[o.machine] === m);
const costs = (o, d) => o.dtypes.find((x) => x.dtype === d);
const factor = (m) => report.runtimes.find((r) => r.name === "tuned").spreads[m.kind]?.factor;

/* Milliseconds of a step to exit k with a tuned runtime. */
const { digits } = Judge;
const step = (o, d, k, end) => factor(report.machines[o.machine])[end] * costs(o, d).exits[k].allowed_ms[EXPECTED];

/* W at the wall: busy for a step, idle for the rest of the period, then what stands around it, through the supply. */
function watts(o, d, k, rate) {
  const m = report.machines[o.machine], busy = Math.min(step(o, d, k, EXPECTED) * rate / 1e3, 1);
  const own = busy * costs(o, d).exits[k].busy_watts[EXPECTED] + (1 - busy) * m.figures.idle.value;
  return (own + m.around.watts[EXPECTED]) / m.around.supply;
}

/* W of an answer, whose steps leave as its thresholds say. */
const wattsOf = (a, rate) => report.frontiers[a.deepest].points[a.budget].exit_fractions.reduce((sum, f, k) => sum + f * watts(report.options[a.option], a.dtype, k, rate), 0);

/* GB with the system's share, as expected. */
const gigabytes = (o, d, k) => (costs(o, d).memory[k].weights_bytes + costs(o, d).memory[k].activations_bytes) / 1e9 + report.machines[o.machine].figures.reserved.value;

/* A type's line on a card. */
const line = (a, d) => `${d} ${digits(step(report.options[a.option], d, a.deepest, EXPECTED))} ms, ${digits(gigabytes(report.options[a.option], d, a.deepest))} GB`;

/* The deepest exit that is in time and fits as expected; -1: none. */
function deepest(o, c, rate) {
  for (let k = last; k >= 0; k--) if (step(o, c.dtype, k, EXPECTED) <= 1e3 / rate && c.memory[k].with_system_bytes <= c.available_bytes) return k;
  return -1;
}

/* Whether a machine in some mode and type, as deep as it goes as expected, is in time and fits at worst as well. */
function safe(m, rate) {
  return Boolean(factor(m)) && m.support !== "cannot" && options(m).some((o) => o.dtypes.filter((c) => c.exits.length).some((c) => {
    const k = deepest(o, c, rate);
    return k >= 0 && report.frontiers[k].points.some((x) => x.loss <= report.demands.max_loss) && step(o, c.dtype, k, HIGH) <= 1e3 / rate && c.memory[k].with_system_high_bytes <= c.available_bytes;
  }));
}
const usd = (m) => m.figures.price.value + m.around.price_usd[EXPECTED];
const answered = (question) => { const ranked = judge.rank({ ...asked, ...question }); return { ranked, best: ranked[0], name: judge.machineOf(ranked[0].option).name, meets: ranked[0].verdict === "meets" }; };

/* ---------------------------------------------------------------- the questions ------------------ */

/* Each returns what is filled in on the page, and what must be said in its sentences and on its cards. */

function batteryRobot() {
  const robots = (list) => list.filter((a) => judge.machineOf(a.option).class === "robot" && a.verdict === "meets");
  const tuned = robots(answered({ rate: 5, watts: 10 }).ranked), own = robots(judge.rank({ ...asked, runtime: "deer", rate: 5, watts: 10 }));
  assert.deepEqual(own, [], "with deer none runs 3B at 5 Hz under 10 W");
  assert.equal(judge.machineOf(tuned[0].option).name, "orin-nano-8");
  const x = wattsOf(tuned[0], 5);
  assert.ok(Math.abs(x - tuned[0].watts[EXPECTED]) < 1e-3 * x && x <= 10, `${tuned[0].watts[EXPECTED]} W, by hand ${x}`);
  for (const name of ["raspberry-pi-5", "raspberry-pi-5-16"])
    for (const option of options(machine(name))) for (const c of option.dtypes) assert.ok(c.exits[0].allowed_ms[LOW] > 200, `${name} is too slow even at best`);
  console.log(`a battery robot: ${judge.describe(tuned[0])}, ${x.toFixed(2)} W`);
  return { ask: { rate: 5, watts: 10 }, said: ["At 5 Hz within 10 W, the cheapest", "as expected but not at worst: NVIDIA Jetson Orin Nano 8 GB", `${digits(x)} W at the wall`], cards: [`${digits(x)} W`, "7W, q8"] };
}

function cheapest() {
  const { best, name, meets } = answered({ rate: 10 }), m = machine(name);
  assert.ok(meets && best.sure && name === "rtx-4060", `${name} at 10 Hz`);
  assert.equal(best.price[EXPECTED], usd(m));
  for (const other of report.machines.filter((x) => usd(x) < usd(m) && x.figures.price.value !== null))
    assert.ok(!safe(other, 10), `${other.name} is cheaper and in time at worst`);
  console.log(`the cheapest at 10 Hz: ${m.title}, ${usd(m)} USD`);
  return { ask: { rate: 10 }, said: ["At 10 Hz, the cheapest", `also at worst: ${m.title}`, `${usd(m).toLocaleString("en")} USD`], cards: [`${m.figures.price.value} + ${m.around.price_usd[EXPECTED]} around it`] };
}

function eightGigabytes() {
  const m = machine("orin-nano-8"), [o] = options(m), found = {};
  for (const c of o.dtypes) {
    const own = c.memory[last].weights_bytes + c.memory[last].activations_bytes, has = 1e9 * m.figures.memory.value;
    found[c.dtype] = [own + 1e9 * m.figures.reserved.value <= has, own + 1e9 * m.figures.reserved.high <= has];
    const room = judge.roomOf(report.options.indexOf(o), c.dtype, asked).memory[last];
    assert.deepEqual([room.with_system_bytes <= has, room.with_system_high_bytes <= has], found[c.dtype], c.dtype);
  }
  assert.deepEqual(found, { f32: [true, false], bf16: [true, true], q8: [true, true] });
  console.log("8 GB: q8 and bf16 also at worst, f32 only as expected");
  const { best } = answered({ rate: 5, watts: 10 });
  assert.equal(judge.machineOf(best.option), m);
  return { ask: { rate: 5, watts: 10 }, said: [], cards: [...o.dtypes.map((c) => line(best, c.dtype)), `of ${digits(m.figures.memory.value)} GB`] };
}

function twoRobots() {
  const { best, name } = answered({ rate: 10, robots: 2 }), o = report.options[best.option], x = wattsOf(best, 20);
  assert.ok(best.sure && name === "rtx-4060", `${name} for two`);
  assert.ok(2 * step(o, best.dtype, best.deepest, HIGH) <= 100, "two steps one after the other, at worst");
  assert.ok(Math.abs(x - best.watts[EXPECTED]) < 1e-3 * x, `${best.watts[EXPECTED]} W, by hand ${x}`);
  assert.equal(answered({ rate: 20 }).name, name, "two robots are one of twice the rate");
  console.log(`two robots: ${machine(name).title}, twice ${step(o, best.dtype, best.deepest, HIGH).toFixed(1)} ms at worst`);
  return { ask: { rate: 10, robots: 2 }, said: ["At 10 Hz for each of 2 robots, the cheapest", `also at worst: ${machine(name).title}`, `${digits(x)} W at the wall`, "the share of the period is 50.0 ms"], cards: [`longest ${digits(step(o, best.dtype, best.deepest, HIGH))} at worst`] };
}

function worthBf16() {
  const fast = options(machine("orin-nx-8"))[0], ms = (d) => step(fast, d, last, EXPECTED);
  assert.ok(ms("f32") > 100 && ms("bf16") < 100, `${ms("f32")} ms in f32, ${ms("bf16")} in bf16`);
  assert.ok(ms("q8") < ms("bf16") && ms("q8") > 0.7 * ms("bf16"), "8 bits gain less");
  for (const [d, yes] of [["f32", false], ["bf16", true]]) {
    const a = judge.answer(report.options.indexOf(fast), d, { ...asked, rate: 10 });
    assert.equal(a.verdict === "meets" && a.deepest === last, yes, d);
  }
  console.log(`bf16: ${ms("bf16").toFixed(0)} ms instead of ${ms("f32").toFixed(0)}`);
  const { best } = answered({ rate: 10 });
  return { ask: { rate: 10 }, said: [], cards: ["f32", "bf16", "q8"].map((d) => line(best, d)) };
}

/* ---------------------------------------------------------------- on the page -------------------- */

/* Whether an element says it that is seen as a whole without scrolling. */
const isSeen = (page, where, text) => page.evaluate(([selector, words]) => [...document.querySelectorAll(selector)].some((e) => {
  const box = e.getBoundingClientRect();
  return e.textContent.includes(words) && box.height > 0 && box.top >= 0 && box.bottom <= window.innerHeight && box.left >= 0 && box.right <= window.innerWidth;
}), [where, text]);

/* Whether the answer is seen on the first screen, at each size. */
async function testFirstScreen(browser, name, answer) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  page.setDefaultTimeout(300000); /* busy machines */
  await page.goto(pathToFileURL(resolve(process.argv[3])).href);
  await page.selectOption("#runtime", "tuned");
  for (const [field, value] of Object.entries(answer.ask)) await page.fill(`#${field}`, String(value));
  for (const [width, height] of [[1280, 800], [768, 1024], [390, 844]]) {
    await page.setViewportSize({ width, height });
    for (const words of answer.said) assert.ok(await isSeen(page, "#verdict, #more", words), `${name}, ${width} px: "${words}", not "${await page.textContent("#answer")}"`);
    for (const words of width < 700 ? [] : answer.cards) /* a phone shows the sentences first */
      assert.ok(await isSeen(page, ".card:first-child *", words), `${name}, ${width} px: "${words}" on the first card: ${await page.textContent(".card")}`);
    assert.equal(await page.evaluate(() => window.scrollY), 0);
  }
  await page.close();
}

const questions = [batteryRobot, cheapest, eightGigabytes, twoRobots, worthBf16];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
try {
  for (const question of questions) await testFirstScreen(browser, question.name, question());
} finally {
  await browser.close();
}
