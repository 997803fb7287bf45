/* SPDX-License-Identifier: MIT */
/* The page of deer-report in a real browser, from disk, with the network off.
 *
 *   node page.mjs FOLDER
 *
 * FOLDER has tabletop.html, .json and .csv (with rollouts and demonstrations), shape.html, .json and .csv
 * (--model-shape), tuned.json (the same with another runtime), load.json (another load), cameras.html and
 * .json (--thresholds), compare.html and .json (two of them) and paired.json (the rollouts there), table.html and
 * .json (--table) and solved.json (of the same), hostile.html, whose names come from somebody who
 * wants to run a script, and blank.html and never.html, where no machine can be judged or is fast enough.
 * Screenshots and a PDF are left there to be looked at. That the judge of the page is the program's is judge.mjs's
 * business; here it is what the page shows. */
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { readTable } from "./table.mjs";

const folder = process.argv[2];
const require = createRequire(join(process.cwd(), "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const largest_page = 1.5e6; // bytes
const readJson = (name) => JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8"));

/* ---------------------------------------------------------------- browser ------------------------ */

async function open(browser, name, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, offline: true, ...options });
  const page = await context.newPage(), complaints = [];
  page.setDefaultTimeout(300000); /* busy machines */
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && complaints.push(m.text()));
  page.on("pageerror", (e) => complaints.push(e.message));
  page.on("dialog", (d) => { complaints.push(`dialog: ${d.message()}`); d.dismiss(); });
  page.on("request", (r) => /^(file|data):/.test(r.url()) || complaints.push(`asked for ${r.url()}`));
  await page.goto(`${pathToFileURL(join(folder, `${name}.html`)).href}${options.hash || ""}`);
  page.complaints = complaints;
  return page;
}

async function close(page, name) {
  assert.deepEqual(page.complaints, [], `${name}: the console stays silent`);
  await page.context().close();
}

/* Draws all charts: the page does so at the next frame. */
const settle = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

/* Asks as a link would, without loading again. */
async function ask(page, words) {
  await page.evaluate((hash) => { location.hash = hash; }, new URLSearchParams(words).toString());
  await settle(page);
}

/* ---------------------------------------------------------------- what is shown ------------------ */

const shown = (page) => page.evaluate(() => {
  const text = (id) => document.getElementById(id).textContent, words = new URLSearchParams(location.hash.slice(1));
  return {
    verdict: text("verdict"), more: text("more"), banner: document.getElementById("banner").dataset.verdict, budget: Number(document.getElementById("budget").value), words: Object.fromEntries(words),
    cards: [...document.querySelectorAll("[data-card]")].map((e) => ({ machine: e.dataset.machine, text: e.textContent })),
    numbers: Object.fromEntries([...document.querySelectorAll("[data-number]")].map((e) => [e.dataset.number, parseFloat(e.firstChild.textContent)])),
    tau: [...document.querySelectorAll("[data-tau]")].map((e) => e.textContent), fractions: [...document.querySelectorAll("[data-fraction]")].map((e) => parseFloat(e.textContent)),
    rows: [...document.querySelectorAll("#every tbody tr")].map((e) => e.dataset.machine),
    ring: document.querySelector("#frontier-chart svg circle[r='8']")?.getAttribute("cx") ?? null,
  };
});

/* Three significant digits are shown. */
function near(value, reference, what) {
  assert.ok(Math.abs(value - reference) <= 0.0051 * Math.abs(reference) + 1e-12, `${what}: ${value} is shown, ${reference} is right`);
}

/* The panel against a row of the table. */
function compare(at, row, where) {
  assert.equal(at.banner, row.verdict, where);
  if (row.deepest_exit === "") return;
  const pairs = { ms: row.latency_ms, p99: row.p99_ms, hz: row.sustained_hz, joules: row.energy_j, watts: row.watts, loss: row.loss, gflops: row.total_gflops };
  for (const [name, value] of Object.entries(pairs))
    if (value !== "") near(at.numbers[name], Number(value), `${where}: ${name}`);
  near(at.numbers.memory, Number(row.memory_bytes) / 1e9, `${where}: memory`);
  if ("success" in at.numbers) assert.ok(Math.abs(at.numbers.success - 100 * Number(row.success)) <= 0.51, `${where}: success`);
  row.exit_fractions.split(" ").forEach((f, k) => assert.ok(Math.abs(at.fractions[k] - 100 * Number(f)) <= 0.51, `${where}: exit ${k}`));
  row.thresholds.split(" ").forEach((t, k) => (/^[a-z]/.test(t) ? assert.equal(at.tau[k], t, where) : near(Number(at.tau[k]), Number(t), `${where}: threshold ${k}`)));
}

