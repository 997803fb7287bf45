/* SPDX-License-Identifier: MIT */
/* The page's script: looks numbers up in the report that lies in the page, draws, and never asks
 * anybody else. Every text of the report reaches the page as text, never as HTML. */
"use strict";
(() => {
  const report = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const rates = report.demands.rates_hz, dtypes = report.demands.dtypes;
  const last = report.exits.length - 1;
  const state = { rate: 0, dtype: 0, option: 0, budget: report.recommended_budget, axis: "cost", good: "loss", touched: false };

  /* ---------------------------------------------------------------- words and numbers ------- */

  const known = (x) => typeof x === "number" && Number.isFinite(x);

  /* Three significant digits, no exponent; the C side's tables do the same. */
  function digits(x) {
    if (!known(x)) return "\u2013";
    if (x === 0) return "0";
    const decimals = Math.min(Math.max(2 - Math.floor(Math.log10(Math.abs(x))), 0), 9);
    return x.toFixed(decimals);
  }
  const unit = (x, name) => (known(x) ? `${digits(x)}\u00a0${name}` : "unknown");
  const percent = (x) => (known(x) ? `${(100 * x).toFixed(x > 0 && x < 0.0995 ? 1 : 0)}\u00a0%` : "unknown");

  function element(name, properties, ...children) {
    const e = Object.assign(document.createElement(name), properties);
    e.append(...children.filter((c) => c !== null && c !== undefined));
    return e;
  }

  /* ---------------------------------------------------------------- look-ups ---------------- */

  const option = (o) => report.options[o];
  const machineOf = (o) => report.machines[option(o).machine];
  const costsOf = (o, d) => option(o).dtypes[d];
  const answerAt = (o, d, r) => report.answers[(o * dtypes.length + d) * rates.length + r];
  const optionsOf = (m) => report.options.map((x, i) => (x.machine === m ? i : -1)).filter((i) => i >= 0);
  const frontier = (k) => report.frontiers[k];
  const bestBudget = (a) => (a.budget_index >= 0 ? a.budget_index : report.recommended_budget);

  /* The point that an answer's machine runs at a budget: on the frontier of its deepest exit. */
  const pointAt = (a, b) => frontier(a.deepest_exit >= 0 ? a.deepest_exit : last).points[b];

  function average(fractions, of) {
    return fractions.reduce((sum, f, k) => (f > 0 ? sum + f * of(k) : sum), 0);
  }

  /* What a budget's thresholds do on an answer's machine, as the report has worked it out. */
  function onMachine(a, b) {
    const at = (column) => a.budgets[column][b], exits = costsOf(a.option, dtypes.indexOf(a.dtype)).exits;
    return { verdict: report.verdicts[at("verdict")], sure: at("sure") === 1, joules: at("joules"), watts: at("watts"),
      ms: [at("ms_low"), at("ms"), at("ms_high")], p99: exits.length ? exits[at("p99_exit")].ms : null };
  }

  /* Why a demand is not met, in words. */
  function reason(a, point, at) {
    const asked = report.demands;
    if (a.deepest_exit < 0) return a.reason;
    return {
      meets: "",
      loss: `loss ${digits(point.loss)} is more than ${digits(asked.max_loss)}`,
      success: `success ${percent(point.success)} is less than ${percent(asked.min_success)}`,
      unknown: "the profile does not say what power it takes",
      power: `${unit(at.watts, "W")} is more than ${unit(asked.max_watts, "W")}`,
    }[at.verdict];
  }

  /* ---------------------------------------------------------------- controls ---------------- */

  function choice(box, name, items, value, act) {
    items.forEach(([label, item], i) => {
      const input = element("input", { type: "radio", name, value: String(i), checked: item === value });
      input.addEventListener("change", () => act(item));
      box.append(element("label", {}, input, element("span", { textContent: label })));
    });
  }
  const check = (name, i) => { const e = document.querySelector(`input[name="${name}"][value="${i}"]`); if (e) e.checked = true; };

  function fillModes() {
    const list = optionsOf(option(state.option).machine), select = byId("mode");
    select.replaceChildren(...list.map((o) => element("option", { value: o, textContent: option(o).mode, selected: o === state.option })));
    byId("mode-field").hidden = list.length < 2;
  }

  function follow() {
    if (!state.touched) state.budget = bestBudget(answerAt(state.option, state.dtype, state.rate));
  }

  /* The setting that the ranking has for a machine at the present rate. */
  function settingOf(machine) {
    const a = report.choices[state.rate].ranking.map((i) => report.answers[i]).find((x) => option(x.option).machine === machine);
    state.option = a.option;
    state.dtype = dtypes.indexOf(a.dtype);
  }

  function select(answer) {
    const a = report.answers[answer];
    state.option = a.option;
    state.dtype = dtypes.indexOf(a.dtype);
    state.touched = false;
    update();
  }

  function setUpControls() {
    choice(byId("rates"), "rate", rates.map((r, i) => [`${r} Hz`, i]), state.rate, (i) => {
      const machine = option(state.option).machine;
      state.rate = i;
      if (!state.touched) settingOf(machine);
      update();
    });
    choice(byId("dtypes"), "dtype", dtypes.map((d, i) => [d, i]), state.dtype, (i) => { state.dtype = i; update(); });
    const axes = [["GFLOPs", "cost"], ["Time", "ms"], ["Energy", "joules"], ["Memory", "memory"]];
    choice(byId("axes"), "axis", axes, state.axis, (x) => { state.axis = x; update(); });
    choice(byId("goods"), "good", [["Loss", "loss"], ["Success", "success"]], state.good, (x) => { state.good = x; update(); });
    byId("goods").hidden = report.rollouts.length === 0;
    byId("machine").append(...report.machines.map((m, i) => element("option", { value: i, textContent: m.title })));
    byId("machine").addEventListener("change", (e) => { settingOf(Number(e.target.value)); update(); });
    byId("mode").addEventListener("change", (e) => { state.option = Number(e.target.value); update(); });
    byId("budget").max = report.budgets_gflops.length - 1;
    byId("budget").addEventListener("input", (e) => { state.budget = Number(e.target.value); state.touched = true; update(); });
    byId("best").addEventListener("click", () => { state.touched = false; update(); });
    byId("controls").addEventListener("submit", (e) => e.preventDefault());
    for (const b of document.querySelectorAll("button[data-answer]"))
      b.addEventListener("click", () => {
        select(Number(b.dataset.answer));
        byId("try").scrollIntoView();
      });
    setUpTheme();
  }

  function setUpTheme() {
    const button = byId("theme"), names = { "": "Auto", light: "Light", dark: "Dark" }, order = ["", "light", "dark"];
    let now = 0;
    button.addEventListener("click", () => {
      now = (now + 1) % order.length;
      if (order[now]) document.documentElement.dataset.theme = order[now];
      else delete document.documentElement.dataset.theme;
      button.textContent = names[order[now]];
      button.setAttribute("aria-label", `${names[order[now]]} colours`);
    });
  }

  /* ---------------------------------------------------------------- the chosen machine ------ */

  function showRate() {
    for (const e of document.querySelectorAll("[data-rate]")) e.hidden = Number(e.dataset.rate) !== state.rate;
    for (const e of document.querySelectorAll("tr[data-machine]"))
      e.classList.toggle("selected", Number(e.dataset.machine) === option(state.option).machine);
  }

  function showControls() {
    const slider = byId("budget");
    byId("machine").value = option(state.option).machine;
    fillModes();
    check("dtype", state.dtype);
    slider.value = state.budget;
    const text = `${unit(report.budgets_gflops[state.budget], "GFLOPs")} (${report.scope})`;
    slider.setAttribute("aria-valuetext", text);
    byId("budget-value").textContent = text;
  }

  function showVerdict(a, point, at) {
    const { verdict, sure } = at, box = byId("verdict");
    const period = 1e3 / rates[state.rate], deepest = a.deepest_exit;
    box.className = `banner ${verdict === "meets" ? (sure ? "yes" : "maybe") : "no"}`;
    box.dataset.verdict = verdict;
    const name = machineOf(state.option).title;
    const words = verdict !== "meets" ? `No: ${reason(a, point, at)}.`
      : `${sure ? "Yes" : "Yes, as expected"}: exit ${deepest}${deepest === last ? ", full depth," : ""} ends within ${unit(costsOf(state.option, state.dtype).exits[deepest].ms[1], "ms")} of the ${unit(period, "ms")} at ${rates[state.rate]} Hz.${sure ? "" : " At the pessimistic end of its figures a demand fails."}`;
    box.replaceChildren(element("strong", { textContent: name }), element("br"), words);
  }

  function number(list, name, value, note, id) {
    const dd = element("dd", {}, value, note ? element("small", { textContent: note }) : null);
    if (id) dd.dataset.number = id;
    list.push(element("div", {}, element("dt", { textContent: name }), dd));
  }
  const span = (r, f, name) => `${digits(f * r[0])} to ${digits(f * r[2])} ${name}`;

  function showNumbers(a, point, at) {
    const list = [], costs = costsOf(state.option, state.dtype), rate = rates[state.rate];
    const memory = costs.memory[Math.max(a.deepest_exit, 0)], has = machineOf(state.option).figures.memory.value;
    if (at.p99) {
      number(list, "Mean step", unit(at.ms[1], "ms"), span(at.ms, 1, "ms"), "ms");
      number(list, "99% of steps within", unit(at.p99[1], "ms"), span(at.p99, 1, "ms"), "p99");
      number(list, "Could sustain", unit(1e3 / at.ms[1], "Hz"), `asked: ${rate} Hz`, "hz");
      number(list, "Energy a step", unit(at.joules, "J"), null, "joules");
      number(list, "Average power", unit(at.watts, "W"), known(at.watts) ? `${digits(at.watts)} Wh an hour at ${rate} Hz` : null, "watts");
    }
    number(list, "Compute a step", unit(point.total_gflops, "GFLOPs"), `LLM ${digits(point.llm_gflops)}: ${Math.round(100 * point.llm_gflops / report.exits[last].llm_gflops)} % of full depth`, "gflops");
    number(list, "Memory", unit(memory.with_system_bytes / 1e9, "GB"), `of ${digits(has)} GB; weights ${memory.weights_bytes < 1e8 ? unit(memory.weights_bytes / 1e6, "MB") : unit(memory.weights_bytes / 1e9, "GB")}`, "memory");
    number(list, "Loss", digits(point.loss), `${digits(point.loss_95[0])} to ${digits(point.loss_95[1])} (95% of bootstrap samples)`, "loss");
    if (report.rollouts.length)
      number(list, "Success", percent(point.success), known(point.success) ? `${percent(point.success_95[0])} to ${percent(point.success_95[1])} (95%)` : null, "success");
    byId("numbers").replaceChildren(...list);
  }

  function tauText(tau) {
    return tau === null ? "always" : typeof tau === "string" ? tau : digits(tau);
  }

  function showThresholds(point) {
    const exits = costsOf(state.option, state.dtype).exits, most = Math.max(...point.exit_fractions);
    const rows = point.exit_fractions.map((f, k) => {
      const bar = element("i");
      bar.style.width = `${80 * f / most}px`;
      const meter = element("td", {}, element("div", { className: "meter" }, bar, percent(f)));
      meter.dataset.fraction = k;
      const tau = element("td", { className: "n", textContent: tauText(point.tau[k]) });
      tau.dataset.tau = k;
      const name = element("th", { scope: "row", className: "n" }, `${k} `, element("small", { textContent: `layer ${report.model.exit_layers[k]}` }));
      return element("tr", {}, name, tau, meter, element("td", { className: "n", textContent: exits.length ? digits(exits[k].ms[1]) : "\u2013" }));
    });
    byId("thresholds").tBodies[0].replaceChildren(...rows);
  }

  function showCommand(a) {
    const box = byId("command");
    if (report.model.published_shape || a.deepest_exit < 0) {
      box.textContent = report.model.published_shape
        ? `The thresholds are those of the policy ${report.cache.policy}; a policy of the shape ${report.model.name} needs its own, from its own cache.` : "";
      return;
    }
    const peak = report.exits[a.deepest_exit][report.scope === "llm" ? "peak_llm_gflops" : "peak_total_gflops"];
    box.replaceChildren("These thresholds as a file, made to converge with the exits they take themselves: ", element("code", {
      textContent: `deer-calib solve --cache ${report.cache.folder} --scope ${report.scope} --avg-gflops ${Number(report.budgets_gflops[state.budget].toPrecision(5))} --peak-gflops ${Number((1.0001 * peak).toPrecision(6))} --out thresholds.json` }));
  }

  /* ---------------------------------------------------------------- charts ------------------ */

  const exitColour = (k) => d3.interpolateViridis(last ? 0.92 - 0.72 * k / last : 0.5);
  const stages = [["vision", "Vision"], ["resampler", "Resampler"], ["llm", "Language model"], ["head", "Action head"], ["overhead", "Overhead"]];

  function draw(id, options) {
    const box = byId(id), width = Math.max(Math.floor(box.clientWidth), 280);
    const plot = Plot.plot({ width, style: { fontSize: "12px", background: "transparent" }, ...options(width) });
    plot.setAttribute("role", "img"); /* one picture with one name; its parts need none */
    for (const part of plot.querySelectorAll("g[aria-label]")) part.removeAttribute("aria-label");
    box.replaceChildren(plot);
  }

  function key(id, items) {
    byId(id).replaceChildren(...items.flatMap(([kind, colour, text]) => {
      const k = element("span", { className: `k ${kind}` });
      k.style[kind === "box" || kind === "dot" ? "background" : "borderColor"] = colour;
      if (kind === "dot") k.style.borderColor = colour;
      if (kind === "stroke dashed") k.style.borderTopStyle = "dashed";
      if (kind === "stroke dotted") k.style.borderTopStyle = "dotted";
      return [element("span", { className: "item" }, k, text)];
    }));
  }

  const cut = (most) => (text) => (text.length > most ? `${text.slice(0, most - 1)}\u2026` : text);

  /* How often steps end when, against the period. */
  function drawEnds(point) {
    const exits = costsOf(state.option, state.dtype).exits, period = 1e3 / rates[state.rate];
    const rows = exits.length ? point.exit_fractions.map((f, k) => ({ k, f: 100 * f, low: exits[k].ms[0], ms: exits[k].ms[1], high: exits[k].ms[2] })) : [];
    const least = d3.min(rows, (r) => r.ms) || 0, most = d3.max(rows, (r) => r.ms) || 1, room = Math.max(0.25 * (most - least), 0.02 * most);
    const near = period > least - 4 * room && period < most + 2 * (most - least), start = Math.max(0, Math.min(least, near ? period : least) - room), end = Math.max(most, near ? period : most) + room;
    byId("ends-note").textContent = near ? "" : `the period, ${digits(period)} ms, lies further ${period > most ? "right" : "left"}`;
    draw("ends-chart", () => ({
      height: 230, marginLeft: 44, marginBottom: 40,
      ariaLabel: "Steps leaving at each exit against the time they take",
      x: { domain: [start, end], label: "ms from the camera images to the action", ticks: 6, labelAnchor: "center", labelArrow: "none" },
      y: { domain: [0, Math.max(10, d3.max(rows, (r) => r.f) * 1.15 || 10)], label: "% of steps", labelArrow: "none", grid: true, ticks: 5 },
      marks: [
        Plot.ruleX(rows, { x: "ms", y2: "f", stroke: (r) => exitColour(r.k), strokeWidth: 14 }),
        Plot.text(rows, { x: "ms", y: "f", text: (r) => (r.f >= 0.5 ? `exit ${r.k}` : ""), dy: -9, fill: "var(--ink)" }),
        near ? Plot.ruleX([period], { stroke: "var(--ink)", strokeDasharray: "5,4", strokeWidth: 1.5 }) : null,
        near ? Plot.text([period], { x: (p) => p, frameAnchor: "top", text: () => "period", dx: -6, textAnchor: "end", fill: "var(--ink)" }) : null,
        Plot.ruleY([0], { stroke: "var(--soft)" }),
      ],
    }));
  }

  function drawMachines() {
    const period = 1e3 / rates[state.rate], chosen = option(state.option).machine;
    const rows = report.choices[state.rate].ranking.map((i) => report.answers[i]).map((a) => {
      const d = dtypes.indexOf(a.dtype), costs = costsOf(a.option, d), m = option(a.option).machine;
      if (!costs.exits.length) return null;
      const deepest = a.deepest_exit >= 0 ? a.deepest_exit : last;
      const at = onMachine(a, bestBudget(a));
      return { m, name: report.machines[m].title.replace(/^NVIDIA (GeForce )?/, ""), id: report.machines[m].name, meets: a.verdict === "meets", from: costs.exits[0].ms[1], to: costs.exits[deepest].ms[1],
        mean: at.ms[1], low: costs.exits[0].ms[0], high: costs.exits[deepest].ms[2], setting: `${option(a.option).mode}, ${a.dtype}` };
    }).filter(Boolean).sort((x, y) => x.mean - y.mean);
    draw("machines-chart", (width) => ({
      height: 26 * rows.length + 50, marginLeft: width < 560 ? 118 : 216, marginRight: 16, marginTop: 8, marginBottom: 40,
      ariaLabel: "Time of a step on each machine",
      x: { type: "log", label: width < 560 ? "ms of a step, logarithmic" : "ms of a step (logarithmic; thin line: optimistic to pessimistic)", labelAnchor: "center", labelArrow: "none", grid: true,
        tickFormat: (x) => (x >= 1 ? String(Math.round(x)) : String(x)) , ticks: width < 560 ? 4 : 8 },
      y: { domain: rows.map((r) => r.name), label: null, tickSize: 0, tickFormat: (n) => (width < 560 ? cut(18)(rows.find((r) => r.name === n).id) : cut(33)(n)) },
      marks: [
        Plot.barX(rows.filter((r) => r.m === chosen), { y: "name", x1: d3.min(rows, (r) => r.low), x2: d3.max(rows, (r) => r.high), fill: "var(--wash)", insetTop: -2, insetBottom: -2 }),
        Plot.ruleX([period], { stroke: "var(--ink)", strokeDasharray: "5,4", strokeWidth: 1.5 }),
        Plot.ruleY(rows, { y: "name", x1: "low", x2: "high", stroke: "var(--line)", strokeWidth: 1.5 }),
        Plot.ruleY(rows, { y: "name", x1: "from", x2: "to", stroke: (r) => (r.meets ? "var(--ours)" : "var(--official)"), strokeOpacity: 0.45, strokeWidth: 7, strokeLinecap: "round" }),
        Plot.dot(rows, { y: "name", x: "mean", r: 6, fill: (r) => (r.meets ? "var(--ours)" : "var(--bg)"), stroke: (r) => (r.meets ? "var(--ours)" : "var(--official)"), strokeWidth: 2,
          title: (r) => `${r.name}, ${r.setting}\n${digits(r.mean)} ms on average\n${digits(r.from)} ms to the first exit, ${digits(r.to)} ms to the deepest` }),
      ],
    }));
  }

  /* Where a point lies on the chosen axis of the frontier. */
  function axisOf(axis) {
    const o = state.option, d = state.dtype, costs = costsOf(o, d), where = `${machineOf(o).title}, ${option(o).mode}, ${dtypes[d]}`;
    const exits = costs.exits;
    return {
      cost: { short: `GFLOPs a step, ${report.scope}`, label: `average GFLOPs a step, ${report.scope} (one multiply-add is one FLOP)`, x: (p) => p.cost_gflops },
      ms: { short: "mean ms a step", label: `mean ms a step on ${where}`, x: (p) => (exits.length ? average(p.exit_fractions, (k) => exits[k].ms[1]) : null) },
      joules: { short: "J a step", label: `J a step on ${where}`, x: (p) => (exits.length && exits[0].joules[1] !== null ? average(p.exit_fractions, (k) => exits[k].joules[1]) : null) },
      memory: { short: "GB of memory", label: `GB of memory with the system's share on ${where}`, x: (p) => costs.memory[p.exit_fractions.length - 1].with_system_bytes / 1e9 },
    }[axis];
  }

  function frontierRows(a, axis) {
    const deepest = a.deepest_exit >= 0 ? a.deepest_exit : last, good = state.good;
    const row = (p) => ({ x: axis.x(p), y: p[good], low: (p[`${good}_95`] || [])[0], high: (p[`${good}_95`] || [])[1] });
    const drawn = (r) => known(r.x) && known(r.y);
    if (state.axis === "memory")
      return { deepest, ours: report.frontiers.map((f) => f && row(f.points[f.points.length - 1])).filter((r) => r && drawn(r)), official: [], oracle: [],
        fixed: good === "loss" ? report.exits.map((e) => ({ ...row(e), k: e.exit })).filter(drawn) : [] };
    return {
      deepest,
      ours: frontier(deepest).points.map(row).filter(drawn),
      official: report.official.filter(Boolean).map(row).filter((r) => drawn(r) && good === "loss"),
      oracle: state.axis === "cost" && good === "loss" ? report.budgets_gflops.map((x, i) => ({ x, y: frontier(deepest).oracle_loss[i] })).filter(drawn) : [],
      fixed: good === "loss" ? report.exits.map((e) => ({ ...row(e), k: e.exit })).filter(drawn) : [],
    };
  }

  function drawFrontier(a, point) {
    const axis = axisOf(state.axis), rows = frontierRows(a, axis), here = { x: axis.x(point), y: point[state.good] };
    const rollouts = state.good === "success" && state.axis === "cost" ? report.rollouts.map((r) => ({ x: r.cost_gflops, y: r.success, low: r.success_95[0], high: r.success_95[1] })) : [];
    draw("frontier-chart", (width) => ({
      height: width < 560 ? 300 : 380, marginLeft: 52, marginBottom: 44, marginRight: 44,
      ariaLabel: `${state.good} against ${axis.label}`,
      x: { label: width < 560 ? axis.short : axis.label, labelAnchor: "center", labelArrow: "none", nice: true, ticks: width < 560 ? 4 : 8 },
      y: { label: state.good === "loss" ? "action loss" : "success", labelArrow: "none", grid: true, nice: true, zero: state.good === "loss" },
      marks: [
        Plot.areaY(rows.ours, { x: "x", y1: "low", y2: "high", fill: "var(--ours)", fillOpacity: 0.16 }),
        known(report.demands.max_loss) && state.good === "loss" ? Plot.ruleY([report.demands.max_loss], { stroke: "var(--ink)", strokeDasharray: "5,4" }) : null,
        known(report.demands.max_loss) && state.good === "loss" ? Plot.text([report.demands.max_loss], { y: (y) => y, frameAnchor: "left", text: () => "largest loss allowed", dy: -8, dx: 4, fill: "var(--ink)", stroke: "var(--bg)", strokeWidth: 4 }) : null,
        Plot.line(rows.oracle, { x: "x", y: "y", stroke: "var(--oracle)", strokeDasharray: "1,5", strokeLinecap: "round", strokeWidth: 2.5 }),
        Plot.line(rows.official, { x: "x", y: "y", stroke: "var(--official)", strokeDasharray: "6,4", strokeWidth: 2 }),
        Plot.line(rows.ours, { x: "x", y: "y", stroke: "var(--ours)", strokeWidth: 2.5 }),
        state.axis === "memory" ? Plot.dot(rows.ours, { x: "x", y: "y", fill: "var(--ours)", r: 4 }) : null,
        Plot.dot(rows.fixed, { x: "x", y: "y", stroke: "var(--fixed)", symbol: "square", r: 5, strokeWidth: 2, fill: "var(--bg)" }),
        Plot.text(rows.fixed, { x: "x", y: "y", text: (r) => `exit ${r.k}`, dy: -12, dx: 4, textAnchor: "start", fill: "var(--ink)" }),
        Plot.ruleX(rollouts, { x: "x", y1: "low", y2: "high", stroke: "var(--ours)" }),
        Plot.dot(rollouts, { x: "x", y: "y", fill: "var(--ours)", r: 4 }),
        known(here.x) && known(here.y) ? Plot.dot([here], { x: "x", y: "y", r: 8, stroke: "var(--ink)", strokeWidth: 2.5 }) : null,
      ],
    }));
    const items = [["stroke", "var(--ours)", state.good === "success" ? "success, between the evaluations given, with 95% interval" : state.axis === "memory" ? "least loss with that much memory" : `thresholds, exits up to ${rows.deepest}, with 95% of bootstrap samples`]];
    if (rows.official.length) items.push(["stroke dashed", "var(--official)", "official heuristic, every exit"]);
    if (rows.oracle.length) items.push(["stroke dotted", "var(--oracle)", "no exit rule can be below"]);
    if (rows.fixed.length) items.push(["box", "var(--fixed)", "always the same exit"]);
    if (known(here.x) && known(here.y)) items.push(["dot ring", "transparent", "the budget chosen above"]);
    key("frontier-key", items);
    const ring = document.querySelector("#frontier-key .ring");
    if (ring) ring.style.borderColor = "var(--ink)";
  }

  function drawTime(point) {
    const exits = costsOf(state.option, state.dtype).exits, period = 1e3 / rates[state.rate];
    const rows = exits.flatMap((e, k) => stages.map(([stage, name]) => ({ exit: `exit ${k}`, stage: name, colour: `var(--${stage})`, ms: e[`${stage}_ms`] })));
    const end = 1.3 * (d3.max(exits, (e) => e.ms[1]) || 1);
    byId("time-note").textContent = `${machineOf(state.option).title}, ${option(state.option).mode}, ${dtypes[state.dtype]}`;
    draw("time-chart", (width) => ({
      height: 34 * exits.length + 50, marginLeft: 56, marginRight: 14, marginBottom: 40,
      ariaLabel: "Milliseconds of each stage, for each exit",
      x: { label: "ms, as expected", labelAnchor: "center", labelArrow: "none", grid: true, domain: [0, end] },
      y: { label: null, domain: exits.map((_, k) => `exit ${k}`), tickSize: 0 },
      marks: [
        Plot.barX(rows, { x: "ms", y: "exit", fill: (r) => r.colour, insetLeft: 0.5, insetRight: 0.5, title: (r) => `${r.stage}: ${digits(r.ms)} ms` }),
        Plot.text(exits, { x: (e) => e.ms[1], y: (_, k) => `exit ${k}`, text: (e, k) => (width < 560 ? `${digits(e.ms[1])} ms` : `${digits(e.ms[1])} ms, ${k < point.exit_fractions.length ? percent(point.exit_fractions[k]) : "none"} of steps`), dx: 6, textAnchor: "start", fill: "var(--ink)" }),
        period < end ? Plot.ruleX([period], { stroke: "var(--ink)", strokeDasharray: "5,4", strokeWidth: 1.5 }) : null,
      ],
    }));
    key("time-key", [...stages.map(([stage, name]) => ["box", `var(--${stage})`, name]), ...(period < end ? [["line", "var(--ink)", `the period, ${digits(period)} ms`]] : [])]);
  }

  function drawTasks(point) {
    const exits = point.exit_fractions.map((_, k) => k);
    const tasks = report.tasks.map((t, i) => ({ name: t.name, shares: point.task_counts[i].map((n) => n / Math.max(t.steps, 1)) }));
    const depth = (t) => t.shares.reduce((sum, f, k) => sum + k * f, 0);
    tasks.sort((x, y) => depth(y) - depth(x));
    tasks.unshift({ name: "all tasks", shares: point.exit_fractions });
    const names = tasks.map((t, i) => (i ? t.name : "\u2014 all tasks \u2014"));
    const rows = tasks.flatMap((t, i) => t.shares.map((f, k) => ({ task: names[i], k, f: 100 * f })));
    draw("tasks-chart", (width) => ({
      height: 20 * tasks.length + 46, marginLeft: width < 560 ? 128 : 210, marginRight: 14, marginTop: 6, marginBottom: 40,
      ariaLabel: "Share of each task's steps leaving at each exit",
      x: { label: "% of steps", labelAnchor: "center", labelArrow: "none", domain: [0, 100] },
      y: { label: null, domain: [...new Set(names)], tickSize: 0, tickFormat: cut(width < 560 ? 19 : 33) },
      marks: [Plot.barX(rows, { x: "f", y: "task", fill: (r) => exitColour(r.k), insetLeft: 0.4, insetRight: 0.4, insetTop: 1, insetBottom: 1, title: (r) => `${r.task}\nexit ${r.k}: ${digits(r.f)} %` })],
    }));
    key("tasks-key", exits.map((k) => ["box", exitColour(k), `exit ${k}`]));
  }

  /* ---------------------------------------------------------------- all together ------------ */

  let scheduled = false;
  function drawCharts() {
    scheduled = false;
    const a = answerAt(state.option, state.dtype, state.rate), point = pointAt(a, state.budget);
    drawEnds(point);
    drawMachines();
    drawFrontier(a, point);
    drawTime(point);
    drawTasks(point);
  }
  function schedule() {
    if (!scheduled) requestAnimationFrame(drawCharts);
    scheduled = true;
  }

  function update() {
    follow();
    const a = answerAt(state.option, state.dtype, state.rate), point = pointAt(a, state.budget);
    const at = onMachine(a, state.budget);
    showRate();
    showControls();
    showVerdict(a, point, at);
    showNumbers(a, point, at);
    showThresholds(point);
    showCommand(a);
    schedule();
  }

  function start() {
    document.documentElement.classList.add("js");
    for (const d of document.querySelectorAll("details.table")) d.open = false;
    const at = rates.findIndex((_, i) => rates[i] >= 10 && report.choices[i].machines > 0);
    state.rate = at >= 0 ? at : Math.max(report.choices.findIndex((c) => c.machines > 0), 0);
    const c = report.choices[state.rate], a = report.answers[c.cheapest >= 0 ? c.cheapest : c.ranking[0]];
    state.option = a.option;
    state.dtype = dtypes.indexOf(a.dtype);
    setUpControls();
    update();
    let width = window.innerWidth;
    window.addEventListener("resize", () => { if (width !== window.innerWidth) { width = window.innerWidth; schedule(); } });
    window.addEventListener("beforeprint", () => { byId("every").open = true; drawCharts(); });
  }
  start();
})();
