/* SPDX-License-Identifier: MIT */
/* compare.js - the page of deer-report compare: two pictures of the numbers in its tables. */
"use strict";
(() => {
  const comparison = JSON.parse(document.getElementById("data").textContent);
  function draw(id, options) {
    const box = document.getElementById(id), plot = Plot.plot({ style: { fontSize: "12px", background: "transparent" }, ...options(Math.max(Math.floor(box.clientWidth), 280)) });
    plot.setAttribute("role", "img");
    for (const part of plot.querySelectorAll("g[aria-label]")) part.removeAttribute("aria-label");
    box.replaceChildren(plot);
  }
  function drawAll() {
    draw("frontier-chart", (width) => Charts.two(comparison.a.points, comparison.b.points, width));
    if (comparison.paired) draw("paired-chart", (width) => Charts.difference(comparison.paired, width));
  }
  document.documentElement.classList.add("js");
  for (const d of document.querySelectorAll("details.table")) d.open = false;
  drawAll();
  window.addEventListener("resize", drawAll);
  window.addEventListener("beforeprint", drawAll);
})();
