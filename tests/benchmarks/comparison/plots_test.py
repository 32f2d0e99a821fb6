from benchmarks.comparison import plots
from tests.made_up_rows import ROWS
from tests.made_up_rows import on_two_processors
from tests.made_up_rows import row


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


def test_a_run_that_takes_far_longer_does_not_squeeze_the_others():
    runs = {
        name: [row("final", name, [9.0, 0.5], seed)]
        for name, seed in (("Adam", 0), ("Lion", 3), ("Muon", 60))
    }
    # After 7, 10 and 67 seconds.
    assert not plots.are_far_apart(runs)
    runs["Muon"] = [row("final", "Muon", [9.0, 0.5], 100)]
    assert plots.are_far_apart(runs)


def test_every_coloured_curve_ends_within_the_picture():
    ends = {"LocoProp()": 60.0, "Lion": 61.0, "Adafactor": 900.0, "Adam": 300.0}
    rows = [row("final", name, [1e3, loss]) for name, loss in ends.items()]
    limit = plots.upper_limit(plots.by_curve(rows))
    assert ends["Adam"] < limit < ends["Adafactor"]


def test_pictures_against_seconds_are_of_one_processor():
    rows = on_two_processors()
    first, muon, rmsprop, adafactor, _, _, best, lion = rows
    drawn = plots.panels(plots.by_curve(rows))
    assert {along: list(runs.values()) for along, runs in drawn.items()} == {
        "epoch": [[best], [lion], [muon], [rmsprop], [adafactor]],
        "seconds": [[first], [muon], [rmsprop], [adafactor]],
    }


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
