"""Runs the examples in docstrings and in the README."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import keras
import pytest

import keras_locoprop

ROOT = Path(__file__).parents[1]
BACKEND = f"keras_locoprop.backend.{keras.backend.backend()}"
MODULES = ["keras_locoprop"] + [
    module.name
    for module in pkgutil.walk_packages(
        keras_locoprop.__path__, prefix="keras_locoprop."
    )
    # Another backend may not be there.
    if module.name.count(".") < 3 or module.name.startswith(BACKEND)
]
README = (ROOT / "README.md").read_text(encoding="utf-8")
README_EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def examples_of(module):
    finder = doctest.DocTestFinder(exclude_empty=True)
    names = {"keras": keras, "keras_locoprop": keras_locoprop}
    return [
        test
        for test in finder.find(
            importlib.import_module(module), extraglobs=names
        )
        if test.examples
    ]


@pytest.mark.parametrize("module", MODULES)
def test_docstrings(module):
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in examples_of(module):
        assert runner.run(test).failed == 0


@pytest.mark.parametrize("name", keras_locoprop.__all__)
def test_every_public_name_has_a_runnable_example(name):
    module = getattr(keras_locoprop, name).__module__
    assert any(test.name.endswith(f".{name}") for test in examples_of(module))


@pytest.mark.parametrize("name", keras_locoprop.__all__)
def test_every_public_name_is_documented(name):
    text = getattr(keras_locoprop, name).__doc__
    assert "Example" in text
    assert "{" not in re.sub(r"\{[^}]*:", "", text), "an unfilled placeholder"


def test_the_readme_has_examples():
    assert len(README_EXAMPLES) >= 3


@pytest.mark.parametrize("source", README_EXAMPLES)
def test_readme(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(source, "README.md", "exec"), {"__name__": "readme"})


def test_what_the_readme_prints(capsys):
    """The names in it are those of a fresh session."""
    keras.utils.clear_session()
    shown = re.findall(r"```python\n([^`]*)```\n\n```text\n([^`]*)```", README)
    assert shown
    for source, printed in shown:
        exec(compile(source, "README.md", "exec"), {"__name__": "readme"})
        lines = capsys.readouterr().out.splitlines()
        assert [line.rstrip() for line in lines] == printed.splitlines()
