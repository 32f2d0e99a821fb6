from pathlib import Path

import make_notebook
import nbclient
import nbformat

from tests.tutorials.quickstart_output import assert_has_results
from tests.tutorials.quickstart_output import assert_is_a_picture

TUTORIALS = Path(__file__).resolve().parents[2] / "tutorials"


def read_notebook():
    return nbformat.read(TUTORIALS / "quickstart.ipynb", as_version=4)


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
