#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes calvin/: a split of CALVIN in small, as numpy writes it. python3 make_calvin.py (needs python3-numpy)"""
import collections
import datetime
import os

import numpy as np

rng = np.random.default_rng(1)
os.makedirs("calvin/training/lang_annotations", exist_ok=True)
os.makedirs("calvin/validation", exist_ok=True)
for split, frames in (("training", range(358482, 358490)), ("validation", range(12, 15))):
    for i in frames:
        action = np.append(np.round(rng.uniform(-1, 1, 6), 3), 1.0 if i % 2 else -1.0)
        save = np.savez if i % 4 == 3 else np.savez_compressed
        save(f"calvin/{split}/episode_{i:07d}.npz", actions=action * 2, rel_actions=action,
             robot_obs=rng.normal(size=15), scene_obs=rng.normal(size=24),
             rgb_static=np.full((6, 8, 3), i % 256, np.uint8), rgb_gripper=np.full((4, 4, 3), i % 7, np.uint8))


def annotations(path, texts, tasks, ranges):
    np.save(path, {"language": {"ann": texts, "task": tasks, "emb": np.zeros((len(texts), 1, 4), np.float32)},
                   "info": {"episodes": [], "indx": ranges}})


annotations("calvin/training/lang_annotations/auto_lang_ann.npy", ["lift the red block", "push it left"],
            ["lift_red_block_table", "push_red_block_left"], [(358482, 358485), (358485, 358489)])
annotations("calvin/validation/auto_lang_ann.npy", ["open the drawer"], ["open_drawer"],
            [(np.int64(12), np.int64(14))])


# The same annotations as other people's tools write them.
os.makedirs("calvin/forms", exist_ok=True)
texts, tasks, ranges = ["open the drawer \u00e9", "close it"], ["open_drawer", "close_drawer"], [(12, 13), (13, 14)]
forms = {
    "array": (texts, tasks, np.array(ranges)),
    "unsigned": (texts, tasks, np.array(ranges, np.uint32)),
    "fortran": (texts, tasks, np.asfortranarray(np.array(ranges))),
    "arrays": (texts, tasks, [np.array(r) for r in ranges]),
    "numbers": (texts, tasks, [(np.uint32(a), np.int64(b)) for a, b in ranges]),
    "texts": (np.array(texts), np.array(tasks), ranges),
    "text": ([np.str_(t) for t in texts], tasks, ranges),
    "objects": (np.array(texts, dtype=object), tasks, ranges),
}
for name, form in forms.items():
    annotations(f"calvin/forms/{name}.npy", *form)
np.save("calvin/forms/default.npy", collections.defaultdict(list, {
    "language": {"ann": texts, "task": tasks}, "info": {"indx": ranges}, "seen": {"a", "b"}, "when": datetime.date(2024, 1, 1)}))
