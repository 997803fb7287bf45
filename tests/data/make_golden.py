#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes tests/data/golden_b: MPT-7B conventions, which the official sets beside it do not have.

    python3 make_golden.py DIR

The numbers come from this file: a second implementation, in double precision with NumPy, of what the
official code does. It shares nothing with the runtime. Images go through the real PIL. Covered on top of
the official sets: MPT-7B names, 5 heads (interleaved ALiBi slopes), cross-attention in every 4th layer,
exits 3 layers apart, one-layer LSTM, LayerNorm in a three-layer MLP, images that are not square, text
before <image> and a second <image>. Development only: needs python3-numpy, -h5py and -pil.
"""
import json
import math
import os
import struct
import sys

import h5py
import numpy as np
from PIL import Image

C = dict(llm="mpt_7b", llm_name="mpt_9b", d_model=20, n_heads=5, n_layers=9, vocab=40, eoc_id=37,
         media_id=38, perc_depth=2, perc_dim_head=6, perc_heads=3, perc_latents=5, xattn_dim_head=6,
         xattn_heads=3, xattn_every=4, lstm_hidden=12, image_size=24, patch=8, vit_width=16,
         vit_layers=2, vit_heads=2, mlp_dims=[14, 10, 8], mlp_num_hidden_layers=3, lstm_num_layers=1,
         mlp_layernorm=True, lstm_layernorm=True, dropout_mode="last", early_exit_layer=8,
         exit_interval=3, exit_ids=[2, 5, 8])
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
random = np.random.default_rng(20)
W = {}  # name -> float32 array, in order of execution


# ---------------------------------------------------------------- weights

def weight(name, *shape, scale=None, offset=0.0):
    scale = shape[-1] ** -0.5 if scale is None else scale
    W[name] = (random.standard_normal(shape) * scale + offset).astype(np.float32)


def norm(name, n, bias=True):
    weight(name + ".weight", n, scale=0.2, offset=1.0)
    if bias:
        weight(name + ".bias", n, scale=0.2)


def dense(name, out, inputs, bias=True):
    weight(name + ".weight", out, inputs, scale=1.5 * inputs ** -0.5)
    if bias:
        weight(name + ".bias", out, scale=0.2)


def make_vision():
    w, v = C["vit_width"], "vision_encoder.visual."
    weight(v + "class_embedding", w)
    weight(v + "positional_embedding", (C["image_size"] // C["patch"]) ** 2 + 1, w)
    weight(v + "conv1.weight", w, 3, C["patch"], C["patch"], scale=0.1)
    norm(v + "ln_pre", w)
    for i in range(C["vit_layers"]):
        b = f"{v}transformer.resblocks.{i}."
        norm(b + "ln_1", w)
        weight(b + "attn.in_proj_weight", 3 * w, w)
        weight(b + "attn.in_proj_bias", 3 * w)
        dense(b + "attn.out_proj", w, w)
        norm(b + "ln_2", w)
        dense(b + "mlp.c_fc", 4 * w, w)
        dense(b + "mlp.c_proj", w, 4 * w)


def make_resampler():
    w, inner = C["vit_width"], C["perc_heads"] * C["perc_dim_head"]
    weight("perceiver.latents", C["perc_latents"], w, scale=1)
    for i in range(C["perc_depth"]):
        p = f"perceiver.layers.{i}."
        norm(p + "0.norm_media", w)
        norm(p + "0.norm_latents", w)
        dense(p + "0.to_q", inner, w, False)
        dense(p + "0.to_kv", 2 * inner, w, False)
        dense(p + "0.to_out", w, inner, False)
        norm(p + "1.0", w)
        dense(p + "1.1", 4 * w, w, False)
        dense(p + "1.3", w, 4 * w, False)
    norm("perceiver.norm", w)


def make_decoder_layer(i):
    d, inner = C["d_model"], C["xattn_heads"] * C["xattn_dim_head"]
    if (i + 1) % C["xattn_every"] == 0:
        g = f"lang_encoder.transformer.blocks.{i}.gated_cross_attn_layer."
        weight(g + "attn_gate", 1, offset=0.5)
        weight(g + "ff_gate", 1, offset=-0.5)
        norm(g + "attn.norm", d)
        dense(g + "attn.to_q", inner, d, False)
        dense(g + "attn.to_kv", 2 * inner, C["vit_width"], False)
        dense(g + "attn.to_out", d, inner, False)
        norm(g + "ff.0", d)
        dense(g + "ff.1", 4 * d, d, False)
        dense(g + "ff.3", d, 4 * d, False)
    b = f"lang_encoder.transformer.blocks.{i}.decoder_layer."
    norm(b + "norm_1", d, False)
    dense(b + "attn.Wqkv", 3 * d, d, False)
    dense(b + "attn.out_proj", d, d, False)
    norm(b + "norm_2", d, False)
    dense(b + "ffn.up_proj", 4 * d, d, False)
    dense(b + "ffn.down_proj", d, 4 * d, False)


def make_head():
    h, inputs = C["lstm_hidden"], C["d_model"]
    for layer in range(C["lstm_num_layers"]):
        r = f"extra_exit.rnn.layers.{3 * layer}."
        weight(r + "weight_ih_l0", 4 * h, inputs)
        weight(r + "weight_hh_l0", 4 * h, h)
        weight(r + "bias_ih_l0", 4 * h, scale=0.2)
        weight(r + "bias_hh_l0", 4 * h, scale=0.2)
        norm(f"extra_exit.rnn.layers.{3 * layer + 1}", h)
        inputs = h
    for part, outputs in (("actions", 6), ("gripper", 1)):
        inputs = h
        for at, width in zip((0, 3, 6), C["mlp_dims"]):  # dropout_mode "last"
            dense(f"extra_exit.{part}.mlp.{at}", width, inputs)
            norm(f"extra_exit.{part}.mlp.{at + 1}", width)
            inputs = width
        dense(f"extra_exit.{part}.mlp.10", outputs, inputs)


# ---------------------------------------------------------------- arithmetic

def get(name):
    return W[name].astype(np.float64)


def layer_norm(x, name):
    bias = get(name + ".bias") if name + ".bias" in W else 0
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred ** 2).mean(-1, keepdims=True) + 1e-5) * get(name + ".weight") + bias


def apply(x, name):
    y = x @ get(name + ".weight").T
    return y + get(name + ".bias") if name + ".bias" in W else y


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def split(x, heads):  # [T, heads * dim] -> [heads, T, dim]
    return x.reshape(len(x), heads, -1).transpose(1, 0, 2)


def attend(q, k, v, heads, bias=0.0):
    q, k, v = split(q, heads), split(k, heads), split(v, heads)
    p = softmax(q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1]) + bias)
    return (p @ v).transpose(1, 0, 2).reshape(q.shape[1], -1)


def preprocess(image):
    """torchvision's Resize(bicubic), CenterCrop, ToTensor, Normalize on a PIL image."""
    side, (width, height) = C["image_size"], image.size
    short = min(width, height)
    size = (int(side * width / short), int(side * height / short))
    image = image.resize(size, Image.BICUBIC)
    left, top = int(round((size[0] - side) / 2.0)), int(round((size[1] - side) / 2.0))
    x = np.asarray(image.crop((left, top, left + side, top + side)))
    x = x.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    return (x - MEAN[:, None, None]) / STD[:, None, None]