/* ---------------------------------------------------------------- tests -------------------------- */

/* The first screen says what the program says, and a card shows what the answer has. */
function testFirstScreen(at, report, r) {
  const choice = report.choices[r], machine = (i) => report.machines[report.options[report.answers[i].option].machine];
  assert.equal(at.verdict, choice.verdict);
  assert.equal(at.more, choice.more);
  const wanted = [choice.best, choice.runner_up].filter((i) => i >= 0);
  if (choice.best < 0) return assert.equal(at.cards[0]?.machine, choice.nearest < 0 ? undefined : machine(choice.nearest).name, "the nearest is on a card");
  assert.deepEqual(at.cards.map((c) => c.machine), wanted.map((i) => machine(i).name), "the choice and the runner-up are on cards");
  for (const [i, card] of wanted.map((w, n) => [w, at.cards[n]])) {
    const a = report.answers[i];
    assert.ok(card.text.includes(machine(i).support_words), `${card.machine} says what deer is there`);
    assert.ok(card.text.includes(a.sure ? "in time, also at worst" : "in time as expected"), `${card.machine} says how sure it is`);
    assert.equal(card.text.includes("Not looked up again"), machine(i).not_rechecked.length > 0, `${card.machine}: which figures were not looked up again`);
    if (machine(i).price_usd[1] !== null) assert.ok(card.text.replaceAll(",", "").includes(`${Math.round(machine(i).price_usd[1])} USD`), "the price is of the whole computer");
  }
}

/* Machines, modes, types, rates and budgets: the panel has the numbers of the table each time. */
async function testPanel(page, name) {
  const table = readTable(join(folder, `${name}.csv`)), report = readJson(name), budgets = report.budgets_gflops.length, rings = new Set();
  let checks = 0;
  for (const [i, a] of report.answers.entries()) {
    if (i % (a.verdict === "meets" ? 5 : 13)) continue; /* some of each kind */
    const option = report.options[a.option], budget = (7 * i) % budgets, words = { rate: a.rate_hz, machine: report.machines[option.machine].name, mode: option.mode, dtype: a.dtype, budget };
    await ask(page, words);
    const at = await shown(page);
    assert.equal(at.budget, budget);
    compare(at, table[i * budgets + budget], JSON.stringify(words));
    rings.add(at.ring);
    checks++;
  }
  assert.ok(rings.size >= 5, "the ring on the frontier follows");
  console.log(`${name}: ${checks} settings show the table's numbers`);
}

async function testTabletop(browser) {
  const page = await open(browser, "tabletop"), report = readJson("tabletop");
  await settle(page);
  testFirstScreen(await shown(page), report, report.choices.findIndex((c) => c.rate_hz >= 10));
  await testPanel(page, "tabletop");
  await testKeyboard(page);
  await testTheme(page);
  await close(page, "tabletop");
}

async function testShape(browser) {
  const page = await open(browser, "shape"), report = readJson("shape");
  await settle(page);
  testFirstScreen(await shown(page), report, report.choices.findIndex((c) => c.rate_hz >= 10));
  for (const name of ["shape", "tuned"]) {
    const other = readJson(name);
    for (const [r, choice] of other.choices.entries()) {
      await page.fill("#rate", String(choice.rate_hz));
      await page.selectOption("#runtime", other.demands.runtime);
      const at = await shown(page);
      testFirstScreen(at, other, r);
      assert.deepEqual(at.rows, choice.ranking.map((i) => other.machines[other.options[other.answers[i].option].machine].name), "the table is the ranking");
    }
  }
  await settle(page);
  const dots = await page.locator("#scatter-chart g[aria-label=dot] path, #scatter-chart svg g path[d^=M]").count();
  assert.ok(dots > 3, "machines are drawn");
  await testTable(page);
  await close(page, "shape");
}

