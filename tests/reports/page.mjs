/* SPDX-License-Identifier: MIT */
/* The page of deer-report in a real browser, from disk, with the network off.
 *
 *   node page.mjs FOLDER
 *
 * FOLDER has tabletop.html, .json and .csv (with rollouts and demonstrations), shape.html and .csv
 * (--model-shape), hostile.html, whose names come from somebody who wants to run a script, and
 * blank.html and never.html, where no machine can be judged or is fast enough.
 * Screenshots and a PDF are left there to be looked at.
 */
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const folder = process.argv[2];
const require = createRequire(join(process.cwd(), "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const largest_page = 1.5e6; // bytes

/* ---------------------------------------------------------------- tables ------------------------- */

/* Rows of a CSV file as objects; the files of these tests have no commas inside fields. */
function readTable(path) {
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

/* The row of a setting; budgets are found by their order. */
function rowOf(table, at) {
  const rows = table.filter((r) => r.machine === at.machine && r.mode === at.mode && r.dtype === at.dtype && Number(r.rate_hz) === at.rate);
  return rows[at.budget];
}

/* ---------------------------------------------------------------- browser ------------------------ */

async function open(browser, name, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, offline: true, ...options });
  const page = await context.newPage(), complaints = [];
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && complaints.push(m.text()));
  page.on("pageerror", (e) => complaints.push(e.message));
  page.on("dialog", (d) => { complaints.push(`dialog: ${d.message()}`); d.dismiss(); });
  page.on("request", (r) => /^(file|data):/.test(r.url()) || complaints.push(`asked for ${r.url()}`));
  await page.goto(pathToFileURL(join(folder, `${name}.html`)).href);
  page.complaints = complaints;
  return page;
}

async function close(page, name) {
  assert.deepEqual(page.complaints, [], `${name}: the console stays silent`);
  await page.context().close();
}

/* Draws all charts: the page does so at the next frame. */
const settle = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

/* ---------------------------------------------------------------- what is shown ------------------ */

async function shown(page) {
  await settle(page);
  return page.evaluate(() => {
    const report = JSON.parse(document.getElementById("data").textContent);
    const value = (id) => document.getElementById(id).value;
    const picked = (name) => Number(document.querySelector(`input[name="${name}"]:checked`).value);
    const mode = document.getElementById("mode").selectedOptions[0].textContent;
    const numbers = Object.fromEntries([...document.querySelectorAll("[data-number]")].map((e) => [e.dataset.number, parseFloat(e.firstChild.textContent)]));
    const cells = (key) => [...document.querySelectorAll(`[data-${key}]`)].map((e) => e.textContent);
    return {
      machine: report.machines[Number(value("machine"))].name, mode, dtype: report.demands.dtypes[picked("dtype")],
      rate: report.demands.rates_hz[picked("rate")], budget: Number(value("budget")),
      verdict: document.getElementById("verdict").dataset.verdict, numbers, tau: cells("tau"), fractions: cells("fraction").map((t) => parseFloat(t)),
      ring: document.querySelector("#frontier-chart svg circle[r='8']")?.getAttribute("cx") ?? null,
    };
  });
}

/* Three significant digits are shown. */
function near(value, reference, what) {
  assert.ok(Math.abs(value - reference) <= 0.0051 * Math.abs(reference) + 1e-12, `${what}: ${value} is shown, ${reference} is right`);
}

