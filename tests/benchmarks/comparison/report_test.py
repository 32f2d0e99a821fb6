import random

import pytest

from benchmarks import documents
from benchmarks import records
from benchmarks.comparison import report
from benchmarks.comparison.cells import crossing_cell
from tests.made_up_rows import ROWS
from tests.made_up_rows import on_two_processors
from tests.made_up_rows import row


def cells(text):
    return [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def test_rows_are_ranked_by_their_median():
    header, _, *lines = cells(report.tables(ROWS)["final mnist"])
    assert [line[0] for line in lines] == ["**`LocoProp()`**", "Adam", "Lion"]
    adam = dict(zip(header, lines[1]))
    assert adam["train loss"] == "81 (80–82)"
    assert adam["test loss"] == "82 (81–83)"
    assert adam["seconds"] == "16 (14–18)"
    assert adam["compilation, s"] == "3.2 (3.2–3.2)"
    assert adam["seeds"] == "3" and adam["epochs"] == "2"
    assert lines[2][header.index("train loss")] == "not finite"


def test_the_summaries_have_medians_and_rank_by_all_their_problems():
    rows = [
        *(
            row("final", "Adam", [9.0, loss], seed, problem)
            for problem in ("mnist", "classifier")
            for seed, loss in enumerate((0.9, 0.7, 0.3))
        ),
        row("final", "Lion", [9.0, 0.8]),
        row("final", "Lion", [2.3, 0.2], problem="classifier"),
        row("final", "Muon", [9.0, 0.5, 0.4]),
        row("final_seconds", "Muon", [9.0, 0.4]),
        row("final_seconds", "Lion", [9.0, None, None]),
    ]
    made = report.tables(rows)
    header, _, *lines = cells(made["final places"])
    # The epochs are said where they are the same for all.
    assert header[2:] == [
        "MNIST autoencoder",
        "Fashion-MNIST classifier, 1 epoch",
    ]
    assert lines == [
        # Muon, the first on one problem, has no run on the other one.
        ["Adam", "2.0", "2", "2"],
        ["Lion", "2.0", "3", "1"],
        ["Muon", "1.0", "1", "–"],
    ]
    _, _, *lines = cells(made["final autoencoders"])
    assert lines == [
        ["Muon", "1.0", "**0.4**, test 1.4, 14 s"],
        ["Adam", "2.0", "0.7, test 1.7, 8 s"],
        ["Lion", "3.0", "0.8, test 1.8, 7 s"],
    ]
    _, _, *lines = cells(made["final classifiers"])
    assert lines == [
        ["Lion", "1.0", "**0.2**, test 50.0 %, 7 s"],
        ["Adam", "2.0", "0.7, test 51.0 %, 8 s"],
    ]
    _, _, *lines = cells(made["final_seconds autoencoders"])
    assert [line[2] for line in lines] == [
        "**0.4**, test 1.4, 1 epoch, 7 s",
        "not finite, test not finite, 2 epochs, 14 s",
    ]


def test_where_nothing_is_finite_nothing_is_best():
    rows = [row("final", "Lion", [9.0, None])]
    assert "**" not in report.tables(rows)["final autoencoders"]


def test_of_two_settings_the_summary_has_the_better_one():
    rows = [
        row("final", "Adam", [500.0, 90.0], settings={}),
        row("final", "Adam", [500.0, 80.0]),
        row("final", "Lion", [500.0, 95.0]),
    ]
    _, _, *lines = cells(report.tables(rows)["final autoencoders"])
    assert lines == [
        ["Adam", "1.0", "**80**, test 81, 7 s"],
        ["Lion", "2.0", "95, test 96, 7 s"],
    ]


def test_runs_that_failed_are_said_to_have_failed():
    rows = [
        row("final", "Adam", [500.0, 90.0], 0),
        row("final", "Adam", [500.0, None], 1),
        row("final", "Adam", [500.0, 80.0], 2) | {"failure": "gave up"},
    ]
    header, _, line = cells(report.tables(rows)["final mnist"])
    adam = dict(zip(header, line))
    assert adam["seeds"] == "3, 2 failed"
    assert adam["train loss"] == "not finite (90–not finite)"
    assert adam["test loss"] == "not finite (91–not finite)"
    assert adam["seconds"] == "7"


def test_the_other_tables():
    made = report.tables(ROWS)
    [_, _, line] = cells(made["headline"])
    assert line[3:5] == ["60", "55.25"]
    header, _, line = cells(made["seconds to a loss"])
    assert dict(zip(header, line)) == {
        "optimizer": "**`LocoProp()`**",
        "batch size": "1000",
        "seeds": "1",
        **dict.fromkeys(("70", "60"), "7 s (1)"),
        "57": "35 s (5)",
        **dict.fromkeys(("55", "53", "52", "51"), "not in 5"),
        "settings": "learning_rate=0.001",
    }
    [_, _, line] = cells(made["tuning mnist"])
    assert line[1:6] == ["3", "1", "100", "95", "1"]
    header, _, line = cells(made["final classifier"])
    assert line[header.index("test accuracy, %")] == "50.0"
    assert "test accuracy, %" not in made["final mnist"]
    assert "66" in made["ablation variant"]
    assert "residual connections" in made["unsupported"]


def test_what_came_lower_than_the_best_of_ours():
    rows = [
        row("final", "Muon", [9.0, 0.3]),
        row("final", "Adam", [9.0, 0.4, 0.2]),
        row("final", "LocoProp()", [9.0, 0.5]),
        row("final", "LocoProp.paper()", [9.0, 0.6]),
        row("final", "Lion", [9.0, 0.7]),
        row("final_seconds", "LocoProp.paper()", [9.0, 0.1]),
        row("final_seconds", "Adam", [9.0, 0.4]),
        row("final", "Adam", [9.0, 0.8], problem="classifier"),
    ]
    header, _, *lines = cells(report.tables(rows)["ahead of ours"])
    assert "equal epochs" in header[1] and "equal seconds" in header[3]
    assert lines == [
        [
            "MNIST autoencoder",
            "**`LocoProp()`** 0.5, 7 s",
            "Adam 0.2, 14 s; Muon 0.3, 7 s",
            "**`LocoProp.paper()`** 0.1, 7 s",
            "none",
        ],
        # None of ours, and no runs of the second budget.
        ["Fashion-MNIST classifier", "–", "Adam 0.8, 7 s", "–", "–"],
    ]


def test_ablations_show_what_was_changed():
    changed = [
        row(
            "ablations",
            optimizer,
            [500.0, 66.0],
            table="batch size",
            settings={setting: 0.5, "batch_factor": size / 1000},
            batch_size=size,
        )
        for optimizer, setting in (("Adam", "beta_1"), ("LocoProp()", "decay"))
        for size in (1000, 500)
    ]
    inner = [
        row(
            "ablations",
            "LocoProp()",
            [500.0, 66.0],
            table="inner optimizer",
            settings=settings,
        )
        for settings in (
            {"learning_rate": 0.1, "momentum": 0.9},
            {"learning_rate": 0.2, "inner_optimizer": "sgd"},
        )
    ]
    made = report.tables(changed + inner)
    header, _, *lines = cells(made["ablation batch size"])
    assert header[:3] == ["optimizer", "batch size", "epochs"]
    assert [line[:2] for line in lines] == [
        [name, size]
        for name in ("Adam", "**`LocoProp()`**")
        for size in ("500", "1000")
    ]
    header, _, *_ = cells(made["ablation inner optimizer"])
    assert header[:3] == ["optimizer", "inner_optimizer", "epochs"]


def test_seconds_to_a_loss_are_medians_over_all_seeds():
    runs = [
        row("headline", "Adam", [500.0, 90.0, 70.0], 0),
        row("headline", "Adam", [500.0, 70.0, 60.0], 1),
        row("headline", "Adam", [500.0, 90.0, None], 2),
    ]
    assert crossing_cell(runs, 70) == "14 s (2)"
    assert crossing_cell(runs[:2], 70) == "14 s (2)"
    assert crossing_cell(runs, 60) == "not in 2"


def test_seconds_of_the_headline_are_of_one_processor():
    made = report.tables(on_two_processors())
    header, _, *lines = cells(made["headline"])
    wanted = ["optimizer", "seeds", "epoch 2", "seconds", "compilation, s"]
    assert [[line[header.index(n)] for n in wanted] for line in lines] == [
        ["Adam", "1", "55", "–", "–"],
        ["Adam", "3", "65 (60–70)", "14, 1 of 3 runs", "3.2"],
        ["Lion", "1", "75", "–", "–"],
        ["Muon", "1", "80", "14", "3.2"],
        ["RMSprop", "1", "90", "14", "3.2"],
        ["Adafactor", "1", "95", "14", "3.2"],
    ]
    _, _, *lines = cells(made["seconds to a loss"])
    assert [[line[0], line[2], line[3]] for line in lines] == [
        ["Adam", "1", "14 s (2)"],
        ["Muon", "1", "not in 2"],
        ["RMSprop", "1", "not in 2"],
        ["Adafactor", "1", "not in 2"],
    ]


def test_the_order_of_the_rows_does_not_matter():
    rows = ROWS + on_two_processors()
    shuffled = list(rows)
    random.Random(0).shuffle(shuffled)
    assert report.format_report(shuffled, "a.jsonl") == report.format_report(
        rows, "a.jsonl"
    )


@pytest.mark.parametrize(
    "results", documents.COMPARISONS.values(), ids=lambda path: path.stem
)
def test_the_committed_report_is_that_of_the_committed_results(results):
    text = results.with_suffix(".md").read_text(encoding="utf-8")
    assert text == report.format_report(
        records.read_lines(results), results.name
    )
