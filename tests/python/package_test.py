# SPDX-License-Identifier: MIT
"""The package: declarations, installing it, examples, what the README and docs/python.md show."""
import inspect
import os
import re
import shutil
import subprocess
import sys

import cffi
import numpy as np
import pytest

import deer
from conftest import BUILD, POLICY, ROOT, program, run
from deer._library import ffi
from official_test import write_checkpoint


def test_structs_lie_as_in_c():
    """As the C compiler placed them: tests/data/abi/structs.txt, which test_abi compares with it."""
    seen = 0
    for line in (ROOT / "tests" / "data" / "abi" / "structs.txt").read_text().splitlines():
        name, offset, size = line.split()
        struct, _, field = name.partition(".")
        if field:
            try:
                kind = ffi.typeof(struct)
            except cffi.CDefError:
                continue  # of another header
            assert ffi.offsetof(struct, field) == int(offset), name
            assert ffi.sizeof(dict(kind.fields)[field].type) == int(size), name
            seen += 1
    assert seen > 100


def test_everything_public_is_described():
    for name in deer.__all__:
        thing = getattr(deer, name)
        assert inspect.getdoc(thing), name
        members = [(name, thing)] if inspect.isfunction(thing) else \
            [(f"{name}.{n}", getattr(m, "__func__", m)) for n, m in vars(thing).items()
             if not n.startswith("_")]
        for where, member in members:
            if inspect.isfunction(member):
                assert inspect.getdoc(member), where
                kinds = inspect.signature(member)
                assert kinds.return_annotation is not inspect.Signature.empty, where
                for p in list(kinds.parameters.values()):
                    assert p.name in ("self", "cls") or p.annotation is not p.empty, where
    assert (ROOT / "runtime" / "python" / "deer" / "py.typed").exists()


def test_installs_offline(tmp_path):
    pytest.importorskip("pip")
    shutil.copytree(ROOT / "runtime" / "python", tmp_path / "source",
                    ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    run(sys.executable, "-m", "pip", "install", "--no-index", "--no-build-isolation", "--no-deps",
        "--target", tmp_path / "site", tmp_path / "source")
    said = run(sys.executable, "-c", "import deer; print(deer.__file__, deer.version(), "
               "deer.calibration_version())", cwd=tmp_path,
               env={**os.environ, "PYTHONPATH": str(tmp_path / "site")})
    assert said.split() == [str(tmp_path / "site" / "deer" / "__init__.py"), "1.0.0", "1.0.0"]
    assert (tmp_path / "site" / "deer" / "py.typed").exists()


def test_a_missing_library_is_named(tmp_path):
    done = subprocess.run([sys.executable, "-c", "import deer; deer.version()"],
                          env={**os.environ, "DEER_LIBRARY_PATH": str(tmp_path)},
                          capture_output=True, text=True)
    assert done.returncode == 1
    assert "libdeer.so.1 cannot be loaded: install it with `make install`" in done.stderr


def example(name, *words):
    return run(sys.executable, ROOT / "examples" / "python" / name, *words)


def test_official_example(tmp_path):
    values = np.random.default_rng(5).gamma(2, 0.02, (6, 5000)).astype(np.float32)
    write_checkpoint(tmp_path / "deer.pth", values, 12)
    np.save(tmp_path / "values.npy", values)
    for more in ([], ["--distribution", "gauss"]):
        line = example("official.py", tmp_path / "values.npy", "--fraction", "0.6", *more)
        method = ["--method", "official-gauss"] if more else []
        assert line == run(program("deer-calib"), "solve", "--official", tmp_path / "deer.pth",
                           "--avg-fraction", "0.6", "--print-official", *method)


def test_official_example_on_a_checkpoint():
    pytest.importorskip("torch", reason="python3-torch is not installed: not read by torch here")
    path = ROOT / "tests" / "data" / "golden_c" / "deer_ckpt.pth"
    assert example("official.py", path) == run(
        program("deer-calib"), "solve", "--official", path, "--avg-fraction", "0.6",
        "--print-official")


def test_torch_example():
    pytest.importorskip("torch", reason="python3-torch is not installed: the example is not run here")
    said = example("torch_exits.py")
    assert "guaranteed: an average cost of at most 7168" in said
    used = float(re.search(r"wrong at \d+, ([\d.]+)% of full depth", said)[1])
    assert used <= 50


def blocks(path, heading=None):
    """The Python examples of a page, or of one section of it."""
    text = (ROOT / path).read_text()
    if heading:
        text = text.split(heading, 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.S | re.M)


@pytest.mark.parametrize("path, heading, least", [("README.md", "## For the researcher", 1),
                                                  ("docs/python.md", None, 5)])
def test_pages_run(tmp_path, recorded, table, monkeypatch, path, heading, least):
    """What a page shows, from top to bottom, as one program."""
    shown = blocks(path, heading)
    assert len(shown) >= least
    shutil.copy(POLICY, tmp_path / "policy.safetensors")
    shutil.copy(recorded.demos, tmp_path / "demos.h5")
    np.savez(tmp_path / "exits.npz", delta=table.delta, loss=table.loss, cost=table.cost,
             episode=table.episode)
    np.save(tmp_path / "values.npy", table.delta.T)
    (tmp_path / "page.py").write_text("\n".join(shown))
    run(sys.executable, "page.py", cwd=tmp_path)
