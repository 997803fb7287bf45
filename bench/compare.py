#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Parts of a step beside PyTorch and beside what this machine can do at most: compare.py [options]

Both programs (stages.c, peer.py) load the same weights, are held to the same results on the same inputs, and
then take turns, so that whatever else the machine does meets both. The peer runs as whatever is fastest for the row: of the
core types of OpenBLAS, numbers of threads, ways to wait and to free memory that this processor has (processor.py), and of the forms
that peer.py tries. Prints a table and writes it as a list of {name, processor, value, unit, peer, peer_value,
peer_setting, ratio, limit, of_limit, ...}. The rows are below, each with what it must reach; a row whose peer or
model is missing is left out and says so.

    bench/compare.py                               every row, into build/bench.json
    bench/compare.py --rows layer-f32,layer-bf16   only these; the others' last results stay, other processors' too
    bench/compare.py --threads 1 --rounds 9
    bench/compare.py --rows "" --markdown          all that was measured, processors side by side
    bench/compare.py --device gpu                  ours on a GPU (deer-run devices), beside PyTorch on CUDA, or ours on the processor

Needs python3-numpy, and python3-torch and python3-pil for the peer. The models of the size that is published
(random weights, bench/models.sh) lie in BUILD/bench."""
import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np

import processor
from processor import Setting

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
TABLETOP = "datasets/tabletop/policy.safetensors"
TOKENS = 14

Stage = collections.namedtuple("Stage", "stage model exit peer runs rounds frames must tolerance form rate",
                               defaults=["fastest", None])
Stage.__doc__ = """A part of a step on both sides. peer: the model PyTorch runs, or "ours:F", our own stages on F; runs: of
a turn; rounds: turns; must: how many times as fast as the peer; tolerance: of the results, RMS of the difference / RMS;
form: of the peer (peer.py); rate: runs a second, as a robot makes them, None for one behind the other."""
Memory = collections.namedtuple("Memory", "model exit must")  # must: resident / predicted, off by at most this
Startup = collections.namedtuple("Startup", "model exit must")  # must: at most, ms
Steady = collections.namedtuple("Steady", "model exit steps must")  # must: p99 / p50 at most

ROWS = {
    "preprocess": Stage("preprocess", "3b-f32", 0, "3b-f32", 30, 7, 1, None, 0),
    "layer-f32": Stage("layer", "3b-f32", 2, "3b-f32", 12, 7, 1, 4.0, 1e-4),
    "layer-bf16": Stage("layer", "3b-bf16", 2, "3b-bf16", 12, 7, 1, 2.2, 5e-2),
    "layer-q8": Stage("layer", "3b-q8", 2, "ours:3b-bf16", 12, 7, 1, 1.5, 1e-1),
    "head-f32": Stage("head", "3b-f32", 2, "3b-f32", 10, 7, 1, None, 1e-4),
    "act-f32": Stage("act", "3b-f32", 2, "3b-f32", 3, 7, 1, 4.0, 1e-3),
    "vision-f32": Stage("vision", "3b-f32", 0, "3b-f32", 1, 7, 1, None, 1e-3),
    "vision-bf16": Stage("vision", "3b-bf16", 0, "3b-bf16", 1, 7, 1, 1.4, 5e-2),
    "replay-f32": Stage("replay", "3b-f32", 2, "3b-f32", 1, 3, 4, 1.3, 1e-3),
    "tabletop": Stage("step", TABLETOP, 5, TABLETOP, 30, 15, 1, 12.0, 1e-4),
    "tabletop-20hz": Stage("step", TABLETOP, 5, TABLETOP, 12, 8, 1, None, 1e-4, rate=20),
    "tabletop-official": Stage("step", TABLETOP, 5, TABLETOP, 30, 15, 1, 15.0, 1e-4, "official"),
    **{f"memory-{dtype}-{layers}": Memory(f"3b-{dtype}", layers // 2 - 1, 0.05)
       for dtype in ("f32", "bf16", "q8") for layers in (4, 8, 12)},
    "startup-bf16": Startup("3b-bf16", 2, 1500),
    "steady": Steady(TABLETOP, 2, 100000, 1.3),
}
WHAT = {
    "preprocess": "two camera images of 640 x 480 to the vision tower's size; the peer is PIL with PyTorch",
    "layer": "one decoder layer with cross-attention, {T} tokens",
    "head": "one evaluation of the action head",
    "act": "a step behind the resampler, exit at layer {L}; the peer follows the official procedure",
    "vision": "vision tower and resampler, two cameras",
    "replay": "features of every exit up to layer {L}, {B} frames from images, as one batch",
    "step": "a whole step from images to action, exit at layer {L}",
}


class Partner:
    """One of the two programs, loaded and waiting for orders."""

    def __init__(self, name, command, setting, device="cpu"):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=dict(processor.environment(setting), DEER_DEVICE=device))

    def ask(self, *order):
        try:
            self.process.stdin.write(" ".join(map(str, order)) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise SystemExit(f"compare.py: {self.name} ended while asked to {' '.join(map(str, order))}")
        return answer.strip()

    def times(self, stage, runs, rate=None):
        if rate is None:
            return [float(t) for t in self.ask("time", stage, runs).split()]
        times, due = [], time.monotonic()
        for _ in range(runs):
            due = max(due + 1 / rate, time.monotonic())
            time.sleep(max(0, due - time.monotonic()))
            times += self.times(stage, 1)
        return times

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def header(path):
    with open(path, "rb") as f:
        size = int.from_bytes(f.read(8), "little")
        table = json.loads(f.read(size))
    config = json.loads(table.pop("__metadata__")["deer.config"])
    return config, table


def write_inputs(folder, config, frames):
    """What both read; the media are normalised like the resampler's, the rest like what it stands for."""
    random = np.random.default_rng(7)
    side, state = config["image_size"], (2, config["lstm_layers"], config["lstm_hidden"])
    ids = random.integers(4, min(config["vocab"], 4000), TOKENS).astype(np.int32)
    ids[0] = config["media_token"]
    ids.tofile(f"{folder}/ids.i32")

    def floats(name, *shape):
        random.standard_normal(shape, np.float32).tofile(f"{folder}/{name}.f32")

    floats("pixels", 2, 3, side, side)
    floats("media", 2 * config["resampler_latents"], config["vision_width"])
    floats("pooled", config["d_model"])
    (random.standard_normal(state, np.float32) * 0.3).tofile(f"{folder}/state.f32")
    random.integers(0, 256, (frames, 2, side, side, 3), np.uint8).tofile(f"{folder}/frames.u8")
    random.integers(0, 256, (2, 480, 640, 3), np.uint8).tofile(f"{folder}/cameras.u8")


