#!/usr/bin/python3
"""Writes tests/data/demos/*.h5 with h5py: demonstrations in storage that deer does not write.

One demonstration of 3 steps; pixel i of the static camera is (i * 7) % 251, of the wrist's (i * 5) %
251, action i of all is (i % 19) / 10 - 0.9. Run: /usr/bin/python3 tests/data/make_demos.py
"""
import os
import h5py
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__)) + "/demos/"


def pixels(shape, factor):
    return (np.arange(np.prod(shape)) * factor % 251).astype(np.uint8).reshape(shape)


def write(name, convert=lambda x: x, **storage):
    with h5py.File(HERE + name, "w") as f:
        demo = f.create_group("data/demo_0")
        demo.attrs["language"] = "lift the red block"
        demo.create_dataset("obs/agentview_image", data=convert(pixels((3, 16, 12, 3), 7)), **storage)
        demo.create_dataset("obs/robot0_eye_in_hand_image", data=convert(pixels((3, 8, 8, 3), 5)),
                            **storage)
        actions = (np.arange(21) % 19 / 10 - 0.9).astype(np.float32).reshape(3, 7)
        demo.create_dataset("actions", data=actions)


write("lzf.h5", compression="lzf", shuffle=True)
write("int8.h5", lambda x: x.view(np.int8))
write("float.h5", lambda x: (x / 255).astype(np.float32))
write("first.h5", lambda x: np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
