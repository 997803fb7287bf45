#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes torchscript.pt: a TorchScript program as torch.jit.save writes them, with parameters whose
values count up from 0: visual.class_embedding [3], visual.block.0.weight [2, 3] in float16."""
import os

import torch


class Visual(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.class_embedding = torch.nn.Parameter(torch.arange(3.0))
        self.block = torch.nn.Sequential(torch.nn.Linear(3, 2, bias=False))
        self.sizes = [3, 2]

    def forward(self, x):
        return self.block(x + self.class_embedding)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.visual = Visual()

    def forward(self, x):
        return self.visual(x)


model = Model()
model.visual.block[0].weight.data = torch.arange(6.0).reshape(2, 3).half()
torch.jit.script(model).save(os.path.join(os.path.dirname(__file__), "torchscript.pt"))
