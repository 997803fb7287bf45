# SPDX-License-Identifier: MIT
"""A robot written from openpi's protocol: websocket, one MessagePack map a message, arrays as msgpack-numpy maps.

Usage: robot.py SCENARIO URL ARGUMENTS.. (test_serve.sh has them). Ends with 1, and says why, when the server does
anything but what docs/serve.md says. The server's process is the environment's SERVER.
"""
import asyncio
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import urllib.error
import urllib.request

import h5py
import msgpack
import numpy as np
import websockets


def pack_array(value):
    if isinstance(value, np.ndarray):
        return {b"__ndarray__": True, b"data": value.tobytes(), b"dtype": value.dtype.str, b"shape": value.shape}
    if isinstance(value, np.generic):
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}
    raise TypeError(type(value))


def unpack_array(value):
    if b"__ndarray__" in value:
        return np.ndarray(buffer=value[b"data"], dtype=np.dtype(value[b"dtype"]), shape=value[b"shape"])
    return value


def pack(value, **how):
    return msgpack.packb(value, default=pack_array, **how)


def unpack(message):
    return msgpack.unpackb(message, object_hook=unpack_array)


def connect(url, **more):
    return websockets.connect(url, compression=None, max_size=None, **more)


def page(url, path, **headers):
    """Status and text of a page."""
    request = urllib.request.Request(url.replace("ws://", "http://") + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


def metric(url, name):
    return float(next(line for line in page(url, "/metrics")[1].splitlines() if line.startswith(name + " ")).split()[1])


class Demos:
    """Recorded episodes, and what deer-run episode --log said of each step."""

    def __init__(self, demos, log):
        self.steps = {}
        for line in open(log):
            step = json.loads(line)
            self.steps.setdefault(step["episode"], []).append(step)
        self.names = list(self.steps)
        self.file = h5py.File(demos)
        self.images = {n: (self.file["data"][n]["obs/rgb_static"][:], self.file["data"][n]["obs/rgb_gripper"][:])
                       for n in self.names}

    def observation(self, name, t, kind):
        """A step's message; kinds differ in how the arrays are packed, not in what is seen."""
        static, wrist = (images[t] for images in self.images[name])
        prompt = self.steps[name][0]["instruction"]
        if kind % 4 == 1:
            static, wrist = static.transpose(2, 0, 1).copy(), wrist.transpose(2, 0, 1).copy()
        elif kind % 4 == 2:
            static, wrist = (static + 0.5) / 255, ((wrist + 0.5) / 255).astype(np.float32)
        elif kind % 4 == 3:
            prompt = np.str_(prompt)
        seen = {"observation/image": static, "observation/wrist_image": wrist, "prompt": prompt,
                "observation/state": np.zeros(8), "extra": [1, None, {"a": b"b"}]}
        if t == 0:
            seen["deer/reset"] = True
        return pack(seen)

    def check(self, name, t, answer):
        step = self.steps[name][t]
        want = np.array([step["command"]], np.float32)
        assert answer["actions"].dtype == np.float32 and answer["actions"].shape == (1, 7)
        assert answer["actions"].tobytes() == want.tobytes(), (name, t, answer["actions"], want)
        assert answer["deer/exit"] == step["exit"] and answer["deer/delta"] == step["delta"]
        assert answer["deer/gflops"] == step["total_gflops"]


async def play(url, demos, kind, steps, times=None):
    """Plays recorded episodes through the server, as many steps, and compares every action."""
    async with connect(url) as socket:
        metadata = unpack(await socket.recv())
        assert metadata["keys"]["prompt"] == "prompt" and metadata["exits"] == 6, metadata
        episode = kind
        while steps > 0:
            name = demos.names[episode % len(demos.names)]
            for t in range(min(steps, len(demos.steps[name]))):
                await socket.send(demos.observation(name, t, kind))
                answer = await socket.recv()
                assert isinstance(answer, bytes), answer
                answer = unpack(answer)
                demos.check(name, t, answer)
                timing = answer["server_timing"]
                if times is not None and "prev_total_ms" in timing:
                    times.append(timing["prev_total_ms"] - before)
                before = timing["infer_ms"]
            steps -= t + 1
            episode += 1


async def same(url, demos, log, clients, steps):
    """So many clients side by side get the actions of deer-run episode, bit for bit."""
    demos, times = Demos(demos, log), []
    await asyncio.gather(*(play(url, demos, k, int(steps), times) for k in range(int(clients))))
    assert metric(url, "deer_steps_total") >= int(clients) * int(steps)
    print(f"{clients} clients x {steps} steps: equal; besides the step, {np.median(times):.3f} ms (median), "
          f"{np.percentile(times, 99):.3f} ms (p99)")


# ---------------------------------------------------------------- hostile ------------------------------------


def hostile_messages():
    """Messages that must be answered with one line of text, and then a close with 1011."""
    image = np.zeros((8, 8, 3), np.uint8)
    good = {"observation/image": image, "observation/wrist_image": image, "prompt": "lift"}
    as_map = pack_array(image)
    whole = pack(good)

    def but(**changed):
        return pack({**good, **{{"image": "observation/image", "wrist": "observation/wrist_image"}.get(k, k): v
                                for k, v in changed.items()}})

    yield from (b"", b"\xc1", b"\x00", b"\xc0", b"\x90", b"\x80", b"\xa3abc", b"\xff" * 100, b"{}", b"GET / HTTP/1.1\r\n")
    yield from (whole[:n] for n in (1, 2, 20, 40, len(whole) // 2, len(whole) - 1))
    yield from (whole + b"\x00", whole + whole, b"\x91" + whole)
    # Claims: thousands of millions of elements, bytes that are not there, no end of depth.
    yield from (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdf\x80\x00\x00\x00" * 100,
                b"\xdd\x00\x01\x00\x00" * 1000, b"\xc6\xff\xff\xff\xff", b"\xdb\x7f\xff\xff\xffabc",
                b"\xc9\xff\xff\xff\xff\x01", b"\x91" * 100000, b"\x81\xa1a" * 100000, b"\xdc\xff\xff" * 20000,
                pack([None] * 100000), pack({"a": [[]] * 70000}), pack({str(i): i for i in range(70000)}))
    yield from (pack({k: v for k, v in good.items() if k != gone}) for gone in good)
    yield from (but(prompt=wrong) for wrong in (None, 7, [], b"lift", "", "x" * 2000, "a\0b", image, {"a": "b"},
                                                "\udcff".encode("utf-8", "surrogateescape").decode("latin-1") * 1000))
    yield from (but(image=wrong) for wrong in (
        None, 3, "image", b"\0" * 192, [], {}, {"data": b""}, image[0], image[:, :, :2], image[:0], image[None],
        np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3), np.int64), np.zeros((8, 8, 3), bool),
        np.zeros((8, 8, 3), np.uint16), np.zeros((20000, 1, 3), np.uint8), np.zeros((0, 0, 3), np.uint8),
        np.zeros((8, 8, 3), ">f4"), np.full((8, 8, 3), 1.5), np.full((8, 8, 3), np.nan, np.float32),
        np.full((8, 8, 3), -np.inf), np.full((8, 8, 3), 255.0), np.zeros((1, 1, 1, 1, 3), np.uint8)))
    yield from (but(image={**as_map, key: wrong}) for key, wrong in (
        (b"dtype", "|O"), (b"dtype", "|V8"), (b"dtype", "<c8"), (b"dtype", "<U3"), (b"dtype", ""), (b"dtype", 7),
        (b"dtype", "|u" + "1" * 1000), (b"dtype", "<u4"), (b"shape", [8, 8]), (b"shape", [8, 8, 4]), (b"shape", 192),
        (b"shape", [-8, -8, 3]), (b"shape", [2**32, 2**32, 3]), (b"shape", [2**63, 2, 3]), (b"shape", ["8", 8, 3]),
        (b"shape", [1] * 40), (b"shape", [0, 2**31, 3]), (b"data", b""), (b"data", None), (b"data", b"\0" * 191),
        (b"data", [0] * 192)))
    yield from (but(image={k: v for k, v in as_map.items() if k != gone}) for gone in as_map)
    for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80"):  # no UTF-8: a lone byte, too long a form, half of a pair
        yield whole.replace(b"\xa4lift", bytes([0xa0 + len(bad)]) + bad)
    yield pack({**good, "deer/reset": 1})
    yield pack({**good, "deer/task": 1})
    yield b"\x82" + pack("prompt") + pack("a") + pack("prompt") + pack("b")  # a key twice
    yield b"\x81\x01\x02"  # a key that is no text
    yield b"\x81\x90\x02"


async def expect_error(url, message, text=False):
    async with connect(url) as socket:
        await socket.recv()
        await socket.send(message.decode("latin-1") if text else message)
        answer = await socket.recv()
        assert isinstance(answer, str), (message[:80], answer)
        assert 0 < len(answer) < 300 and "\n" not in answer and "/" not in answer.replace("observation/", "").replace(
            "deer/", ""), answer
        try:
            await socket.recv()
        except websockets.ConnectionClosed as closed:
            assert closed.rcvd.code == 1011, closed
            return answer
        raise AssertionError("still open after: " + answer)


def raw(url, *parts, wait=0.0):
    """Bytes that are no websocket's, sent one after the other; closed without a word."""
    host, port = url[5:].split(":")
    with socket.create_connection((host, int(port)), timeout=20) as raw_socket:
        try:
            for part in parts:
                raw_socket.sendall(part)
            raw_socket.settimeout(wait or 0.05)
            raw_socket.recv(100000)
            raw_socket.recv(100000)
        except OSError:
            pass


UPGRADE = (b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")


def hostile_sockets():
    mask = b"\x01\x02\x03\x04"
    yield from ((b"",), (b"\x00" * 1000,), (b"GET " + b"/" * 100000,), (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20000,),
                (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",), (b"\x16\x03\x01\x02\x00\x01\x00",), (b"GET /healthz",),
                (UPGRADE[:40],), (UPGRADE.replace(b"websocket", b"h2c"),),
                (b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", UPGRADE.replace(b"websocket", b"other")),
                (UPGRADE.replace(b"websocket", b"other") * 3,), (UPGRADE.replace(b"13", b"99"),),
                (UPGRADE.replace(b"/ HTTP", b"/../../etc/passwd HTTP"),))
    yield from ((UPGRADE, frame) for frame in (
        b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" + mask, b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff" + mask,
        b"\x82\x05abcde", b"\xf2\x80" + mask, b"\x8b\x80" + mask, b"\x80\x80" + mask, b"\x89\xfe\xff\xff" + mask,
        b"\x88\x81" + mask + b"\x01", b"\x88\x80" + mask, b"\x02\x80" + mask, b"\x02\x80" + mask + b"\x02\x80" + mask,
        b"\x81\x81" + mask + b"\xfe", b"\x82\x84" + mask, b"\x02\x81" + mask + b"a" + b"\x00\x80" + mask * 50,
        b"\x82\xfe\x10\x00" + mask + b"z" * 100))


async def hostile(url, demos, log):
    """Each hostile client is told, or cut off, and a robot beside them goes on as if they were not there."""
    demos = Demos(demos, log)
    robot = asyncio.ensure_future(play(url, demos, 0, 300))
    count = 0
    for message in hostile_messages():
        await expect_error(url, message)
        count += 1
    for text in (b"", b"{}", b"lift"):
        await expect_error(url, text, text=True)
        count += 1
    await expect_error(url, b"\0" * (1 << 20))  # longer than the server's --max-message
    loop = asyncio.get_event_loop()
    for parts in hostile_sockets():
        await loop.run_in_executor(None, raw, url, *parts)
        count += 1
    await robot
    await play(url, demos, 1, 20)
    assert count + 1 >= 60
    print(f"{count + 1} hostile clients, the robot beside them undisturbed")


# ---------------------------------------------------------------- limits -------------------------------------


async def refused(url, status, **more):
    try:
        async with connect(url, **more) as socket:
            await socket.recv()
    except websockets.InvalidStatusCode as answer:
        assert answer.status_code == status, answer
        return
    raise AssertionError(f"not refused with {status}")


async def pipelined(url, demos):
    """Messages that do not wait for answers are answered all the same, in their order."""
    name = demos.names[0]
    async with connect(url) as socket:
        await socket.recv()
        for t in range(len(demos.steps[name])):
            await socket.send(demos.observation(name, t, 0))
        for t in range(len(demos.steps[name])):
            demos.check(name, t, unpack(await socket.recv()))


async def prompts(url, demos):
    """Another prompt begins anew; the same one goes on."""
    first, second = demos.names[:2]
    assert demos.steps[first][0]["instruction"] != demos.steps[second][0]["instruction"]
    async with connect(url) as socket:
        await socket.recv()
        for name, t in ((first, 0), (first, 1), (second, 0), (second, 1), (first, 0), (first, 1), (first, 2)):
            message = msgpack.unpackb(demos.observation(name, t, 0))
            message.pop("deer/reset", None)
            await socket.send(msgpack.packb(message))
            demos.check(name, t, unpack(await socket.recv()))


async def limits(url, demos, log, most):
    """Pages, the number of robots, what is in pieces; idle robots are told."""
    demos, most = Demos(demos, log), int(most)
    assert page(url, "/healthz") == (200, "OK\n")
    assert page(url, "/nothing")[0] == 404 and page(url, "/")[0] == 404
    sockets = [await connect(url) for _ in range(most)]
    await refused(url, 503)
    assert page(url, "/healthz") == (200, "OK\n") and metric(url, "deer_connections") == most
    for socket in sockets:
        await socket.close()
    await refused(url, 403, origin="http://somewhere")
    await pipelined(url, demos)
    await prompts(url, demos)
    async with connect(url) as socket:  # a message in fragments
        await socket.recv()
        message = demos.observation(demos.names[0], 0, 0)
        await socket.send([message[i:i + 1000] for i in range(0, len(message), 1000)])
        demos.check(demos.names[0], 0, unpack(await socket.recv()))
    text = page(url, "/metrics")[1]
    for name in ("deer_steps_total", "deer_exits_total{exit=\"5\"}", "deer_step_seconds_bucket{le=\"+Inf\"}",
                 "deer_request_seconds_count", "deer_budget_used_ratio", "deer_drift_evidence", "deer_queue"):
        assert name + " " in text, name
    steps = metric(url, "deer_steps_total")
    assert steps == metric(url, "deer_step_seconds_count") == sum(
        float(line.split()[1]) for line in text.splitlines() if line.startswith("deer_exits_total{"))


async def idle(url):
    """Where --idle is a second: a robot that says nothing, and one that does not finish what it says."""
    async with connect(url) as socket:
        await socket.recv()
        assert "no message" in await socket.recv()
    loop = asyncio.get_event_loop()
    await loop.run_in_executor(None, lambda: raw(url, UPGRADE, b"\x82\xfe\x10\x00abcd" + b"z" * 100, wait=10))
    assert metric(url, "deer_connections") == 0


async def hurried(url, demos, log):
    """At a rate that no machine keeps every step takes the first exit, and is late."""
    demos = Demos(demos, log)
    async with connect(url) as socket:
        assert unpack(await socket.recv())["rate"] == 100000
        for t in range(5):
            await socket.send(demos.observation(demos.names[0], t, 0))
            answer = unpack(await socket.recv())
            assert answer["deer/exit"] == 0 and answer["deer/late"] is True, answer
    assert metric(url, "deer_late_total") == 5


async def governed(url, demos, log, asked):
    """Every connection has its own account of the budget, and keeps within it."""
    demos, asked, used = Demos(demos, log), float(asked), 0
    moments = [(name, t) for name in demos.names for t in range(len(demos.steps[name]))]
    async with connect(url) as socket, connect(url) as other:
        await socket.recv()
        await other.recv()
        for step in range(600):
            await socket.send(demos.observation(*moments[step % len(moments)], 0))
            answer = unpack(await socket.recv())
            account, used = answer["deer/budget"], used + answer["deer/gflops"]
            assert account["steps"] == step + 1 and account["asked_gflops"] == asked, account
            assert abs(account["used_gflops"] * (step + 1) - used) < 1e-9 * used, (account, used)
            assert account["ahead_gflops"] <= 0.01 * 500 * asked * (1 + 1e-9), account
            if step in (0, 300):
                await other.send(demos.observation(*moments[0], 0))
                account = unpack(await other.recv())["deer/budget"]
                assert account["steps"] == 1 + step // 300, account
    assert abs(used / 600 / asked - 1) < 0.02, used / 600 / asked
    assert metric(url, "deer_budget_gflops") == asked
    assert 0 < metric(url, "deer_budget_most_ahead_gflops") <= 0.01 * 500 * asked * (1 + 1e-9)


def kept(url, steps):
    """So many steps of the simulated table, by one connection, took the budget."""
    assert metric(url, "deer_steps_total") >= int(steps), metric(url, "deer_steps_total")
    assert abs(metric(url, "deer_budget_used_ratio") - 1) < 0.02, metric(url, "deer_budget_used_ratio")


async def key(url, said):
    """Only whoever says the key."""
    header = {"Authorization": "Api-Key " + said}
    async with connect(url, extra_headers=header) as socket:
        assert unpack(await socket.recv())["model"] == "tabletop"
    async with connect(url, extra_headers=header, origin="http://somewhere") as socket:
        await socket.recv()
    for wrong in (said[:-1], said + "x", "", "x" * 600):
        await refused(url, 401, extra_headers={"Authorization": "Api-Key " + wrong})
    await refused(url, 401, extra_headers={"Authorization": said})
    await refused(url, 401)
    assert page(url, "/healthz")[0] == 200 and page(url, "/metrics")[0] == 401
    assert page(url, "/metrics", **header)[0] == 200


async def drain(url, demos, log):
    """SIGTERM: what was asked is answered, then everybody is sent away, and nobody comes in."""
    demos = Demos(demos, log)
    name = demos.names[0]
    async with connect(url) as socket, connect(url) as other:
        await socket.recv()
        await other.recv()
        await socket.send(demos.observation(name, 0, 0))
        demos.check(name, 0, unpack(await socket.recv()))
        await socket.send(demos.observation(name, 1, 0))
        await asyncio.sleep(0.3)  # it is there, and answered or being so
        os.kill(int(os.environ["SERVER"]), signal.SIGTERM)
        demos.check(name, 1, unpack(await socket.recv()))
        for each in (socket, other):
            try:
                await each.recv()
                raise AssertionError("a message after the last answer")
            except websockets.ConnectionClosed as closed:
                assert closed.rcvd.code == 1001, closed


def outcomes(there, here):
    """Two evaluations, the policy's own and a server's, have the same rollouts."""
    there, here = (json.load(open(file)) for file in (there, here))
    assert there["policy"].startswith("ws://") and here["policy"] is None
    keys = ("task", "number", "success", "steps", "expert_steps", "harm")
    assert [[o[k] for k in keys] for o in there["outcomes"]] == [[o[k] for k in keys] for o in here["outcomes"]]
    assert there["success"] == here["success"] and len(here["outcomes"]) > 3


def evaluated(printed, demos, log, seed):
    """What examples/online/evaluate.py says of one episode is what deer-run episode says."""
    printed, demos = json.load(open(printed)), Demos(demos, log)
    steps = demos.steps[random.Random(int(seed)).choice(sorted(demos.names))]
    assert printed["rollouts"] == 1 and printed["success"] in (0, 1), printed
    assert abs(printed["cost"] / np.mean([step["total_gflops"] for step in steps]) - 1) < 1e-6, printed


# ---------------------------------------------------------------- killed clients ------------------------------


def held():
    """Files and threads of the server."""
    process = "/proc/" + os.environ["SERVER"]
    return len(os.listdir(process + "/fd")), len(os.listdir(process + "/task"))


async def killed(url, demos, log, rounds):
    """Robots that die at any moment leave nothing behind."""
    generator, loaded = random.Random(1), Demos(demos, log)
    await play(url, loaded, 0, 20)
    await asyncio.sleep(0.2)
    before = held()
    for _ in range(int(rounds)):
        robots = [subprocess.Popen([sys.executable, __file__, "same", url, demos, log, "2", "100000"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(3)]
        for _ in range(600):  # Python takes its time to start
            if metric(url, "deer_connections") > 0:
                break
            await asyncio.sleep(0.1)
        await asyncio.sleep(generator.uniform(0, 1.5))
        for robot in robots:
            robot.kill()
            robot.wait()
    await play(url, loaded, 1, 20)
    for _ in range(100):
        await asyncio.sleep(0.1)
        if held() == before and metric(url, "deer_connections") == 0:
            break
    assert metric(url, "deer_connections") == 0
    await asyncio.sleep(0.2)  # the metrics' own connection
    assert held() == before, (held(), before)
    assert metric(url, "deer_connections_total") >= 2 + int(rounds)


if __name__ == "__main__":
    scenario = globals()[sys.argv[1]](*sys.argv[2:])
    if scenario:
        asyncio.run(scenario)
