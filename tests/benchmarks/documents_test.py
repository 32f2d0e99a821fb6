import re

import pytest

from benchmarks import documents

MARKED = "before\n<!-- table: some -->\n{}<!-- end of table -->\nafter 4.5\n"


def test_marked_tables_are_written_anew(tmp_path, monkeypatch):
    made = {"some": "| new |\n"}
    monkeypatch.setattr(documents, "tables", lambda: made)
    document = tmp_path / "document.md"
    document.write_text(MARKED.format("| old | 1.234 |\n"))
    documents.main([document])
    assert document.read_text() == MARKED.format("| new |\n")


def test_a_table_that_there_is_not():
    with pytest.raises(KeyError, match="some"):
        documents.renewed(MARKED, {"other": ""})


def test_the_committed_tables_are_those_of_the_committed_results():
    made = documents.tables()
    for document in documents.DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        assert documents.renewed(text, made) == text, document


def test_every_document_that_marks_a_table_is_written_anew():
    root = documents.BENCHMARKS.parent
    marking = {
        path
        for path in root.rglob("*.md")
        if not any(part.startswith(".venv") for part in path.parts)
        and re.search(r"^<!-- table: ", path.read_text(), re.MULTILINE)
    }
    assert root / "README.md" in marking
    assert marking <= set(documents.DOCUMENTS)
