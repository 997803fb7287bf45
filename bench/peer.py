#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The same parts of a step in PyTorch: peer.py MODEL EXIT INPUTS THREADS FORM [DEVICE]

Obeys the same orders as stages.c, and one more, `variants STAGE`, which says what was tried and how long
it took. The modules are those of datasets/tabletop/train/model.py, written after the official code. FORM
"fastest": each stage runs as whichever is fastest here, module by module, traced and frozen, or optimised for
inference, and both images of a step as one batch; "official": module by module and one image after the other, as
the official code does; "eager": as "fastest", but module by module, which takes no time to prepare. `act` and `step` follow the official procedure in either form: an evaluation of the head at
the layer before the first exit, one at each exit, and one more for the state, each with nn.LSTM. Weights come from
the same model file; a file of bfloat16 matrices is run in bfloat16, with the head in float32. DEVICE is where all of it
lies, "cpu" (default) or "cuda"; there "fastest" tries module by module and torch.compile, and every run is waited for.
"""
import json
import os
import struct
import sys
import time

import numpy as np
import torch
import torch.nn as nn
from PIL import Image

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "datasets", "tabletop", "train"))
import model as official  # noqa: E402

for layer_type in (nn.Linear, nn.Conv2d, nn.LSTM):
    layer_type.reset_parameters = lambda self: None  # weights come from the file

DEVICE = "cpu"


def there(tensor):
    return tensor.to(DEVICE)


def finish():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


TYPES = {"F32": (np.float32, torch.float32), "BF16": (np.int16, torch.bfloat16)}


class Weights:
    """A safetensors file: tensors by name, copied into memory when asked for."""

    def __init__(self, path):
        with open(path, "rb") as f:
            size, = struct.unpack("<Q", f.read(8))
            self.table = json.loads(f.read(size))
        self.config = json.loads(self.table.pop("__metadata__")["deer.config"])
        self.bytes = np.memmap(path, np.uint8, "r", 8 + size)
        self.dtype = torch.bfloat16 if any(t["dtype"] == "BF16" for t in self.table.values()) else torch.float32

    def get(self, name):
        entry = self.table[name]
        first, last = entry["data_offsets"]
        stored, wanted = TYPES[entry["dtype"]]
        values = np.array(self.bytes[first:last].view(stored).reshape(entry["shape"]))
        return there(torch.from_numpy(values).view(wanted))

    def load(self, module, prefix, dtype):
        """The module with the tensors under prefix, in dtype."""
        for name, tensor in module.eval().requires_grad_(False).named_parameters():
            tensor.data = self.get(prefix + self.in_file(module, prefix, name)).to(dtype)
        return there(module.to(dtype))

    def in_file(self, module, prefix, name):
        """The Sequential indices of the head's MLPs differ from file to file; their order does not."""
        part, mlp, rest = name.partition(".mlp.")
        if prefix != "extra_exit." or not mlp:
            return name

        def indices(names, start):
            return sorted({int(n[len(start):].split(".")[0]) for n in names if n.startswith(start)})

        ours = indices((n for n, _ in module.named_parameters()), part + mlp)
        files = indices(self.table, prefix + part + mlp)
        index, kind = rest.split(".")
        return f"{part}{mlp}{files[ours.index(int(index))]}.{kind}"


class Layer(nn.Module):
    """Gated cross-attention and an MPT block."""

    def __init__(self, c, tokens):
        super().__init__()
        self.gated_cross_attn_layer = official.GatedCrossAttention(c)
        self.decoder_layer = official.DecoderBlock(c)
        self.register_buffer("bias", official.alibi_causal(c["heads"], tokens), False)

    def forward(self, x, media):
        return self.decoder_layer(self.gated_cross_attn_layer(x, media), self.bias)


class Head(nn.Module):
    """LSTMs with a LayerNorm behind each, then the two MLPs; state is (h, c), each [layers, 1, hidden]."""

    def __init__(self, c):
        super().__init__()
        widths, layers = [c["d_model"]] + [c["lstm_hidden"]] * (c["lstm_layers"] - 1), []
        for width in widths:
            layers += [nn.LSTM(width, c["lstm_hidden"]), nn.LayerNorm(c["lstm_hidden"]), nn.Identity()]
        self.rnn = nn.ModuleDict(dict(layers=nn.ModuleList(layers)))
        self.actions, self.gripper = official.MLP(c, 6), official.MLP(c, 1)

    def forward(self, x, h, c):
        layers, after_h, after_c = self.rnn["layers"], [], []
        x = x.unsqueeze(0)
        for i in range(h.shape[0]):
            x, (h_i, c_i) = layers[3 * i](x, (h[i:i + 1], c[i:i + 1]))
            x = layers[3 * i + 1](x)
            after_h.append(h_i)
            after_c.append(c_i)
        x = x.squeeze(0)
        return (torch.tanh(self.actions(x)), torch.sigmoid(self.gripper(x)), torch.cat(after_h),
                torch.cat(after_c))


