/* SPDX-License-Identifier: MIT */
/* charts.js - the page's pictures, and those of the documentation: each is options for Observable Plot, from
 * numbers alone. Colours are the page's variables; where one marks something, a shape or a word marks it too. */
"use strict";
const Charts = (() => {
  const { digits, known } = Judge;
  const ink = "var(--ink)", soft = "var(--soft)", ours = "var(--ours)", other = "var(--official)";
  const halo = { stroke: "var(--bg)", strokeWidth: 4, paintOrder: "stroke", fill: ink };
  const short = (title) => title.replace(/^NVIDIA (GeForce |Jetson )?/, "").replace(/ \(.*\)/, "");

  /* Rows whose names do not lie on each other, in the order given: positions in pixels by `at`. */
  function apart(rows, at, width, reserved) {
    const taken = rows.map((r) => { const { x, y } = at(r); return { left: x - 5, right: x + 5, top: y - 5, bottom: y + 5 }; }), shown = []; /* the marks themselves */
    taken.push(...reserved);
    for (const row of rows) {
      const { x, y } = at(row), w = 7 * short(row.title).length + 4;
      const places = [["start", 9, 0], ["end", -9, 0], ["start", 9, 13], ["end", -9, 13], ["start", 9, -13], ["end", -9, -13]];
      for (const [anchor, dx, dy] of places) {
        const left = anchor === "start" ? x + dx : x + dx - w, box = { left, right: left + w, top: y + dy - 7, bottom: y + dy + 7 };
        if (left < 46 || box.right > width || taken.some((t) => box.left < t.right && t.left < box.right && box.top < t.bottom && t.top < box.bottom)) continue;
        taken.push(box);
        shown.push({ ...row, anchor, dx, dy });
        break;
      }
    }
    return shown;
  }

  /* Price or power against the longest step a machine must be in time with. rows: title, x, ms [3], kind
   * ("sure", "expected", "no"), chosen (1, 2 or 0), own: deer runs there. */
  function scatter(rows, period, limit, xLabel, width) {
    const height = width < 560 ? 340 : 420, left = 46, right = 14, xs = rows.map((r) => r.x), lows = rows.map((r) => r.ms[0]), highs = rows.map((r) => r.ms[2]);
    const x = d3.scaleLog([0.8 * d3.min(xs), 1.35 * d3.max(xs)], [left, width - right]).clamp(true);
    const y = d3.scaleLog([0.8 * Math.min(d3.min(lows), period / 2), 1.3 * Math.max(d3.max(highs), period * 2)], [height - 42, 18]);
    const words = `${limit}, ${digits(period)} ms`;
    const named = apart([...rows].sort((a, b) => (b.chosen > 0) - (a.chosen > 0) || a.chosen - b.chosen || a.ms[1] - b.ms[1]), (r) => ({ x: x(r.x), y: y(r.ms[1]) }), width - right,
      [{ left: width - right - 7 * words.length, right: width - right, top: y(period) - 16, bottom: y(period) + 2 }, { left, right: width - right, top: y(period) - 1, bottom: y(period) + 1 }]); /* the line's words and the line */
    const symbol = { sure: "circle", expected: "diamond2", no: "times" };
    const colour = (r) => (r.kind === "no" ? other : ours);
    return {
      width, height, marginLeft: left, marginRight: right, marginBottom: 42, marginTop: 18,
      ariaLabel: `Milliseconds of the longest step against ${xLabel}`,
      x: { type: "log", domain: x.domain(), label: xLabel, labelAnchor: "center", labelArrow: "none", ticks: width < 560 ? 4 : 7, tickFormat: (v) => (/^[125]/.test(String(v)) ? d3.format(",")(v) : "") },
      y: { type: "log", domain: y.domain(), label: "ms of a step", labelArrow: "none", ticks: 6, tickFormat: (v) => (/^(0\.0*)?[125]0*$/.test(String(v)) ? d3.format(",")(v) : ""), grid: true },
      marks: [
        Plot.rectY([{}], { x1: x.domain()[0], x2: x.domain()[1], y1: y.domain()[0], y2: period, fill: "var(--good-bg)", fillOpacity: 0.5 }),
        Plot.ruleY([period], { stroke: ink, strokeDasharray: "5,4", strokeWidth: 1.5 }),
        Plot.text([period], { y: (p) => p, frameAnchor: "right", text: [words], dy: -8, textAnchor: "end", ...halo }),
        Plot.ruleX(rows, { x: "x", y1: (r) => r.ms[0], y2: (r) => r.ms[2], stroke: colour, strokeOpacity: 0.55, strokeWidth: 2.5 }),
        Plot.dot(rows, { x: "x", y: (r) => r.ms[1], symbol: (r) => symbol[r.kind], r: (r) => (r.chosen ? 8 : 5.5), fill: (r) => (r.kind !== "no" && r.own ? ours : "var(--bg)"), stroke: colour, strokeWidth: 2,
          title: (r) => `${r.title}, ${r.setting}\n${digits(r.ms[1])} ms (${digits(r.ms[0])} to ${digits(r.ms[2])})\n${r.words}` }),
        ...named.map((r) => Plot.text([r], { x: "x", y: r.ms[1], text: [short(r.title)], dx: r.dx, dy: r.dy, textAnchor: r.anchor, fontWeight: r.chosen ? 700 : 400, ...halo })),
        Plot.text(rows.filter((r) => r.chosen), { x: "x", y: (r) => r.ms[1], text: (r) => String(r.chosen), fontWeight: 700, fontSize: 10, fill: (r) => (r.own && r.kind !== "no" ? "var(--bg)" : ink) }),
      ],
    };
  }

  /* Loss or success against time, cost or energy, from nothing to beyond full depth. rows have x, y, low, high;
   * fixed also k. limit and here may be null. */
  function frontier({ rows, official, oracle, fixed, judged, limit, given, here, period }, xLabel, good, width) {
    const most = 1.12 * (d3.max([...rows, ...fixed], (r) => r.x) || 1), end = rows[rows.length - 1];
    const words = width < 560 ? "thresholds" : "thresholds, with 95% of bootstrap samples", named = Math.floor(rows.length / 8);
    const roomy = rows.length > 0 && 64 + (width - 72) * rows[named].x / most + 7 * words.length < width; /* beside the line, or before it */
    const line = (data, text, colour, dash) => [Plot.line(data, { x: "x", y: "y", stroke: colour, strokeWidth: 2.5, strokeDasharray: dash })];
    const label = (data, i, text, dx, dy, anchor) => Plot.text(data.length ? [data[Math.min(i, data.length - 1)]] : [], { x: "x", y: "y", text: () => text, dx, dy, textAnchor: anchor, ...halo });
    return {
      width, height: width < 560 ? 300 : 380, marginLeft: 52, marginBottom: 44, marginRight: 20,
      ariaLabel: `${good} against ${xLabel}`,
      x: { domain: [0, most], label: xLabel, labelAnchor: "center", labelArrow: "none", ticks: width < 560 ? 4 : 8 },
      y: { label: good === "loss" ? "action loss" : "success, where judged", labelArrow: "none", grid: true, nice: true, zero: true },
      marks: [
        Plot.areaY(rows, { x: "x", y1: "low", y2: "high", fill: ours, fillOpacity: 0.18 }),
        known(limit) ? Plot.ruleY([limit], { stroke: ink, strokeDasharray: "5,4" }) : null,
        known(limit) ? Plot.text([limit], { y: (y) => y, frameAnchor: "left", text: () => "largest loss allowed", dy: -8, dx: 4, textAnchor: "start", ...halo }) : null,
        known(period) && period < most ? Plot.ruleX([period], { stroke: ink, strokeDasharray: "5,4" }) : null,
        known(period) && period < most ? Plot.text([period], { x: (p) => p, frameAnchor: "top", text: () => "period", dx: -5, textAnchor: "end", ...halo }) : null,
        ...line(oracle, "", "var(--oracle)", "1,5"), ...line(official, "", other, "6,4"), ...line(rows, "", ours),
        Plot.dot(fixed, { x: "x", y: "y", stroke: "var(--fixed)", symbol: "square", r: 5, strokeWidth: 2, fill: "var(--bg)" }),
        label(fixed, 0, "always exit 0", -9, 0, "end"),
        roomy ? label(rows, named, words, 12, -12, "start") : label(rows, named, words, -14, 4, "end"),
        Plot.ruleX(judged, { x: "x", y1: "low", y2: "high", stroke: ours }),
        Plot.dot(judged, { x: "x", y: "y", fill: ours, r: 4 }),
        given && known(given.x) && known(given.y) ? Plot.dot([given], { x: "x", y: "y", symbol: "diamond2", r: 7, stroke: other, strokeWidth: 2, fill: "var(--bg)" }) : null,
        given && known(given.x) && known(given.y) ? Plot.text([given], { x: "x", y: "y", text: () => "the file", dy: -14, ...halo }) : null,
        here && known(here.x) && known(here.y) ? Plot.dot([here], { x: "x", y: "y", r: 8, stroke: ink, strokeWidth: 2.5 }) : null,
        here && known(here.x) && known(here.y) ? Plot.text([here], { x: "x", y: "y", text: () => "here", dy: 18, dx: -4, textAnchor: "end", fontWeight: 700, ...halo }) : null,
        end ? null : Plot.text(["unknown: nothing to draw"], { frameAnchor: "middle", ...halo }),
      ],
    };
  }

  /* Milliseconds of each stage to each exit. exits: [{stage: ms}], shares of steps. */
  function stages(exits, names, shares, period, width) {
    const rows = exits.flatMap((e, k) => names.map(([stage, name]) => ({ exit: `exit ${k}`, stage, name, ms: e[stage] })));
    const total = exits.map((e) => d3.sum(names, ([stage]) => e[stage])), end = 1.35 * d3.max(total);
    let from = 0;
    const middle = names.map(([stage, name]) => { const ms = exits[exits.length - 1][stage], at = from + ms / 2; from += ms; return { name, at, ms }; });
    const roomy = middle.filter((m) => (m.ms / end) * (width - 70) > 7 * m.name.length);
    return {
      width, height: 34 * exits.length + 66, marginLeft: 56, marginRight: 14, marginBottom: 40, marginTop: 24,
      ariaLabel: "Milliseconds of each stage, for each exit",
      x: { label: "ms, as expected", labelAnchor: "center", labelArrow: "none", grid: true, domain: [0, end] },
      y: { label: null, domain: exits.map((_, k) => `exit ${k}`), tickSize: 0 },
      marks: [
        Plot.barX(rows, { x: "ms", y: "exit", fill: (r) => `var(--${r.stage})`, insetLeft: 0.5, insetRight: 0.5, title: (r) => `${r.name}: ${digits(r.ms)} ms` }),
        Plot.text(roomy, { x: "at", frameAnchor: "top", text: "name", dy: -14, fill: ink }),
        Plot.text(total, { x: (t) => t, y: (_, k) => `exit ${k}`, text: (t, k) => `${digits(t)} ms${width < 560 ? "" : `, ${digits(100 * (shares[k] || 0))}% of steps`}`, dx: 6, textAnchor: "start", fill: ink }),
        period < end ? Plot.ruleX([period], { stroke: ink, strokeDasharray: "5,4", strokeWidth: 1.5 }) : null,
        period < end ? Plot.text([period], { x: (p) => p, frameAnchor: "bottom", text: () => "period", dx: 5, dy: -4, textAnchor: "start", ...halo }) : null,
      ],
    };
  }

  const exitColour = (k, last) => d3.interpolateViridis(last ? 0.92 - 0.72 * k / last : 0.5);

  /* Shares of each task's steps by exit. tasks: name, shares. */
  function tasks(list, width) {
    const last = list[0].shares.length - 1, rows = list.flatMap((t) => t.shares.map((f, k) => ({ task: t.name, k, f: 100 * f })));
    const left = width < 560 ? 128 : 8 + 7 * d3.max(list, (t) => t.name.length), middle = [];
    let from = 0;
    list[0].shares.forEach((f, k) => { middle.push({ k, at: from + 50 * f, f: 100 * f }); from += 100 * f; });
    return {
      width, height: 20 * list.length + 66, marginLeft: Math.min(left, 330), marginRight: 14, marginTop: 26, marginBottom: 40,
      ariaLabel: "Share of each task's steps leaving at each exit",
      x: { label: "% of steps", labelAnchor: "center", labelArrow: "none", domain: [0, 100] },
      y: { label: null, domain: list.map((t) => t.name), tickSize: 0, tickFormat: (t) => (width < 560 && t.length > 18 ? `${t.slice(0, 17)}\u2026` : t) },
      marks: [
        Plot.barX(rows, { x: "f", y: "task", fill: (r) => exitColour(r.k, last), insetLeft: 0.4, insetRight: 0.4, insetTop: 1, insetBottom: 1, title: (r) => `${r.task}\nexit ${r.k}: ${digits(r.f)} %` }),
        Plot.text(middle.filter((m) => m.f > (width < 560 ? 14 : 6)), { x: "at", frameAnchor: "top", text: (m) => `exit ${m.k}`, dy: -14, fill: ink }),
      ],
    };
  }

  /* Loss of A and B by how far the average is from the first exit's cost to full depth's. */
  function two(a, b, width) {
    const rows = (list) => list.map((p) => ({ x: 100 * p.share_of_range, y: p.loss, low: p.loss_95[0], high: p.loss_95[1] })).filter((r) => known(r.y));
    const sides = [[rows(a), "A", ours, undefined], [rows(b), "B", other, "6,4"]], third = (list, i) => (list.length ? [list[Math.floor(i * (list.length - 1) / 4)]] : []);
    return {
      width, height: width < 560 ? 280 : 360, marginLeft: 52, marginBottom: 44, marginRight: 20, ariaLabel: "Loss of A and B against the average budget",
      x: { domain: [0, 100], label: "% of the way from the first exit's cost to full depth's", labelAnchor: "center", labelArrow: "none", ticks: width < 560 ? 4 : 8 },
      y: { label: "action loss", labelArrow: "none", grid: true, nice: true, zero: true },
      marks: sides.flatMap(([list, name, colour, dash], i) => [Plot.areaY(list, { x: "x", y1: "low", y2: "high", fill: colour, fillOpacity: 0.15 }), Plot.line(list, { x: "x", y: "y", stroke: colour, strokeWidth: 2.5, strokeDasharray: dash }),
        Plot.text(third(list, i + 1), { x: "x", y: "y", text: () => name, dy: i ? 14 : -14, fontWeight: 700, fontSize: 14, ...halo, fill: colour })]),
    };
  }

  /* A difference of success (or of tasks done in a row) with its interval, and no difference. */
  function difference(p, width) {
    const scale = p.rows ? 1 : 100, end = 1.15 * scale * Math.max(Math.abs(p.low), Math.abs(p.high), 0.01), name = p.rows ? "tasks done in a row" : "percentage points of success";
    return {
      width, height: 112, marginLeft: 20, marginRight: 20, marginTop: 46, marginBottom: 40, ariaLabel: `B minus A, ${name}`,
      x: { domain: [-end, end], label: name, labelAnchor: "center", labelArrow: "none", grid: true },
      y: { axis: null, domain: ["B - A"] },
      marks: [Plot.ruleX([0], { stroke: ink, strokeDasharray: "5,4" }), Plot.text([-end / 2, end / 2], { x: (x) => x, frameAnchor: "top", dy: -32, text: (x) => (x < 0 ? "A does more" : "B does more"), fill: soft }),
        Plot.ruleY([p], { x1: scale * p.low, x2: scale * p.high, y: () => "B - A", stroke: ours, strokeWidth: 3 }), Plot.dot([p], { x: scale * p.difference, y: () => "B - A", r: 6, fill: ours }),
        Plot.text([p], { x: scale * p.difference, y: () => "B - A", dy: -14, text: () => `${p.difference < 0 ? "\u2212" : "+"}${digits(scale * Math.abs(p.difference))}`, fontWeight: 700, ...halo })],
    };
  }

  /* Success against what an action costs. series: name, colour, symbol, dash, rows {x, y, low, high} in %, from the
   * cheapest; side: where the name stands beside the first row. What lies below `from` is told at the edge. */
  function success(series, from, xLabel, width, height) {
    const rows = series.flatMap((s) => s.rows.map((r) => ({ ...r, s }))), inside = (r) => r.y >= from, first = (s) => s.rows.find(inside);
    return {
      width, height, marginLeft: 46, marginBottom: 42, marginRight: 20, marginTop: 22, clip: true, ariaLabel: `Success against ${xLabel}`,
      x: { domain: [0, 1.05 * d3.max(rows, (r) => r.x)], label: xLabel, labelAnchor: "center", labelArrow: "none", ticks: width < 560 ? 4 : 8 },
      y: { domain: [from, 100], label: "% success", labelArrow: "none", grid: true },
      marks: [
        ...series.map((s) => Plot.ruleX(s.rows.filter(inside), { x: "x", y1: (r) => Math.max(r.low, from), y2: "high", stroke: s.colour, strokeOpacity: 0.4, strokeWidth: 1.5 })),
        ...series.map((s) => Plot.line(s.rows.filter(inside), { x: "x", y: "y", stroke: s.colour, strokeWidth: 2, strokeDasharray: s.dash })),
        ...series.map((s) => Plot.dot(s.rows.filter(inside), { x: "x", y: "y", stroke: s.colour, fill: s.open ? "var(--bg)" : s.colour, symbol: s.symbol, r: 4.5, strokeWidth: 2 })),
        ...series.map((s) => Plot.text([first(s)], { x: "x", y: "y", text: () => s.name, dx: s.side === "right" ? 10 : -9, dy: s.side === "right" ? 16 : 0, textAnchor: s.side === "right" ? "start" : "end", ...halo, fill: s.colour, fontWeight: 600 })),
        Plot.text(rows.filter((r) => !inside(r)), { x: "x", frameAnchor: "bottom", dy: -6, text: (r) => `\u2193 ${r.name || ""}${digits(r.y)} %`, ...halo, fill: (r) => r.s.colour, fontWeight: 600 }),
      ],
    };
  }

  /* One bar for each exit. */
  function bars(values, label, width, height) {
    const rows = values.map((y, k) => ({ k: String(k), y }));
    return {
      width, height, marginLeft: 56, marginBottom: 40, marginTop: 24, marginRight: 20, ariaLabel: label,
      x: { type: "band", domain: rows.map((r) => r.k), label: "deepest exit", labelAnchor: "center", labelArrow: "none", padding: 0.35 },
      y: { domain: [0, 1.15 * d3.max(values)], label, labelArrow: "none", grid: true, ticks: 4 },
      marks: [Plot.barY(rows, { x: "k", y: "y", fill: ours }), Plot.text(rows, { x: "k", y: "y", text: (r) => digits(r.y), dy: -8, ...halo })],
    };
  }

  return { scatter, frontier, stages, tasks, two, difference, success, bars, short };
})();
if (typeof module !== "undefined") module.exports = Charts;
