"""Results as lines of JSON, and what they were obtained with."""

import importlib
import json
import math
import os
import platform
import subprocess
from pathlib import Path

import keras
import numpy as np

import keras_locoprop

# Variables of the environment that numbers or seconds depend on.
_SWITCHES = ("JAX_DEFAULT_MATMUL_PRECISION", "XLA_FLAGS", "TF_XLA_FLAGS")


def versions():
    """The software and the kind of machine that a result depends on."""
    backend = keras.backend.backend()
    return {
        "python": platform.python_version(),
        "keras_locoprop": keras_locoprop.__version__,
        "keras": keras.__version__,
        backend: importlib.import_module(backend).__version__,
        "numpy": np.__version__,
        "system": platform.system(),
        "machine": platform.machine(),
        "cpu_count": os.cpu_count(),
        **{name: os.environ[name] for name in _SWITCHES if name in os.environ},
    } | accelerator()


def accelerator():
    """The name of the GPU, in a dict; an empty one if there is none."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return {}
    name = asked.stdout.strip()
    return {"accelerator": name} if name and not asked.returncode else {}


def append_line(path, record):
    """Appends a record to a file of JSON lines, which is made if need be."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(strict(record), allow_nan=False) + "\n"
    with path.open("a+b") as file:
        _wait_for_others(file)
        file.seek(0)
        content = file.read()
        if cut := _cut_line(content):
            file.truncate(len(content) - len(cut))
        elif content and not content.endswith(b"\n"):
            line = "\n" + line
        file.write(line.encode())


def read_lines(path):
    """Reads a file of JSON lines; none if it does not exist."""
    path = Path(path)
    if not path.exists():
        return []
    content = path.read_bytes()
    content = content.removesuffix(_cut_line(content))
    return [json.loads(line) for line in content.splitlines() if line]


def _cut_line(content):
    """The last line, if its process was killed while it wrote, or nothing."""
    last = content[content.rfind(b"\n") + 1 :]
    try:
        json.loads(last or b"{}")
    except ValueError:
        return last
    return b""


def _wait_for_others(file):
    try:
        import fcntl  # Windows has none.
    except ImportError:
        return
    fcntl.flock(file, fcntl.LOCK_EX)


def strict(value):
    """Replaces numbers that JSON does not know, NaN and infinity, by `None`."""
    if isinstance(value, dict):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def commit():
    """The commit of this repository, marked if its code has changed since."""

    def ask(*arguments):
        return subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
        )

    try:
        head = ask("rev-parse", "HEAD").stdout.strip()
        is_changed = ask("diff", "--quiet", "HEAD", "--", "*.py").returncode
    except OSError:
        return None
    return f"{head}-changed" if head and is_changed else head or None


def processor():
    """The name of the processor, as far as the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":")[1] for line in lines if "model name" in line]
    return names[0].strip() if names else platform.processor()