class Sight(nn.Module):
    """Images [N, 3, S, S] -> latents [N, L, W]."""

    def __init__(self, c):
        super().__init__()
        self.visual, self.perceiver = official.Vision(c), official.Resampler(c)

    def forward(self, images):
        return self.perceiver(self.visual(images))


def seconds(run):
    """The shortest of three runs; of what takes long, the first has to do."""
    times = []
    while len(times) < 3 and sum(times) < 2:
        start = time.perf_counter()
        run()
        finish()
        times.append(time.perf_counter() - start)
    return min(times)


FORMS = {"official": {},
         "eager": {},
         "fastest": {"frozen": torch.jit.freeze, "optimised": torch.jit.optimize_for_inference}}


def compiled(module):
    return torch.compile(module, mode="reduce-overhead")


def forms(form):
    """What is tried besides module by module: (name, how, whether of a trace)."""
    if DEVICE == "cuda" and form == "fastest":
        return [("compiled", compiled, False)] if hasattr(torch, "compile") else []
    return [(name, make, True) for name, make in FORMS[form].items()]


def apart(a, b):
    """The RMS of the difference of two results over that of the second; infinite where it is no number."""
    a, b = (torch.cat([t.float().flatten() for t in (x if isinstance(x, tuple) else (x,))]) for x in (a, b))
    error = ((a - b).square().mean() / b.square().mean()).sqrt().item()
    return error if error == error else float("inf")


def fastest(form, module, *example):
    """(module, {variant: ms}): the module as it runs fastest on inputs like the example. A variant with other results
    is left out: frozen bfloat16 was 15% off on a processor without instructions for it, and module by module 1.5%."""
    tried = {"eager": module}
    right = module(*example)
    for name, make, traced in forms(form):
        try:
            tried[name] = make(torch.jit.trace(module, example, check_trace=False) if traced else module)
            if apart(tried[name](*example), right) > 0.03:
                tried.pop(name)
        except RuntimeError:
            tried.pop(name, None)
    if len(tried) == 1:
        return module, {"best": "eager"}
    times = {name: 1e3 * seconds(lambda m=m: m(*example)) for name, m in tried.items()}
    best = min(times, key=times.get)
    return tried[best], {"best": best, **{k: round(v, 2) for k, v in times.items()}}


