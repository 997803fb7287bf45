#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Imports a model of the published 3B size from its four files, against copying as many bytes.

    BUILD=build bench/import_published.py [--rounds 5] [--dtype f32] [--keep]

Makes a random model (deer-model synth) and writes its weights as what is published: a DeeR checkpoint with
auxiliary exits and optimizer state, OpenFlamingo's, MPT's and CLIP's files, by torch.save, 19 GB together.
What the checkpoint has and the other files have, too, has other values there, so that a tensor taken from the
wrong file is noticed. The import must give every tensor of the model it began with. Import and `cp` of
the checkpoint then take turns, each with the same files in the page cache, and synced to the disk.

Needs python3-torch, python3-numpy and 40 GB of disk in BUILD/bench, which are free again at the end.
"""
import argparse
import json
import os
import shutil
import statistics
import struct
import subprocess
import time
from collections import OrderedDict

import numpy as np
import torch

BUILD = os.environ.get("BUILD", "build")
WORK = os.path.join(BUILD, "bench", "published")
MODEL_TOOL = os.path.join(BUILD, "deer-model")
WIDTH, PUBLISHED_LAYERS, KEPT_LAYERS = 2048, 24, 12
SEQUENTIAL = {"0": "1", "1": "2", "3": "5", "4": "6", "6": "9"}  # the head's MLPs with dropout between the layers


class Safetensors:
    """A file's tensors by name, mapped."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            size, = struct.unpack("<Q", f.read(8))
            self.table = json.loads(f.read(size))
        self.metadata = self.table.pop("__metadata__")
        self.names = [n for n in self.table if not n.startswith("pad.")]
        self.bytes = np.memmap(path, np.uint8, "c", 8 + size)

    def get(self, name):
        """The tensor where it lies."""
        first, last = self.table[name]["data_offsets"]
        return self.bytes[first:last].view(np.float32).reshape(self.table[name]["shape"])

    def read(self, name):
        """The bits of a copy of it."""
        first, last = self.table[name]["data_offsets"]
        return np.fromfile(self.path, np.uint32, (last - first) // 4, offset=self.bytes.offset + first)


class Others:
    """Numbers for tensors that the model has no use for: pieces of its weights, from other places."""

    def __init__(self, model):
        self.pool, self.at = model.bytes[: len(model.bytes) // 4 * 4].view(np.float32), 4099

    def get(self, *shape):
        n = int(np.prod(shape))
        if self.at + n > len(self.pool):
            self.at = 4099
        piece = self.pool[self.at : self.at + n].reshape(shape)
        self.at += n
        return torch.from_numpy(piece)

    def like(self, tensors):
        return OrderedDict((name, self.get(*t.shape)) for name, t in tensors.items())


# ---------------------------------------------------------------- the four files


def official_name(name):
    """The name in an official file of a tensor of the synthetic model."""
    part, mlp, rest = name.partition(".mlp.")
    if not mlp or not part.startswith("extra_exit."):
        return name
    index, _, kind = rest.partition(".")
    return f"{part}.mlp.{SEQUENTIAL[index]}.{kind}"


def under(tensors, prefix, to=""):
    return OrderedDict((to + n[len(prefix) :], t) for n, t in tensors.items() if n.startswith(prefix))


def block(i):
    return f"lang_encoder.transformer.blocks.{i}."


def adam_state(heads, others):
    state = {}
    for tensor in heads:
        state[len(state)] = {"step": torch.tensor(1000.0), "exp_avg": others.get(*tensor.shape),
                             "exp_avg_sq": others.get(*tensor.shape)}
    return {"state": state, "param_groups": [{"lr": 2.5e-5, "params": list(range(len(state)))}]}


def deer_checkpoint(tensors, others):
    """All but the vision tower; every name of a tensor that has two."""
    state, head = OrderedDict(), under(tensors, "extra_exit.")
    state.update(under(tensors, "perceiver.", "perceiver."))
    state.update(under(tensors, "lang_encoder.transformer.wte.", "lang_encoder.transformer.wte."))
    for i in range(KEPT_LAYERS):
        cross = block(i) + "gated_cross_attn_layer."
        state.update(under(tensors, cross, cross))
    for i in range(KEPT_LAYERS):
        state.update(under(tensors, block(i) + "decoder_layer.", f"lang_encoder.old_decoder_blocks.{i}."))
    for i in range(KEPT_LAYERS):
        state.update(under(tensors, block(i) + "gated_cross_attn_layer.",
                           f"lang_encoder.gated_cross_attn_layers.{i}."))
    heads = ["lm_head."] + [f"lm_exit_modules.{k}." for k in range(5)]
    for prefix in heads:
        state.update(under(others.like(head), "", prefix))
    state.update(under(head, "", "extra_exit."))
    trained = [t for n, t in state.items() if n.startswith(("lm_head.", "lm_exit_modules.", "extra_exit."))]
    return {"epoch": 4, "head_type": "deterministic", "early_exit_layer": KEPT_LAYERS - 1, "multi_exit": True,
            "share_exit": False, "exit_interval": 2, "exit_dropout": 0.4, "lstm_dropout": 0.3,
            "dropout_mode": "layerwise", "mlp_layernorm": True, "lstm_layernorm": True,
            "mlp_num_hidden_layers": 2, "lstm_num_layers": 4, "pooling": "max", "precision": "fp32",
            "model_state_dict": under(state, "", "module."), "optimizer_state_dict": adam_state(trained, others)}


def flamingo(tensors, others):
    state = others.like(under(tensors, "perceiver.", "perceiver."))
    state["lang_encoder.transformer.wte.weight"] = others.get(50280, WIDTH)
    for i in range(PUBLISHED_LAYERS):
        cross = under(tensors, block(0) + "gated_cross_attn_layer.", block(i) + "gated_cross_attn_layer.")
        state.update(others.like(cross))
    return state


def mpt(tensors, others):
    state = OrderedDict({"transformer.wte.weight": others.get(50432, WIDTH)})
    for i in range(PUBLISHED_LAYERS):
        state.update(others.like(under(tensors, block(0) + "decoder_layer.", f"transformer.blocks.{i}.")))
    state["transformer.ln_f.weight"] = others.get(WIDTH)
    return state


def clip(tensors, others):
    """The vision tower, and the text tower that a policy has no use for."""
    state = OrderedDict({"positional_embedding": others.get(77, 768), "text_projection": others.get(768, 768),
                         "logit_scale": torch.tensor(4.6052)})
    state.update(under(tensors, "vision_encoder."))
    state.update({"visual.ln_post.weight": others.get(1024), "visual.ln_post.bias": others.get(1024),
                  "visual.proj": others.get(1024, 768), "token_embedding.weight": others.get(49408, 768),
                  "ln_final.weight": others.get(768), "ln_final.bias": others.get(768)})
    layer = {"attn.in_proj_weight": (2304, 768), "attn.in_proj_bias": (2304,), "attn.out_proj.weight": (768, 768),
             "attn.out_proj.bias": (768,), "ln_1.weight": (768,), "ln_1.bias": (768,), "ln_2.weight": (768,),
             "ln_2.bias": (768,), "mlp.c_fc.weight": (3072, 768), "mlp.c_fc.bias": (3072,),
             "mlp.c_proj.weight": (768, 3072), "mlp.c_proj.bias": (768,)}
    for i in range(12):
        state.update({f"transformer.resblocks.{i}.{n}": others.get(*shape) for n, shape in layer.items()})
    return state


FILES = {"checkpoint": ("deer.pth", deer_checkpoint), "flamingo": ("checkpoint.pt", flamingo),
         "llm": ("pytorch_model.bin", mpt), "vision": ("open_clip_pytorch_model.bin", clip)}


def write_files(model):
    tensors = OrderedDict((official_name(n), torch.from_numpy(model.get(n))) for n in model.names)
    others = Others(model)
    for file, make in FILES.values():
        torch.save(make(tensors, others), path(file))


# ---------------------------------------------------------------- the import


def path(name):
    return os.path.join(WORK, name)


def peak_memory(pid):
    """KB that a running process has had in memory at most, 0 when it has ended."""
    try:
        with open(f"/proc/{pid}/status") as f:
            return next((int(line.split()[1]) for line in f if line.startswith("VmHWM:")), 0)
    except OSError:
        return 0


def import_model(out, dtype):
    """Returns the peak of its memory in KB."""
    sources = [word for option, (file, _) in FILES.items() for word in (f"--{option}", path(file))]
    running = subprocess.Popen([MODEL_TOOL, "import", *sources, "--dtype", dtype, "--out", out])
    memory = 0
    while running.poll() is None:
        memory = max(memory, peak_memory(running.pid))
        time.sleep(0.02)
    if running.returncode:
        raise SystemExit(f"the import failed with {running.returncode}")
    return memory


def check_model(out, model):
    """Every tensor of the model, bit for bit."""
    imported = Safetensors(out)
    if set(imported.names) != {official_name(n) for n in model.names}:
        raise SystemExit("the import has other tensors than the model it began with")
    for name in model.names:
        if not np.array_equal(model.read(name), imported.read(official_name(name))):
            raise SystemExit(f"{official_name(name)} is not what the checkpoint holds")
    return len(imported.names)


def cache_only(*names):
    """Of the files here these alone lie in the page cache, as far as memory allows; returns which part of them."""
    for name in os.listdir(WORK):
        with open(path(name), "rb") as f:
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    for name in names:
        with open(path(name), "rb", buffering=0) as f:
            while f.read(1 << 20):
                pass
    out = subprocess.run(["fincore", "--bytes", "--noheadings", "--output", "RES", *map(path, names)], check=True,
                         capture_output=True, text=True).stdout
    return sum(map(int, out.split())) / sum(os.path.getsize(path(name)) for name in names)


def timed(work):
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def copy_checkpoint(out):
    subprocess.run(["cp", "--reflink=never", path(FILES["checkpoint"][0]), out], check=True)
    subprocess.run(["sync", out], check=True)


def take_turns(rounds, dtype, out):
    """Per round: seconds per gigabyte written, of the import and of cp."""
    works = {"import": lambda: import_model(out, dtype), "cp": lambda: copy_checkpoint(out)}
    turns = []
    for _ in range(rounds):
        turn = {}
        for name, work in works.items():
            os.unlink(out)
            cached = cache_only(FILES["checkpoint"][0], FILES["vision"][0])
            seconds, size = timed(work), os.path.getsize(out) / 1e9
            turn[name] = seconds / size
            print(f"{name}: {size:.2f} GB in {seconds:.1f} s, {turn[name]:.2f} s/GB, {cached:.0%} of what is read was cached",
                  flush=True)
        turns.append(turn)
    return turns


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", default="f32", choices=("f32", "bf16", "q8"))
    parser.add_argument("--keep", action="store_true", help="leave the files in BUILD/bench/published")
    options = parser.parse_args()
    out, synthetic = path("model"), path("synthetic")

    os.makedirs(WORK, exist_ok=True)
    try:
        if not os.path.exists(path(FILES["vision"][0])):
            subprocess.run([MODEL_TOOL, "synth", "--config", "3b", "--out", synthetic], check=True)
            write_files(Safetensors(synthetic))
        sizes = [os.path.getsize(path(file)) for file, _ in FILES.values()]
        print("sources: " + " + ".join(f"{n / 1e9:.2f}" for n in sizes) + f" = {sum(sizes) / 1e9:.2f} GB", flush=True)
        memory = import_model(out, options.dtype)
        if options.dtype == "f32":
            print(f"{check_model(out, Safetensors(synthetic))} tensors, each as the checkpoint or CLIP's file has it")
        size = os.path.getsize(out) / 1e9
        turns = take_turns(options.rounds, options.dtype, out)
        imported, copied = (statistics.median(turn[name] for turn in turns) for name in ("import", "cp"))
        print(f"import of {size:.2f} GB: {imported:.2f} s/GB, cp {copied:.2f} s/GB: {imported / copied:.2f} times as long "
              f"({min(t['import'] / t['cp'] for t in turns):.2f} to {max(t['import'] / t['cp'] for t in turns):.2f}); "
              f"{memory / 1024:.0f} MB of memory at most")
    finally:
        if not options.keep:
            shutil.rmtree(WORK)


if __name__ == "__main__":
    main()
