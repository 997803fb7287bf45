/* SPDX-License-Identifier: MIT */
/* table.js - the page of another policy's table: its frontier and a budget's thresholds. */
"use strict";
(() => {
  const report = JSON.parse(document.getElementById("data").textContent), { digits } = Judge, byId = (id) => document.getElementById(id);
  let budget = report.recommended < 0 ? report.points.length - 1 : report.recommended;
  const row = (p) => ({ x: p.cost, y: p.loss, low: p.loss_95[0], high: p.loss_95[1] });
  function cell(name, text) { return Object.assign(document.createElement(name), { textContent: text }); }
  function draw() {
    const box = byId("frontier-chart"), width = Math.max(Math.floor(box.clientWidth), 280), here = report.points[budget];
    const plot = Plot.plot({ style: { fontSize: "12px", background: "transparent" }, ...Charts.frontier({ rows: report.points.map(row), official: report.points.filter((p) => p.official).map((p) => row(p.official)), judged: [],
      oracle: report.points.filter((p) => p.oracle_loss !== null).map((p) => ({ x: p.budget, y: p.oracle_loss })), fixed: report.exits.map((e) => ({ ...row(e), k: e.exit })), limit: report.max_loss, here: row(here), period: null }, `${report.unit} a step on average`, "loss", width) });
    plot.setAttribute("role", "img");
    for (const part of plot.querySelectorAll("g[aria-label]")) part.removeAttribute("aria-label");
    box.replaceChildren(plot);
    byId("budget").value = budget;
    byId("budget-value").textContent = `${digits(here.cost)} ${report.unit}, loss ${digits(here.loss)}`;
    byId("budget").setAttribute("aria-valuetext", byId("budget-value").textContent);
    byId("thresholds").tBodies[0].replaceChildren(...here.exit_fractions.map((f, k) => {
      const tr = document.createElement("tr"), tau = here.tau[k];
      tr.append(Object.assign(cell("th", String(k)), { scope: "row" }), cell("td", tau === null ? "always" : typeof tau === "string" ? tau : digits(tau)), cell("td", `${digits(100 * f)} %`));
      return tr;
    }));
    byId("command").textContent = `deer-calib solve --table ${Judge.word(report.table)} --avg-cost ${Number(here.budget.toPrecision(6))} --out thresholds.json`;
  }
  document.documentElement.classList.add("js");
  byId("budget").max = report.points.length - 1;
  byId("budget").addEventListener("input", (e) => { budget = Number(e.target.value); draw(); });
  byId("ask").addEventListener("submit", (e) => e.preventDefault());
  window.addEventListener("resize", draw);
  window.addEventListener("beforeprint", draw);
  draw();
})();