/* Sorting, filtering, copying. */
async function testTable(page) {
  const first = await shown(page);
  await page.click("#every thead button >> text=USD");
  const prices = await page.$$eval("#every tbody tr td:nth-child(5)", (cells) => cells.map((c) => Number(c.textContent.replaceAll(",", ""))).filter((x) => !Number.isNaN(x)));
  assert.deepEqual(prices, [...prices].sort((x, y) => x - y), "prices ascend");
  await page.fill("#filter", "rtx 4060");
  assert.deepEqual((await shown(page)).rows, ["rtx-4060"]);
  await page.click("#copy");
  const text = await page.getAttribute("#copied", "data-text");
  assert.equal(text.split("\n").length, 2, "a head and a row are copied");
  assert.match(text, /^Machine,Meets,.*\nNVIDIA GeForce RTX 4060 8 GB,/);
  await page.fill("#filter", "");
  assert.equal((await shown(page)).rows.length, first.rows.length);
}

/* A link keeps the state. */
async function testLink(browser) {
  const hash = "#rate=7&robots=2&runtime=tuned&weight=watts&machine=agx-orin-64&mode=30W&dtype=bf16&watts=90&host=500&budget=3";
  const page = await open(browser, "shape", { hash });
  const at = await shown(page);
  for (const [key, value] of new URLSearchParams(hash.slice(1))) assert.equal(at.words[key], value, key);
  assert.equal(at.budget, 3);
  assert.match(at.verdict, /^At 7 Hz for each of 2 robots within 90 W, the most frugal/);
  await page.click("nav a >> text=Trust");
  assert.equal((await shown(page)).words.machine, "agx-orin-64", "looking elsewhere keeps it");
  await ask(page, { rate: "-1", robots: "1.5", runtime: "<b>", machine: "nobody", budget: "9999" });
  assert.match((await shown(page)).verdict, /^At 7 Hz for each of 2 robots/, "nonsense in a link is not taken");
  await close(page, "link");
}

/* Other cameras, images, instructions and types by the sliders: what the program says of the same. */
async function testWhatIf(browser) {
  const page = await open(browser, "shape"), other = readJson("load"), load = other.demands.load, slide = (id, value) => page.$eval(id, (e, v) => { e.value = v; e.dispatchEvent(new Event("input")); }, String(value));
  const sizes = await page.evaluate(() => JSON.parse(document.getElementById("data").textContent).shapes[0].sizes.map((s) => s.image_size));
  await page.click("#whatif summary");
  await page.selectOption("#runtime", other.demands.runtime);
  await page.fill("#host-watts", String(other.demands.host_watts));
  await page.fill("#deadline", String(other.demands.deadline_ms));
  await page.fill("#robots", String(other.demands.robots));
  await slide("#cameras", load.cameras);
  await slide("#size", sizes.indexOf(load.image_size));
  await slide("#tokens", load.tokens);
  await page.selectOption("#part-vision", load.part_dtypes.vision);
  await page.selectOption("#part-head", load.part_dtypes.head);
  for (const [r, choice] of other.choices.entries()) {
    await page.fill("#rate", String(choice.rate_hz));
    testFirstScreen(await shown(page), other, r);
  }
  const words = await page.textContent("#whatif-words"), hash = await page.evaluate(() => location.hash);
  for (const part of [`${load.cameras} cameras`, `images of ${load.image_size} px`, `${load.tokens} tokens`, "vision in q8", "head in f32", "deadline of 70.0 ms"]) assert.ok(words.includes(part), `${part}: ${words}`);
  const again = await open(browser, "shape", { hash }), before = await shown(page), after = await shown(again);
  assert.equal(after.verdict, before.verdict, "a link keeps what was changed");
  assert.deepEqual(after.numbers, before.numbers);
  await close(again, "what if, by a link");
  await page.click("#as-asked");
  assert.ok(!(await page.textContent("#whatif-words")).includes("now:"), "back to what was asked");
  await page.selectOption("#shape", "1");
  const own = readJson("tabletop"), at = await page.evaluate(() => document.getElementById("verdict").textContent);
  assert.ok(at.includes(own.model.name), `the shape is that of the recorded policy: ${at}`);
  await close(page, "what if");
}

