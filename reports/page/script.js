/* SPDX-License-Identifier: MIT */
/* script.js - the page: asks judge.js, draws with charts.js, and never asks anybody else. Every text of the
 * report reaches the page as text, never as HTML. */
"use strict";
(() => {
  const { digits, unit, known } = Judge;
  const report = JSON.parse(document.getElementById("data").textContent), judge = Judge.make(report);
  const byId = (id) => document.getElementById(id);
  const dtypes = report.demands.dtypes, last = judge.last, recommended = report.recommended_budget;
  const question = judge.asked();
  const state = { option: 0, dtype: dtypes[0], budget: null, touched: false, axis: "ms", good: "loss", sort: null, down: false };
  let ranked = [], said = {};

  const percent = (x) => (known(x) ? `${(100 * x).toFixed(x > 0 && x < 0.0995 ? 1 : 0)} %` : "unknown");
  const dollars = (x) => (known(x) ? `${d3.format(",")(Math.round(x))} USD` : "price unknown");
  const span = (r, name) => `${digits(r[0])} to ${digits(r[2])} ${name}`;
  function element(name, properties, ...children) {
    const { data, ...rest } = properties || {}, e = Object.assign(document.createElement(name), rest);
    Object.assign(e.dataset, data);
    e.append(...children.filter((c) => c !== null && c !== undefined));
    return e;
  }

  /* How sure, in a word and a shape. */
  function confidence(a) {
    if (a.verdict === "meets") return a.sure ? ["yes", "\u25cf", "in time, also at worst"] : ["maybe", "\u25c6", "in time as expected, not at worst"];
    return a.verdict === "runtime" || a.verdict === "cannot" ? ["out", "\u2013", "left out"] : a.verdict === "unknown" ? ["out", "?", "unknown"] : ["no", "\u00d7", "no"];
  }
  const badge = (a) => { const [kind, shape, words] = confidence(a); return element("span", { className: `verdict ${kind}` }, `${shape} ${words}`); };
  const settingOf = (a) => `${judge.machineOf(a.option).modes.length > 1 ? `${report.options[a.option].mode}, ` : ""}${a.dtype}`;
  const runtimeTitle = (name) => report.runtimes.find((r) => r.name === name).title;

  /* The step a machine must end in time: to the deepest exit it uses, or the first one. */
  const longest = (a) => (a.exits ? a.exits[Math.max(a.deepest, 0)].longest : null);

  /* ---------------------------------------------------------------- the link ---------------- */

  function saveState() {
    const machine = judge.machineOf(state.option), words = { rate: question.rate, robots: question.robots, runtime: question.runtime, weight: question.weight, machine: machine.name, mode: report.options[state.option].mode, dtype: state.dtype };
    if (known(question.watts)) words.watts = question.watts;
    if (known(question.hostPrice)) words.host = question.hostPrice;
    if (known(question.hostWatts)) words.hostwatts = question.hostWatts;
    for (const [key, value] of Object.entries(changes())) if (value !== null) words[key] = value;
    if (state.touched) words.budget = state.budget;
    try { history.replaceState(null, "", `#${new URLSearchParams(words)}`); } catch { /* where no history may be kept, links keep nothing */ }
  }

  /* What differs from what was asked on the command line, as words of a link; null: nothing. */
  function changes() {
    const as = judge.asked(), of = (value, given) => (value === given ? null : value ?? "same"), q = question;
    return { shape: of(q.shape, 0), cameras: of(q.cameras, as.cameras), size: q.shape === 0 ? of(q.size, as.size) : of(q.size, report.shapes[q.shape].image_size), tokens: of(q.tokens, as.tokens),
      vision: of(q.parts.vision, as.parts.vision), decoder: of(q.parts.decoder, as.parts.decoder), head: of(q.parts.head, as.parts.head), deadline: of(q.deadline, as.deadline) };
  }

  function loadChanges(words) {
    const as = judge.asked(), whole = (key, least, most, otherwise) => { const n = Number(words.get(key)); return words.get(key) !== null && Number.isInteger(n) && n >= least && n <= most ? n : otherwise; };
    const shape = whole("shape", 0, report.shapes.length - 1, 0), sizes = report.shapes[shape].sizes.map((s) => s.image_size), size = Number(words.get("size"));
    const part = (key) => (dtypes.includes(words.get(key)) ? words.get(key) : words.get(key) === "same" ? null : as.parts[key]);
    Object.assign(question, { shape, cameras: report.cameras ? as.cameras : whole("cameras", 1, 4, as.cameras), tokens: whole("tokens", 1, report.shapes[shape].max_tokens, as.tokens), size: sizes.includes(size) ? size : shape ? report.shapes[shape].image_size : as.size,
      parts: { vision: part("vision"), decoder: part("decoder"), head: part("head") }, deadline: words.get("deadline") === "same" ? null : positive(words.get("deadline")) ?? as.deadline });
  }

  const positive = (text) => (text !== null && text !== "" && Number(text) > 0 && Number.isFinite(Number(text)) ? Number(text) : null);

  const count = (text) => (Number.isInteger(positive(text)) && positive(text) <= 1000 ? positive(text) : null);

  function loadState() {
    if (!location.hash.includes("=")) return false;
    const words = new URLSearchParams(location.hash.slice(1));
    question.rate = positive(words.get("rate")) ?? question.rate;
    question.robots = count(words.get("robots")) ?? question.robots;
    if (report.runtimes.some((r) => r.name === words.get("runtime"))) question.runtime = words.get("runtime");
    if (["price", "watts", "time"].includes(words.get("weight"))) question.weight = words.get("weight");
    question.watts = positive(words.get("watts")) ?? question.watts;
    question.hostPrice = positive(words.get("host"));
    question.hostWatts = positive(words.get("hostwatts"));
    loadChanges(words);
    const option = report.options.findIndex((o) => report.machines[o.machine].name === words.get("machine") && (o.mode === words.get("mode") || !words.get("mode")));
    if (option < 0) return false;
    state.option = option;
    state.dtype = dtypes.includes(words.get("dtype")) ? words.get("dtype") : dtypes[0];
    state.touched = false;
    const budget = Number(words.get("budget"));
    if (words.get("budget") === "file" && report.thresholds) Object.assign(state, { budget: "file", touched: true });
    else if (words.get("budget") !== null && Number.isInteger(budget) && budget >= 0 && budget < report.budgets_gflops.length) Object.assign(state, { budget, touched: true });
    return true;
  }

  /* ---------------------------------------------------------------- first screen ------------ */

  /* Loss as millimetres and degrees a component, were all of it a difference of the pose. */
  function lossWords(loss) {
    const s = report.model.action_scale;
    return `${digits(1e3 * loss * (s[0] + s[1] + s[2]) / 3)} mm and ${digits(loss * 60 * (s[3] + s[4] + s[5]) / Math.PI)} degrees`;
  }

  function priceWords(a) {
    const m = judge.machineOf(a.option), added = judge.around(m, question);
    return added.price[1] > 0 && known(a.price[1]) ? `${d3.format(",")(m.figures.price.value)} + ${d3.format(",")(added.price[1])} around it` : null;
  }

  const figureNames = { peak_f32: "f32 peak", peak_bf16: "bf16 peak", peak_q8: "q8 peak", step_overhead: "overhead of a step" };
  const uncheckedWords = (m) => (m.not_rechecked.length ? `Not looked up again: ${m.not_rechecked.map((x) => figureNames[x] || x).join(", ")}.` : "");

  /* What each type of weights would take there, as deep: is the next one worth it, and does it fit? */
  function typeFacts(a) {
    const k = a.verdict === "meets" ? a.deepest : last, room = (d) => judge.roomOf(a.option, d, question), has = room(a.dtype).available_bytes;
    const lines = dtypes.map((d) => [d, judge.answer(a.option, d, question)]).filter(([d, x]) => x.exits && known(room(d).memory[k].with_system_bytes)).map(([d, x]) => {
      const [, shape, title] = confidence(x);
      return element("span", { data: { type: d } }, element("b", {}, d), ` ${digits(x.exits[k].longest[1])} ms, ${digits(room(d).memory[k].with_system_bytes / 1e9)} GB `, element("span", { title }, shape));
    });
    return lines.length < 2 ? null : element("div", {}, element("dt", {}, "By type"), element("dd", { className: "types" }, ...lines, element("small", {}, `longest step; memory with the system's, of ${digits(has / 1e9)} GB`)));
  }

  function card(rank, heading, a, why) {
    const facts = [["Price", dollars(a.price[1]), priceWords(a)]];
    if (known(a.watts[1])) facts.push(["At the wall", unit(a.watts[1], "W"), span(a.watts, "W")]);
    if (known(a.ms[1])) facts.push(["A step", unit(a.ms[1], "ms"), `${digits(a.ms[0])} to ${digits(a.ms[2])}; longest ${digits(longest(a)[2])} at worst`]);
    if (known(a.success)) facts.push(["Success", percent(a.success), "where judged"]);
    const look = element("button", { type: "button", className: "pick" }, judge.machineOf(a.option).title);
    look.addEventListener("click", () => { select(a); byId("try").scrollIntoView(); });
    return element("article", { className: "card", data: { card: rank, machine: judge.machineOf(a.option).name } },
      element("h3", {}, heading), element("p", { className: "machine" }, look), badge(a),
      element("p", { className: "why" }, `${why} ${settingOf(a)}; ${judge.machineOf(a.option).support_words}. ${uncheckedWords(judge.machineOf(a.option))}`),
      element("dl", {}, ...facts.map(([name, value, note]) => element("div", {}, element("dt", {}, name), element("dd", {}, `${value} `, note ? element("small", {}, note) : null))), typeFacts(a)));
  }

  /* Why the runner-up is second: the first figure, in the buyer's order, that is worse. */
  function secondBecause(first, second) {
    if (first.sure && !second.sure) return "Second, for it is in time only as expected.";
    const all = ["price", "watts", "time"], order = all.map((_, i) => all[(all.indexOf(question.weight) + i) % 3]);
    for (const key of order) {
      const of = (a) => (key === "time" ? a.ms : a[key])[1], off = of(second) - of(first);
      if (off > 1e-4 * of(first)) return `Second${key === question.weight ? "" : `, alike by ${question.weight},`} for it ${key === "price" ? `costs ${dollars(off)}` : key === "watts" ? `draws ${unit(off, "W")}` : `takes ${unit(off, "ms")}`} more.`;
      if (!known(off)) return `Second, for its ${key === "price" ? "price" : "power"} is not known.`;
    }
    return "Second, alike in everything.";
  }

  function showCards() {
    const list = [], { best, runnerUp, nearest } = said;
    if (best) {
      list.push(card(1, "The choice", best, { price: "The lowest price", watts: "The least power", time: "The shortest step" }[question.weight] + (best.sure ? " of those in time at worst." : "; none is in time at worst.")));
      list.push(runnerUp ? card(2, "The runner-up", runnerUp, secondBecause(best, runnerUp)) : null);
    } else if (nearest) list.push(card(1, "The nearest", nearest, `${nearest.reason}.`));
    if (!best && question.runtime === "deer") {
      const tuned = { ...question, runtime: "tuned" }, found = judge.rank(tuned)[0];
      if (found && found.verdict === "meets") list.push(card(2, "With another program", found, `With a runtime ${runtimeTitle("tuned")} it would be in time; deer does not run there.`));
    }
    byId("cards").replaceChildren(...list.filter(Boolean));
  }

  function scatterRows() {
    const by = question.weight === "watts" ? "watts" : "price";
    return { by, rows: ranked.filter((a) => a.exits && a.verdict !== "unknown" && known(by === "price" ? a.price[1] : powerOf(a))).map((a) => {
      const [kind] = confidence(a), m = judge.machineOf(a.option);
      return { title: m.title, setting: settingOf(a), x: by === "price" ? a.price[1] : powerOf(a), ms: longest(a), kind: kind === "yes" ? "sure" : kind === "maybe" ? "expected" : "no",
        own: m.support === "runs" || m.support === "measured", words: a.reason, chosen: a === said.best ? 1 : a === said.runnerUp ? 2 : 0, answer: a };
    }) };
  }
  /* Power at the wall; of a machine that meets nothing, running the first exit back to back. */
  const powerOf = (a) => (known(a.watts[1]) ? a.watts[1] : a.exits ? judge.at({ ...a, deepest: 0 }, 0, question).watts[1] : NaN);

  /* ---------------------------------------------------------------- every machine ----------- */

  const columns = [["Machine", (a) => judge.machineOf(a.option).title], ["Meets", (a) => confidence(a)[2], (a) => ranked.indexOf(a)], ["Deer", (a) => ({ measured: "measured", runs: "runs here", other: "does not run", cannot: "cannot run" })[judge.machineOf(a.option).support]],
    ["Mode, type", settingOf], ["USD, whole", (a) => (known(a.price[1]) ? Math.round(a.price[1]) : null), (a) => a.price[1]],
    ["ms on average", (a) => a.ms[1], (a) => a.ms[1]], ["ms, longest", (a) => (longest(a) ? longest(a)[1] : null), (a) => (longest(a) ? longest(a)[1] : NaN)], ["at worst", (a) => (longest(a) ? longest(a)[2] : null), (a) => (longest(a) ? longest(a)[2] : NaN)],
    ["W, wall", (a) => a.watts[1], (a) => a.watts[1]], ["Why", (a) => a.reason]];

  function tableRows() {
    const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = ranked.filter((a) => { const text = columns.map(([, of]) => String(of(a))).join(" ").toLowerCase(); return words.every((w) => text.includes(w)); });
    if (state.sort === null) return rows;
    const of = columns[state.sort][2] || columns[state.sort][1], sign = state.down ? -1 : 1;
    return rows.sort((a, b) => { const x = of(a), y = of(b); return Number.isNaN(x) ? 1 : Number.isNaN(y) ? -1 : x < y ? -sign : x > y ? sign : 0; });
  }

  function showTable() {
    byId("every").tHead.replaceChildren(element("tr", {}, ...columns.map(([name], i) => {
      const b = element("button", { type: "button", className: "sort" }, `${name}${state.sort === i ? (state.down ? " \u2193" : " \u2191") : ""}`), th = element("th", { scope: "col" }, b);
      th.setAttribute("aria-sort", state.sort === i ? (state.down ? "descending" : "ascending") : "none");
      b.addEventListener("click", () => { state.down = state.sort === i && !state.down; state.sort = i; showTable(); byId("every").tHead.querySelectorAll("button")[i].focus(); });
      return th;
    })));
    byId("every").tBodies[0].replaceChildren(...tableRows().map((a) => {
      const pick = element("button", { type: "button", className: "pick" }, judge.machineOf(a.option).title);
      pick.addEventListener("click", () => { select(a); byId("try").scrollIntoView(); });
      return element("tr", { className: report.options[state.option].machine === a.machine ? "selected" : "", data: { machine: judge.machineOf(a.option).name } }, element("th", { scope: "row" }, pick),
        ...columns.slice(1).map(([name, of]) => (name === "Meets" ? element("td", {}, badge(a)) : element("td", { className: name === "Why" ? "why" : typeof of(a) === "number" ? "n" : "" }, name.startsWith("USD") ? (known(of(a)) ? d3.format(",")(of(a)) : "\u2013") : typeof of(a) === "number" || of(a) === null ? digits(of(a)) : of(a)))));
    }));
  }

  async function copyTable() {
    const field = (x) => (x === null || Number.isNaN(x) ? "" : /[",\n]/.test(String(x)) ? `"${String(x).replaceAll('"', '""')}"` : String(x)), rows = tableRows();
    const text = [columns.map(([name]) => name), ...rows.map((a) => columns.map(([, of]) => of(a)))].map((r) => r.map(field).join(",")).join("\n");
    byId("copied").dataset.text = text;
    try { await navigator.clipboard.writeText(text); } catch {
      const area = element("textarea", { value: text });
      document.body.append(area); area.select(); document.execCommand("copy"); area.remove();
    }
    byId("copied").textContent = `${rows.length} rows copied`;
  }

  /* ---------------------------------------------------------------- the chosen machine ------ */

  const chosen = () => judge.answer(state.option, state.dtype, question);
  const bestBudget = (a) => (a.budget >= 0 ? a.budget : recommended);

  function select(a) {
    Object.assign(state, { option: a.option, dtype: a.dtype, touched: false });
    update();
  }

  function showControls() {
    const list = report.options.map((o, i) => [o, i]).filter(([o]) => o.machine === report.options[state.option].machine), text = state.budget === "file" ? `as in ${report.thresholds.file}` : `${unit(report.budgets_gflops[state.budget], "GFLOPs")} (${report.scope})`;
    byId("machine").value = report.options[state.option].machine;
    byId("mode").replaceChildren(...list.map(([o, i]) => element("option", { value: i, textContent: o.mode, selected: i === state.option })));
    byId("mode-field").hidden = list.length < 2;
    byId("dtype").value = state.dtype;
    if (state.budget !== "file") byId("budget").value = state.budget;
    byId("budget").setAttribute("aria-valuetext", text);
    byId("budget-value").textContent = text;
    for (const [id, value] of [["rate", question.rate], ["robots", question.robots], ["runtime", question.runtime], ["weight", question.weight], ["watts", question.watts ?? ""], ["host-price", question.hostPrice ?? ""], ["host-watts", question.hostWatts ?? ""], ["deadline", question.deadline ?? ""]])
      if (document.activeElement !== byId(id)) byId(id).value = value;
    byId("best").disabled = !state.touched;
    byId("file").disabled = state.budget === "file";
    showChanges();
  }

  /* The sliders of what a step is given, and in words what of it was changed. */
  function showChanges() {
    const q = question, shape = report.shapes[q.shape], sizes = shape.sizes, now = changes(), said = [];
    byId("shape").value = q.shape;
    byId("cameras").value = q.cameras;
    byId("size").max = sizes.length - 1;
    byId("size").value = sizes.findIndex((s) => s.image_size === q.size);
    byId("size").setAttribute("aria-valuetext", `${q.size} pixels`);
    byId("tokens").max = shape.max_tokens;
    byId("tokens").value = q.tokens;
    byId("cameras-value").textContent = String(q.cameras);
    byId("size-value").textContent = `${q.size} px`;
    byId("tokens-value").textContent = `${q.tokens} tokens`;
    for (const part of ["vision", "decoder", "head"]) byId(`part-${part}`).value = q.parts[part] ?? "";
    if (now.shape !== null) said.push(`the shape ${shape.name}`);
    if (now.cameras !== null) said.push(`${q.cameras} ${q.cameras === 1 ? "camera" : "cameras"}`);
    if (now.size !== null) said.push(`images of ${q.size} px`);
    if (now.tokens !== null) said.push(`${q.tokens} tokens`);
    for (const part of ["vision", "decoder", "head"]) if (now[part] !== null) said.push(`${part} in ${q.parts[part] ?? "the machine's type"}`);
    if (now.deadline !== null) said.push(q.deadline ? `a deadline of ${unit(q.deadline, "ms")}` : "no deadline but the period");
    byId("whatif-words").textContent = said.length ? `(now: ${said.join(", ")})` : "there were other cameras, images, instructions, shapes, types of parts, a deadline, another computer around a card?";
    byId("as-asked").disabled = !said.length;
  }

  function showBanner(a, x) {
    const box = byId("banner"), name = judge.machineOf(state.option).title, kind = x.verdict === "meets" ? (x.sure ? "yes" : "maybe") : "no";
    const file = state.budget === "file" ? report.thresholds.deepest_exit : -1, step = a.exits && (file < 0 ? longest(a) : a.exits[file].longest);
    const why = file < 0 && (a.deepest < 0 || x.verdict === a.verdict) || !step ? a.reason : { loss: `loss ${digits(x.loss)} is more than ${digits(question.loss)}`, success: `success ${percent(x.success)} is less than ${percent(question.success)}`,
      power: `${unit(x.watts && x.watts[1], "W")} is more than ${unit(question.watts, "W")}`, unknown: "the profile does not say what power it takes",
      memory: `down to exit ${file} it takes more memory than there is`, rate: `a step down to exit ${file}, which the file allows, takes ${unit(step[1], "ms")} of ${unit(judge.periodOf(question), "ms")}`,
      meets: `a step down to exit ${file < 0 ? a.deepest : file} takes ${unit(step[x.sure ? 2 : 1], "ms")} of ${unit(judge.periodOf(question), "ms")}` }[x.verdict];
    box.className = `banner ${kind}`;
    box.dataset.verdict = x.verdict;
    box.replaceChildren(element("strong", {}, name), ` \u00b7 ${judge.machineOf(state.option).support_words}`, element("br"), `${kind === "yes" ? "\u25cf Yes, also at worst" : kind === "maybe" ? "\u25c6 Yes, as expected" : "\u00d7 No"}: ${why}.`);
  }

  function showNumbers(a, x) {
    const list = [], costs = judge.roomOf(state.option, state.dtype, question), memory = costs.memory[state.budget === "file" ? report.thresholds.deepest_exit : Math.max(a.deepest, 0)], full = report.exits[last];
    const number = (id, name, value, note) => list.push(element("div", {}, element("dt", {}, name), element("dd", { data: { number: id } }, value, note ? element("small", {}, note) : null)));
    if (x.ms) {
      number("ms", "A step, on average", unit(x.ms[1], "ms"), span(x.ms, "ms"));
      number("p99", "99% of steps within", unit(x.p99[1], "ms"), span(x.p99, "ms"));
      number("hz", "Could sustain", unit(1e3 / x.ms[1], "Hz"), `asked: ${question.rate} Hz`);
      number("joules", "Energy a step, at the wall", unit(x.joules[1], "J"), null);
      number("watts", "Power, at the wall", unit(x.watts[1], "W"), known(x.watts[1]) ? span(x.watts, "W") : null);
    }
    number("gflops", "Compute a step", unit(x.point.total_gflops, "GFLOPs"), `language model ${Math.round(100 * x.point.llm_gflops / full.llm_gflops)} % of full depth`);
    if (known(memory.with_system_bytes)) number("memory", "Memory", unit(memory.with_system_bytes / 1e9, "GB"), `of ${digits(costs.available_bytes / 1e9)} GB; weights ${digits(memory.weights_bytes / 1e9)} GB`);
    number("loss", "Loss", digits(x.loss), `${digits(x.point.loss_95[0])} to ${digits(x.point.loss_95[1])}; ${lossWords(x.loss)} an axis`);
    if (known(x.success)) number("success", "Success, where judged", percent(x.success), `${percent(x.point.success_95[0])} to ${percent(x.point.success_95[1])} (95%)`);
    byId("numbers").replaceChildren(...list);
  }

  function showThresholds(a, x) {
    const most = Math.max(...x.point.exit_fractions), tau = (t) => (t === null ? "always" : typeof t === "string" ? t : digits(t));
    byId("thresholds").tBodies[0].replaceChildren(...x.point.exit_fractions.map((f, k) => {
      const bar = element("i");
      bar.style.width = `${80 * f / most}px`;
      return element("tr", {}, element("th", { scope: "row", className: "n" }, `${k} `, element("small", {}, `layer ${report.model.exit_layers[k]}`)), element("td", { className: "n", data: { tau: k } }, tau(x.point.tau[k])),
        element("td", { data: { fraction: k } }, element("div", { className: "meter" }, bar, percent(f))), element("td", { className: "n" }, a.exits ? digits(a.exits[k].longest[1]) : "\u2013"));
    }));
  }

  function showCommand(a) {
    if (state.budget === "file") { byId("command").textContent = `${report.thresholds.file}, ${report.thresholds.own_history ? "with the exits that it takes itself" : "as cached: with --model, with the exits that it takes itself"}.`; return; }
    if (report.model.published_shape || a.deepest < 0) {
      byId("command").textContent = report.model.published_shape ? `The thresholds are those of the policy ${report.cache.policy}; a policy of the shape ${report.model.name} needs its own, from its own cache.` : "";
      return;
    }
    const peak = report.exits[a.deepest][report.scope === "llm" ? "peak_llm_gflops" : "peak_total_gflops"];
    byId("command").replaceChildren("These thresholds as a file, made to converge with the exits they take themselves: ", element("code", {
      textContent: `deer-calib solve --cache ${Judge.word(report.cache.folder)} --scope ${report.scope} --avg-gflops ${Number(report.budgets_gflops[state.budget].toPrecision(5))} --peak-gflops ${Number((1.0001 * peak).toPrecision(6))} --out thresholds.json` }));
  }

  /* ---------------------------------------------------------------- pictures ---------------- */

  function draw(id, options) {
    const box = byId(id), width = Math.max(Math.floor(box.clientWidth), 280);
    const plot = Plot.plot({ style: { fontSize: "12px", background: "transparent" }, ...options(width) });
    plot.setAttribute("role", "img"); /* one picture with one name; its parts need none */
    for (const part of plot.querySelectorAll("g[aria-label]")) part.removeAttribute("aria-label");
    box.replaceChildren(plot);
  }

  function drawScatter() {
    const { by, rows } = scatterRows(), label = by === "price" ? "USD for a whole computer (logarithmic)" : "W at the wall (logarithmic)";
    byId("scatter-title").textContent = `${by === "price" ? "Price" : "Power"} against the longest step, ${runtimeTitle(question.runtime).replace(/ \(.*/, "")}; bars: ${question.runtime === "deer" ? "figures at best to at worst" : "fastest to slowest"}`;
    if (!rows.length) { byId("scatter-chart").replaceChildren(element("p", { className: "hint" }, "No machine has both figures to draw.")); byId("scatter-key").textContent = ""; return; }
    draw("scatter-chart", (width) => Charts.scatter(rows, judge.periodOf(question), judge.limitOf(question), label, width));
    byId("scatter-key").textContent = `\u25cf in time also at worst, \u25c6 as expected, \u00d7 not; filled: deer runs there; 1 and 2: the cards.${ranked.length > rows.length ? ` ${ranked.length - rows.length} machines without a time or a ${by === "price" ? "price" : "power"} are in the table.` : ""}`;
  }

  function drawFrontier(a, x) {
    const where = `${judge.machineOf(state.option).title}, ${settingOf(a)}`, exits = a.exits, k = a.deepest >= 0 ? a.deepest : last, good = state.good;
    const axis = state.axis !== "cost" && !exits ? "cost" : state.axis;
    const machine = judge.machineOf(state.option), xOf = { cost: (p) => p.cost_gflops, ms: (p) => judge.pointOf(machine, exits, p, question).ms[1], joules: (p) => judge.pointOf(machine, exits, p, question).joules[1] }[axis];
    const label = { cost: `GFLOPs a step on average, ${report.scope}`, ms: "ms a step on average", joules: "J a step, at the wall" }[axis];
    const row = (p) => ({ x: xOf(p), y: good === "loss" ? p.loss : p.success, low: (p[`${good}_95`] || [])[0], high: (p[`${good}_95`] || [])[1] }), drawn = (r) => known(r.x) && known(r.y);
    byId("frontier-title").textContent = `${good === "loss" ? "Loss" : "Success"} against ${label}${axis === "cost" ? "" : ` on ${where}`}, exits up to ${k}`;
    byId("loss-words").textContent = `A loss of ${digits(x.loss)} is ${lossWords(x.loss)} of difference to full depth on each axis, were all of it in the pose. Dashed: the official heuristic; dotted: no exit rule can be below; squares: always the same exit.`;
    draw("frontier-chart", (width) => Charts.frontier({
      rows: report.frontiers[k].points.map(row).filter(drawn), official: good === "loss" ? report.official.filter(Boolean).map(row).filter(drawn) : [],
      oracle: axis === "cost" && good === "loss" ? report.budgets_gflops.map((b, i) => ({ x: b, y: report.frontiers[k].oracle_loss[i] })).filter(drawn) : [],
      fixed: good === "loss" ? report.exits.map((e) => ({ ...row(e), k: e.exit })).filter(drawn) : [],
      judged: good === "success" && axis === "cost" ? report.rollouts.map((r) => ({ x: r.cost_gflops, y: r.success, low: r.success_95[0], high: r.success_95[1] })) : [],
      limit: good === "loss" ? question.loss : null, given: report.thresholds && row(report.thresholds.point), here: row(x.point), period: axis === "ms" ? judge.periodOf(question) : null,
    }, width < 560 || axis === "cost" ? label : `${label} on ${where}`, good, width));
  }

  const stageNames = [["vision", "Vision"], ["resampler", "Resampler"], ["llm", "Language model"], ["head", "Action head"], ["overhead", "Overhead"]];
  function drawTime(a, x) {
    byId("time-caption").textContent = `Milliseconds to each exit on ${judge.machineOf(state.option).title}, ${settingOf(a)}, with ${runtimeTitle(question.runtime)}${report.cameras ? ", every camera encoded" : ""}`;
    if (!a.exits) { byId("time-chart").replaceChildren(element("p", { className: "hint" }, `Not known: ${a.reason}.`)); return; }
    draw("time-chart", (width) => Charts.stages(a.exits.map((e) => Object.fromEntries(stageNames.map(([key]) => [key, e.factor * e.stages[key]]))), stageNames, x.point.exit_fractions, judge.periodOf(question), width));
    byId("cameras-words").textContent = camerasWords(a, x);
  }

  /* What rules for cameras do to a step. */
  function camerasWords(a, x) {
    const c = report.cameras;
    if (!c) return "";
    const rule = (r, share) => `at ${percent(share)} of steps (${r.age ? `at the latest ${r.age} steps after the last time${known(r.rho) && r.rho > 0 ? `, or when its picture has changed by ${digits(r.rho)}` : ", or at any change"}` : "always"})`, shares = x.point.mix.map((s) => s.reduce((sum, f) => sum + f, 0));
    return `By the rules of ${report.thresholds.file} the static camera is encoded ${rule(c.static, c.encoded[0])}, the wrist's ${rule(c.gripper, c.encoded[1])}; ${percent(shares[0])} of steps encode none, ${percent(shares[1])} one. `
      + `To exit ${Math.max(a.deepest, 0)} a step takes ${["none", "one", "both"].map((n, i) => `${unit(a.exits[Math.max(a.deepest, 0)].by[i][1], "ms")} with ${n}`).join(", ")} of them. An episode's first step encodes both and may be late.`;
  }

  function drawTasks() {
    const point = report.frontiers[last].points[recommended], list = report.tasks.map((t, i) => ({ name: t.name, shares: point.task_counts[i].map((n) => n / Math.max(t.steps, 1)) }));
    const depth = (t) => t.shares.reduce((sum, f, k) => sum + k * f, 0), names = new Set();
    list.sort((p, q) => depth(q) - depth(p));
    for (const t of list) { while (names.has(t.name)) t.name += " "; names.add(t.name); }
    draw("tasks-chart", (width) => Charts.tasks([{ name: "\u2014 all tasks \u2014", shares: report.exits.map((_, k) => point.exit_fractions[k] || 0) }, ...list], width));
  }

  /* ---------------------------------------------------------------- all together ------------ */

  let scheduled = false;
  function drawCharts() {
    scheduled = false;
    const a = chosen(), x = judge.atBudget(a, state.budget, question);
    drawScatter();
    drawFrontier(a, x);
    drawTime(a, x);
    drawTasks();
  }
  function schedule() {
    if (!scheduled) requestAnimationFrame(drawCharts);
    scheduled = true;
  }

  function update() {
    ranked = judge.rank(question);
    said = judge.sentences(question, ranked);
    const a = chosen();
    if (!state.touched) state.budget = bestBudget(a);
    const x = judge.atBudget(a, state.budget, question);
    byId("verdict").textContent = said.verdict;
    byId("more").textContent = said.more;
    showCards();
    showTable();
    showControls();
    showBanner(a, x);
    showNumbers(a, x);
    showThresholds(a, x);
    showCommand(a);
    saveState();
    schedule();
  }

  /* A machine's best mode and type at the present question. */
  function take(machine) {
    const a = ranked.find((r) => r.machine === machine);
    Object.assign(state, { option: a.option, dtype: a.dtype });
  }

  function listen(id, event, act) {
    byId(id).addEventListener(event, (e) => { act(e.target.value); update(); });
  }

  function setUp() {
    byId("runtime").append(...report.runtimes.map((r) => element("option", { value: r.name, textContent: r.title.replace(/ \(.*/, ""), title: r.title })));
    byId("machine").append(...report.machines.map((m, i) => element("option", { value: i, textContent: m.title })));
    byId("dtype").append(...dtypes.map((d) => element("option", { value: d, textContent: d })));
    byId("shape").append(...report.shapes.map((s, i) => element("option", { value: i, textContent: s.name })));
    byId("shape-field").hidden = report.shapes.length < 2;
    for (const part of ["vision", "decoder", "head"]) byId(`part-${part}`).append(element("option", { value: "", textContent: "as the machine's" }), ...dtypes.map((d) => element("option", { value: d, textContent: d })));
    byId("cameras").disabled = report.cameras !== null; /* its rules are for the two there are */
    byId("file").hidden = !report.thresholds;
    byId("budget").max = report.budgets_gflops.length - 1;
    byId("good-field").hidden = report.rollouts.length === 0;
    const card = report.machines.find((m) => m.form === "card");
    byId("host-price").placeholder = card ? card.around.price_usd[1] : "800";
    byId("host-watts").placeholder = card ? card.around.watts[1] : "45";
    const again = () => { ranked = judge.rank(question); if (!state.touched) take(report.options[state.option].machine); };
    listen("rate", "input", (v) => { question.rate = positive(v) ?? question.rate; again(); });
    listen("robots", "input", (v) => { question.robots = count(v) ?? question.robots; again(); });
    listen("runtime", "change", (v) => { question.runtime = v; again(); });
    listen("weight", "change", (v) => { question.weight = v; again(); });
    listen("watts", "input", (v) => { question.watts = positive(v); again(); });
    listen("host-price", "input", (v) => { question.hostPrice = v === "" || !(Number(v) >= 0) ? null : Number(v); });
    listen("host-watts", "input", (v) => { question.hostWatts = v === "" || !(Number(v) >= 0) ? null : Number(v); });
    listen("deadline", "input", (v) => { question.deadline = positive(v); again(); });
    listen("shape", "change", (v) => { const shape = report.shapes[Number(v)]; Object.assign(question, { shape: Number(v), size: Number(v) ? shape.image_size : judge.asked().size, tokens: Math.min(question.tokens, shape.max_tokens) }); again(); });
    listen("cameras", "input", (v) => { question.cameras = Number(v); again(); });
    listen("size", "input", (v) => { question.size = report.shapes[question.shape].sizes[Number(v)].image_size; again(); });
    listen("tokens", "input", (v) => { question.tokens = Number(v); again(); });
    for (const part of ["vision", "decoder", "head"]) listen(`part-${part}`, "change", (v) => { question.parts = { ...question.parts, [part]: v || null }; again(); });
    byId("as-asked").addEventListener("click", () => { const { shape, cameras, size, tokens, parts, deadline } = judge.asked(); Object.assign(question, { shape, cameras, size, tokens, parts, deadline }); again(); update(); });
    byId("file").addEventListener("click", () => { Object.assign(state, { budget: "file", touched: true }); update(); });
    listen("machine", "change", (v) => { state.touched = false; take(Number(v)); });
    listen("mode", "change", (v) => { state.option = Number(v); });
    listen("dtype", "change", (v) => { state.dtype = v; });
    listen("budget", "input", (v) => { Object.assign(state, { budget: Number(v), touched: true }); });
    listen("axis", "change", (v) => { state.axis = v; });
    listen("good", "change", (v) => { state.good = v; });
    byId("best").addEventListener("click", () => { state.touched = false; update(); });
    byId("filter").addEventListener("input", showTable);
    byId("copy").addEventListener("click", copyTable);
    for (const form of ["ask", "controls"]) byId(form).addEventListener("submit", (e) => e.preventDefault());
    for (const a of document.querySelectorAll('a[href^="#"]')) /* the link keeps the state, so parts are not in it */
      a.addEventListener("click", (e) => { e.preventDefault(); const part = byId(a.hash.slice(1)); part.tabIndex = -1; part.focus(); part.scrollIntoView(); });
    const button = byId("theme"), names = { "": "Auto", light: "Light", dark: "Dark" }, order = ["", "light", "dark"];
    let now = 0;
    button.addEventListener("click", () => {
      now = (now + 1) % order.length;
      if (order[now]) document.documentElement.dataset.theme = order[now];
      else delete document.documentElement.dataset.theme;
      button.textContent = names[order[now]];
      button.setAttribute("aria-label", `${names[order[now]]} colours`);
    });
    window.addEventListener("hashchange", () => { if (loadState()) update(); });
    let width = window.innerWidth;
    window.addEventListener("resize", () => { if (width !== window.innerWidth) { width = window.innerWidth; schedule(); } });
    window.addEventListener("beforeprint", drawCharts);
  }

  document.documentElement.classList.add("js");
  for (const d of document.querySelectorAll("details.table")) d.open = false;
  const wanted = report.choices.findIndex((c) => c.rate_hz >= 10);
  question.rate = report.choices[wanted < 0 ? report.choices.length - 1 : wanted].rate_hz;
  setUp();
  if (!loadState()) {
    ranked = judge.rank(question);
    const first = judge.sentences(question, ranked);
    Object.assign(state, (({ option, dtype }) => ({ option, dtype }))(first.best || first.nearest || ranked[0]));
  }
  update();
})();
