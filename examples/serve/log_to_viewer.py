# SPDX-License-Identifier: MIT
"""Sends a log of steps (deer-run serve --log, deer-run episode --log) to rerun (0.23 or later), or with a folder to TensorBoard:
python3 log_to_viewer.py LOG.jsonl [FOLDER]"""
import json
import sys

steps = [json.loads(line) for line in open(sys.argv[1])]
if len(sys.argv) > 2:
    from torch.utils.tensorboard import SummaryWriter
    show = SummaryWriter(sys.argv[2]).add_scalar
else:
    import rerun
    rerun.init("deer", spawn=True)
    show = lambda name, value, i: (rerun.set_time("step", sequence=i), rerun.log(name, rerun.Scalars(value)))
for i, step in enumerate(steps):
    for key in ("exit", "delta", "llm_gflops", "total_gflops", "ms"):
        if step[key] is not None:
            show(f"{step['episode']}/{key}", step[key], i)