/* Times of another shape are those of a report of that shape: the page's own arithmetic for it. */
async function testOtherShape(browser) {
  const page = await open(browser, "tabletop"), shape = readJson("shape"), index = readJson("tabletop").shapes.findIndex((s) => s.name === shape.model.name);
  assert.ok(index > 0, "the page can ask for the published shape");
  for (const [name, mode, dtype] of [["raspberry-pi-5", "2.4 GHz", "q8"], ["laptop-ryzen-ai-370", "28W", "bf16"]]) {
    await ask(page, { rate: 0.01, machine: name, mode, dtype, shape: index });
    const option = shape.options.find((o) => shape.machines[o.machine].name === name && o.mode === mode), costs = option.dtypes.find((d) => d.dtype === dtype);
    const ms = await page.$$eval("#thresholds tbody tr td:last-child", (cells) => cells.map((c) => Number(c.textContent)));
    const full = costs.exits.map((e) => e.ms[1]);
    ms.forEach((x, k) => assert.ok(Math.abs(x - full[k]) < 0.02 * full[k], `${name}, exit ${k}: ${x} ms, not ${full[k]}`)); /* instructions are of one length */
  }
  await close(page, "another shape");
}

/* A thresholds file: its cameras are counted, its own numbers are shown. */
async function testThresholdsFile(browser) {
  const page = await open(browser, "cameras"), report = readJson("cameras"), encoded = report.cameras.encoded;
  await settle(page);
  testFirstScreen(await shown(page), report, report.choices.findIndex((c) => c.rate_hz >= 10));
  for (const a of report.answers.filter((x) => x.thresholds.ms[1] !== null && x.verdict !== "cannot").slice(0, 6)) {
    const option = report.options[a.option];
    await ask(page, { rate: a.rate_hz, machine: report.machines[option.machine].name, mode: option.mode, dtype: a.dtype });
    await page.click("#file");
    const at = await shown(page);
    assert.equal(at.banner, a.thresholds.verdict);
    near(at.numbers.ms, a.thresholds.ms[1], "the file's step");
    near(at.numbers.watts, a.thresholds.watts[1], "the file's power");
    near(at.numbers.loss, report.thresholds.point.loss, "the file's loss");
    assert.equal(at.words.budget, "file", "the link says so");
  }
  const words = await page.textContent("#cameras-words");
  for (const share of encoded) assert.ok(words.includes(`${(100 * share).toFixed(0)} % of steps`), `${share} of steps: ${words}`);
  assert.ok(await page.isDisabled("#cameras"), "its rules are for the cameras there are");
  await close(page, "a thresholds file");
}

/* The page of two reports: words and numbers of the JSON, with and without scripts. */
async function testCompare(browser) {
  const said = readJson("compare"), pair = readJson("paired").pairs[0];
  for (const [own, theirs] of [["pairs", "pairs"], ["first_better", "first_better"], ["second_better", "second_better"], ["difference", "difference"], ["low", "low"], ["high", "high"], ["p_value", "p_value"]])
    near(said.paired[own], pair[theirs], `paired: ${own}`);
  for (const javaScriptEnabled of [true, false]) {
    const page = await open(browser, "compare", { javaScriptEnabled });
    const text = await page.innerText("main");
    for (const words of Object.values(said.words)) assert.ok(text.includes(words), words);
    for (const rate of said.rates) assert.ok(text.includes(rate.a) && text.includes(rate.b), `${rate.rate_hz} Hz`);
    assert.deepEqual(await page.locator("#machines tbody th").allTextContents(), said.machines.map((m) => m.title), "every other verdict, by the machine's long name");
    assert.ok(said.machines.some((m) => m.title !== m.name));
    assert.equal(await page.locator("#machines").isVisible(), !javaScriptEnabled, "the long table is closed at first, where it can be opened");
    assert.deepEqual(await page.locator("#numbers table:not(#pairs) tbody th").allInnerTexts(), said.frontier.map((row) => `${Number((100 * row.share_of_range).toFixed(1))} %`), "shares in percent, as the picture has them");
    const cells = await page.locator("#pairs tbody td").allInnerTexts();
    assert.deepEqual(cells.slice(0, 3).map(Number), [said.paired.pairs, said.paired.first_better, said.paired.second_better]);
    if (javaScriptEnabled) {
      assert.equal(await page.locator(".chart svg").count(), 2, "both pictures are drawn");
      await page.evaluate(axe);
      assert.deepEqual(await violations(page), [], "axe, two reports");
      await page.setViewportSize({ width: 390, height: 844 });
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 390, "390 px are enough for two reports");
    }
    await close(page, "two reports");
  }
}