def matrix_bytes(table, *prefixes):
    return sum(t["data_offsets"][1] - t["data_offsets"][0] for name, t in table.items()
               if name.startswith(prefixes))


def work(stage, config, table, cost, exit, frames):
    """(bytes read at least once, multiply-adds) of one run."""
    layers = config["exit_layers"][exit] + 1
    blocks = "lang_encoder.transformer.blocks."
    layer = matrix_bytes(table, blocks + "0.")
    head = matrix_bytes(table, "extra_exit.")
    sight = matrix_bytes(table, "vision_encoder.", "perceiver.")
    if stage == "preprocess":
        return 2 * 480 * 640 * 3, 0
    c, total = cost["exits"][exit], lambda *names: sum(cost["exits"][exit][f"{n}_gflops"] for n in names) * 1e9
    if stage == "layer":
        return layer, total("llm") / layers
    if stage == "head":
        return head, head / 4  # every weight once, float32
    if stage == "act":
        return layers * layer + head, total("llm", "head")
    if stage == "vision":
        return sight, total("vision", "resampler")
    if stage == "replay":
        return sight + layers * layer, frames * total("vision", "resampler", "llm")
    return sight + layers * layer + head, c["total_gflops"] * 1e9


def limit_ms(stage, dtype, size, macs, limits, fastest):
    """(ms, of what): the larger of reading the weights and multiplying, at this machine's best; never longer than
    the fastest run of either side, which has shown that less is enough. fastest: {whose: ms}."""
    peak = limits["sgemm_gflops"] if stage == "replay" else limits[
        {"f32": "f32_gflops", "bf16": "bf16_gflops", "q8": "int8_gops"}[dtype]] or limits["f32_gflops"]
    read, multiply = size / limits["read_gbs"] / 1e6, 2 * macs / peak / 1e6
    name = "sgemm" if stage == "replay" else f"{dtype} peak"
    whose = min(fastest, key=fastest.get)
    return min(max((read, "read bandwidth"), (multiply, name)), (fastest[whose], f"fastest run, {whose}"))


