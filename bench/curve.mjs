/* SPDX-License-Identifier: MIT */
/* curve.mjs - docs/curve.svg and docs/curve-dark.svg from docs/curve/*.csv, drawn by the code of deer-report's
 * page (reports/page/charts.js) in its colours.
 *
 *   node bench/curve.mjs build/reports/page [FOLDER]     // FOLDER: where to, docs if left out
 *
 * The first folder has the libraries that the Makefile fetched for the page. CHROMIUM: the browser. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [libraries, folder = "docs"] = process.argv.slice(2);
const read = (path) => readFileSync(path, "utf8");
const scripts = [join(libraries, "node_modules/d3/dist/d3.min.js"), join(libraries, "node_modules/@observablehq/plot/dist/plot.umd.min.js"),
  ...["latency", "judge", "charts"].map((name) => `reports/page/${name}.js`)];
const tables = Object.fromEntries(["fixed", "best", "official-exp", "random"].map((name) => [name, read(`docs/curve/${name}.csv`)]));

/* Runs in the browser. */
function picture(tables) {
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
  const all = d3.create("svg").attr("xmlns", "http://www.w3.org/2000/svg").attr("viewBox", `0 0 ${width} 640`).attr("width", width).attr("height", 640).attr("role", "img");
  all.append("title").text("Success against LLM GFLOPs per action, with 95% intervals; peak LLM GFLOPs and memory by deepest exit");
  all.append("rect").attr("width", width).attr("height", 640).attr("fill", "var(--bg)");
  for (const [x, y, options] of plots) {
    const plot = Plot.plot({ style: { fontSize: "13px", fontFamily: "sans-serif", color: "var(--soft)", background: "none", overflow: "visible" }, ...options });
    for (const part of plot.querySelectorAll("[aria-label],[aria-hidden]")) for (const a of ["aria-label", "aria-hidden", "aria-roledescription"]) part.removeAttribute(a);
    plot.querySelectorAll("style").forEach((e) => e.remove());
    all.append(() => plot).attr("x", x).attr("y", y);
  }
  document.body.replaceChildren(all.node());
}

/* The page's colours, of its light or its dark theme. */
function colours(dark) {
  const css = read("reports/page/style.css"), block = dark ? css.slice(css.indexOf('[data-theme="dark"]')) : css;
  return Object.fromEntries([...block.slice(0, block.indexOf("}")).matchAll(/--([a-z-]+): (#[0-9a-f]+);/g)].map((m) => [m[1], m[2]]));
}

function draw() {
  const work = mkdtempSync(join(tmpdir(), "deer-curve-")), page = join(work, "page.html");
  try {
    writeFileSync(page, `<!doctype html><meta charset="utf-8"><body>${scripts.map((s) => `<script>${read(s)}</script>`).join("")}<script>(${picture})(${JSON.stringify(tables)})</script>`);
    const dom = execFileSync(process.env.CHROMIUM || "chromium", ["--headless", "--no-sandbox", "--disable-gpu", `--user-data-dir=${work}/profile`, "--dump-dom", `file://${page}`], { encoding: "utf8", maxBuffer: 1 << 26, stdio: ["ignore", "pipe", "ignore"] });
    const from = dom.indexOf("<svg"), svg = dom.slice(from, dom.lastIndexOf("</svg>") + 6);
    if (from < 0 || svg.split("<svg").length !== 5) throw new Error(`the browser drew no picture: ${dom.slice(0, 200)}`);
    return svg;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const drawn = draw().replaceAll("&nbsp;", "\u00a0");
for (const [name, dark] of [["curve", false], ["curve-dark", true]]) {
  const colour = colours(dark), path = join(folder, `${name}.svg`);
  writeFileSync(path, `${drawn.replace(/var\(--([a-z-]+)\)/g, (all, key) => colour[key] || all).replace(/(\.\d{2})\d{4,}/g, "$1").replaceAll("><", ">\n<")}\n`);
  console.log(`wrote ${path}`);
}
