#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes a trained checkpoint, or the weighted mean of several, as a deer model file (docs/model-file.md):

    python3 export.py policy.pt MODEL
    python3 export.py early.pt:0.7 late.pt:0.3 MODEL
"""
import json
import struct
import sys

import torch

from data import tokenizer_json


def execution_order(names, layers):
    """Vision, resampler, embedding, head, then layer by layer: the prefix up to an exit is contiguous."""
    def place(name):
        for rank, start in enumerate(("vision_encoder.", "perceiver.", "lang_encoder.transformer.wte.",
                                      "extra_exit.")):
            if name.startswith(start):
                return rank
        return 4 + int(name.split(".")[3])
    return sorted(names, key=place)  # stable: inside a part the order of the modules stays


def mean_of(parts):
    """The first checkpoint, its weights replaced by the mean of all. parts: "path" or "path:share"."""
    paths, shares = zip(*[(p.rsplit(":", 1) + ["1"])[:2] for p in parts])
    loaded = [torch.load(p, map_location="cpu") for p in paths]
    weights = {name: sum(float(s) * c["model"][name].float() for s, c in zip(shares, loaded))
               for name in loaded[0]["model"]}
    return dict(loaded[0], model=weights)


def main():
    saved, out = mean_of(sys.argv[1:-1]), sys.argv[-1]
    weights, header, blob = saved["model"], {}, b""
    header["__metadata__"] = {"format": "pt", "deer.config": json.dumps(saved["config"]),
                              "deer.tokenizer": json.dumps(tokenizer_json(saved["words"]))}
    for name in execution_order(weights, saved["config"]["layers"]):
        data = weights[name].float().contiguous().numpy().tobytes()
        header[name] = dict(dtype="F32", shape=list(weights[name].shape),
                            data_offsets=[len(blob), len(blob) + len(data)])
        blob += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 64)
    with open(out, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + blob)
    print(f"{out}: {len(weights)} tensors, {8 + len(text) + len(blob)} bytes")


if __name__ == "__main__":
    main()
