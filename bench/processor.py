# SPDX-License-Identifier: MIT
"""Which processor this is, and how OpenBLAS and OpenMP can be told to use it: what peers are tried with.

OpenBLAS chooses its kernels by the processor's number, and does not know every one: sgemm can then be several times
slower than what OPENBLAS_CORETYPE makes of it. A type whose instructions the processor lacks would end the
program, so only those whose flags it has are tried; one that this OpenBLAS was built without is left out, too."""
import collections
import json
import os
import platform
import subprocess
import sys

AVX512 = "avx512f avx512bw avx512cd avx512dq avx512vl"
CORE_TYPES = {  # and the flags that a processor needs for them
    "x86_64": {"Nehalem": "sse4_2", "Sandybridge": "avx", "Haswell": "avx2 fma", "Zen": "avx2 fma",
               "SkylakeX": AVX512, "Cooperlake": f"{AVX512} avx512_bf16",
               "SapphireRapids": f"{AVX512} avx512_bf16 amx_bf16"},
    "aarch64": {"ARMV8": "asimd", "CORTEXA57": "asimd", "NEOVERSEN1": "asimd asimddp",
                "NEOVERSEV1": "sve bf16", "NEOVERSEN2": "sve2 bf16"},
}
NEAR = 0.9  # of the fastest: as fast, before noise

Setting = collections.namedtuple("Setting", "core threads wait memory", defaults=["returned"])
Setting.__doc__ = """How a peer runs. core: OPENBLAS_CORETYPE, "" for OpenBLAS's own choice; wait: of OpenMP's threads for
work, "passive" (asleep) or "spinning" (some 100 microseconds awake); memory: what is freed is "returned" to the system
where it is large, which has to find it again, or "kept" by malloc."""


def cpuinfo():
    """The first processor of /proc/cpuinfo: {field: text}."""
    with open("/proc/cpuinfo") as f:
        lines = f.read().split("\n\n")[0].splitlines()
    return {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}


def name():
    """What it is called, with the numbers that tell the generation where the name does not."""
    said = cpuinfo()
    if "model name" in said:
        return f"{said['model name']}, family {said['cpu family']} model {said['model']}"
    return f"{platform.machine()}, implementer {said.get('CPU implementer', '?')} part {said.get('CPU part', '?')}"


def environment(setting):
    """The variables that make a program of OpenBLAS and OpenMP run so."""
    made = dict(os.environ, OMP_NUM_THREADS=str(setting.threads), OPENBLAS_NUM_THREADS=str(setting.threads))
    for variable in ("OMP_WAIT_POLICY", "OPENBLAS_CORETYPE", "GOMP_SPINCOUNT"):
        made.pop(variable, None)
    made.update({"OMP_WAIT_POLICY": "PASSIVE"} if setting.wait == "passive" else {"GOMP_SPINCOUNT": "100000"})
    if setting.core:
        made["OPENBLAS_CORETYPE"] = setting.core
    if setting.memory == "kept":
        made.update(MALLOC_MMAP_THRESHOLD_=str(1 << 40), MALLOC_TRIM_THRESHOLD_=str(1 << 40))
    return made


def possible(flags, machine=platform.machine()):
    """Core types whose instructions the processor has; the first is OpenBLAS's own choice."""
    return [""] + [t for t, needs in CORE_TYPES.get(machine, {}).items() if set(needs.split()) <= set(flags)]


def worth_trying(speeds):
    """{core type: GFLOP/s of each shape} -> those that are among the fastest in any shape, fastest first."""
    best = [max(shape) for shape in zip(*speeds.values())]
    share = {core: max(s / b for s, b in zip(shapes, best)) for core, shapes in speeds.items()}
    return sorted((core for core in share if share[core] >= NEAR), key=lambda core: -share[core])


def measured(threads, rounds=2):
    """{core type: (GFLOP/s of large products, of products with few rows)}, for what runs here."""
    said = cpuinfo()
    speeds = {}
    for core in rounds * possible((said.get("flags") or said.get("Features", "")).split()):
        run = subprocess.run([sys.executable, __file__], capture_output=True, text=True,
                             env=environment(Setting(core, threads, "passive")))
        used, *gflops = json.loads(run.stdout) if not run.returncode else [None]  # without OpenBLAS
        if used and core in ("", used):
            speeds[used] = tuple(map(max, gflops, speeds.get(used, gflops)))
    return speeds


def measure_sgemm():
    """In a process of its own, as its variables say: [core type, GFLOP/s of 1024^3, GFLOP/s of 14 rows]."""
    import ctypes
    import time

    import numpy as np

    blas = ctypes.CDLL("libopenblas.so.0")
    blas.openblas_get_corename.restype = ctypes.c_char_p
    row_major, plain, turned, one, zero = 101, 111, 112, ctypes.c_float(1), ctypes.c_float(0)

    def gflops(m, n, k):
        a, b, c = (np.ones(shape, np.float32) for shape in ((m, k), (n, k), (m, n)))
        times = []
        for _ in range(7):
            start = time.perf_counter()
            blas.cblas_sgemm(row_major, plain, turned, m, n, k, one, a.ctypes.data_as(ctypes.c_void_p), k,
                             b.ctypes.data_as(ctypes.c_void_p), k, zero, c.ctypes.data_as(ctypes.c_void_p), n)
            times.append(time.perf_counter() - start)
        return 2e-9 * m * n * k / min(times)

    return [blas.openblas_get_corename().decode(), gflops(1024, 1024, 1024), gflops(14, 8192, 2048)]


if __name__ == "__main__":
    print(json.dumps(measure_sgemm()))
