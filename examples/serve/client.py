# SPDX-License-Identifier: MIT
"""Asks a policy server for actions, without openpi: python3 client.py [ws://127.0.0.1:8000] [STEPS]

Needs python3-websockets, python3-msgpack and python3-numpy. Put your cameras where the images are drawn and your
robot where the action is printed. To close the loop on the simulated table: deer-sim eval --policy ws://127.0.0.1:8000
"""
import asyncio
import sys

import msgpack
import numpy as np
import websockets


def pack_array(value):
    return {b"__ndarray__": True, b"data": value.tobytes(), b"dtype": value.dtype.str, b"shape": value.shape}


def unpack_array(value):
    if b"__ndarray__" in value:
        return np.ndarray(buffer=value[b"data"], dtype=np.dtype(value[b"dtype"]), shape=value[b"shape"])
    return value


async def main(url="ws://127.0.0.1:8000", steps="10"):
    cameras = np.random.default_rng(0)
    async with websockets.connect(url, compression=None, max_size=None) as server:
        print("serves", msgpack.unpackb(await server.recv(), object_hook=unpack_array)["model"])
        for _ in range(int(steps)):
            await server.send(msgpack.packb({
                "observation/image": cameras.integers(0, 256, (96, 128, 3), dtype=np.uint8),
                "observation/wrist_image": cameras.integers(0, 256, (96, 128, 3), dtype=np.uint8),
                "prompt": "lift the red block"}, default=pack_array))
            answer = await server.recv()
            if isinstance(answer, str):
                sys.exit(answer)
            answer = msgpack.unpackb(answer, object_hook=unpack_array)
            print("exit", answer["deer/exit"], "move", answer["actions"][0].round(3))


asyncio.run(main(*sys.argv[1:]))