def vision(pixels):
    v, p, w = "vision_encoder.visual.", C["patch"], C["vit_width"]
    grid = C["image_size"] // p
    patches = pixels.astype(np.float64).reshape(3, grid, p, grid, p).transpose(1, 3, 0, 2, 4)
    x = patches.reshape(grid * grid, -1) @ get(v + "conv1.weight").reshape(w, -1).T
    x = np.vstack([get(v + "class_embedding")[None], x]) + get(v + "positional_embedding")
    x = layer_norm(x, v + "ln_pre")
    for i in range(C["vit_layers"]):
        b = f"{v}transformer.resblocks.{i}."
        qkv = layer_norm(x, b + "ln_1") @ get(b + "attn.in_proj_weight").T + get(b + "attn.in_proj_bias")
        x = x + apply(attend(*np.split(qkv, 3, 1), C["vit_heads"]), b + "attn.out_proj")
        h = apply(layer_norm(x, b + "ln_2"), b + "mlp.c_fc")
        x = x + apply(h * sigmoid(1.702 * h), b + "mlp.c_proj")
    return x[1:]


def resample(tokens):
    latents = get("perceiver.latents")
    for i in range(C["perc_depth"]):
        p = f"perceiver.layers.{i}."
        own = layer_norm(latents, p + "0.norm_latents")
        seen = np.vstack([layer_norm(tokens, p + "0.norm_media"), own])
        k, v = np.split(apply(seen, p + "0.to_kv"), 2, 1)
        latents = latents + apply(attend(apply(own, p + "0.to_q"), k, v, C["perc_heads"]), p + "0.to_out")
        latents = latents + apply(gelu(apply(layer_norm(latents, p + "1.0"), p + "1.1")), p + "1.3")
    return layer_norm(latents, "perceiver.norm")


def alibi(count):
    """llm-foundry's gen_slopes, and a bias that depends on the key alone, plus the causal mask."""
    n, power = C["n_heads"], 2 ** math.ceil(math.log2(C["n_heads"]))
    slopes = [2.0 ** -(8 * (i + 1) / power) for i in range(power)]
    slopes = (slopes[1::2] + slopes[::2])[:n] if power != n else slopes
    bias = np.array(slopes)[:, None, None] * (np.arange(count) - (count - 1))[None, None, :]
    return np.where(np.tril(np.ones((count, count), bool))[None], bias, -np.inf)


