"""Rows of a comparison that was not run, for the tests of its reports."""


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


def on_two_processors():
    """Rows on two processors: as many on either, but not as many optimizers."""
    rows = [
        row("headline", "Adam", [500.0, 90.0, 70.0], 0),
        row("headline", "Muon", [500.0, 90.0, 80.0]),
        row("headline", "RMSprop", [500.0, 95.0, 90.0]),
        row("headline", "Adafactor", [500.0, 98.0, 95.0]),
    ]
    moved = [
        row("headline", "Adam", [500.0, 70.0, 60.0], 1),
        row("headline", "Adam", [500.0, 80.0, 65.0], 2),
        row("headline", "Adam", [500.0, 70.0, 55.0], settings={}),
        row("headline", "Lion", [500.0, 80.0, 75.0]),
    ]
    return rows + [each | {"processor": "another"} for each in moved]