function compare(at, row) {
  const where = `${at.machine} ${at.mode} ${at.dtype} ${at.rate} Hz budget ${at.budget}`;
  assert.ok(row, `${where} is in the table`);
  assert.equal(at.verdict, row.verdict, where);
  if (row.deepest_exit === "") return;
  const pairs = { ms: row.latency_ms, p99: row.p99_ms, hz: row.sustained_hz, joules: row.energy_j, watts: row.watts, loss: row.loss, gflops: row.total_gflops };
  for (const [name, value] of Object.entries(pairs))
    if (value !== "") near(at.numbers[name], Number(value), `${where}: ${name}`);
  near(at.numbers.memory, Number(row.memory_bytes) / 1e9, `${where}: memory`);
  if (row.success !== "") assert.ok(Math.abs(at.numbers.success - 100 * Number(row.success)) <= 0.51, `${where}: success`);
  row.exit_fractions.split(" ").forEach((f, k) => assert.ok(Math.abs(at.fractions[k] - 100 * Number(f)) <= 0.51, `${where}: exit ${k}`));
  row.thresholds.split(" ").forEach((t, k) => (/^[a-z]/.test(t) ? assert.equal(at.tau[k], t, where) : near(Number(at.tau[k]), Number(t), `${where}: threshold ${k}`)));
}

/* ---------------------------------------------------------------- tests -------------------------- */

/* Moves every control and finds the numbers of the table each time. */
async function testControls(browser, name) {
  const page = await open(browser, name), table = readTable(join(folder, `${name}.csv`)), rings = new Set();
  let checks = 0;
  const check = async () => { const at = await shown(page); compare(at, rowOf(table, at)); rings.add(at.ring); checks++; return at; };
  await check();
  await page.focus("#budget");
  for (const press of ["Home", "ArrowRight", "ArrowRight", "PageUp", "End", "ArrowLeft"]) {
    await page.keyboard.press(press);
    await check();
  }
  assert.ok(rings.size >= 5, "the ring on the frontier follows the slider");
  for (const machine of await page.$$eval("#machine option", (list) => list.map((o) => o.value))) {
    await page.selectOption("#machine", machine);
    await check();
    if (await page.isVisible("#mode"))
      for (const mode of await page.$$eval("#mode option", (list) => list.map((o) => o.value))) {
        await page.selectOption("#mode", mode);
        await check();
      }
  }
  for (const group of ["rate", "dtype", "axis"])
    for (const radio of await page.$$(`input[name="${group}"]`)) {
      await radio.check();
      await check();
    }
  const before = (await shown(page)).budget;
  await page.click("#best");
  const after = await check();
  assert.notEqual(after.budget, before, "the best budget is not where the slider was left");
  await page.click("#every summary");
  await page.locator(".ranking:not([hidden]) .pick").last().click();
  await check();
  console.log(`${name}: ${checks} settings show the table's numbers`);
  await close(page, name);
}

/* The controls can be reached and used with the keyboard alone. */
async function testKeyboard(browser) {
  const page = await open(browser, "tabletop"), reached = new Set();
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => document.activeElement.id || document.activeElement.name || document.activeElement.className));
  }
  for (const wanted of ["skip", "theme", "rate", "machine", "dtype", "budget", "best", "try"])
    assert.ok(reached.has(wanted), `Tab reaches ${wanted}`);
  await page.focus("input[name=rate]:checked");
  const rate = (await shown(page)).rate;
  await page.keyboard.press("ArrowRight");
  assert.notEqual((await shown(page)).rate, rate, "arrows change the rate");
  await close(page, "keyboard");
}