def compare_results(ours, peer, stage, folder, tolerance, name):
    ours.ask("check", stage, f"{folder}/ours")
    peer.ask("check", stage, f"{folder}/peer")
    a, b = (np.fromfile(f"{folder}/{w}", np.float32).astype(np.float64) for w in ("ours", "peer"))
    if a.shape != b.shape or not np.isfinite(a).all():
        raise SystemExit(f"compare.py: {name}: the results have different sizes or are not finite")
    error = float(np.sqrt(np.mean((a - b) ** 2) / np.mean(b ** 2)))
    if not error <= tolerance:
        raise SystemExit(f"compare.py: {name}: the results differ by {error:.2g} of their size, "
                         f"more than {tolerance:g}: this would compare different work")
    return error


def higher(a, b):
    """Of two measurements of the machine's limits, the higher of each."""
    return {k: None if v is None or b[k] is None else max(v, b[k]) for k, v in a.items()}


def spread(times):
    return {f"p{p}": float(np.percentile(times, p)) for p in (10, 90)}


class Runner:
    def __init__(self, args):
        self.args, self.build, self.speeds = args, args.build, None
        self.name = processor.name()
        self.has_torch = subprocess.run([PYTHON, "-c", "import torch, PIL"], capture_output=True).returncode == 0
        self.device = args.device or "cpu"
        self.has_cuda = self.device != "cpu" and subprocess.run(
            [PYTHON, "-c", "import torch, PIL, sys; sys.exit(not torch.cuda.is_available())"], capture_output=True).returncode == 0
        if self.device != "cpu":
            self.name = self.name_of_device()

    def name_of_device(self):
        """Asked of the program, which opens it."""
        with tempfile.TemporaryDirectory() as folder:
            write_inputs(folder, header(TABLETOP)[0], 1)
            asked = self.stages(TABLETOP, 0, folder, self.device)
            name = asked.ask("device")
            asked.close()
        return name

    def path(self, model):
        return model if "/" in model else f"{self.build}/bench/{model}.safetensors"

    def cores(self):
        """Core types of OpenBLAS worth trying, fastest first; all are measured once."""
        if self.speeds is None:
            self.speeds = processor.measured(self.args.threads)
            said = ", ".join(f"{core} {large:.0f} and {few:.0f}" for core, (large, few) in self.speeds.items())
            print(f"OpenBLAS, GFLOP/s of large products and of 14 rows: {said or 'not found'}", file=sys.stderr)
        return processor.worth_trying(self.speeds) if self.speeds else [""]

    def stages(self, model, exit, folder, device):
        return Partner(model, [f"{self.build}/bench/stages", self.path(model), str(exit), folder, str(self.args.threads)],
                       Setting(self.cores()[0], self.args.threads, "passive"), device)

    def of_row(self, row):
        """The row as it is measured here: beside a device without CUDA ours on the processor takes the peer's place, and what
        must be reached is said of processors."""
        if self.device == "cpu" or not isinstance(row, Stage):
            return row
        own = row.peer.startswith("ours:") or self.has_cuda
        return row._replace(must=None, peer=row.peer if own else f"processor:{row.model}")

    def peer(self, model, exit, folder, form, setting):
        if ":" in model:
            whose, model = model.split(":")
            return self.stages(model, exit, folder, self.device if whose == "ours" else "cpu")
        return Partner("PyTorch", [PYTHON, f"{HERE}/peer.py", self.path(model), str(exit), folder, str(setting.threads), form,
                                   "cuda" if self.has_cuda else "cpu"], setting)

    def trial(self, row, folder, setting):
        """How long the peer takes so, ms: the shortest run of half a second's."""
        peer = self.peer(row.peer, row.exit, folder, "official" if row.form == "official" else "eager", setting)
        times = peer.times(row.stage, 1, row.rate)
        while sum(times) < 500 and len(times) < 50:
            times += peer.times(row.stage, 1, row.rate)
        peer.close()
        return min(times)

    def fastest_setting(self, row, folder):
        """(Setting, {tried: ms}) of the peer. Fewer threads, and threads that do not sleep, can only help where handing
        work over counts: below 100 ms."""
        tried, threads = {}, self.args.threads
        if ":" in row.peer or self.has_cuda:
            return Setting("", threads, "passive"), {}

        def attempt(settings):
            tried.update({s: self.trial(row, folder, s) for s in settings})
            return min(tried, key=tried.get)

        best = attempt([Setting(core, threads, "passive") for core in self.cores()])
        best = attempt([best._replace(memory="kept")])
        if tried[best] < 100 and threads > 1:
            best = attempt([best._replace(wait="spinning"), best._replace(threads=1)])
        return best, tried

    def missing(self, model, peer):
        """Why a row cannot be run, or None."""
        for m in (model, peer.split(":")[-1]):
            if not os.path.exists(self.path(m)):
                return f"{self.path(m)} is missing (bench/models.sh makes it)"
        return None if self.has_torch or ":" in peer else "python3-torch or python3-pil is not installed"

    def cost(self, model):
        text = subprocess.run([f"{self.build}/deer-model", "info", self.path(model), "--tokens", str(TOKENS),
                               "--json"], check=True, capture_output=True, text=True).stdout
        return json.loads(text)

    def not_there(self, row):
        """Why a row is of processors only, or None."""
        if self.device == "cpu" or (isinstance(row, Stage) and row.stage not in ("head", "preprocess")):
            return None
        return "it is of the processor only"

    def run(self, name):
        row = self.of_row(ROWS[name])
        reason = self.missing(row.model, getattr(row, "peer", "ours:" + row.model)) or self.not_there(row)
        if reason:
            print(f"{name}: left out: {reason}", file=sys.stderr)
            return None
        run = {Stage: self.run_stage, Memory: self.run_memory, Startup: self.run_startup, Steady: self.run_steady}
        return {"name": name, "processor": self.name, **run[type(row)](name, row), "threads": self.args.threads}

    def deer_run_bench(self, row, *options):
        """What `deer-run bench` says of the row's exit, in a process of its own."""
        command = [f"{self.build}/deer-run", "bench", "--model", self.path(row.model), "--exit", str(row.exit),
                   "--threads", str(self.args.threads), "--json", *options]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["exits"][0]

    def run_memory(self, name, row):
        said = self.deer_run_bench(row, "--steps", "1", "--tokens", str(TOKENS))
        value, predicted = said["resident_bytes"] / 1e6, said["predicted_bytes"] / 1e6
        return {"what": "resident memory of model and session, as measured; peer: as predicted", "value": value,
                "unit": "MB", "peer": "prediction", "peer_value": predicted, "ratio": value / predicted,
                "must": row.must, "met": abs(value / predicted - 1) <= row.must, "limit": None, "of_limit": None}

    def run_startup(self, name, row):
        times = []
        for _ in range(5):
            said = self.deer_run_bench(row, "--steps", "1", "--tokens", str(TOKENS))
            times.append(said["ms_open"] + said["ms_first_step"])
        value = float(np.median(times))
        return {"what": "opening a model that the page cache holds and its first step", "value": value, "unit": "ms",
                "peer": None, "peer_value": None, "ratio": None, "must": row.must, "met": value <= row.must,
                "limit": None, "of_limit": None, **spread(times)}

    def run_steady(self, name, row):
        said = self.deer_run_bench(row, "--steps", str(row.steps))
        value = said["ms_p99"] / said["ms_median"]
        return {"what": f"{row.steps} steps: p99 / p50 of their times, and growth of the process (at most 64 KiB)", "value": value,
                "unit": "p99/p50", "peer": None, "peer_value": None, "ratio": None, "must": row.must,
                "met": value <= row.must and said["growth_bytes"] <= 65536, "limit": 1.0, "of_limit": 1 / value,
                "growth_bytes": said["growth_bytes"], "ms_median": said["ms_median"]}

    def run_stage(self, name, row):
        stage, model, exit, peer_model, runs, rounds, frames, must, tolerance, form, rate = row
        config, table = header(self.path(model))
        with tempfile.TemporaryDirectory() as folder:
            write_inputs(folder, config, frames)
            setting, tried = self.fastest_setting(row, folder)
            peer = self.peer(peer_model, exit, folder, form, setting)
            variants = {} if ":" in peer_model else json.loads(peer.ask("variants", stage, "-"))
            ours = self.stages(model, exit, folder, self.device)
            error = compare_results(ours, peer, stage, folder, tolerance, name)
            limits = json.loads(ours.ask("limits"))
            a, b = [], []
            for _ in range(self.args.rounds or rounds):
                a += ours.times(stage, runs, rate)
                b += peer.times(stage, runs, rate)
            limits = higher(limits, json.loads(ours.ask("limits")))
            ours.close()
            peer.close()
        dtype = next((d for d in ("bf16", "q8") if model.endswith(d)), "f32")
        size, macs = work(stage, config, table, self.cost(model), exit, frames)
        whose = peer_model if ":" in peer_model else "PyTorch on CUDA" if self.has_cuda else "PyTorch"
        limit, limit_of = limit_ms(stage, dtype, size, macs, limits, {"ours": min(a), whose: min(b)})
        value, peer_value = float(np.median(a)), float(np.median(b))
        return {"what": WHAT[stage].format(T=TOKENS, L=config["exit_layers"][exit], B=frames),
                "value": value, "unit": "ms", "peer": whose,
                "peer_value": peer_value, "ratio": peer_value / value, "must": must,
                "met": must is None or peer_value / value >= must, "limit": limit,
                "limit_of": limit_of, "of_limit": limit / value, **spread(a),
                **{f"peer_{k}": v for k, v in spread(b).items()}, "runs": len(a),
                "difference": error, "gigabytes": size / 1e9, "gmacs": macs / 1e9, "machine": limits,
                "sgemm_core": self.cores()[0],
                "peer_variants": sorted({v["best"] for v in variants.values()}), "peer_setting": setting._asdict(),
                "peer_tried": [{**s._asdict(), "ms": ms} for s, ms in tried.items()]}


