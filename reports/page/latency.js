/* SPDX-License-Identifier: MIT */
/* latency.js - what a step takes on a machine, whatever it is given: the rule of budgets/machines/latency.h, so
 * that the page can ask for other cameras, images, instructions, shapes and types of single parts.
 *
 *   const latency = Latency.make(report);
 *   const exits = latency.exits(option, "bf16", load);  // null: a type that the report has no rates of
 *   exits[2].by[1][0]                                   // ms to exit 2 with one camera encoded, at best
 *   latency.memory(option, "bf16", load)[2].with_system_bytes
 *
 * load: shape (an index), robots, cameras, size, tokens, parts: { vision, decoder, head }, null where the type is the
 * machine's; runtime: "deer" where its own kernels on a GPU are meant. Ranges are [low, expected, high]. */
"use strict";
const Latency = (() => {
  const TYPES = ["f32", "bf16", "q8"], ENDS = [0, 1, 2];
  const sum = (...ranges) => ENDS.map((i) => ranges.reduce((total, r) => total + r[i], 0));
  const times = (n, range) => range.map((x) => n * x);

  /* Milliseconds of one run of a stage. */
  function run(speed, work, type, cached) {
    const bytes = work.weight_bytes[TYPES.indexOf(type)] + work.activation_bytes * (type === "f32" ? 1 : 0.5);
    const rate = cached && speed.cached_gbytes ? speed.cached_gbytes : speed.gbytes;
    const starts = speed.dispatch_us ? work.dispatches[TYPES.indexOf(type)] : work.products, each = speed.dispatch_us || speed.product_us;
    return ENDS.map((i) => Math.max(2 * work.macs / speed.gflops[i], bytes / rate[i]) / 1e6 + starts * each[i] / 1e3);
  }

  function make(report) {
    const shapes = report.shapes, dtypes = report.demands.dtypes;
    const typesOf = (d, parts) => ({ vision: parts.vision ?? d, resampler: parts.vision ?? d, layer: parts.decoder ?? d, head: parts.head ?? d });
    const sizeOf = (load) => shapes[load.shape].sizes.find((s) => s.image_size === load.size);

    /* The work of each stage. */
    function workOf(load) {
      const shape = shapes[load.shape], size = sizeOf(load), t = Math.min(load.tokens, shape.max_tokens) - 1;
      const layer = (base, [macs, activation_bytes]) => ({ ...base, macs, activation_bytes });
      return { size, vision: size.vision, resampler: size.resampler, with: layer(shape.layer_with_cross, shape.layers.with_cross[t][load.cameras - 1]), without: layer(shape.layer_without_cross, shape.layers.without_cross[t]),
        recurrent: shape.head_recurrent, first: shape.head_first, evaluation: shape.head_evaluation };
    }

    const bytesOf = (work, type) => work.weight_bytes[TYPES.indexOf(type)];
    function weights(load, types, k) {
      const w = workOf(load), [withCross, without] = shapes[load.shape].layers_to_exit[k];
      return bytesOf(w.vision[0], types.vision) + bytesOf(w.resampler[0], types.resampler) + bytesOf(w.recurrent, types.head) + bytesOf(w.evaluation, types.head)
        + withCross * bytesOf(w.with, types.layer) + without * bytesOf(w.without, types.layer);
    }

    function exits(o, d, load) {
      const option = report.options[o], machine = report.machines[option.machine], types = typesOf(d, load.parts), w = workOf(load), plan = shapes[load.shape].layers_to_exit, last = plan.length - 1;
      const own = load.runtime === "deer" && option.dtypes[dtypes.indexOf(d)].own_speeds, which = own ? "own_speeds" : "speeds";
      const speeds = Object.fromEntries(Object.entries(types).map(([stage, type]) => [stage, (option.dtypes[dtypes.indexOf(type)] || {})[which]?.[stage]]));
      if (Object.values(speeds).some((s) => !s)) return null;
      const cached = machine.figures.cache.value !== null && weights(load, types, last) <= 1e6 * machine.figures.cache.value;
      const of = (stage, work) => run(speeds[stage], work, types[stage], cached);
      const images = [[0, 0, 0], sum(of("vision", w.vision[0]), of("resampler", w.resampler[0])), sum(of("vision", w.vision[load.cameras - 1]), of("resampler", w.resampler[load.cameras - 1]))];
      const withCross = of("layer", w.with), without = of("layer", w.without), head = sum(of("head", w.recurrent), of("head", w.first)), again = of("head", w.evaluation);
      const figure = (name) => ["low", "value", "high"].map((end) => machine.figures[name][end]);
      const waits = (k) => (own ? [2, 2, k + 3 + (k < last)].map((n, i) => n * figure("submission")[i] / 1e3) : [0, 0, 0]);
      return plan.map(([n, m], k) => {
        const llm = sum(times(n, withCross), times(m, without)), tests = sum(head, times(k, again)), overhead = sum(figure("step_overhead"), waits(k));
        return { by: images.map((i) => sum(i, llm, tests, overhead)), watts: option.dtypes[dtypes.indexOf(d)].exits[k].busy_watts,
          stages: { vision: of("vision", w.vision[load.cameras - 1])[1], resampler: of("resampler", w.resampler[load.cameras - 1])[1], llm: llm[1], head: tests[1], overhead: overhead[1] } };
      });
    }

    /* With each deepest exit. */
    function memory(o, d, load) {
      const machine = report.machines[report.options[o].machine], reserved = machine.figures.reserved, size = sizeOf(load), types = typesOf(d, load.parts);
      return shapes[load.shape].layers_to_exit.map((_, k) => {
        const weights_bytes = weights(load, types, k), activations_bytes = (load.robots ?? 1) * (size.session_bytes + (report.cameras ? size.kept_bytes : 0)), own = weights_bytes + activations_bytes;
        const known = typeof reserved.value === "number";
        return { weights_bytes, activations_bytes, with_system_bytes: known ? own + 1e9 * reserved.value : null, with_system_high_bytes: known ? own + 1e9 * reserved.high : null };
      });
    }

    return { exits, memory, sizeOf };
  }
  return { make };
})();
if (typeof module !== "undefined") module.exports = Latency;
