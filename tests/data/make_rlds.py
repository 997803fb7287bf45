#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes tests/data/rlds: a dataset of three episodes as TensorFlow's datasets store RLDS.

The bytes are written by hand: TFRecord files after record_writer.h, tf.train.Example after feature.proto,
names and lists as tensorflow_datasets flattens nested ones (core/example_serializer.py). Two files, two
episodes of 5 and 4 steps in the first, one of 3 in the second, whose floats are not packed. Number c of the
action in step t of episode e is (e * 5 + t) * 0.1 - 0.9 + c * 0.01 as float32, +-1 for the gripper. Frame t of
episode e is of one grey, 40 + 15 * (5 * e + t), the right half 10 darker: a JPEG, the wrist's a PNG.
Run: /usr/bin/python3 tests/data/make_rlds.py (needs ffmpeg)
"""
import json
import os
import struct
import subprocess
import zlib

HERE = os.path.dirname(os.path.abspath(__file__)) + "/rlds/"
STEPS, SIZE = (5, 4, 3), (32, 48)
TASKS = ["pick up the bowl", "open the drawer", "pick up the bowl"]


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(data):
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


# ---- Protocol Buffers ----
def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def message(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def texts(values):
    return message(1, b"".join(message(1, v) for v in values))


def floats(values, packed=True):
    each = [struct.pack("<f", v) for v in values]
    return message(2, message(1, b"".join(each)) if packed else b"".join(bytes([1 << 3 | 5]) + v for v in each))


def integers(values):
    return message(3, message(1, b"".join(varint(v) for v in values)))


def example(features):
    entries = b"".join(message(1, message(1, k.encode()) + message(2, v)) for k, v in features.items())
    return message(1, entries)


# ---- images ----
def grey(e, t):
    value = 40 + 15 * (5 * e + t)
    row = bytes([value] * 3 * (SIZE[1] // 2) + [value - 10] * 3 * (SIZE[1] // 2))
    return row * SIZE[0]


def png(rgb):
    def part(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + rgb[i : i + 3 * SIZE[1]] for i in range(0, len(rgb), 3 * SIZE[1]))
    head = struct.pack(">IIBBBBB", SIZE[1], SIZE[0], 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")


def jpeg(rgb):
    command = "ffmpeg -v error -f rawvideo -pix_fmt rgb24 -s %dx%d -i - -q:v 2 -f mjpeg -" % (SIZE[1], SIZE[0])
    return subprocess.run(command.split(), input=rgb, stdout=subprocess.PIPE, check=True).stdout


def episode(e):
    n = STEPS[e]
    actions = []
    for t in range(n):
        actions += [(e * 5 + t) * 0.1 - 0.9 + c * 0.01 for c in range(6)] + [1.0 if t % 2 else -1.0]
    return example({
        "steps/is_first": integers([int(t == 0) for t in range(n)]),
        "steps/action": floats(actions, e < 2),
        "steps/reward": floats([0.0] * n),
        "steps/observation/wrist_image": texts([png(grey(e, t)) for t in range(n)]),
        "steps/observation/image": texts([jpeg(grey(e, t)) for t in range(n)]),
        "steps/observation/state": floats([0.5] * 8 * n),
        "steps/language_instruction": texts([TASKS[e].encode()] * n),
        "episode_metadata/file_path": texts([b"/somewhere/demo.hdf5"]),
    })


def tensor(kind, *shape):
    return {"tensor": {"shape": {"dimensions": [str(n) for n in shape]}, "dtype": kind, "encoding": "none"}}


def image():
    shape = {"dimensions": [str(SIZE[0]), str(SIZE[1]), "3"]}
    return {"image": {"shape": shape, "dtype": "uint8", "encodingFormat": "jpeg"}}


def group(**features):
    return {"featuresDict": {"features": features}}


def main():
    os.makedirs(HERE, exist_ok=True)
    for i, episodes in enumerate(((0, 1), (2,))):
        with open(HERE + "bowls-train.tfrecord-%05d-of-00002" % i, "wb") as f:
            f.write(b"".join(record(episode(e)) for e in episodes))
    steps = group(
        action=tensor("float32", 7),
        is_first=tensor("bool"),
        reward=tensor("float32"),
        language_instruction={"text": {}},
        observation=group(image=image(), wrist_image=image(), state=tensor("float32", 8)),
    )
    root = group(steps={"sequence": {"feature": steps, "length": "-1"}}, episode_metadata=group(file_path={"text": {}}))
    with open(HERE + "features.json", "w") as f:
        json.dump(root, f, indent=1)
    with open(HERE + "dataset_info.json", "w") as f:
        json.dump({"name": "bowls", "version": "1.0.0", "splits": [{"name": "train", "shardLengths": ["2", "1"]}]}, f)


main()
