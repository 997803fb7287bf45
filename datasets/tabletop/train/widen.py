#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes a checkpoint to start from: a model file's policy with more layers, other exits and more words, which acts as before.

    python3 widen.py MODEL --data demos.h5 valid.h5 --exit-layers 1 3 5 7 11 15 --out start.pt

Layers that are new pass on what they are given, until they have learnt; words that are new begin like the mean of the
known ones, other instructions apart. Readouts (train.py) are new.
"""
import argparse
import json
import struct

import h5py
import numpy as np
import torch

from data import text, vocabulary
from model import CONFIG, Policy
from train import Readouts


def read_model(path):
    """A model file's tensors, and the words of its tokenizer in order."""
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        blob = f.read()
    meta = header.pop("__metadata__")
    known = json.loads(meta["deer.tokenizer"])["model"]["vocab"]
    tensors = {}
    for name, t in header.items():
        if t["dtype"] == "F32" and not name.startswith("pad."):
            a, b = t["data_offsets"]
            tensors[name] = torch.from_numpy(np.frombuffer(blob[a:b], np.float32).reshape(t["shape"]).copy())
    return tensors, known


def instructions(paths):
    for path in paths:
        with h5py.File(path, "r") as f:
            yield from (text(d.attrs["language"]) for d in f["data"].values())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", help="model file of float32 weights (deer-model convert --dtype f32)")
    p.add_argument("--data", nargs="+", required=True, help="all demonstrations: whose words it is to know")
    p.add_argument("--exit-layers", type=int, nargs="+", required=True)
    p.add_argument("--out", required=True)
    o = p.parse_args()
    old, known = read_model(o.model)
    words = vocabulary(list(instructions(o.data)))
    config = dict(CONFIG, vocab=len(words), media_token=words.index("<image>"), layers=o.exit_layers[-1] + 1,
                  exits=len(o.exit_layers), exit_layers=o.exit_layers)
    torch.manual_seed(0)
    model, read = Policy(config), Readouts(config)
    weights = model.state_dict()
    table = "lang_encoder.transformer.wte.weight"
    embedding = old.pop(table)
    weights[table] = embedding.mean(0) + 0.1 * weights[table]
    for i, word in enumerate(words):
        if word in known:
            weights[table][i] = embedding[known[word]]
    for name in weights:
        if name in old:
            weights[name] = old[name]
        elif name.endswith(("_gate", "decoder_layer.attn.out_proj.weight", "mlp_down.weight")):
            weights[name] = torch.zeros_like(weights[name])
    missing = [n for n in old if n not in weights]
    if missing:
        p.error(f"{o.model} has {missing[0]}, which this policy has not")
    model.load_state_dict(weights)
    torch.save(dict(model=model.state_dict(), read=read.state_dict(), step=0, config=config, words=words), o.out)
    print(f"{o.out}: {sum(n in old for n in weights)} tensors of {len(weights)} are {o.model}'s, "
          f"{sum(w in known for w in words)} words of {len(words)}")


if __name__ == "__main__":
    main()
