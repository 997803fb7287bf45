/* SPDX-License-Identifier: MIT */
/* curve.mjs - docs/curve.svg from docs/curve/*.csv, docs/clock.svg from docs/clock/*.json and docs/moment.svg from
 * docs/moment.json (bench/curve.sh, clock.sh and moment.sh write them), and the dark ones, drawn by the code of deer-report's page (reports/page/charts.js)
 * in its colours.
 *
 *   node bench/curve.mjs build/reports/page [FOLDER]     // FOLDER: where to, docs if left out
 *
 * The first folder has the libraries that the Makefile fetched for the page. CHROMIUM: the browser. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [libraries, folder = "docs"] = process.argv.slice(2);
const read = (path) => readFileSync(path, "utf8");
const scripts = [join(libraries, "node_modules/d3/dist/d3.min.js"), join(libraries, "node_modules/@observablehq/plot/dist/plot.umd.min.js"),
  ...["latency", "judge", "charts"].map((name) => `reports/page/${name}.js`)];
const tables = Object.fromEntries(["fixed", "best", "official-exp", "random"].map((name) => [name, read(`docs/curve/${name}.csv`)]));
const paired = readdirSync("docs/clock").filter((name) => name.endsWith(".json")).sort().map((name) => JSON.parse(read(`docs/clock/${name}`)));

const moment = JSON.parse(read("docs/moment.json")).settings;

/* In the browser: plots [x, y, options] in one picture. */
function joinPlots(plots, width, height, title) {
  const all = d3.create("svg").attr("xmlns", "http://www.w3.org/2000/svg").attr("viewBox", `0 0 ${width} ${height}`).attr("width", width).attr("height", height).attr("role", "img");
  all.append("title").text(title);
  all.append("rect").attr("width", width).attr("height", height).attr("fill", "var(--bg)");
  for (const [x, y, options] of plots) {
    const plot = Plot.plot({ style: { fontSize: "13px", fontFamily: "sans-serif", color: "var(--soft)", background: "none", overflow: "visible" }, ...options });
    for (const part of plot.querySelectorAll("[aria-label],[aria-hidden]")) for (const a of ["aria-label", "aria-hidden", "aria-roledescription"]) part.removeAttribute(a);
    plot.querySelectorAll("style").forEach((e) => e.remove());
    all.append(() => plot).attr("x", x).attr("y", y);
  }
  document.body.appendChild(document.createElement("section")).append(all.node());
}

/* In the browser. */
function curve(tables) {
  const table = (name) => d3.csvParse(tables[name], d3.autoType);
  const rows = (name) => table(name).map((r) => ({ x: r.llm_gflops, y: 100 * r.success, low: 100 * r.success_low, high: 100 * r.success_high })).sort((a, b) => a.x - b.x);
  const fixed = table("fixed").sort((a, b) => a.llm_gflops - b.llm_gflops), width = 900;
  const plots = [
    [0, 0, Charts.success([
      { name: "always the same exit", colour: "var(--oracle)", symbol: "square", open: true, side: "right", rows: rows("fixed").map((r, k) => ({ ...r, name: `exit ${k}: ` })) },
      { name: "at random, as often", colour: "var(--fixed)", symbol: "times", dash: "1,5", rows: rows("random") },
      { name: "official heuristic", colour: "var(--official)", symbol: "triangle", dash: "6,4", open: true, rows: rows("official-exp") },
      { name: "deer-calib", colour: "var(--ours)", symbol: "circle", rows: rows("best") }], 65, "LLM GFLOPs per action (one multiply-add is one FLOP)", width, 420)],
    [0, 430, Charts.bars(fixed.map((r) => r.peak_gflops), "peak LLM GFLOPs", width / 2, 210)],
    [width / 2, 430, Charts.bars(fixed.map((r) => r.memory_bytes / 1e6), "memory, MB", width / 2, 210)]];
  joinPlots(plots, width, 640, "Success against LLM GFLOPs per action, with 95% intervals; peak LLM GFLOPs and memory by deepest exit");
}

/* In the browser: a share of n rollouts in per cent, with its Wilson interval. */
function row(x, success, n, z = 1.96) {
  const c = (success + z * z / 2 / n) / (1 + z * z / n), h = z / (1 + z * z / n) * Math.sqrt(success * (1 - success) / n + z * z / 4 / n / n);
  return { x, y: 100 * success, low: 100 * (c - h), high: 100 * (c + h) };
}