/* The page of another policy's table: numbers of the JSON, which are near those of deer-calib solve. */
async function testAnothersTable(browser) {
  const report = readJson("table"), solved = readJson("solved"), near_budget = report.points.filter((p) => p.budget <= 0.6 + 1e-9).pop();
  assert.ok(solved.loss <= near_budget.loss * 1.02 + 1e-3, "the frontier is near what is solved for alone");
  assert.ok(report.points.every((p, i) => !i || p.loss <= report.points[i - 1].loss), "a larger budget never loses more");
  assert.ok(report.points.every((p) => p.oracle_loss <= p.loss + 1e-9), "no rule is below the oracle");
  for (const javaScriptEnabled of [true, false]) {
    const page = await open(browser, "table", { javaScriptEnabled });
    assert.equal(await page.innerText("h1"), report.verdict);
    assert.equal(await page.locator("#points tbody tr").count(), report.points.length);
    if (javaScriptEnabled) {
      await page.focus("#budget");
      await page.keyboard.press("Home");
      const first = report.points[0], text = await page.textContent("#budget-value");
      near(parseFloat(text), first.cost, "the cheapest budget");
      assert.ok(text.includes("ms"), "in the table's unit");
      const shares = await page.$$eval("#thresholds tbody td:last-child", (cells) => cells.map((c) => parseFloat(c.textContent)));
      shares.forEach((x, k) => near(x, 100 * first.exit_fractions[k], `exit ${k}`));
      assert.equal(await page.locator(".chart svg").count(), 1);
      await page.evaluate(axe);
      assert.deepEqual(await violations(page), [], "axe, a table");
      await page.setViewportSize({ width: 390, height: 844 });
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 390, "390 px are enough for a table");
    }
    await close(page, "a table");
  }
}

/* The controls can be reached and used with the keyboard alone. */
async function testKeyboard(page) {
  const reached = new Set();
  await page.evaluate(() => { document.activeElement.blur(); window.scrollTo(0, 0); });
  await page.click("#whatif summary");
  await page.focus(".skip");
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => document.activeElement.id || document.activeElement.className));
  }
  for (const wanted of ["theme", "rate", "robots", "runtime", "weight", "watts", "host-price", "host-watts", "pick", "filter", "copy", "sort"])
    assert.ok(reached.has(wanted), `Tab reaches ${wanted}`);
  const before = await shown(page);
  await page.focus("#budget");
  await page.keyboard.press(before.budget ? "Home" : "End");
  const after = await shown(page);
  assert.notEqual(after.budget, before.budget, "arrows and Home move the budget");
  await page.click("#best");
  assert.equal((await shown(page)).words.budget, undefined, "the best budget is not in the link");
}

async function violations(page) {
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
  const page = await open(browser, "shape", { hash: "#rate=10&runtime=tuned" });
  await page.evaluate(axe);
  for (const [width, colorScheme] of [[1280, "light"], [1280, "dark"], [768, "light"], [390, "dark"], [390, "light"]]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 900 });
    await settle(page);
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width, `${width} px are enough`);
    assert.deepEqual(await cutOff(page), [], `no words of a chart are cut off at ${width} px`);
    for (const chart of await page.$$(".chart")) assert.equal((await chart.$$("svg")).length, 1, "every chart is drawn");
    if (width !== 768 && (width === 390) === (colorScheme === "dark")) assert.deepEqual(await violations(page), [], `axe, ${width} px, ${colorScheme}`);
    if (width !== 390 || colorScheme === "dark") await page.screenshot({ path: join(folder, `shape-${width}-${colorScheme}.png`), fullPage: true });
  }
  await close(page, "looks");
}

