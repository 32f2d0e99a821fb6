import os
import re
import subprocess
import sys
from pathlib import Path

import make_notebook
import nbclient
import nbformat
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = ROOT / "tutorials"


@pytest.fixture
def package_on_path(monkeypatch):
    """Processes started by a test find the package, installed or not."""
    path = os.pathsep.join(
        filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
    )
    monkeypatch.setenv("PYTHONPATH", path)


def read_notebook():
    return nbformat.read(TUTORIALS / "quickstart.ipynb", as_version=4)


def assert_is_a_picture(path):
    with Image.open(path) as picture:
        width, height = picture.size
        colors = len(picture.convert("RGB").getcolors(maxcolors=width * height))
    assert width >= 900
    assert 0.4 < height / width < 1.2
    assert colors > 50


def assert_has_results(printed):
    for name in ("LocoProp", "Adam"):
        row = re.search(rf"^{name}((?: +\d+\.\d){{4}})$", printed, re.MULTILINE)
        assert row, printed
        train_loss, test_loss, seconds, first_step = map(
            float, row.group(1).split()
        )
        # Between a digit told apart from the others and 784 coin tosses.
        assert 40 < train_loss < 550
        assert 40 < test_loss < 550
        assert 0 <= seconds < 120
        assert 0 < first_step < 120


def test_script_runs(package_on_path, tmp_path):
    picture = tmp_path / "picture.png"
    command = [sys.executable, TUTORIALS / "quickstart.py"]
    command += ["--examples", "200", "--epochs", "2", "--batch-size", "100"]
    finished = subprocess.run(
        [*command, "--output", picture],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert finished.returncode == 0, finished.stderr
    assert "200 digits to train on, 2000 to test on" in finished.stdout
    assert "Loaded: Sequential, after 4 steps" in finished.stdout
    assert_has_results(finished.stdout)
    assert_is_a_picture(picture)


def test_script_refuses_unknown_arguments(package_on_path, tmp_path):
    finished = subprocess.run(
        [sys.executable, TUTORIALS / "quickstart.py", "--epoch-count", "2"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert finished.returncode == 2
    assert "unrecognized arguments" in finished.stderr


def test_notebook_runs(package_on_path, tmp_path):
    picture = tmp_path / "picture.png"
    notebook = read_notebook()
    settings = [
        index
        for index, cell in enumerate(notebook.cells)
        if "parameters" in cell.metadata.get("tags", ())
    ]
    assert len(settings) == 1
    short = (
        f"EXAMPLES, EPOCHS, BATCH_SIZE = 200, 2, 100\nOUTPUT = {str(picture)!r}"
    )
    notebook.cells.insert(settings[0] + 1, nbformat.v4.new_code_cell(short))
    nbclient.NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(TUTORIALS)}},
    ).execute()
    outputs = [
        output for cell in notebook.cells for output in cell.get("outputs", ())
    ]
    assert_has_results("".join(output.get("text", "") for output in outputs))
    assert any("image/png" in output.get("data", ()) for output in outputs)
    assert_is_a_picture(picture)


def test_notebook_is_up_to_date():
    source = (TUTORIALS / "quickstart.py").read_text(encoding="utf-8")
    written = (TUTORIALS / "quickstart.ipynb").read_text(encoding="utf-8")
    assert written == make_notebook.make_notebook(source, "quickstart"), (
        "Run `make notebook`."
    )


def test_notebook_is_valid_and_has_no_command_line():
    notebook = read_notebook()
    nbformat.validate(notebook)
    code = "\n".join(
        cell.source for cell in notebook.cells if cell.cell_type == "code"
    )
    assert "argparse" not in code
    assert "command line" not in code
    assert "import keras_locoprop" in code


def test_notebook_begins_with_title_and_badge():
    title = read_notebook().cells[0].source
    assert title.startswith("# Train an autoencoder with LocoProp\n")
    assert (
        "https://colab.research.google.com/github/keras-locoprop/keras_locoprop"
        "/blob/main/tutorials/quickstart.ipynb"
    ) in title


def test_notebook_keeps_the_order_of_text_and_code():
    source = '"""\nTitle: T\n"""\n\n"""\n## A\n"""\n\nx = 1\n\n"""B"""\ny = 2\n'
    notebook = nbformat.reads(
        make_notebook.make_notebook(source, "t"), as_version=4
    )
    assert [(cell.cell_type, cell.source) for cell in notebook.cells[2:]] == [
        ("markdown", "## A"),
        ("code", "x = 1"),
        ("markdown", "B"),
        ("code", "y = 2"),
    ]