class Bench:
    def __init__(self, path, exit, inputs, form):
        self.weights, self.inputs, self.form = Weights(path), inputs, form
        self.c, self.dtype = self.weights.config, self.weights.dtype
        self.exits = self.c["exit_layers"][:exit + 1]
        self.ids = there(torch.from_numpy(np.fromfile(f"{inputs}/ids.i32", np.int32)).long())
        self.made, self.said, self.next = {}, {}, 0

    def floats(self, name, *shape):
        return there(torch.from_numpy(np.fromfile(f"{self.inputs}/{name}.f32", np.float32)).view(*shape))

    def part(self, name, make):
        """Loads a part once; make gives (module, example inputs...)."""
        if name not in self.made:
            module, *example = make()
            self.made[name], self.said[name] = fastest(self.form, module, *example)
        return self.made[name]

    # ---- parts

    def media(self):
        return self.floats("media", 1, 2 * self.c["resampler_latents"], self.c["vision_width"]).to(self.dtype)

    def hidden(self, n=1):
        rows = self.get_embedding()[self.ids]
        return rows.to(self.dtype).expand(n, *rows.shape).contiguous()

    def get_embedding(self):
        if "wte" not in self.made:
            self.made["wte"] = self.weights.get("lang_encoder.transformer.wte.weight")
        return self.made["wte"]

    def layer(self, i, n=1):
        def make():
            module = self.weights.load(Layer(self.c, len(self.ids)),
                                       f"lang_encoder.transformer.blocks.{i}.", self.dtype)
            return module, self.hidden(n), self.media().expand(n, -1, -1).contiguous()
        return self.part(f"layer {i} x{n}", make)

    def state(self):
        return self.floats("state", 2, self.c["lstm_layers"], 1, self.c["lstm_hidden"])

    def head(self):
        def make():
            pooled = self.floats("pooled", 1, self.c["d_model"])
            return self.weights.load(Head(self.c), "extra_exit.", torch.float32), pooled, *self.state()
        return self.part("head", make)

    def sight(self, n):
        def make():
            module = Sight(self.c)
            self.weights.load(module.visual, "vision_encoder.visual.", self.dtype)
            self.weights.load(module.perceiver, "perceiver.", self.dtype)
            side = self.c["image_size"]
            return module, there(torch.zeros(n, 3, side, side, dtype=self.dtype))
        return self.part(f"sight x{n}", make)

    def frames(self):
        side = self.c["image_size"]
        return there(torch.from_numpy(np.fromfile(f"{self.inputs}/frames.u8", np.uint8)).view(-1, 2, side, side, 3))

    def normalised(self, frames):
        """u8 [N, 2, S, S, 3] -> [2 N, 3, S, S]"""
        mean, std = (there(torch.tensor(self.c[k])).view(3, 1, 1) * 255 for k in ("image_mean", "image_std"))
        images = frames.flatten(0, 1).permute(0, 3, 1, 2).float()
        return ((images - mean) / std).to(self.dtype)

    # ---- stages

    def start_preprocess(self):
        height, width = 480, 640
        cameras = np.fromfile(f"{self.inputs}/cameras.u8", np.uint8).reshape(2, height, width, 3)
        self.cameras = [Image.fromarray(c) for c in cameras]
        side, short = self.c["image_size"], min(height, width)
        self.size = int(side * width / short), int(side * height / short)
        left, top = (int(round((n - side) / 2.0)) for n in self.size)
        self.middle = left, top, left + side, top + side

    def run_preprocess(self):
        cut = [np.array(c.resize(self.size, Image.BICUBIC).crop(self.middle)) for c in self.cameras]
        mean, std = (torch.tensor(self.c[k]).view(3, 1, 1) for k in ("image_mean", "image_std"))
        images = torch.stack([torch.from_numpy(c.transpose(2, 0, 1)) for c in cut]).contiguous()
        self.out = images.float().div_(255).sub_(mean).div_(std)

    def result_preprocess(self):
        return self.out

    def run_layer(self):
        if self.next == 0:
            self.x = self.hidden()
        self.x = self.layer(self.next)(self.x, self.media_)
        self.next = (self.next + 1) % (self.exits[-1] + 1)

    def start_layer(self):
        self.media_ = self.media()
        for i in range(self.exits[-1] + 1):
            self.layer(i)

    def result_layer(self):
        while self.next:
            self.run_layer()
        return self.x

    def start_head(self):
        self.head()
        self.pooled, (self.h, self.c_) = self.floats("pooled", 1, self.c["d_model"]), self.state()

    def run_head(self):
        self.out = self.head()(self.pooled, self.h, self.c_)

    def result_head(self):
        return torch.cat([self.out[0], self.out[1]], 1)

    def start_act(self):
        self.start_layer()
        self.start_head()
        self.h, self.c_ = (torch.zeros_like(s) for s in self.state())

    def act(self, media):
        """The official procedure, to the deepest exit: no threshold is met before."""
        x, head = self.hidden(), self.head()
        previous = None
        for i in range(self.exits[-1] + 1):
            x = self.layer(i)(x, media)
            if i != self.exits[0] - 1 and i not in self.exits:
                continue
            pose = head(x.float().amax(1), self.h, self.c_)[0]
            if previous is not None:
                leave = (pose - previous).square().mean().sqrt().item() <= -1
            previous = pose
        assert not leave
        self.out = head(x.float().amax(1), self.h, self.c_)

    def run_act(self):
        self.act(self.media_)

    result_act = result_head

    def start_vision(self):
        self.sight(2)
        side = self.c["image_size"]
        self.pixels = self.floats("pixels", 2, 3, side, side).to(self.dtype)

    def run_vision(self):
        self.latents = self.sight(2)(self.pixels)

    def result_vision(self):
        return self.latents

    def start_replay(self):
        n = len(self.frames())
        self.sight(2 * n)
        for i in range(self.exits[-1] + 1):
            self.layer(i, n)

    def run_replay(self):
        frames = self.frames()
        n, taken = len(frames), [self.exits[0] - 1] + self.exits
        media = self.sight(2 * n)(self.normalised(frames)).view(n, -1, self.c["vision_width"])
        x, out = self.hidden(n), []
        for i in range(self.exits[-1] + 1):
            x = self.layer(i, n)(x, media)
            if i in taken:
                out.append(x.float().amax(1))
        self.features = torch.stack(out, 1)

    def result_replay(self):
        return self.features

    def start_step(self):
        self.start_act()
        self.at_once = 1 if self.form == "official" else 2
        self.sight(self.at_once)

    def run_step(self):
        images = self.normalised(self.frames()[:1]).split(self.at_once)
        latents = torch.cat([self.sight(self.at_once)(some) for some in images])
        self.act(latents.view(1, -1, self.c["vision_width"]))

    result_step = result_head

    # ---- orders

    def obey(self, order, stage, rest):
        start, run, result = (getattr(self, f"{what}_{stage}") for what in ("start", "run", "result"))
        start()
        if order == "variants":
            return json.dumps(self.said)
        if order == "check":
            self.next = 0
            run()
            values = result().float().contiguous().cpu().numpy()
            values.tofile(rest)
            return str(values.size)
        times = []
        for _ in range(int(rest)):
            begun = time.perf_counter()
            run()
            finish()
            times.append(f"{1e3 * (time.perf_counter() - begun):.6f}")
        return " ".join(times)


def main():
    global DEVICE
    path, exit, inputs, threads, form, *device = sys.argv[1:]
    DEVICE = device[0] if device else DEVICE
    torch.set_num_threads(int(threads))
    with torch.inference_mode():
        bench = Bench(path, int(exit), inputs, form)
        for line in sys.stdin:
            order, stage, *rest = line.split()
            print(bench.obey(order, stage, rest[0] if rest else ""), flush=True)


if __name__ == "__main__":
    main()