async function testTheme(page) {
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
  assert.ok(pages >= 2 && pages <= 12, `${pages} pages of A4`);
}

/* Without scripts everything is there as tables. */
async function testWithoutScripts(browser) {
  const page = await open(browser, "tabletop", { javaScriptEnabled: false });
  const report = readJson("tabletop"), text = await page.innerText("main");
  for (const choice of report.choices) assert.ok(text.includes(choice.verdict) && text.includes(choice.more), choice.verdict);
  for (const machine of report.machines) assert.ok(text.includes(machine.title), machine.title);
  for (const { class: name, machines } of report.unasked) assert.ok(text.includes(`${name} (${machines})`) && text.includes("--class all adds them"), `${machines} of class ${name} are said not to be there`);
  for (const task of report.tasks) assert.ok(text.includes(task.name), task.name);
  for (const sentence of report.trust.assumptions) assert.ok(text.includes(sentence), sentence);
  for (const note of report.trust.notes) assert.ok(text.includes(note.text), note.name);
  assert.ok(text.includes("95% of bootstrap samples"), "what is beside the loss of thresholds");
  assert.equal(await page.locator("details.table[open] tbody tr").count() >= report.budgets_gflops.length, true, "tables are open");
  assert.equal(await page.locator(".live:visible").count(), 0, "nothing that needs a script is seen");
  assert.equal(await page.locator(".moments img").count(), report.moments.length, "hard moments have pictures");
  await close(page, "without scripts");
}

/* How many machines of other classes ship, and which option adds them; nothing where one machine was asked for by its name. */
async function testUnasked(browser) {
  const report = readJson("shape"), page = await open(browser, "shape");
  assert.deepEqual(report.demands.classes, ["robot", "edge", "desktop"]);
  assert.deepEqual(report.unasked.map((u) => u.class), ["server"]);
  assert.equal(await page.innerText(".unasked"), `Machines of other classes are not in this report: server (${report.unasked[0].machines}); --class all adds them.`);
  await close(page, "machines of other classes");
  const one = await open(browser, "hostile");
  assert.equal(await one.locator(".unasked").count(), 0);
  await close(one, "one machine");
}

async function testHostile(browser) {
  const page = await open(browser, "hostile"), name = "<script>alert(1)</script>";
  await settle(page);
  const report = JSON.parse(await page.locator("#data").evaluate((e) => e.textContent));
  assert.ok(report.tasks.some((t) => t.name === name), "the name arrives whole");
  assert.ok((await page.locator("#exits").innerText()).includes(name), "and is shown as text");
  assert.equal(await page.locator("script").count(), 7, "no script but the page's own");
  await close(page, "hostile");
}

/* A page on which no machine meets anything says so, and its controls still work. */
async function testNothingMeets(browser) {
  for (const [name, words] of [["blank", /none of 1 machines/], ["never", /The nearest is/]]) await testNone(browser, name, words);
}

async function testNone(browser, name, words) {
  const page = await open(browser, name);
  await settle(page);
  assert.match(`${(await shown(page)).verdict} ${(await shown(page)).more}`, words);
  const before = (await shown(page)).numbers.loss;
  await page.focus("#budget");
  await page.keyboard.press("Home");
  assert.notEqual((await shown(page)).numbers.loss, before, "the slider still works");
  assert.match(await page.innerText("#banner"), /No: /);
  await close(page, name);
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
try {
  for (const name of ["tabletop", "shape", "hostile"]) {
    const size = statSync(join(folder, `${name}.html`)).size;
    assert.ok(size <= largest_page, `${name}.html has ${size} bytes`);
  }
  const lanes = [ /* side by side, each on pages of its own */
    [testTabletop, testShape, testCompare, testLink, testWithoutScripts, testHostile],
    [testWhatIf, testLooks, testThresholdsFile, testOtherShape, testAnothersTable, testUnasked, testNothingMeets],
  ];
  await Promise.all(lanes.map(async (lane) => { for (const test of lane) await test(browser); }));
} finally {
  await browser.close();
}
console.log("the page is well");
