"""LocoProp beside the optimizers that people would pick instead.

python -m benchmarks.comparison tune|final|headline|ablations|check|report
    --data-dir DIR --kfac-python PYTHON --torch-python PYTHON

Each command runs what its table needs and the results file does not have yet;
`check` runs a final row of each pair once more, and compares.
"""

import argparse
import contextlib
import tempfile
from pathlib import Path

from benchmarks import documents
from benchmarks import records
from benchmarks.comparison import experiments
from benchmarks.comparison import plots
from benchmarks.comparison import report
from benchmarks.comparison import tuning
from benchmarks.comparison.peers import PEERS
from benchmarks.comparison.runs import Runner
from benchmarks.comparison.tasks import TASKS

RESULTS = documents.COMPARISONS["comparison"]
COMMANDS = ("tune", "final", "headline", "ablations", "check", "report")
SMOKE_EXAMPLES = 64
SMOKE_PROBLEMS = {
    "mnist": (experiments.PACEMAKER,),
    "classifier": tuple(PEERS),
    "convolutional": ("LocoProp()",),
    "transformer": ("Adam",),
}


def tune(options, runner):
    for problem, optimizer in _pairs(options):
        with _untuned_left_out():
            tuning.tune(
                runner, problem, optimizer, options.epochs, options.trials
            )


def final(options, runner):
    for problem, optimizer in _pairs(options):
        rows = runner.rows()
        with _untuned_left_out():
            if options.budget == "epochs":
                configurations = experiments.final(
                    rows, problem, optimizer, options.epochs, options.seeds
                )
            else:
                configurations = experiments.final_at_equal_seconds(
                    rows, problem, optimizer, options.seeds
                )
            _obtain(runner, configurations)


def headline(options, runner):
    for optimizer in options.optimizers:
        if optimizer in experiments.HEADLINE_CHANGES:
            rows = runner.rows()
            with _untuned_left_out():
                configurations = experiments.headline(
                    rows, optimizer, options.epochs, options.seeds or 1
                )
                _obtain(runner, configurations, has_checkpoint=True)


def ablations(options, runner):
    for optimizer in options.optimizers:
        _obtain(runner, experiments.ablations(optimizer, options.epochs))


def check(options, runner):
    """Runs the first seed of final rows again; nothing is recorded."""
    for row in records.read_lines(runner.results):
        configuration = row["configuration"]
        is_chosen = (
            configuration["purpose"] == experiments.FINAL
            and configuration["seed"] == experiments.FIRST_FINAL_SEED
            and configuration["problem"] in options.problems
            and configuration["optimizer"] in options.optimizers
        )
        if is_chosen:
            with tempfile.TemporaryDirectory() as folder:
                elsewhere = runner._replace(results=Path(folder) / "once")
                again = elsewhere.obtain(configuration)
            recorded = [
                tuning.score(other)
                for other in records.read_lines(runner.results)
                if other["configuration"] | {"seed": configuration["seed"]}
                == configuration
            ]
            low, high, loss = min(recorded), max(recorded), tuning.score(again)
            print(
                f"{configuration['problem']}, {configuration['optimizer']}: "
                f"train loss {loss:.5g}, "
                f"{'within' if low <= loss <= high else 'outside'} the "
                f"recorded {low:.5g} to {high:.5g}",
                flush=True,
            )


def make_report(options, runner):
    rows = records.read_lines(runner.results)
    report.write(rows, runner.results)
    plots.draw(rows, runner.results)
    if runner.results.resolve() in documents.COMPARISONS.values():
        documents.main()


def _pairs(options):
    """The problems with the optimizers that can learn them."""
    for problem in options.problems:
        for optimizer in options.optimizers:
            if problem not in PEERS[optimizer].unsupported:
                yield problem, optimizer


@contextlib.contextmanager
def _untuned_left_out():
    try:
        yield
    except tuning.NotTuned as error:
        print(f"Left out: {error}")


def _obtain(runner, configurations, has_checkpoint=False):
    for configuration in configurations:
        runner.obtain(configuration, has_checkpoint)


def smoke(options):
    """Everything once, on next to no data, in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(
            Path(folder) / "comparison.jsonl",
            options.interpreters,
            "shipped",
            examples=SMOKE_EXAMPLES,
        )
        everything = list(options.optimizers)
        options.epochs = options.trials = options.seeds = 1
        for problem, optimizers in SMOKE_PROBLEMS.items():
            options.problems = [problem]
            options.optimizers = [o for o in optimizers if o in everything]
            tune(options, runner)
        options.problems = ["classifier"]
        options.optimizers = [experiments.PACEMAKER]
        for options.budget in ("epochs", "seconds"):
            final(options, runner)
        headline(options, runner)
        make_report(options, runner)
        print((Path(folder) / "comparison.md").read_text(encoding="utf-8"))


def main(arguments=None):
    options = _parse(arguments)
    if options.smoke:
        smoke(options)
        return
    runner = Runner(
        options.results,
        options.interpreters,
        options.data_dir,
        options.download,
        options.examples,
        options.tuned,
    )
    commands = {
        "tune": tune,
        "final": final,
        "headline": headline,
        "ablations": ablations,
        "check": check,
        "report": make_report,
    }
    commands[options.command](options, runner)


def _parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("command", nargs="?", choices=COMMANDS)
    add("--smoke", action="store_true", help="all of it once, in a minute")
    add("--problems", nargs="*", choices=list(TASKS), default=list(TASKS))
    add("--optimizers", nargs="*", choices=list(PEERS), default=list(PEERS))
    add("--budget", choices=("epochs", "seconds"), default="epochs")
    add("--epochs", type=int, help="in place of the table's")
    add("--seeds", type=int, help="3 for final, 1 for headline")
    add("--trials", type=int, default=tuning.TRIALS, help="(default: 12)")
    add("--examples", type=int, help="only the first so many")
    add("--data-dir", help="as in benchmarks.sweep")
    add("--download", action="store_true", help="likewise")
    add("--kfac-python", help="an interpreter that has kfac-jax")
    add("--torch-python", help="one that has the libraries of PyTorch")
    add("--results", type=Path, default=RESULTS, help="a file of JSON lines")
    add(
        "--tuned",
        type=Path,
        help="another one, whose trials count, too",
    )
    options = parser.parse_args(arguments)
    if not options.smoke and options.command is None:
        parser.error(f"give one of {', '.join(COMMANDS)}, or --smoke")
    options.interpreters = {
        "jax_peer": options.kfac_python,
        "torch_peer": options.torch_python,
    }
    for name in list(options.optimizers):
        module = PEERS[name].module
        if module and not options.interpreters[module]:
            options.optimizers.remove(name)
            if options.command != "report":
                print(f"{name} is left out: no interpreter is given for it.")
    return options


if __name__ == "__main__":
    main()
