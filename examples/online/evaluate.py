#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An evaluator for deer-calib online: tries a thresholds file on a robot, and prints how it went.

    evaluate.py THRESHOLDS SEED EPISODES --model policy.safetensors --demos demos.h5

It serves the policy under these thresholds (deer-run serve), lets the robot ask it for actions, and prints the one
line of JSON that deer-calib online reads: success from 0 to 1, the mean cost of a step, how many episodes that was.

The robot below only plays recorded demonstrations and judges how far the actions are from those recorded. Put your
own in its place: start, look, act, succeeded are all that is asked of it. README.md says how. Needs python3-h5py,
python3-msgpack, python3-numpy and python3-websockets.
"""
import argparse
import asyncio
import contextlib
import json
import random
import subprocess
import sys
import urllib.request

import h5py
import msgpack
import numpy as np
import websockets


class RecordedRobot:
    """Demonstrations of deer-sim record or deer-data import: what was seen, whatever is done. An episode succeeds when the gripper
    did as recorded in 90% of the steps and the pose was within 0.15 (RMS, of -1..1) of the recorded one."""

    def __init__(self, demos):
        self.data = h5py.File(demos)["data"]

    def start(self, rng):
        """The next episode, drawn by the trial's seed; returns its instruction."""
        self.demo = self.data[rng.choice(sorted(self.data))]
        self.step, self.errors, self.agrees = 0, [], []
        return bytes(self.demo.attrs["language"]).decode()

    def look(self):
        """Two images [height, width, 3] of bytes, or None when the episode is over."""
        if self.step == len(self.demo["actions"]):
            return None
        return self.demo["obs/rgb_static"][self.step], self.demo["obs/rgb_gripper"][self.step]

    def act(self, action):
        """Moves: three translations, three rotations, the gripper (+1 open, -1 closed)."""
        wanted = self.demo["actions"][self.step]
        self.errors.append(np.mean((action[:6] - wanted[:6]) ** 2))
        self.agrees.append((action[6] > 0) == (wanted[6] > 0))
        self.step += 1

    def succeeded(self):
        return np.mean(self.agrees) >= 0.9 and np.sqrt(np.mean(self.errors)) <= 0.15


# ---------------------------------------------------------------- the policy --------------------------------


@contextlib.contextmanager
def served(model, thresholds):
    """A policy server on a free port, for as long as it is needed; gives its address, HOST:PORT."""
    server = subprocess.Popen(["deer-run", "serve", "--model", model, "--thresholds", thresholds, "--port", "0",
                               "--threads", "1"], stdout=subprocess.PIPE, text=True)
    try:
        said = server.stdout.readline()
        if "listening on ws://" not in said:
            sys.exit("the policy server did not start")
        yield said.split("ws://")[1].strip()
    finally:
        server.terminate()
        server.wait()


def pack_array(value):
    return {b"__ndarray__": True, b"data": value.tobytes(), b"dtype": value.dtype.str, b"shape": value.shape}


def unpack_array(value):
    if b"__ndarray__" in value:
        return np.ndarray(buffer=value[b"data"], dtype=np.dtype(value[b"dtype"]), shape=value[b"shape"])
    return value


async def ask(policy, images, prompt, reset):
    """The action for what is seen."""
    await policy.send(msgpack.packb({"observation/image": images[0], "observation/wrist_image": images[1],
                                     "prompt": prompt, "deer/reset": reset}, default=pack_array))
    answer = await policy.recv()
    if isinstance(answer, str):
        sys.exit(answer)  # the last line on standard error is what deer-calib online shows
    return msgpack.unpackb(answer, object_hook=unpack_array)["actions"][0]


def cost_of_a_step(address):
    """GFLOPs on average, in the scope of the thresholds: the server has counted."""
    with urllib.request.urlopen(f"http://{address}/metrics") as page:
        values = dict(line.decode().rsplit(None, 1) for line in page if not line.startswith(b"#"))
    return float(values["deer_gflops_total"]) / float(values["deer_steps_total"])


async def play(address, robot, seed, episodes):
    """How many episodes succeeded."""
    rng, good = random.Random(seed), 0
    async with websockets.connect(f"ws://{address}", compression=None, max_size=None) as policy:
        await policy.recv()  # what the server says of itself
        for _ in range(episodes):
            prompt, reset = robot.start(rng), True
            while (images := robot.look()) is not None:
                robot.act(await ask(policy, images, prompt, reset))
                reset = False
            good += bool(robot.succeeded())
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("thresholds")
    parser.add_argument("seed", type=int)
    parser.add_argument("episodes", type=int)
    parser.add_argument("--model", required=True)
    parser.add_argument("--demos", required=True)
    asked = parser.parse_args()
    robot = RecordedRobot(asked.demos)
    with served(asked.model, asked.thresholds) as address:
        good = asyncio.run(play(address, robot, asked.seed, asked.episodes))
        cost = cost_of_a_step(address)
    print(json.dumps({"success": good / asked.episodes, "cost": cost, "rollouts": asked.episodes}))


if __name__ == "__main__":
    main()
