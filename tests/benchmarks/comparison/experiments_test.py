import pytest

from benchmarks import records
from benchmarks.comparison import __main__ as command_line
from benchmarks.comparison import experiments
from benchmarks.comparison import tuning
from benchmarks.comparison.cells import optimizer_cell
from benchmarks.comparison.peers import PEERS


def final_row(optimizer, epochs, seconds, seed=0, settings=None):
    return {
        "configuration": {
            "purpose": "final",
            "problem": "mnist",
            "optimizer": optimizer,
            "settings": settings or PEERS[optimizer].start,
            "seed": seed,
        },
        "points": [{"epoch": epochs, "seconds": seconds}],
        "failure": None,
    }


def trial(optimizer, loss=1.0, settings=None):
    return {
        "configuration": {
            "purpose": "tune",
            "problem": "mnist",
            "optimizer": optimizer,
            "settings": settings or PEERS[optimizer].start,
            "trial": 0,
        },
        "points": [{"train_loss": loss}],
        "failure": None,
    }


def test_final_runs_are_the_best_setting_on_several_seeds():
    configurations = experiments.final([trial("Adam")], "mnist", "Adam")
    assert [c["seed"] for c in configurations] == [1, 2, 3]
    for configuration in configurations:
        assert configuration["settings"] == PEERS["Adam"].start
        assert configuration["epochs"] == 3


def test_epochs_at_equal_seconds():
    rows = [trial("Adam"), *(final_row("Adam", 10, 40.0 + s) for s in range(3))]
    pacemaker = experiments.PACEMAKER
    rows += [trial(pacemaker), final_row(pacemaker, 10, 82.0)]
    # Of the best setting before the last trials.
    rows += [final_row("Adam", 10, 4.0, settings={"learning_rate": 3.0})] * 9
    configurations = experiments.final_at_equal_seconds(rows, "mnist", "Adam")
    assert {c["epochs"] for c in configurations} == {20}
    with pytest.raises(tuning.NotTuned, match="no runs at equal epochs"):
        experiments.final_at_equal_seconds(
            [trial("Adam"), trial(pacemaker)], "mnist", "Adam"
        )


def test_the_papers_forms_keep_the_papers_settings():
    rows = [trial("Adam")]
    [adam] = experiments.headline(rows, "Adam")
    [paper] = experiments.headline(rows, "LocoProp.paper()")
    assert adam["epochs"] == paper["epochs"] == 100
    assert adam["settings"] == tuning.best_settings(rows, "mnist", "Adam")
    assert paper["settings"]["learning_rate"] == 1e-5
    assert paper["settings"]["activation_learning_rate"] == 0.01
    assert experiments.HEADLINE_CHANGES.keys() <= PEERS.keys()


def test_the_automatic_step_is_tuned_and_averaged():
    name = 'LocoProp("auto")'
    [configuration] = experiments.headline([trial(name)], name)
    averaged = {"use_ema": True, "ema_momentum": 0.99}
    assert configuration["settings"] == PEERS[name].start | averaged


def test_k_fac_runs_with_its_librarys_average_of_the_curvature_as_well():
    name = "K-FAC (kfac-jax)"
    settings = {"initial_damping": 7.0, "curvature_ema": 0.8}
    tuned, longer = (
        configuration["settings"]
        for configuration in experiments.headline(
            [trial(name, settings=settings)], name
        )
    )
    averaged = {"use_ema": True, "ema_momentum": 0.99}
    assert tuned == settings | averaged
    assert longer == tuned | {"curvature_ema": 0.95}


def test_every_ablation_can_be_made():
    count = 0
    for name, peer in PEERS.items():
        for configuration in experiments.ablations(name):
            settings = peer.fixed | configuration["settings"]
            settings.pop("batch_factor", None)
            optimizer = peer.make(**settings)
            config = settings.get("inner_optimizer", {}).get("config", {})
            for setting, value in config.items():
                inner = optimizer.get_config()["inner_optimizer"]["config"]
                assert inner[setting] == pytest.approx(value)
            count += 1
    assert count == sum(map(len, experiments.ABLATED.values()))


@pytest.mark.slow
def test_commands_do_what_is_missing_and_report(runner, tiny, capsys):
    pacemaker = experiments.PACEMAKER
    common = ["--problems", "tiny", "--results", str(runner.results)]
    common += ["--epochs", "1"]
    final = ["final", *common, "--optimizers", pacemaker, "--seeds", "2"]
    command_line.main(final)
    assert f"Left out: {pacemaker} has no successful trial" in (
        capsys.readouterr().out
    )
    tune = ["tune", *common, "--optimizers", pacemaker, "--trials", "1"]
    command_line.main(tune)
    command_line.main(final)
    command_line.main([*final, "--budget", "seconds"])
    purposes = [
        row["configuration"]["purpose"]
        for row in records.read_lines(runner.results)
    ]
    assert purposes == ["tune", *["final"] * 2, *["final_seconds"] * 2]
    before = runner.results.read_bytes()
    command_line.main(["check", *common])
    assert f"tiny, {pacemaker}: train loss" in capsys.readouterr().out
    assert runner.results.read_bytes() == before
    command_line.main(["report", *common])
    folder = runner.results.parent
    report = (folder / "comparison.md").read_text()
    assert "## Tiny autoencoder: equal epochs" in report
    assert (folder / "comparison_final_tiny.png").stat().st_size > 10_000


def test_peers_without_an_interpreter_are_named(runner, capsys):
    command_line.main(
        [
            "tune",
            "--optimizers",
            "K-FAC (kfac-jax)",
            "--results",
            str(runner.results),
        ]
    )
    assert "K-FAC (kfac-jax) is left out" in capsys.readouterr().out
    assert not runner.results.exists()


def test_nothing_to_do(capsys):
    with pytest.raises(SystemExit):
        command_line.main([])
    assert "or --smoke" in capsys.readouterr().err


@pytest.mark.slow
def test_smoke(capsys):
    command_line.main(["--smoke"])
    report = capsys.readouterr().out
    for title in (
        "Tuning on the problem: MNIST autoencoder",
        "Tuning on the problem: transformer, language of words",
        "Fashion-MNIST classifier: equal epochs",
        "Fashion-MNIST classifier: about equal seconds",
        "Headline",
    ):
        assert f"## {title}" in report
    for name, peer in PEERS.items():
        lines = report.count(f"| {optimizer_cell(name)} |")
        assert peer.module or lines >= 2, name
