#!/usr/bin/python3
"""Writes tests/data/lerobot: two datasets as LeRobot has them, in version 2.1 and 3.0.

The Parquet files are written by hand after the format's description (parquet.thrift, Encodings.md),
in the kinds of pages that LeRobot's writers make; videos are made by ffmpeg. Two episodes of 5 and 4
steps; number c of the action in step t of episode e is (e * 5 + t) * 0.1 - 0.4 + c * 0.01, as
float32, and +-1 for the gripper. Frame t of episode e is of one grey, 40 + 20 * (5 * e + t), with the
right half 10 darker. Run: /usr/bin/python3 tests/data/make_lerobot.py
"""
import json
import os
import shutil
import struct
import subprocess
import zlib

HERE = os.path.dirname(os.path.abspath(__file__)) + "/lerobot/"
STEPS, FPS, SIZE = (5, 4), 10, (32, 48)
NAMES = ["x", "y", "z", "roll", "pitch", "yaw", "gripper"]
TASKS = ["open the drawer", "push the block"]


# ---- Thrift's compact protocol ----
def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def zigzag(n):
    return varint(n << 1 if n >= 0 else (-n << 1) - 1)


def struct_of(fields):
    out, last = b"", 0
    for number, kind, data in fields:
        out += bytes([(number - last) << 4 | kind]) + data
        last = number
    return out + b"\0"


def i32(number, n):
    return (number, 5, zigzag(n))


def i64(number, n):
    return (number, 6, zigzag(n))


def text(number, s):
    return (number, 8, varint(len(s)) + s.encode())


def many(number, kind, items):
    head = bytes([len(items) << 4 | kind]) if len(items) < 15 else bytes([0xF0 | kind]) + varint(len(items))
    return (number, 9, head + b"".join(items))


def inner(number, fields):
    return (number, 12, struct_of(fields))


# ---- compressions ----
def snappy(data):
    out = varint(len(data))
    for i in range(0, len(data), 60):
        piece = data[i:i + 60]
        out += bytes([(len(piece) - 1) << 2]) + piece
    return out


def zstd(data):
    head = b"\x28\xb5\x2f\xfd" + bytes([0xA0]) + struct.pack("<I", len(data))
    return head + struct.pack("<I", len(data) << 3 | 1)[:3] + data


CODECS = {"none": (0, lambda d: d), "snappy": (1, snappy),
          "gzip": (2, lambda d: (lambda c: c.compress(d) + c.flush())(zlib.compressobj(9, zlib.DEFLATED, 31))),
          "zstd": (6, zstd)}


