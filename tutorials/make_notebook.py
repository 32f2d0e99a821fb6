"""Writes `quickstart.ipynb` from `quickstart.py`.

Docstrings between statements become text cells, and what lies between them code
cells. The lines that read the command line, which a notebook does not have, are
left out; the cell they stood in is tagged `parameters`, as papermill and the
tests expect of the cell whose values may be replaced.
"""

import ast
import hashlib
import json
import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PROJECT = "keras-locoprop/keras_locoprop"
COMMAND_LINE = re.compile(
    r"\n*^# <command line>$.*?^# </command line>$", re.DOTALL | re.MULTILINE
)
BADGE = (
    "[![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    "(https://colab.research.google.com/github/{project}/blob/main/tutorials/"
    "{name}.ipynb)"
)
INSTALL = """\
import importlib.util

if importlib.util.find_spec("keras_locoprop") is None:
    !git clone --quiet https://github.com/{project}
    %pip install --quiet "./keras_locoprop[tutorials]"
    %cd keras_locoprop/tutorials"""


def make_notebook(source, name):
    """Turns a tutorial into a notebook.

    Args:
        source: String, a tutorial in the format of keras.io's examples.
        name: String, the tutorial's file name without its ending.

    Returns:
        String: the notebook, always the same one for the same `source`.
    """
    header, *parts = _split(source)
    cells = [
        ("markdown", _title(header, name), []),
        ("code", INSTALL.format(project=PROJECT), []),
    ]
    for kind, text in parts:
        short = COMMAND_LINE.sub("", text)
        cells.append((kind, short, ["parameters"] if short != text else []))
    notebook = {
        "cells": [_cell(*cell, index) for index, cell in enumerate(cells)],
        "metadata": {
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _split(source):
    """Yields the `(kind, text)` of every cell, the header's text first."""
    lines = source.splitlines()
    code_start = 0
    for node in ast.parse(source).body:
        if not _is_docstring(node):
            continue
        yield from _code(lines[code_start : node.lineno - 1])
        yield "markdown", node.value.value.strip()
        code_start = node.end_lineno
    yield from _code(lines[code_start:])


def _is_docstring(node):
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _code(lines):
    text = "\n".join(lines).strip("\n")
    if text:
        yield "code", text


def _title(header, name):
    _, text = header
    fields = dict(line.split(": ", 1) for line in text.splitlines())
    details = "<br>\n".join(
        f"**{field}:** {value}"
        for field, value in fields.items()
        if field not in ("Title", "Accelerator")
    )
    badge = BADGE.format(project=PROJECT, name=name)
    return f"# {fields['Title']}\n\n{badge}\n\n{details}"


def _cell(kind, text, tags, index):
    # Random ids, as notebook editors choose them, would make each run differ.
    digest = hashlib.sha256(f"{index}\n{text}".encode()).hexdigest()
    cell = {
        "cell_type": kind,
        "id": digest[:8],
        "metadata": {"tags": tags} if tags else {},
        "source": text.splitlines(keepends=True),
    }
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell


if __name__ == "__main__":
    source = (FOLDER / "quickstart.py").read_text(encoding="utf-8")
    notebook = make_notebook(source, "quickstart")
    (FOLDER / "quickstart.ipynb").write_text(notebook, encoding="utf-8")