def cross_attention(x, media, ids, g):
    seen = np.cumsum(ids == C["media_id"])  # images at or before each token
    k, v = np.split(apply(media, g + "attn.to_kv"), 2, 1)
    mixed = attend(apply(layer_norm(x, g + "attn.norm"), g + "attn.to_q"), k, v, C["xattn_heads"])
    mixed[seen == 0] = 0                 # nothing to look at
    mixed[seen >= 2] = v.mean(0)         # every score is masked alike
    x = x + np.tanh(get(g + "attn_gate")) * apply(mixed, g + "attn.to_out")
    h = gelu(apply(layer_norm(x, g + "ff.0"), g + "ff.1"))
    return x + np.tanh(get(g + "ff_gate")) * apply(h, g + "ff.3")


def decode(media, ids):
    """Hidden states after every layer."""
    x, hidden = get("lang_encoder.transformer.wte.weight")[ids], []
    for i in range(C["n_layers"]):
        if (i + 1) % C["xattn_every"] == 0:
            x = cross_attention(x, media, ids, f"lang_encoder.transformer.blocks.{i}.gated_cross_attn_layer.")
        b = f"lang_encoder.transformer.blocks.{i}.decoder_layer."
        q, k, v = np.split(apply(layer_norm(x, b + "norm_1"), b + "attn.Wqkv"), 3, 1)
        x = x + apply(attend(q, k, v, C["n_heads"], alibi(len(ids))), b + "attn.out_proj")
        x = x + apply(gelu(apply(layer_norm(x, b + "norm_2"), b + "ffn.up_proj")), b + "ffn.down_proj")
        hidden.append(x)
    return np.array(hidden)


def head(pooled, state):
    """Pose, gripper and the state after it, from the state (h, c) [layers, hidden] before it."""
    x, hs, cs = pooled, [], []
    for layer in range(C["lstm_num_layers"]):
        r = f"extra_exit.rnn.layers.{3 * layer}."
        gates = (get(r + "weight_ih_l0") @ x + get(r + "bias_ih_l0")
                 + get(r + "weight_hh_l0") @ state[0][layer] + get(r + "bias_hh_l0"))
        i, f, g, o = np.split(gates, 4)
        cs.append(sigmoid(f) * state[1][layer] + sigmoid(i) * np.tanh(g))
        hs.append(sigmoid(o) * np.tanh(cs[-1]))
        x = layer_norm(hs[-1], f"extra_exit.rnn.layers.{3 * layer + 1}")
    outputs = []
    for part in ("actions", "gripper"):
        y = x
        for at in (0, 3, 6):
            m = f"extra_exit.{part}.mlp.{at}"
            y = np.maximum(layer_norm(apply(y, m), m[:-1] + str(at + 1)), 0)
        outputs.append(apply(y, f"extra_exit.{part}.mlp.10"))
    return np.tanh(outputs[0]), sigmoid(outputs[1])[0], (np.array(hs), np.array(cs))


# ---------------------------------------------------------------- episodes

class Episode:
    def __init__(self, ids, steps, seed):
        r = np.random.default_rng(seed)
        self.ids = np.array(ids)
        # smooth pictures, not noise: bicubic weights matter and steps resemble each other
        self.static = self.film(r, steps, 30, 47)
        self.gripper = self.film(r, steps, 21, 16)

    @staticmethod
    def film(r, steps, height, width):
        y, x = np.mgrid[:height, :width] / 8.0
        frames = []
        for t in range(steps):
            phase, noise = r.uniform(0, 6, 3), r.integers(0, 60, (height, width, 3))
            wave = np.stack([90 + 90 * np.sin(x * (c + 1) + y + phase[c]) for c in range(3)], -1)
            frames.append(np.clip(wave + noise, 0, 255).astype(np.uint8))
        return np.array(frames)


def full_depth(e, t, state):
    views = [preprocess(Image.fromarray(v[t])) for v in (e.static, e.gripper)]
    tokens = [vision(v) for v in views]
    media = np.vstack([resample(x) for x in tokens])
    hidden = decode(media, e.ids)
    pooled = hidden.max(1)
    first = head(pooled[C["exit_ids"][0] - 1], state)
    exits = [head(pooled[i], state) for i in C["exit_ids"]]
    poses = [first[0]] + [x[0] for x in exits]
    delta = [math.sqrt(((b - a) ** 2).mean()) for a, b in zip(poses, poses[1:])]
    return dict(pixels=views, tokens=tokens, media=media, hidden=hidden, pooled=pooled, first=first[0],
                exits=exits, delta=np.array(delta))


