#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# Whether a picture's change says how much features change: the error of the deepest exit's features when a
# camera is encoded by period, by change, or at random, as often. The other camera is fresh; an age that
# the cache does not have is seen as the next older one. And the error of pictures one step old by how much they
# have changed. Usage: changes.py CACHE DEMOS, the cache made with
# --ages, of images of the model's own size.
import json
import sys

import h5py
import numpy as np

cache, recorded = h5py.File(sys.argv[1] + "/cache.h5"), h5py.File(sys.argv[2])["data"]
manifest = json.load(open(sys.argv[1] + "/manifest.json"))
ages = [manifest["ages"]["static"], manifest["ages"]["gripper"]]
patch, exits = manifest["config"]["patch_size"], len(manifest["config"]["exit_layers"])
names, steps = [n.decode() for n in cache["episode_name"][()]], cache["episode_steps"][()]
fresh = cache["features"][:, exits, :].astype(np.float32)
spread = fresh.std(0).mean()
random = np.random.default_rng(1)


def features(static, gripper):
    """Of the deepest exit, at places in the lists of ages."""
    pair = static * len(ages[1]) + gripper
    row = (pair - 1) * (1 + exits) + exits
    return cache["aged"][:, row, :].astype(np.float32) if pair else fresh


def changes(camera, oldest):
    """By age: the mean of a picture's change, and its largest patch."""
    mean, largest = np.full((2, len(fresh), oldest + 1), np.nan)
    row = 0
    for name, count in zip(names, steps):
        pictures = recorded[name]["obs"][camera][()].astype(np.int16)
        cells = pictures.shape[1] // patch
        for age in range(1, min(oldest, count - 1) + 1):
            change = np.abs(pictures[age:] - pictures[:-age]).mean(3) / 255
            patches = change.reshape(len(change), cells, patch, cells, patch).mean((2, 4))
            mean[row + age : row + count, age] = change.mean((1, 2))
            largest[row + age : row + count, age] = patches.max((1, 2))
        row += count
    return {"mean": mean, "largest patch": largest}


def follow(due, known, error, oldest):
    """Share of steps encoded, and mean error, where due(row, age) decides."""
    encoded = total = row = 0
    for count in steps:
        age = 0
        for t in range(count):
            age = 0 if t == 0 else age + 1
            if t and (age > oldest or due(row + t, age)):
                age = 0
            encoded += age == 0
            total += error[min(a for a in known if a >= age)][row + t]
        row += count
    return encoded / len(fresh), total / len(fresh)


def by_change(change, error):
    """Mean error, by change from the smallest to the largest."""
    there = ~np.isnan(change)
    change, error = change[there], error[there]
    limits = np.percentile(change, (0, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 100))
    for low, high in zip(limits[:-1], limits[1:]):
        here = (change >= low) & (change <= high)
        print("    %.3f to %.3f  error %.4f" % (low, high, error[here].mean()))


def say(how, result):
    print("  %-34s encoded %.3f  error %.4f" % ((how,) + result))


for view, camera in enumerate(("rgb_static", "rgb_gripper")):
    known, oldest = ages[view], ages[view][-1]
    seen = [features(*((i, 0) if view == 0 else (0, i))) for i in range(len(known))]
    error = {a: np.sqrt(((s - fresh) ** 2).mean(1)) / spread for a, s in zip(known, seen)}
    print(camera)
    for age in known[1:]:
        say("older than %d" % age, follow(lambda row, now: now > age, known, error, oldest))
    for measure, change in changes(camera, oldest).items():
        for age in known[1:]:
            there = ~np.isnan(change[:, age])
            print("  %s over %d steps: correlation with the error %.2f" %
                  (measure, age, np.corrcoef(change[there, age], error[age][there])[0, 1]))
        if 1 in known:
            by_change(change[:, 1], error[1])
        for rho in np.nanpercentile(change[:, 1], (10, 20, 35, 50, 65, 80, 95)):
            due = lambda row, now: change[row, now] > rho
            say("%s above %.4f" % (measure, rho), follow(due, known, error, oldest))
    for wait in (8, 10, 12):
        say("but every %dth" % wait, follow(lambda row, now: row % wait > 0, known, error, oldest))
    for share in (0.2, 0.35, 0.5, 0.65, 0.8, 0.88):
        say("at random, %.2f" % share, follow(lambda row, now: random.random() < share, known, error, oldest))