def setting_of(row):
    """What the peer was fastest with, in words."""
    s = row["peer_setting"]
    forms = "+".join(row["peer_variants"])
    said = [forms, s["core"], f"{s['threads']} threads" if s["threads"] > 1 else "1 thread", s["wait"],
            "memory kept" if s.get("memory") == "kept" else ""]
    return ", ".join(x for x in said if x)


def machine_of(rows):
    """The best of the machine's limits that any row has seen, in words."""
    m = {}
    for r in rows:
        m = higher(r["machine"], m) if m else r["machine"]
    return (f"{m['read_gbs']:.1f} GB/s read; GFLOP/s (a multiply-add is two): f32 {m['f32_gflops'] or 0:.0f}, "
            f"bf16 {m['bf16_gflops'] or 0:.0f}, int8 {m['int8_gops'] or 0:.0f}, sgemm {m['sgemm_gflops']:.0f} "
            f"({rows[-1]['sgemm_core']})")


def print_stages(rows):
    print(f"\n{'':17} {'ours, ms':>9} {'p10':>8} {'p90':>8} {'peer, ms':>9} {'p10':>8} {'p90':>8} {'faster':>7} "
          f"{'must':>5} {'limit, ms':>9} {'reached':>8}  limit is; the peer is fastest")
    for r in rows:
        must = f"{r['must']:.1f}x" if r["must"] else "-"
        print(f"{r['name']:17} {r['value']:9.3f} {r['p10']:8.3f} {r['p90']:8.3f} {r['peer_value']:9.3f} "
              f"{r['peer_p10']:8.3f} {r['peer_p90']:8.3f} {r['ratio']:6.2f}x {must:>5} {r['limit']:9.3f} "
              f"{100 * r['of_limit']:7.1f}%  {r['limit_of']}; {setting_of(r)}{'' if r['met'] else '  MISSED'}")
    print(f"\n{rows[-1]['processor']}, {rows[-1]['threads']} threads: {machine_of(rows)}")