# ---- columns: name, type (2 int64, 4 float, 6 bytes), list?, rows ----
def levels(values, width):  # packed runs of 8
    values = values + [0] * (-len(values) % 8)
    bits, out = 0, varint(len(values) // 8 << 1 | 1)
    for i, v in enumerate(values):
        bits |= v << i * width
    return out + bits.to_bytes(len(values) * width // 8, "little")


def plain(kind, values):
    if kind == 6:
        return b"".join(struct.pack("<I", len(v)) + v for v in values)
    return b"".join(struct.pack({2: "<q", 4: "<f"}[kind], v) for v in values)


def page(kind, count, body, codec, head, prefix=b""):
    packed = CODECS[codec][1](body) if body else body
    return struct_of([i32(1, kind), i32(2, len(prefix) + len(body)), i32(3, len(prefix) + len(packed)),
                      head]) + prefix + packed


def chunk(kind, is_list, rows, codec, dictionary, second):
    values = [v for r in rows for v in r] if is_list else rows
    rep = [0 if i == 0 else 1 for r in rows for i in range(len(r))] if is_list else []
    definition = [3 if is_list else 1] * len(values)
    out, body, encoding = b"", plain(kind, values), 0
    if dictionary:
        words = sorted(set(values))
        out = page(2, 0, plain(kind, words), codec, inner(7, [i32(1, len(words)), i32(2, 0)]))
        width = max(1, (len(words) - 1).bit_length())
        body, encoding = bytes([width]) + levels([words.index(v) for v in values], width), 8
    start = len(out)
    d = levels(definition, 2 if is_list else 1)
    r = levels(rep, 1) if is_list else b""
    n = len(values)
    if second:
        head = inner(8, [i32(1, n), i32(2, 0), i32(3, len(rows)), i32(4, encoding), i32(5, len(d)), i32(6, len(r))])
        out += page(3, n, body, codec, head, r + d)
    else:
        pre = (struct.pack("<I", len(r)) + r if is_list else b"") + struct.pack("<I", len(d)) + d
        out += page(0, n, pre + body, codec, inner(5, [i32(1, n), i32(2, encoding), i32(3, 3), i32(4, 3)]))
    return out, n, start


def parquet(path, columns, codec, dictionary=False, second=False, groups=1):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    schema = [struct_of([text(4, "schema"), i32(5, len({c[0].split("\t")[0] for c in columns}))])]
    done = set()
    for name, kind, is_list, _ in columns:
        if is_list:
            schema += [struct_of([i32(3, 1), text(4, name), i32(5, 1), i32(6, 3)]),
                       struct_of([i32(3, 2), text(4, "list"), i32(5, 1)]),
                       struct_of([i32(1, kind), i32(3, 1), text(4, "element")])]
        elif "\t" in name:  # in a struct, whose parts stand together
            group, part = name.split("\t")
            if group not in done:
                parts = [c for c in columns if c[0].startswith(group + "\t")]
                schema.append(struct_of([i32(3, 0), text(4, group), i32(5, len(parts))]))
                done.add(group)
            schema.append(struct_of([i32(1, kind), i32(3, 1), text(4, part)]))
        else:
            schema.append(struct_of([i32(1, kind), i32(3, 1), text(4, name)]))
    data, row_groups, total = b"PAR1", [], len(columns[0][3])
    for g in range(groups):
        a, b = total * g // groups, total * (g + 1) // groups
        parts = []
        for name, kind, is_list, rows in columns:
            out, n, start = chunk(kind, is_list, rows[a:b], codec, dictionary and kind != 4, second)
            meta = [i32(1, kind), many(2, 5, [zigzag(0)]), many(3, 8, [varint(len(name)) + name.encode()]),
                    i32(4, CODECS[codec][0]), i64(5, n), i64(6, len(out)), i64(7, len(out)), i64(9, len(data) + start)]
            if start:
                meta.append(i64(11, len(data)))
            parts.append(struct_of([i64(2, len(data)), inner(3, meta)]))
            data += out
        row_groups.append(struct_of([many(1, 12, parts), i64(2, 0), i64(3, b - a)]))
    footer = struct_of([i32(1, 2), many(2, 12, schema), i64(3, total), many(4, 12, row_groups)])
    with open(path, "wb") as f:
        f.write(data + footer + struct.pack("<I", len(footer)) + b"PAR1")


# ---- contents ----
def action(e, t):
    return [(e * 5 + t) * 0.1 - 0.4 + c * 0.01 for c in range(6)] + [1.0 if t % 2 else -1.0]


def frame(e, t):
    grey = 40 + 20 * (5 * e + t)
    return (bytes([grey] * 3 * (SIZE[1] // 2)) + bytes([grey - 10] * 3 * (SIZE[1] // 2))) * SIZE[0]


def png(rgb):
    rows = b"".join(b"\0" + rgb[y * SIZE[1] * 3:(y + 1) * SIZE[1] * 3] for y in range(SIZE[0]))
    part = lambda kind, d: struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d))
    return (b"\x89PNG\r\n\x1a\n" + part(b"IHDR", struct.pack(">IIBBBBB", SIZE[1], SIZE[0], 8, 2, 0, 0, 0)) +
            part(b"IDAT", zlib.compress(rows, 9)) + part(b"IEND", b""))


def mp4(path, frames):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    subprocess.run(["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s",
                    "%dx%d" % (SIZE[1], SIZE[0]), "-r", str(FPS), "-i", "-", "-c:v", "libx264", "-pix_fmt",
                    "yuv420p", "-crf", "10", "-g", "2", "-bf", "1", "-fflags", "+bitexact", "-flags", "+bitexact",
                    path], input=b"".join(frames), check=True)


def info(root, version, static, wrist, **more):
    camera = lambda kind: {"dtype": kind, "shape": [SIZE[0], SIZE[1], 3], "names": ["height", "width", "channels"]}
    features = {"observation.images.front": camera(static), "observation.images.wrist": camera(wrist),
                "action": {"dtype": "float32", "shape": [7], "names": {"axes": NAMES}}}
    os.makedirs(root + "meta", exist_ok=True)
    with open(root + "meta/info.json", "w") as f:
        json.dump(dict(codebase_version=version, fps=FPS, chunks_size=1000, total_episodes=2, features=features,
                       **more), f)


def rows_of(e):
    t = range(STEPS[e])
    return [[action(e, i) for i in t], [i / FPS for i in t], [i for i in t], [e] * STEPS[e], [e] * STEPS[e]]


TABLE = (("action", 4, True), ("timestamp", 4, False), ("frame_index", 2, False), ("episode_index", 2, False),
         ("task_index", 2, False))


def version_2():
    root = HERE + "v21/"
    info(root, "v2.1", "video", "video",
         data_path="data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
         video_path="videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4")
    for e in range(2):
        parquet(root + "data/chunk-000/episode_%06d.parquet" % e,
                [c + (r,) for c, r in zip(TABLE, rows_of(e))], "snappy", dictionary=True)
        for camera in ("front", "wrist"):
            mp4(root + "videos/chunk-000/observation.images.%s/episode_%06d.mp4" % (camera, e),
                [frame(e, t) for t in range(STEPS[e])])
    with open(root + "meta/episodes.jsonl", "w") as f:
        for e in range(2):
            f.write(json.dumps({"episode_index": e, "tasks": [TASKS[e]], "length": STEPS[e]}) + "\n")
    with open(root + "meta/episodes_stats.jsonl", "w") as f:
        for e in range(2):
            a = list(zip(*rows_of(e)[0]))
            f.write(json.dumps({"episode_index": e, "stats": {"action": {
                "min": [min(c) for c in a], "max": [max(c) for c in a], "mean": [float("nan")] * 7}}}) + "\n")


def version_3():
    root = HERE + "v30/"
    info(root, "v3.0", "video", "image", data_path="data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
         video_path="videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4")
    columns = [c + (a + b,) for c, a, b in zip(TABLE, rows_of(0), rows_of(1))]
    images = [png(frame(e, t)) for e in range(2) for t in range(STEPS[e])]
    columns += [("observation.images.wrist\tbytes", 6, False, images),
                ("observation.images.wrist\tpath", 6, False, [b"frame.png"] * len(images))]
    parquet(root + "data/chunk-000/file-000.parquet", columns, "zstd", second=True, groups=2)
    mp4(root + "videos/observation.images.front/chunk-000/file-000.mp4",
        [frame(e, t) for e in range(2) for t in range(STEPS[e])])
    key = "videos/observation.images.front/"
    parquet(root + "meta/episodes/chunk-000/file-000.parquet",
            [("episode_index", 2, False, [0, 1]), ("tasks", 6, True, [[TASKS[0].encode()], [TASKS[1].encode()]]),
             ("length", 2, False, list(STEPS)), ("data/chunk_index", 2, False, [0, 0]),
             ("data/file_index", 2, False, [0, 0]), (key + "chunk_index", 2, False, [0, 0]),
             (key + "file_index", 2, False, [0, 0]), (key + "from_timestamp", 4, False, [0.0, STEPS[0] / FPS])],
            "gzip", dictionary=True)


def full_range():
    frames = b"".join(bytes([grey]) * (SIZE[0] * SIZE[1] * 3) for grey in (6, 128, 250))
    subprocess.run(["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s",
                    "%dx%d" % (SIZE[1], SIZE[0]), "-r", str(FPS), "-i", "-", "-vf", "scale=out_range=pc",
                    "-color_range", "pc", "-c:v", "libvpx-vp9", "-pix_fmt", "yuv420p", "-fflags", "+bitexact",
                    "-flags", "+bitexact", HERE + "full_range.mp4"], input=frames, check=True)


def open_groups():
    """14 frames of H.264 in groups of 6 that lean on the group before: frame k is 20 + 16 k on the left, noise on the
    right, which moves, so that its slices have bytes to damage."""
    height, width, random = 48, 64, 1
    noise, frames = [], b""
    for _ in range(height * width):
        random = (random * 1664525 + 1013904223) % 2**32
        noise.append(40 + (random >> 16) % 176)
    for k in range(14):
        for y in range(height):
            for x in range(width):
                frames += bytes([20 + 16 * k if x < width // 2 else noise[y * width + (x + 3 * k) % width]] * 3)
    subprocess.run(["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s",
                    "%dx%d" % (width, height), "-r", str(FPS), "-i", "-", "-c:v", "libx264", "-pix_fmt", "yuv420p",
                    "-crf", "30", "-x264-params", "keyint=6:min-keyint=6:scenecut=0:open-gop=1:bframes=2:b-adapt=0:"
                    "threads=1", "-fflags", "+bitexact", "-flags", "+bitexact", HERE + "open_groups.mp4"],
                   input=frames, check=True)


shutil.rmtree(HERE, ignore_errors=True)
version_2()
version_3()
full_range()
open_groups()
