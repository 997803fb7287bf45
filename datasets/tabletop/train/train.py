#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Trains the tabletop policy from recorded demonstrations (development only; needs python3-torch).

    python3 train.py --data demos.h5 scenes.h5 --valid valid.h5 --out policy.pt

Of what exit k's losses ask of the decoder, it hears --share of k: with 1 everywhere all exits learn; with 0 for
the first ones these read what happens to be there, as exits given to an existing policy do.

Two stages. *Ground*: single frames; read the scene from the media tokens, and from every exit's
feature the thing the instruction is about and the place it should go to. Behaviour cloning alone
never learns which block is meant. *Clone*: windows of consecutive steps; the shared action head is run
over the features of every exit, over exits drawn at random step by step, over runs of one exit
(DeeR-VLA section 3.3), and over shallow exits with a deep one now and then (so that the recurrent state learns to
carry what was understood deep), with auxiliary heads at every exit, and over cameras that are looked through anew only
at every so-many-th step (--ages). Gradients are averaged over worker processes of
one thread each; with --device cuda one process does all. Killed, it goes on from its last checkpoint. The schedule
has --ground-steps and --clone-steps, or takes --minutes of training, the same shares of them.
"""
import argparse
import os
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn as nn
import torch.nn.functional as F

from data import Demos, encode, vocabulary
from model import CONFIG, Policy

STATE = 9          # subject xy, goal xy, hand xyz yaw, gripper width
SCENE = 15         # blocks xyz, drawer, lamp, hand xyz yaw
OBJECT_SCALE = torch.tensor([.1] * 9 + [.1, 1.] + [.1] * 3 + [.4] + [.05, 1.] + [.1] * 4)


def fast_bfloat16(device):
    """Whether it multiplies bfloat16 itself; processors that do not emulate it, seven times slower than float32."""
    if device != "cpu":
        return True
    with open("/proc/cpuinfo") as f:
        return bool({"avx512_bf16", "amx_bf16"} & set(f.read().split()))


class Readouts(nn.Module):
    """Auxiliary heads, thrown away after training."""

    def __init__(self, c):
        super().__init__()
        self.scene = nn.Linear(2 * c["resampler_latents"] * c["vision_width"], SCENE)
        self.exits = nn.ModuleList(nn.Linear(c["d_model"], STATE + 7) for _ in range(1 + c["exits"]))

    def forward(self, features):
        return torch.stack([r(f) for r, f in zip(self.exits, features.unbind(1))], 1)


def state_of(objects):
    o = objects / OBJECT_SCALE
    return torch.cat([o[:, 17:21], o[:, 11:16]], 1)


def scene_of(objects):
    return (objects / OBJECT_SCALE)[:, :SCENE]


def pose_loss(pose, action):
    return F.smooth_l1_loss(pose, action[..., :6], beta=0.05, reduction="none").sum(-1)


def grip_loss(logit, action):
    return F.binary_cross_entropy_with_logits(logit, (action[..., 6] > 0).float(), reduction="none")


class Trainer:
    def __init__(self, options, rank):
        self.o, self.rank = options, rank
        self.device = torch.device(options.device)
        if self.device.type == "cpu":
            torch.set_num_threads(1)
        torch.manual_seed(options.seed)
        self.rng = np.random.default_rng([options.seed, rank])
        self.demos, self.valid = options.demos, options.valid_demos
        self.model = Policy(options.config).to(self.device)
        self.read = Readouts(options.config).to(self.device)
        self.parameters = [*self.model.parameters(), *self.read.parameters()]
        decay = [p for p in self.parameters if p.ndim > 1]
        plain = [p for p in self.parameters if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW([dict(params=decay, weight_decay=0.02),
                                            dict(params=plain, weight_decay=0)], 1e-3, (0.9, 0.98))
        self.step, self.seconds, self.log = 0, 0.0, []
        self.clock = time.time()
        self.age, self.left = self.demos.age.cpu().numpy(), self.demos.left.cpu().numpy()
        self.starts = torch.nonzero(self.demos.age == 0).squeeze(1).cpu().numpy()
        self.early = torch.nonzero(self.demos.age < 2).squeeze(1).cpu().numpy()

    # ---- batches ----

    def inputs(self, index, ages=(0, 0)):
        """What a step sees and is told; each camera's picture that many steps old."""
        e = self.demos.episode[index]
        return (self.demos.static[index - ages[0]], self.demos.gripper[index - ages[1]], self.o.ids[e], self.o.pad[e])

    def ages(self, index):
        """How old each camera's picture is at the steps of windows [B, T]: encoded anew at every so-many-th step, 1 to 1 +
        --ages of that camera, which each window draws, as its phase; at an episode's first step always."""
        b, old = len(index), self.age[index]
        for oldest in self.o.ages:
            period = self.rng.integers(1, oldest + 2, (b, 1))
            yield torch.from_numpy(np.minimum(old, (old + self.rng.integers(0, period)) % period).reshape(-1)).to(self.device)

    def forward(self, static, gripper, ids, pad):
        """Media tokens and features; of a feature's gradient the decoder gets only that exit's share."""
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.o.bfloat16):
            media = self.model.media(static, gripper)
            features = self.model.features(media, ids, pad).float()
        share = self.o.share.view(1, -1, 1)
        return media.float(), share * features + (1 - share) * features.detach()

    # ---- losses ----

    def ground(self):
        n = self.o.frames
        index = np.concatenate([self.rng.choice(self.early, n // 2),
                                self.rng.integers(0, len(self.demos), n - n // 2)])
        index = torch.from_numpy(index).to(self.device)
        media, features = self.forward(*self.inputs(index))
        objects = self.demos.object[index]
        scene = (self.read.scene(media.flatten(1)) - scene_of(objects)).abs().mean()
        told = self.read(features)[..., :STATE]
        error = (told - state_of(objects).unsqueeze(1)).abs()
        self.note(scene=scene, first=error[:, 1, :4].mean(), last=error[:, -1, :4].mean())
        return scene + error.mean() + error[..., :4].mean()

    def windows(self):
        """Frame numbers [B, T] and which of them are real."""
        b, length = self.o.windows, self.o.window
        first = np.where(self.rng.random(b) < 0.3, self.rng.choice(self.starts, b),
                         self.rng.integers(0, len(self.demos), b))
        age, left = self.age[first], self.left[first]
        first = first - np.minimum(age, np.maximum(0, length - left))
        left = self.left[first]
        offset = np.arange(length)
        return first[:, None] + np.minimum(offset, left[:, None] - 1), offset < left[:, None]

    def exit_runs(self, b):
        """Which feature each step of each copy of the window uses, 0 the pseudo exit's. [R, B, T]"""
        k, length = self.o.config["exits"], self.o.window
        constant = np.broadcast_to(np.arange(k + 1)[:, None, None], (k + 1, b, length))
        drawn = self.rng.integers(1, k + 1, (self.o.drawn, b, length))
        runs = np.repeat(self.rng.integers(1, k + 1, (self.o.runs, b, (length + 3) // 4)), 4, 2)[:, :, :length]
        return torch.from_numpy(np.concatenate([constant, drawn, runs, self.refreshed(b)])).to(self.device)

    def refreshed(self, b):
        """One exit, and at moments drawn as often as the window's own rate says a deeper one. [--refreshed, B, T]"""
        k, shape = self.o.config["exits"], (self.o.refreshed, b, 1)
        shallow = self.rng.integers(1, k, shape)
        deep = self.rng.integers(shallow + 1, k + 1)
        rate = self.rng.uniform(0.05, 0.5, shape)
        moment = self.rng.random((self.o.refreshed, b, self.o.window)) < rate
        return np.where(moment, deep, shallow)

    def clone(self):
        index, real = self.windows()
        b, length = index.shape
        real = torch.from_numpy(real).float().to(self.device)
        flat = torch.from_numpy(index.reshape(-1)).to(self.device)
        media, features = self.forward(*self.inputs(flat, tuple(self.ages(index))))
        objects, action = self.demos.object[flat], self.demos.action[flat]
        scene = (self.read.scene(media.flatten(1)) - scene_of(objects)).abs().mean()
        told = self.read(features)
        state = (told[..., :STATE] - state_of(objects).unsqueeze(1)).abs().mean()
        wanted = action.unsqueeze(1).expand(-1, told.shape[1], -1)
        aux = (0.5 * pose_loss(told[..., STATE:STATE + 6], wanted)
               + 0.1 * grip_loss(told[..., -1], wanted)).mean()
        runs = self.exit_runs(b)
        d = features.shape[-1]
        chosen = torch.gather(features.view(1, b, length, -1, d).expand(len(runs), -1, -1, -1, -1), 3,
                              runs[..., None, None].expand(-1, -1, -1, 1, d)).squeeze(3)
        pose, grip = self.model.extra_exit(chosen.flatten(0, 1))
        pose, grip = pose.view(len(runs), b, length, 6), grip.view(len(runs), b, length)
        action = action.view(1, b, length, 7).expand(len(runs), -1, -1, -1)
        each = (0.5 * pose_loss(pose, action) + 0.1 * grip_loss(grip, action)) * real
        each = each.sum((1, 2)) / real.sum()
        weight = torch.ones(len(runs), device=self.device)
        weight[0] = 0.3
        head = (each * weight).sum() / weight.sum()
        self.note(scene=scene, state=state, aux=aux, e1=each[1], e3=each[3], e6=each[6], mix=each[7])
        return head + 0.2 * aux + self.o.state_weight * (state + scene)

    # ---- running ----

    def note(self, **values):
        self.log.append({k: v.detach() for k, v in values.items()})

    def passed(self):
        """How much of the schedule lies behind, 0 to 1, in steps or in time."""
        if self.o.minutes:
            return self.seconds / (60 * self.o.minutes)
        return self.step / (self.o.ground_steps + self.o.clone_steps)

    def grounding(self):
        return self.passed() < self.o.ground_steps / (self.o.ground_steps + self.o.clone_steps)

    def rate(self):
        """Learning rate: warm-up, then in each stage constant and a cosine to nothing."""
        ground = self.o.ground_steps / (self.o.ground_steps + self.o.clone_steps)
        passed = self.passed()
        stage = passed / ground if passed < ground else (passed - ground) / (1 - ground)
        fall = max(0.0, min(1.0, stage) - 0.3) / 0.7
        return self.o.lr * min(1, (self.step + 1) / 200) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * fall)))

    def tick(self):
        """Adds the time since the last call to what training took."""
        now = time.time()
        self.seconds, self.clock = self.seconds + now - self.clock, now

    def average(self):
        """Gradients, and the clock, so that all workers are at the same place of the schedule."""
        if self.o.workers == 1:
            return
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.parameters]
        flat = torch.cat([g.flatten() for g in grads] + [torch.tensor([self.seconds])])
        dist.all_reduce(flat)
        flat /= self.o.workers
        for p, g in zip(self.parameters, flat.split([p.numel() for p in self.parameters] + [1])):
            p.grad = g.view_as(p)
        self.seconds = float(flat[-1])

    def run(self):
        self.load()
        while self.passed() < self.o.until:
            grounding = self.grounding()
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate()
            self.optimizer.zero_grad(set_to_none=True)
            (self.ground() if grounding else self.clone()).backward()
            self.average()
            nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimizer.step()
            self.step += 1
            self.tick()
            if self.rank == 0 and (self.step % self.o.report == 0 or self.passed() >= self.o.until):
                self.report(grounding)
                self.save()

    def report(self, grounding):
        keys = self.log[-1].keys()
        rows = [r for r in self.log if r.keys() == keys]
        mean = " ".join(f"{k} {np.mean([float(r[k]) for r in rows]):.4f}" for k in keys)
        print(f"{self.seconds:6.0f} s  step {self.step}  {'ground' if grounding else 'clone'}"
              f"  {mean}  {self.validate()}", flush=True)
        self.log = []

    def validate(self):
        """Held out: whether the named block is the one read from the first frame, per exit; and the
        pose error over whole episodes with every exit throughout."""
        v = self.valid
        self.model.eval()
        with torch.no_grad():
            features = torch.cat([self.forward(v.static[i], v.gripper[i], self.o.valid_ids[v.episode[i]],
                                               self.o.valid_pad[v.episode[i]])[1]
                                  for i in torch.arange(len(v), device=self.device).split(256)])
            first = torch.nonzero(v.age == 0).squeeze(1)
            first = first[[any(c in v.task[e] for c in ("lift", "push", "stack", "store", "place"))
                           for e in v.episode[first].tolist()]]
            blocks = v.object[first][:, :9].view(-1, 3, 3)[..., :2]
            subject = v.object[first][:, 17:19]
            want = (blocks - subject.unsqueeze(1)).norm(dim=-1).argmin(1)
            told = self.read(features[first])[..., :2] * 0.1
            got = (blocks.unsqueeze(1) - told.unsqueeze(2)).norm(dim=-1).argmin(-1)
            right = (got == want.unsqueeze(1)).float().mean(0)
            starts = torch.nonzero(v.age == 0).squeeze(1).tolist() + [len(v)]
            error = torch.zeros(features.shape[1], device=self.device)
            for a, b in zip(starts, starts[1:]):
                pose, _ = self.model.extra_exit(features[a:b].transpose(0, 1))
                error += (pose - v.action[a:b, :6]).pow(2).sum(-1).sqrt().sum(1)
        self.model.train()
        show = lambda t: " ".join(f"{x:.3f}" for x in t.tolist())
        return f"subject {show(right)}  error {show(error / len(v))}"

    def load(self):
        path = self.o.out if os.path.exists(self.o.out) else self.o.init
        if not path:
            return
        saved = torch.load(path, map_location=self.device)
        self.model.load_state_dict(saved["model"])
        self.read.load_state_dict(saved["read"])
        if path == self.o.out:
            self.optimizer.load_state_dict(saved["optimizer"])
            self.step, self.seconds = saved["step"], saved.get("seconds", 0.0)

    def save(self):
        temporary = self.o.out + ".tmp"
        torch.save(dict(model=self.model.state_dict(), read=self.read.state_dict(), step=self.step,
                        seconds=self.seconds, optimizer=self.optimizer.state_dict(), config=self.o.config,
                        words=self.o.words), temporary)
        os.replace(temporary, self.o.out)


def work(rank, options):
    if options.workers > 1:
        dist.init_process_group("gloo", f"file://{options.out}.workers", rank=rank,
                                world_size=options.workers)
    Trainer(options, rank).run()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", nargs="+", required=True, help="demonstrations (deer-sim record)")
    p.add_argument("--valid", nargs="+", required=True, help="held-out demonstrations")
    p.add_argument("--out", required=True, help="checkpoint; training goes on from it if it exists")
    p.add_argument("--init", default="", help="checkpoint whose weights to start from")
    p.add_argument("--ground-steps", type=int, default=2500)
    p.add_argument("--clone-steps", type=int, default=8000)
    p.add_argument("--minutes", type=float, default=0, help="instead: the whole schedule in so many minutes of training")
    p.add_argument("--until", type=float, default=1, help="end when this much of the schedule is done, 0 to 1")
    p.add_argument("--device", default="cpu", help="cpu or cuda")
    p.add_argument("--exit-layers", type=int, nargs="+", default=CONFIG["exit_layers"],
                   help="layers, from 0, after which there is an exit; the last is the model's last")
    p.add_argument("--window", type=int, default=10, help="steps of a window while cloning")
    p.add_argument("--drawn", type=int, default=2, help="copies of a window with exits drawn step by step")
    p.add_argument("--runs", type=int, default=1, help="copies with exits drawn for four steps at a time")
    p.add_argument("--refreshed", type=int, default=0, help="copies with one exit and at moments a deeper one")
    p.add_argument("--frames", type=int, default=64, help="frames a step and worker while grounding")
    p.add_argument("--windows", type=int, default=12, help="windows a step and worker while cloning")
    p.add_argument("--ages", type=int, nargs=2, default=[0, 0], metavar=("STATIC", "GRIPPER"),
                   help="steps that a camera's picture may be old in a window")
    p.add_argument("--state-weight", type=float, default=0.3)
    p.add_argument("--share", type=float, nargs="+", default=[0, 0, 0.3, 1, 1, 1, 1],
                   help="of the gradient of the pseudo exit and each exit, what reaches the decoder")
    p.add_argument("--lr", type=float, default=1.5e-3)
    p.add_argument("--workers", type=int, default=0, help="processes (default 2 on CPUs, 1 on a GPU)")
    p.add_argument("--report", type=int, default=250)
    p.add_argument("--seed", type=int, default=0)
    o = p.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    o.demos, o.valid_demos = Demos(o.data), Demos(o.valid)
    known = torch.load(o.out)["words"] if os.path.exists(o.out) else \
        torch.load(o.init)["words"] if o.init else None
    o.words = known or vocabulary(o.demos.text + o.valid_demos.text)
    o.config = dict(CONFIG, vocab=len(o.words), media_token=o.words.index("<image>"),
                    layers=o.exit_layers[-1] + 1, exits=len(o.exit_layers), exit_layers=o.exit_layers)
    if len(o.share) != 1 + o.config["exits"]:
        p.error(f"--share has {len(o.share)} values, the pseudo exit and {o.config['exits']} exits need one each")
    if o.refreshed and o.config["exits"] < 2:
        p.error("--refreshed wants a deeper exit beside a shallow one")
    if o.device != "cpu" and o.workers > 1:
        p.error("several workers average gradients on CPUs; with --device cuda leave --workers out")
    o.workers = o.workers or (2 if o.device == "cpu" else 1)
    o.bfloat16 = fast_bfloat16(o.device)
    o.share = torch.tensor(o.share, dtype=torch.float32)
    o.ids, o.pad = encode(o.words, o.demos.text)
    o.valid_ids, o.valid_pad = encode(o.words, o.valid_demos.text)
    if o.device == "cpu":
        for tensor in (o.demos.static, o.demos.gripper, o.demos.action, o.demos.object):
            tensor.share_memory_()
    else:
        for holder in (o.demos, o.valid_demos, o):
            for name, value in vars(holder).items():
                if torch.is_tensor(value):
                    setattr(holder, name, value.to(o.device))
    print(f"{len(o.demos)} frames, {len(o.demos.text)} episodes, {len(o.words)} words", flush=True)
    if os.path.exists(o.out + ".workers"):
        os.unlink(o.out + ".workers")
    if o.workers == 1:
        work(0, o)
    else:
        mp.spawn(work, (o,), o.workers)


if __name__ == "__main__":
    main()