def print_markdown(rows):
    """A table of ratios, a column each processor; what the limits are there."""
    stages = [r for r in rows if "machine" in r]
    where = sorted({r["processor"] for r in stages})
    print("| row, faster than the peer (ours, ms; peer, ms; peer's setting) |" + "".join(f" {w} |" for w in where))
    print("|---" * (1 + len(where)) + "|")
    for name in dict.fromkeys(r["name"] for r in stages):
        at = {r["processor"]: r for r in stages if r["name"] == name}
        cells = (f"{at[w]['ratio']:.2f}x ({at[w]['value']:.3g}; {at[w]['peer_value']:.3g}; {setting_of(at[w])})"
                 if w in at else "" for w in where)
        print(f"| {name} |" + "".join(f" {c} |" for c in cells))
    for w in where:
        print(f"\n{w}: {machine_of([r for r in stages if r['processor'] == w])}")


def print_others(rows):
    print(f"\n{'':14} {'measured':>10} {'unit':8} {'predicted':>10} {'must':>12}")
    for r in rows:
        peer = f"{r['peer_value']:10.1f}" if r["peer_value"] else f"{'-':>10}"
        must = f"within {100 * r['must']:.0f}%" if r["unit"] == "MB" else f"<= {r['must']:g}"
        off = f"  {100 * (r['ratio'] - 1):+.1f}%" if r["ratio"] else ""
        grown = f"  grew by {r['growth_bytes']} bytes" if "growth_bytes" in r else ""
        print(f"{r['name']:14} {r['value']:10.2f} {r['unit']:8} {peer} {must:>12}{off}{grown}"
              f"{'' if r['met'] else '  MISSED'}")


