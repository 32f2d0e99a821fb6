import random

import pytest

from benchmarks import documents
from benchmarks import records
from benchmarks.comparison import plots
from benchmarks.comparison import report
from benchmarks.comparison.cells import crossing_cell


def row(purpose, optimizer, losses, seed=0, problem="mnist", **more):
    configuration = {
        "purpose": purpose,
        "problem": problem,
        "optimizer": optimizer,
        "settings": {"learning_rate": 0.001},
        "epochs": len(losses) - 1,
        "seed": seed,
        "batch_size": 1000,
        **more,
    }
    points = [
        {
            "epoch": epoch,
            "seconds": (7.0 + seed) * epoch,
            "train_loss": loss,
            "test_loss": None if loss is None else loss + 1,
            "test_accuracy": 0.5 + 0.01 * seed,
        }
        for epoch, loss in enumerate(losses)
    ]
    points[0]["compile_seconds"] = 3.25
    return {
        "configuration": configuration,
        "points": points,
        "failure": None,
        "commit": "abc",
        "processor": "some",
        "versions": {"keras": "3"},
    }


ROWS = [
    *(row("final", "Adam", [500.0, 90.0 + s, 80.0 + s], s) for s in range(3)),
    *(row("final", "LocoProp()", [500.0, 70.0 + s, 60.0], s) for s in range(3)),
    row("final", "Lion", [500.0, None]),
    row("final_seconds", "Adam", [500.0, 81.5]),
    row("headline", "LocoProp()", [500.0] + [60.0] * 4 + [55.25]),
    row("tune", "Adam", [500.0, 100.0], trial=0),
    row("tune", "Adam", [500.0, 95.0], trial=1),
    row("tune", "Adam", [500.0, None], trial=2),
    row("ablations", "LocoProp()", [500.0, 66.0], table="variant"),
    row("final", "Adam", [2.3, 0.3], problem="classifier"),
]


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


def test_a_run_that_takes_far_longer_does_not_squeeze_the_others():
    runs = {
        name: [row("final", name, [9.0, 0.5], seed)]
        for name, seed in (("Adam", 0), ("Lion", 3), ("Muon", 60))
    }
    # After 7, 10 and 67 seconds.
    assert not plots.are_far_apart(runs)
    runs["Muon"] = [row("final", "Muon", [9.0, 0.5], 100)]
    assert plots.are_far_apart(runs)


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
    }
    [_, _, line] = cells(made["tuning mnist"])
    assert line[1:6] == ["3", "1", "100", "95", "1"]
    header, _, line = cells(made["final classifier"])
    assert line[header.index("test accuracy, %")] == "50.0"
    assert "test accuracy, %" not in made["final mnist"]
    assert "66" in made["ablation variant"]
    assert "residual connections" in made["unsupported"]


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


def test_the_order_of_the_rows_does_not_matter():
    shuffled = list(ROWS)
    random.Random(0).shuffle(shuffled)
    assert report.format_report(shuffled, "a.jsonl") == report.format_report(
        ROWS, "a.jsonl"
    )


@pytest.mark.parametrize(
    "results", documents.COMPARISONS.values(), ids=lambda path: path.stem
)
def test_the_committed_report_is_that_of_the_committed_results(results):
    text = results.with_suffix(".md").read_text(encoding="utf-8")
    assert text == report.format_report(
        records.read_lines(results), results.name
    )


def test_curves_are_the_median_and_the_range_over_seeds():
    places, medians, low, high = plots.curves(ROWS[:3], "epoch")
    assert places == [0, 1, 2]
    assert (medians, low, high) == (
        [500.0, 91.0, 81.0],
        [500.0, 90.0, 80.0],
        [500.0, 92.0, 82.0],
    )


def test_batch_sizes_and_settings_have_curves_of_their_own():
    rows = [
        *(row("headline", "Adam", [500.0, 90.0 + s], s) for s in range(2)),
        row("headline", "Adam", [500.0, 70.0], batch_size=500),
        row("headline", "Adam", [500.0, 60.0], settings={"beta_1": 0.7}),
    ]
    by_curve = plots.by_curve(rows)
    assert [len(runs) for runs in by_curve.values()] == [2, 1, 1]


def test_pictures_have_an_optimizers_best_settings_alone():
    rows = [
        row("headline", "Adam", [500.0, 90.0]),
        row("headline", "Adam", [500.0, 70.0], batch_size=500),
        row("headline", "Adam", [500.0, 60.0], settings={"beta_1": 0.7}),
    ]
    best = plots.of_best_settings(plots.by_curve(rows))
    ends = [runs[0]["points"][-1]["train_loss"] for runs in best.values()]
    assert sorted(ends) == [60.0, 70.0]


def test_every_coloured_curve_ends_within_the_picture():
    ends = {"LocoProp()": 60.0, "Lion": 61.0, "Adafactor": 900.0, "Adam": 300.0}
    rows = [row("final", name, [1e3, loss]) for name, loss in ends.items()]
    limit = plots.upper_limit(plots.by_curve(rows))
    assert ends["Adam"] < limit < ends["Adafactor"]


def test_pictures_are_drawn(tmp_path):
    results = tmp_path / "comparison.jsonl"
    paths = plots.draw(ROWS, results)
    assert [path.name for path in paths] == [
        "comparison_final_mnist.png",
        "comparison_final_classifier.png",
        "comparison_headline_mnist.png",
    ]
    first = [path.read_bytes() for path in paths]
    plots.draw(ROWS, results)
    assert [path.read_bytes() for path in paths] == first