async function violations(page) {
  await page.evaluate(axe);
  const result = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  return result.violations.filter((v) => ["serious", "critical"].includes(v.impact)).map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(" ")}`);
}

/* Words of charts that reach beyond the screen. */
const cutOff = (page) => page.evaluate(() => [...document.querySelectorAll(".chart text")].filter((e) => {
  const box = e.getBoundingClientRect();
  return box.left < 0 || box.right > window.innerWidth;
}).map((e) => e.textContent));

/* Nothing serious for axe, nothing wider than the screen, at three sizes, light and dark. */
async function testLooks(browser) {
  for (const colorScheme of ["light", "dark"])
    for (const width of [1280, 768, 390]) {
      const page = await open(browser, "shape", { viewport: { width, height: 900 }, colorScheme });
      await settle(page);
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width, `${width} px are enough`);
      assert.deepEqual(await cutOff(page), [], `no words of a chart are cut off at ${width} px`);
      for (const chart of await page.$$(".chart")) assert.equal((await chart.$$("svg")).length, 1, "every chart is drawn");
      if (width !== 768) assert.deepEqual(await violations(page), [], `axe, ${width} px, ${colorScheme}`);
      await page.screenshot({ path: join(folder, `shape-${width}-${colorScheme}.png`), fullPage: true });
      await close(page, "shape");
    }
}

async function testTheme(browser) {
  const page = await open(browser, "tabletop", { colorScheme: "light" });
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const auto = await ground();
  await page.click("#theme");
  assert.equal(await ground(), auto, "light is what this system prefers");
  await page.click("#theme");
  assert.notEqual(await ground(), auto, "dark is another colour");
  await page.emulateMedia({ media: "print" });
  assert.equal(await ground(), "rgb(255, 255, 255)", "paper is white");
  const pdf = await page.pdf({ path: join(folder, "tabletop.pdf"), format: "A4", printBackground: true });
  const pages = pdf.toString("latin1").match(/\/Type\s*\/Page\b/g).length;
  assert.ok(pages >= 2 && pages <= 10, `${pages} pages of A4`);
  await close(page, "theme");
}

/* Without scripts everything is there as tables. */
async function testWithoutScripts(browser) {
  const page = await open(browser, "tabletop", { javaScriptEnabled: false });
  const report = JSON.parse(readFileSync(join(folder, "tabletop.json"), "utf8")), text = await page.innerText("main");
  for (const machine of report.machines) assert.ok(text.includes(machine.title), machine.title);
  for (const task of report.tasks) assert.ok(text.includes(task.name), task.name);
  for (const sentence of report.trust.assumptions) assert.ok(text.includes(sentence), sentence);
  assert.ok(text.includes(report.trust.statement), "the guarantee");
  assert.ok(text.includes("95% of bootstrap samples"), "what is beside the loss of thresholds");
  assert.equal(await page.locator("details.table[open] tbody tr").count() >= report.budgets_gflops.length, true, "tables are open");
  assert.equal(await page.locator(".live:visible").count(), 0, "nothing that needs a script is seen");
  assert.equal(await page.locator(".moments img").count(), report.moments.length, "hard moments have pictures");
  await close(page, "without scripts");
}

async function testHostile(browser) {
  const page = await open(browser, "hostile"), name = "<script>alert(1)</script>";
  await settle(page);
  const report = JSON.parse(await page.locator("#data").evaluate((e) => e.textContent));
  assert.ok(report.tasks.some((t) => t.name === name), "the name arrives whole");
  assert.ok((await page.locator("#exits").innerText()).includes(name), "and is shown as text");
  assert.equal(await page.locator("script").count(), 4, "no script but the page's own");
  await close(page, "hostile");
}

/* A page on which no machine meets anything says so, and its controls still work. */
async function testNothingMeets(browser, name, words) {
  const page = await open(browser, name);
  await settle(page);
  assert.match(await page.locator(".lede:visible").innerText(), words);
  assert.equal(await page.locator(".card:visible").count(), 0, "no machine is recommended");
  const before = (await shown(page)).numbers.loss;
  await page.focus("#budget");
  await page.keyboard.press("Home");
  assert.notEqual((await shown(page)).numbers.loss, before, "the slider still works");
  assert.match(await page.innerText("#verdict"), /No: /);
  await close(page, name);
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
try {
  for (const name of ["tabletop", "shape", "hostile"]) {
    const size = statSync(join(folder, `${name}.html`)).size;
    assert.ok(size <= largest_page, `${name}.html has ${size} bytes`);
  }
  await testControls(browser, "tabletop");
  await testControls(browser, "shape");
  await testKeyboard(browser);
  await testLooks(browser);
  await testTheme(browser);
  await testWithoutScripts(browser);
  await testHostile(browser);
  await testNothingMeets(browser, "blank", /0 of 1 machines/);
  await testNothingMeets(browser, "never", /The nearest is/);
} finally {
  await browser.close();
}
console.log("the page is well");
