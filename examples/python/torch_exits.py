#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The exits of a PyTorch module of your own, calibrated end to end.

A small classifier with four exits is trained; what its exits say of samples it was not trained on
becomes three arrays; deer finds thresholds that keep half of its cost, with 90% confidence; and the
module runs with them, one sample at a time, on a third set.

    apt-get install python3-torch
    OMP_WAIT_POLICY=PASSIVE python3 torch_exits.py

OMP_WAIT_POLICY=PASSIVE: otherwise the threads of torch keep every core busy while they wait, also
while deer computes.
"""
import sys

import numpy as np

import deer

try:
    import torch
    from torch import nn
except ImportError:
    sys.exit("this example needs PyTorch: apt-get install python3-torch")

WIDTH, INPUTS, CLASSES, EXITS = 64, 16, 4, 4


class EarlyExits(nn.Module):
    """Blocks, and a classifier after each."""

    def __init__(self):
        super().__init__()
        sizes = [INPUTS] + [WIDTH] * EXITS
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(a, b), nn.ReLU())
                                    for a, b in zip(sizes, sizes[1:]))
        self.heads = nn.ModuleList(nn.Linear(WIDTH, CLASSES) for _ in range(EXITS))

    def forward(self, x):
        """What every exit says: [exits, samples, classes]."""
        said = []
        for block, head in zip(self.blocks, self.heads):
            x = block(x)
            said.append(head(x))
        return torch.stack(said)

    def decide(self, x, tau):
        """One sample; stops at the first exit that is sure enough. The class, and the exit."""
        for k, (block, head) in enumerate(zip(self.blocks, self.heads)):
            x = block(x)
            chances = head(x).softmax(-1)
            if k == len(tau) - 1 or 1 - chances.max() <= tau[k]:
                return int(chances.argmax()), k

    def cost(self):
        """[exits] multiply-adds of a sample that leaves at each, heads tried before included."""
        each = [block[0].weight.numel() + head.weight.numel()
                for block, head in zip(self.blocks, self.heads)]
        return np.cumsum(each)


def samples(n):
    """Points of a spiral whose arms, the classes, are finer farther out, seen through noise of all sizes."""
    turn, radius = torch.rand(n), 0.3 + 1.7 * torch.rand(n)
    x = torch.randn(n, INPUTS) * 0.15 * torch.rand(n, 1)
    x[:, 0] += radius * (2 * np.pi * turn).cos()
    x[:, 1] += radius * (2 * np.pi * turn).sin()
    return x, ((turn + radius**2 / 2) * CLASSES).long() % CLASSES


def train(model, steps=600):
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(steps):
        x, y = samples(256)
        loss = sum(nn.functional.cross_entropy(said, y) for said in model(x))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def record(model, n):
    """What deer needs to know of n samples: delta and loss, both [samples, exits]."""
    x, y = samples(n)
    with torch.no_grad():
        chances = model(x).softmax(-1)
    delta = 1 - chances.amax(-1)  # how unsure
    wrong = (chances.argmax(-1) != y).float()
    return delta.T.numpy(), wrong.T.numpy()  # [samples, exits]; deer copies what is turned


def main():
    torch.manual_seed(1)
    torch.set_num_threads(1)
    model = EarlyExits()
    train(model)
    cost = model.cost()

    delta, wrong = record(model, 4000)
    found = deer.solve(delta, wrong, cost, fraction=0.5, confidence=0.9)
    print(f"full depth: {found.full.loss:.1%} wrong at {found.full.cost:.0f} multiply-adds")
    print(f"calibrated: {found.loss:.1%} wrong at {found.cost:.0f}; the best official heuristic "
          f"{found.official.loss:.1%}")
    within = np.searchsorted(cost, cost[-1] / 2, side="right") - 1
    print(f"always exit {within}: {wrong[:, within].mean():.1%} at {cost[within]}")
    print(f"thresholds: {found.tau}")
    print(f"guaranteed: {found.guarantee.statement}")

    x, y = samples(1000)
    with torch.no_grad():
        decided = [model.decide(sample, found.tau) for sample in x]
    used = np.mean([cost[k] for _, k in decided])
    error = np.mean([c != int(label) for (c, _), label in zip(decided, y)])
    print(f"used on 1000 others: {error:.1%} wrong at {used:.0f}, {used / cost[-1]:.1%} of full depth")
    if used > found.guarantee.budget:
        sys.exit("the promise was broken: that happens in a tenth of all calibrations at most")


if __name__ == "__main__":
    main()