def print_table(rows):
    stages, others = [r for r in rows if "machine" in r], [r for r in rows if "machine" not in r]
    if stages:
        print_stages(stages)
    if others:
        print_others(others)


def publish(path, rows):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path + ".part", "w") as f:
        json.dump(rows, f, indent=1)
    shutil.move(path + ".part", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", default=",".join(ROWS), help="which, separated by commas")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=0, help="turns of each side (default: the row's)")
    parser.add_argument("--device", help="where ours runs: gpu, or part of a name that deer-run devices lists (default the processor)")
    parser.add_argument("--markdown", action="store_true", help="all processors' rows as a table, side by side")
    parser.add_argument("--build", default=os.environ.get("BUILD", "build"))
    args = parser.parse_args()
    names = [n for n in args.rows.split(",") if n]
    unknown = [n for n in names if n not in ROWS]
    if unknown:
        parser.error(f"no row {unknown[0]}; there are {', '.join(ROWS)}")
    path = f"{args.build}/bench.json"
    kept = json.load(open(path)) if os.path.exists(path) else []
    done = {(r["processor"], r["name"]): r for r in kept if r["name"] in ROWS and "processor" in r}
    runner = Runner(args)
    for name in names:
        row = runner.run(name)
        if row:
            done[runner.name, name] = row
            publish(path, sorted(done.values(), key=lambda r: (r["processor"], list(ROWS).index(r["name"]))))
    here = [done[key] for key in ((runner.name, n) for n in ROWS) if key in done]
    if args.markdown:
        print_markdown(list(done.values()))
    elif here:
        print_table(here)
        print(f"written: {path}")


if __name__ == "__main__":
    main()
