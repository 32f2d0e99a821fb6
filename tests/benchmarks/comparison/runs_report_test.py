from benchmarks.comparison import runs_report
from benchmarks.comparison.peers import PEERS


def row(purpose, optimizer, problem="mnist"):
    return {
        "configuration": {
            "purpose": purpose,
            "problem": problem,
            "optimizer": optimizer,
        }
    }


def test_what_has_been_run_is_said_by_the_shorter_list():
    text = runs_report.runs_table(
        {
            "here": [
                *(row("final", name) for name in PEERS if name != "Adam"),
                row("final", "Adam", "relu"),
                row("ablations", "Adam"),
                *(
                    row("final", name, "transformer")
                    for name in PEERS
                    if name != "locoprop (PyTorch port)"
                ),
            ],
            "there": [row("tune", "LocoProp()")],
        }
    )
    header, _, *lines = (
        line.strip("| ").split(" | ") for line in text.splitlines()
    )
    assert header == [
        "problem",
        "trials, there",
        "final runs at equal epochs, here",
    ]
    found = {problem: columns for problem, *columns in lines}
    mnist = ["**`LocoProp()`**", "all but Adam"]
    assert found.pop("MNIST autoencoder") == mnist
    assert found.pop("MNIST autoencoder with ReLU") == ["–", "Adam"]
    # The port cannot learn it.
    assert found.pop("transformer, language of words") == ["–", "all"]
    assert all(columns == ["–", "–"] for columns in found.values())