def play(e, thresholds, stages):
    """Every step under the thresholds; the last of them is the deepest exit allowed."""
    zero = np.zeros((C["lstm_num_layers"], C["lstm_hidden"]))
    state, last, steps = (zero, zero), 0, []
    for t in range(len(e.static)):
        s = full_depth(e, t, state)
        k = last
        s["evaluated"] = np.full(len(thresholds), np.nan)
        if t % stages == 0:
            k = next(i for i, tau in enumerate(thresholds)
                     if s["delta"][i] <= tau or i + 1 == len(thresholds))
            s["evaluated"][:k + 1] = s["delta"][:k + 1]
        s["pose"], s["gripper"], state = s["exits"][k]
        s["exit"], s["state"], last = C["exit_ids"][k], state, k
        steps.append(s)
    return steps


def check_margins(steps, thresholds):
    for s in steps:
        for delta, tau in zip(s["evaluated"], thresholds):
            assert np.isnan(delta) or abs(delta - tau) > 4e-3 * abs(tau), "change the seed"


def write_episode(f, name, e, steps, thresholds, stages):
    g = f.create_group(name)
    g.attrs.update(exit_list=np.array(C["exit_ids"]), max_layer=C["exit_ids"][len(thresholds) - 1] + 1,
                   steps_per_stage=stages, thresholds=np.array(thresholds))

    def put(where, values, dtype=np.float32):
        g.create_dataset(where, data=np.array(values).astype(dtype), compression="gzip")

    put("inputs/static_u8", e.static, np.uint8)
    put("inputs/gripper_u8", e.gripper, np.uint8)
    put("inputs/input_ids", e.ids, np.int64)
    put("inputs/attention_mask", np.ones(len(e.ids)), np.int64)
    for i, view in enumerate(("static", "gripper")):
        put(f"intermediates/vit_tokens_{view}", [s["tokens"][i] for s in steps])
        put(f"intermediates/step0/vit_in_{view}", steps[0]["pixels"][i])
    put("intermediates/media_tokens", [s["media"] for s in steps])
    put("full_depth/hidden", [s["hidden"] for s in steps])
    put("full_depth/pooled", [s["pooled"] for s in steps])
    put("full_depth/pose", [[x[0] for x in s["exits"]] for s in steps])
    put("full_depth/gripper", [[[x[1]] for x in s["exits"]] for s in steps])
    put("full_depth/delta", [s["delta"] for s in steps])
    put("full_depth/prev_pose0", [s["first"] for s in steps])
    put("outputs/exit_layer", [s["exit"] for s in steps], np.int32)
    put("outputs/pose", [s["pose"] for s in steps])
    put("outputs/gripper_prob", [[s["gripper"]] for s in steps])
    put("outputs/action", [np.append(s["pose"], 1.0 if s["gripper"] > 0.5 else -1.0) for s in steps],
        np.float16)
    put("outputs/lstm_h", [s["state"][0] for s in steps])
    put("outputs/lstm_c", [s["state"][1] for s in steps])
    put("outputs/delta_evaluated", [s["evaluated"] for s in steps])


def write_weights(path):
    header, place = {}, 0
    for name, w in W.items():
        header[name] = dict(dtype="F32", shape=list(w.shape), data_offsets=[place, place + w.nbytes])
        place += w.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(w.tobytes() for w in W.values()))


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    make_vision()
    make_resampler()
    weight("lang_encoder.transformer.wte.weight", C["vocab"], C["d_model"], scale=1)
    make_head()
    for i in range(C["n_layers"]):
        make_decoder_layer(i)
    image, eoc, eos = C["media_id"], C["eoc_id"], 0
    plain = Episode([image, 5, 9, 11, 4, eoc, eos], 6, 1)
    mixed = Episode([7, 3, image, 12, 30, image, 8, eoc, eos], 6, 2)  # text before, and a second image
    plans = [("episode0", plain, 3, 1), ("episode1_max_layer4", mixed, 2, 1), ("episode2_stage3", mixed, 3, 3)]
    with h5py.File(folder + "/golden.h5", "w") as f:
        for name, e, exits, stages in plans:
            deltas = np.array([s["delta"] for s in play(e, [-1] * (len(C["exit_ids"]) - 1) + [1e8], 1)])
            thresholds = [float(np.sort(deltas[:, k])[2:4].mean()) for k in range(exits - 1)] + [1e8]
            steps = play(e, thresholds, stages)
            check_margins(steps, thresholds)
            print(name, [s["exit"] for s in steps], thresholds)
            write_episode(f, name, e, steps, thresholds, stages)
    write_weights(folder + "/weights.safetensors")
    with open(folder + "/config.json", "w") as f:
        json.dump(C, f, indent=1)


if __name__ == "__main__":
    main()
