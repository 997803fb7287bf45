/* SPDX-License-Identifier: MIT */
/* judge.js - which machine meets the demands, from a report's JSON: the rules of
 * reports/answer/fleet.c, so that the page can ask again with another rate, runtime or buyer. Nothing here
 * knows of a page; tests/reports/judge.mjs holds every answer to those of the program.
 *
 *   const judge = Judge.make(report);
 *   const asked = judge.asked();                    // as on the command line; change what you like
 *   const answers = judge.rank({ ...asked, rate: 20, runtime: "tuned" });
 *   answers[0].verdict, answers[0].ms, judge.sentences(asked, answers).verdict
 */
"use strict";
const JudgeLatency = typeof Latency !== "undefined" ? Latency : require("./latency.js");
const Judge = (() => {
  const LOW = 0, EXPECTED = 1, HIGH = 2, ends = [LOW, EXPECTED, HIGH];
  const number = (x) => (typeof x === "number" ? x : NaN);
  const numbers = (list) => list.map(number);
  const known = (x) => typeof x === "number" && Number.isFinite(x);

  /* Three significant digits without an exponent, as the program's tables have them. */
  function digits(x) {
    if (!known(x)) return "\u2013";
    if (x === 0) return "0";
    const decimals = Math.min(Math.max(2 - Math.floor(Math.log10(Math.abs(x))), 0), 9);
    return x.toFixed(decimals);
  }
  const unit = (x, name) => (known(x) ? `${digits(x)} ${name}` : "unknown");

  /* A name in a command, whatever is in it: one word to a shell. */
  const word = (text) => (/^[\w.,:@%+=/][\w.,:@%+=/-]*$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

  const thousands = (x) => { const whole = Math.round(x); return whole < 1000 ? String(whole) : `${Math.floor(whole / 1000)},${String(whole % 1000).padStart(3, "0")}`; };

  function make(report) {
    const last = report.exits.length - 1, demands = report.demands, dtypes = demands.dtypes;
    const latency = JudgeLatency.make(report), most = report.cameras ? report.cameras.most_at_a_step : 2, given = demands.load;
    const machineOf = (o) => report.machines[report.options[o].machine];
    const costsOf = (o, d) => report.options[o].dtypes[dtypes.indexOf(d)];
    const runtimeOf = (name) => report.runtimes.find((r) => r.name === name);

    /* What was asked on the command line. */
    function asked() {
      return { rate: demands.rates_hz[0], robots: demands.robots, runtime: demands.runtime, weight: demands.weight, watts: demands.max_watts,
        memory: demands.max_memory_bytes, loss: demands.max_loss, success: demands.min_success, hostPrice: demands.host_price_usd, hostWatts: demands.host_watts, deadline: demands.deadline_ms,
        shape: 0, cameras: given.cameras, size: given.image_size, tokens: given.tokens, parts: { vision: given.part_dtypes.vision, decoder: given.part_dtypes.layer, head: given.part_dtypes.head } };
    }

    /* Steps a second of all robots that share the computer, one after the other. */
    const stepsOf = (question) => question.rate * question.robots;

    /* Milliseconds within which every step must end, and what sets them. */
    const periodOf = (question) => (known(question.deadline) && question.deadline > 0 ? Math.min(1e3 / stepsOf(question), question.deadline) : 1e3 / stepsOf(question));
    const limitOf = (question) => (periodOf(question) < 1e3 / stepsOf(question) ? "deadline" : question.robots > 1 ? "share of the period" : "period");

    /* Whether steps are given what they were recorded with. */
    const asRecorded = (q) => q.shape === 0 && q.cameras === given.cameras && q.size === given.image_size && q.tokens === given.tokens && Object.entries({ vision: "vision", decoder: "layer", head: "head" }).every(([part, stage]) => (q.parts[part] ?? null) === given.part_dtypes[stage]);

    /* ---------------------------------------------------------------- machines -------------- */

    /* What stands around a machine; the buyer's own computer around a bare card. */
    function around(m, question) {
      const a = m.around, bare = m.form === "card" || m.form === "server", all = (x) => [x, x, x];
      return { price: bare && known(question.hostPrice) ? all(question.hostPrice) : a.price_usd,
        watts: bare && known(question.hostWatts) ? all(question.hostWatts) : a.watts, supply: a.supply };
    }
    const price = (m, question) => {
      const figure = m.figures.price, added = around(m, question).price;
      return known(figure.value) ? [figure.low + added[LOW], figure.value + added[EXPECTED], figure.high + added[HIGH]] : [NaN, NaN, NaN];
    };

    /* Milliseconds to each exit with a runtime: by cameras encoded (none, one, all), `ms` with all, `longest` of a step
     * that must end in time; null where nobody knows. */
    function times(o, d, question) {
      const m = machineOf(o), runtime = question.runtime;
      if (!costsOf(o, d).exits.length || m.support === "cannot" || (runtime === "deer" && m.support === "other")) return null;
      const spread = runtime === "deer" ? null : runtimeOf(runtime).spreads[m.kind], allowed = latency.exits(o, d, question);
      if (!allowed || (runtime !== "deer" && !spread)) return null;
      return allowed.map((e) => {
        const by = e.by.map((range) => (spread ? spread.factor.map((f) => f * range[EXPECTED]) : range));
        return { by, ms: by[2], longest: by[most], watts: numbers(e.watts), stages: e.stages, factor: spread ? spread.factor[EXPECTED] : 1 };
      });
    }

    /* ---------------------------------------------------------------- points ---------------- */

    /* Shares of steps by cameras encoded and exit. */
    const mixOf = (point) => point.mix || [[], [], point.exit_fractions];

    /* Milliseconds that 99% of the steps do not exceed. */
    function p99Of(mix, exits) {
      const kinds = mix.flatMap((shares, n) => exits.map((e, k) => ({ share: shares[k] || 0, ms: e.by[n] }))).sort((a, b) => a.ms[EXPECTED] - b.ms[EXPECTED]);
      let longer = 1;
      return kinds.find((x, i) => { longer -= x.share; return longer <= 0.01 + 1e-6 && !(kinds[i + 1]?.ms[EXPECTED] === x.ms[EXPECTED]); })?.ms ?? kinds[kinds.length - 1].ms;
    }

    /* What a point's steps take on a machine at a rate, at the wall. */
    function pointOf(m, exits, point, question) {
      const ms = [0, 0, 0], joules = [0, 0, 0], added = around(m, question), mix = mixOf(point);
      const idle = [m.figures.idle.low, m.figures.idle.value, m.figures.idle.high].map(number);
      mix.forEach((shares, n) => shares.forEach((f, k) => f > 0 && ends.forEach((i) => { const t = exits[k].by[n][i]; ms[i] += f * t; joules[i] += f * t * exits[k].watts[i] / 1e3; })));
      const watts = ends.map((i) => {
        const busy = ms[i] / 1e3, period = Math.max(1 / stepsOf(question), busy);
        return ((joules[i] + idle[i] * (period - busy)) / period + added.watts[i]) / added.supply;
      });
      return { ms, watts, joules: ends.map((i) => (joules[i] + added.watts[i] * ms[i] / 1e3) / added.supply), p99: p99Of(mix, exits) };
    }

    /* Success is that of the type of weights that was judged. */
    const successOf = (point, d, question) => (asRecorded(question) && report.rollouts.length && report.success_dtype === d ? number(point.success) : NaN);

    /* ---------------------------------------------------------------- one answer ------------ */

    /* Counts a demand that is missed by a factor; the one missed by most is the reason. */
    function misses(a, verdict, factor, reason) {
      if (a.verdict !== "meets" && !(factor > a.lacking)) return;
      Object.assign(a, { verdict, lacking: factor, reason });
    }

    function leavesOut(a, m, question) {
      if (m.support === "cannot") misses(a, "cannot", Infinity, `cannot: ${m.cannot}`);
      else if (m.support === "other" && question.runtime === "deer")
        misses(a, "runtime", Infinity, `runtime: ${m.unsupported}`);
      return a.verdict !== "meets";
    }

    function chooseExit(a, costs, exits, question) {
      const period = periodOf(question), has = number(costs.available_bytes);
      const policy = (k) => costs.memory[k].weights_bytes + costs.memory[k].activations_bytes, limit = question.memory ?? Infinity;
      const roomy = fits(costs, question);
      for (let k = 0; k <= roomy; k++) if (exits[k].longest[EXPECTED] <= period) a.deepest = k;
      const needs = policy(0), total = costs.memory[0].with_system_bytes, first = exits[0].longest;
      if (roomy < 0 && needs > limit)
        misses(a, "memory", needs / limit, `memory: the first exit alone takes ${unit(needs / 1e9, "GB")}, more than the ${unit(limit / 1e9, "GB")} allowed`);
      if (roomy < 0 && total > has)
        misses(a, "memory", total / has, `memory: the first exit takes ${unit(total / 1e9, "GB")} with the system's share, the machine has ${unit(has / 1e9, "GB")}`);
      if (!(first[EXPECTED] <= period))
        misses(a, "rate", first[EXPECTED] / period,
          `rate: even the first exit takes ${unit(first[EXPECTED], "ms")} (${digits(first[LOW])} to ${digits(first[HIGH])}), the ${limitOf(question)} is ${unit(period, "ms")}`);
    }

    /* Deepest exit whose memory fits, -1: none. */
    function fits(costs, question) {
      const has = number(costs.available_bytes), limit = question.memory ?? Infinity;
      return costs.memory.reduce((deepest, x, k) => (x.with_system_bytes <= has && !(x.weights_bytes + x.activations_bytes > limit) ? k : deepest), -1);
    }

    function chooseBudget(a, costs, exits, question) {
      const k = a.deepest < 0 ? last : a.deepest, points = report.frontiers[k].points, end = points.length - 1;
      const limit = k === last ? "even at full depth" : exits[k + 1].longest[EXPECTED] > periodOf(question) ? "as deep as the rate allows" : "as deep as memory allows";
      const most = question.loss ?? Infinity;
      let b = points.findIndex((x) => x.loss <= most);
      if (b < 0) {
        const needed = a.deepest < 0 ? -1 : report.frontiers.findIndex((f, i) => i > a.deepest && i <= fits(costs, question) && f.points.some((x) => x.loss <= most));
        if (needed >= 0)
          misses(a, "rate", exits[needed].longest[EXPECTED] / periodOf(question), `rate: exit ${needed}, which the loss asked for needs, takes ${unit(exits[needed].longest[EXPECTED], "ms")} (${digits(exits[needed].longest[LOW])} to ${digits(exits[needed].longest[HIGH])}), the ${limitOf(question)} is ${unit(periodOf(question), "ms")}`);
        else misses(a, "loss", points[end].loss / Math.max(most, 1e-9), `loss: ${limit} (exit ${k}) it is ${digits(points[end].loss)}, more than ${digits(most)}`);
        b = 0;
      }
      if (known(question.success)) {
        while (b <= end && !(successOf(points[b], a.dtype, question) >= question.success)) b++;
        const reached = successOf(points[end], a.dtype, question);
        if (b > end)
          misses(a, "success", Number.isNaN(reached) ? Infinity : question.success / Math.max(reached, 1e-9),
            report.success_dtype !== a.dtype ? `success: not judged with ${a.dtype} weights`
              : `success: ${limit} (exit ${k}) it is ${unit(100 * reached, "%")}, less than ${unit(100 * question.success, "%")}`);
      }
      if (a.verdict === "meets") a.budget = b;
    }

    function checkPower(a, m, exits, question) {
      if (!known(question.watts)) return;
      const chosen = a.budget >= 0, watts = chosen ? a.watts : pointOf(m, exits, { exit_fractions: [1] }, question).watts;
      if (Number.isNaN(watts[EXPECTED])) {
        if (chosen) misses(a, "unknown", Infinity, "unknown: the profile does not say what power it takes");
        a.lacking = Infinity;
      } else if (watts[EXPECTED] > question.watts) {
        misses(a, "power", watts[EXPECTED] / question.watts, `power: ${chosen ? "" : "even the first exit alone takes "}${unit(watts[EXPECTED], "W")} on average, more than ${unit(question.watts, "W")}`);
      }
    }

    const holdsAtWorst = (deepest, costs, exits, question, watts) => exits[deepest].longest[HIGH] <= periodOf(question) &&
      costs.memory[deepest].with_system_high_bytes <= number(costs.available_bytes) && (!known(question.watts) || watts[HIGH] <= question.watts);

    /* Memory by deepest exit and what a machine has. */
    const roomOf = (o, d, question) => ({ ...costsOf(o, d), memory: latency.memory(o, d, question) });

    /* The answer of a machine's mode and a type of weights to a question. */
    function answer(o, d, question) {
      const m = machineOf(o), costs = roomOf(o, d, question), exits = times(o, d, question);
      const a = { option: o, dtype: d, machine: report.options[o].machine, verdict: "meets", sure: false, lacking: 0, reason: "", deepest: -1, budget: -1,
        ms: [NaN, NaN, NaN], watts: [NaN, NaN, NaN], joules: [NaN, NaN, NaN], p99: [NaN, NaN, NaN], loss: NaN, success: NaN, price: price(m, question), exits };
      if (leavesOut(a, m, question)) return a;
      if (!exits) {
        misses(a, "unknown", Infinity, `unknown: ${costs.exits.length ? `fewer than 3 measurements of ${question.runtime} on this kind of machine are known` : costs.unknown}`);
        return a;
      }
      if (!known(costs.memory[0].with_system_bytes) || !known(costs.available_bytes)) {
        misses(a, "unknown", Infinity, "unknown: the profile does not say how much memory there is, or what the system takes");
        return a;
      }
      chooseExit(a, costs, exits, question);
      chooseBudget(a, costs, exits, question);
      if (a.budget >= 0) Object.assign(a, at(a, a.budget, question));
      checkPower(a, m, exits, question);
      if (a.verdict === "meets") {
        const step = exits[a.deepest].longest;
        a.sure = holdsAtWorst(a.deepest, costs, exits, question, a.watts);
        a.reason = a.sure ? `a step down to exit ${a.deepest} takes at most ${unit(step[HIGH], "ms")} of ${unit(periodOf(question), "ms")}`
          : `as expected, a step down to exit ${a.deepest} takes ${unit(step[EXPECTED], "ms")} of ${unit(periodOf(question), "ms")}; at the pessimistic end of its figures a demand fails`;
      }
      return a;
    }

    /* What a budget's thresholds do on an answer's machine. */
    function at(a, b, question) {
      const x = b === "file" ? report.thresholds.point : report.frontiers[a.deepest < 0 ? last : a.deepest].points[b];
      return { ...(a.exits ? pointOf(machineOf(a.option), a.exits, x, question) : {}), loss: x.loss, success: successOf(x, a.dtype, question), point: x };
    }

    /* The first demand that a point fails on an answer's machine. */
    const failsAt = (x, question) => (x.loss > (question.loss ?? Infinity) ? "loss" : known(question.success) && !(x.success >= question.success) ? "success"
      : known(question.watts) && !(x.watts[EXPECTED] <= question.watts) ? (Number.isNaN(x.watts[EXPECTED]) ? "unknown" : "power") : "meets");

    /* What a budget does there, and whether it holds at worst. */
    function atBudget(a, b, question) {
      const x = at(a, b, question);
      if (b === "file") return atFile(a, x, question);
      if (a.deepest < 0) return { ...x, verdict: a.verdict, sure: false };
      const verdict = failsAt(x, question);
      return { ...x, verdict, sure: verdict === "meets" && holdsAtWorst(a.deepest, roomOf(a.option, a.dtype, question), a.exits, question, x.watts) };
    }

    /* The thresholds file, whatever exit the machine would allow. */
    function atFile(a, x, question) {
      const k = report.thresholds.deepest_exit, room = roomOf(a.option, a.dtype, question), memory = room.memory[k];
      if (!a.exits || !known(memory.with_system_bytes) || !known(room.available_bytes)) return { ...x, verdict: a.verdict, sure: false };
      const fit = memory.with_system_bytes <= room.available_bytes && !(memory.weights_bytes + memory.activations_bytes > (question.memory ?? Infinity));
      const verdict = !fit ? "memory" : a.exits[k].longest[EXPECTED] > periodOf(question) ? "rate" : failsAt(x, question);
      return { ...x, verdict, sure: verdict === "meets" && holdsAtWorst(k, room, a.exits, question, x.watts) };
    }

    /* ---------------------------------------------------------------- choices --------------- */

    const weights = ["price", "watts", "time"];
    const weighed = (a, w) => (w === "price" ? a.price : w === "watts" ? a.watts : a.ms)[EXPECTED];
    const less = (x, y) => !Number.isNaN(x) && (Number.isNaN(y) || x < y * (1 - 1e-4)); /* closer is alike */

    function better(a, b, weight) {
      if (a.sure !== b.sure) return a.sure;
      for (let i = 0; i < 3; i++) {
        const w = weights[(weights.indexOf(weight) + i) % 3], x = weighed(a, w), y = weighed(b, w);
        if (less(x, y) || less(y, x)) return less(x, y);
      }
      return false;
    }
    const out = (a) => a.verdict === "runtime" || a.verdict === "cannot";
    function before(a, b, weight) {
      const meets = a.verdict === "meets";
      if (meets !== (b.verdict === "meets")) return meets;
      if (out(a) !== out(b)) return !out(a);
      return meets ? better(a, b, weight) : less(a.lacking, b.lacking);
    }

    /* One answer for each machine, its best mode and type, in the order of the ranking. */
    function rank(question) {
      const best = [];
      report.options.forEach((option, o) => dtypes.forEach((d) => {
        const a = answer(o, d, question);
        if (!best[option.machine] || before(a, best[option.machine], question.weight)) best[option.machine] = a;
      }));
      const ranked = [];
      for (const a of best) {
        let i = ranked.length;
        while (i && before(a, ranked[i - 1], question.weight)) i--;
        ranked.splice(i, 0, a);
      }
      return ranked;
    }

    const describe = (a) => `${machineOf(a.option).title}, ${machineOf(a.option).modes.length > 1 ? `${report.options[a.option].mode}, ` : ""}${a.dtype}`;

    /* "At 10 Hz for each of 2 robots within 30 W and 4 GB" */
    function demandsOf(q) {
      const short = (x, name) => (known(x) ? `${Number(x.toPrecision(6))} ${name}` : null), limits = [short(q.watts, "W"), known(q.memory) ? short(q.memory / 1e9, "GB") : null].filter(Boolean);
      return `At ${q.rate} Hz${q.robots > 1 ? ` for each of ${q.robots} robots` : ""}${limits.length ? ` within ${limits.join(" and ")}` : ""}`;
    }

    /* The answer in plain words. */
    function sentences(question, ranked) {
      const meets = ranked.filter((a) => a.verdict === "meets"), best = meets[0], left = ranked.filter((a) => a.verdict === "runtime").length;
      const judged = ranked.filter((a) => !out(a)).length, name = report.shapes[question.shape].name, title = runtimeOf(question.runtime).title;
      const most = { price: "cheapest", watts: "most frugal", time: "fastest" }[question.weight], more = [];
      let nearest = null;
      report.options.forEach((_, o) => dtypes.forEach((d) => {
        const a = answer(o, d, question);
        if (a.verdict !== "meets" && Number.isFinite(a.lacking) && (!nearest || less(a.lacking, nearest.lacking))) nearest = a;
      }));
      if (best) {
        const n = best.sure ? meets.filter((a) => a.sure).length : meets.length;
        more.push(`${n > 1 ? `The ${most} of ${n}` : "The only one"} in time ${best.sure ? "at worst" : "as expected"}, as a whole computer: ${known(best.price[EXPECTED]) ? `${thousands(best.price[EXPECTED])} USD` : "price unknown"}, ${unit(best.watts[EXPECTED], "W")} at the wall. `
          + `A step takes ${unit(best.ms[EXPECTED], "ms")} on average (${digits(best.ms[LOW])} to ${digits(best.ms[HIGH])}); the ${limitOf(question)} is ${unit(periodOf(question), "ms")}.`);
      } else if (nearest) more.push(`The nearest is ${describe(nearest)}; ${nearest.reason}.`);
      if (left) more.push(`${left} left out: deer does not run there, another program may.`);
      return { best, runnerUp: meets[1] || null, nearest, left, judged, meets: meets.length,
        verdict: best ? `${demandsOf(question)}, the ${most} that runs ${name} in time, ${best.sure ? "also at worst" : "as expected but not at worst"}: ${machineOf(best.option).title}.`
          : `${demandsOf(question)}, none of ${judged} machines runs ${name} in time with ${title}.`, more: more.join(" ") };
    }

    return { asked, asRecorded, periodOf, limitOf, roomOf, pointOf, answer, at, atBudget, rank, sentences, describe, machineOf, costsOf, times, around, price, last };
  }
  return { make, digits, unit, known, word };
})();
if (typeof module !== "undefined") module.exports = Judge;