/* In the browser: success against the time allowed; what each curve is stands where there are none. */
function allowed(moment) {
  const fewer = (moment.full.total_gflops / moment.schedule.total_gflops).toFixed(1);
  const series = [["schedule", `deep at the steps that have a new picture: ${fewer} times fewer FLOPs than`, "var(--ours)", null], ["full", "full depth with a new picture at every step", "var(--oracle)", "4,3"],
    ["random", "as many deep steps by chance, at the same cost", "var(--fixed)", "1,5"], ["reversed", "deep at the steps that have none, at the same cost", "var(--official)", "6,4"]];
  const marks = series.flatMap(([key, name, colour, dash], i) => {
    const rows = moment[key].in_time.map(([factor, success]) => row(factor, success, moment[key].rollouts));
    return [Plot.line(rows, { x: "x", y: "y", stroke: colour, strokeWidth: 2, strokeDasharray: dash }), Plot.ruleX(rows, { x: "x", y1: "low", y2: "high", stroke: colour, strokeOpacity: 0.5 }),
      Plot.dot(rows, { x: "x", y: "y", fill: colour, r: 4 }), Plot.dot([[1.64, 62 - 7 * i]], { fill: colour, r: 4 }),
      Plot.text([[1.68, 62 - 7 * i]], { text: () => name, fill: colour, fontWeight: "bold", textAnchor: "start" })];
  });
  joinPlots([[0, 0, { width: 900, height: 420, marginLeft: 50, marginTop: 30, marginBottom: 45, x: { label: "time allowed, times the expert's from the same start", labelAnchor: "center", labelArrow: "none", domain: [0.97, 3.03] },
    y: { label: "% success", labelArrow: "none", domain: [20, 100], grid: true }, marks }]], 900, 420,
    "Success against the time allowed, with 95% intervals, of deep steps at the steps that have a new picture, at random, and at the others");
}

/* In the browser: success in time against cost, of every rule at every budget, from the paired comparisons with deer's. */
function clock(paired) {
  const of = (name) => paired.flatMap((b) => b.pairs.filter((p) => p.name.replace(/-0\.[0-9]+$/, "") === name).map((p) => row(p.second_llm_gflops, p.second, p.pairs)));
  const once = (rows) => [...new Map(rows.map((r) => [r.x.toFixed(6), r])).values()].sort((a, b) => a.x - b.x);
  const fixed = once(paired.flatMap((b) => b.pairs.filter((p) => p.name.startsWith("fixed-")).map((p) => ({ ...row(p.second_llm_gflops, p.second, p.pairs), name: `exit ${p.name.slice(6)}: ` }))));
  const series = [
    { name: "always the same exit", colour: "var(--oracle)", symbol: "square", open: true, side: "right", rows: once([...fixed, ...of("full")]) },
    { name: "at random, as often", colour: "var(--fixed)", symbol: "times", dash: "1,5", side: "right", rows: once(of("random")) },
    { name: "official heuristic", colour: "var(--official)", symbol: "triangle", dash: "6,4", open: true, side: "right", rows: once(of("official")) },
    { name: "deer-calib", colour: "var(--ours)", symbol: "circle", rows: once(paired.map((b) => row(b.pairs[0].first_llm_gflops, b.pairs[0].first, b.pairs[0].pairs))) }];
  const least = d3.min(series, (s) => d3.min(s.rows, (r) => r.low));
  joinPlots([[0, 0, Charts.success(series, Math.max(0, 10 * Math.floor(least / 10)), "LLM GFLOPs per action (one multiply-add is one FLOP)", 900, 420)]],
    900, 420, "Success within 1.25 times the expert's time against LLM GFLOPs per action, with 95% intervals");
}

/* The page's colours, of its light or its dark theme. */
function colours(dark) {
  const css = read("reports/page/style.css"), block = dark ? css.slice(css.indexOf('[data-theme="dark"]')) : css;
  return Object.fromEntries([...block.slice(0, block.indexOf("}")).matchAll(/--([a-z-]+): (#[0-9a-f]+);/g)].map((m) => [m[1], m[2]]));
}

/* Each picture's SVG, all drawn by one browser. */
function draw(pictures) {
  const work = mkdtempSync(join(tmpdir(), "deer-curve-")), page = join(work, "page.html");
  try {
    const calls = pictures.map(([, picture, data]) => `<script>(${picture})(${JSON.stringify(data)})</script>`);
    writeFileSync(page, `<!doctype html><meta charset="utf-8"><body>${scripts.map((s) => `<script>${read(s)}</script>`).join("")}<script>${joinPlots}${row}</script>${calls.join("")}`);
    const dom = execFileSync(process.env.CHROMIUM || "chromium", ["--headless", "--no-sandbox", "--disable-gpu", `--user-data-dir=${work}/profile`, "--dump-dom", `file://${page}`], { encoding: "utf8", maxBuffer: 1 << 26, stdio: ["ignore", "pipe", "ignore"] });
    const drawn = [...dom.matchAll(/<section>(<svg.*?<\/svg>)<\/section>/gs)].map((found) => found[1]);
    pictures.forEach(([name, , , plots], i) => { if (!drawn[i] || drawn[i].split("<svg").length !== 2 + plots) throw new Error(`the browser did not draw ${name}: ${(drawn[i] || dom).slice(0, 200)}`); });
    return drawn;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const pictures = [["curve", curve, tables, 3], ["clock", clock, paired, 1], ["moment", allowed, moment, 1]];
draw(pictures).forEach((svg, i) => {
  const drawn = svg.replaceAll("&nbsp;", "\u00a0");
  for (const [name, dark] of [[pictures[i][0], false], [`${pictures[i][0]}-dark`, true]]) {
    const colour = colours(dark), path = join(folder, `${name}.svg`);
    writeFileSync(path, `${drawn.replace(/var\(--([a-z-]+)\)/g, (all, key) => colour[key] || all).replace(/(\.\d{2})\d{4,}/g, "$1").replaceAll("><", ">\n<")}\n`);
    console.log(`wrote ${path}`);
  }
});
