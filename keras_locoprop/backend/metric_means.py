"""Means of what steps report, where steps may assign any variable."""

import math

import keras


class MetricMeans:
    """Running means by name, of numbers that are reported within steps."""

    def __init__(self):
        self._means = {}

    def update(self, name, value, weight):
        """Takes a number into the mean of that name, within a step."""
        if name not in self._means:
            self._means[name] = keras.metrics.Mean()
        self._means[name].update_state(value, sample_weight=weight)

    def reset(self):
        """Forgets what was reported so far."""
        for mean in self._means.values():
            mean.reset_state()

    def results(self):
        """Dict of floats by name, NaN for what has no weight.

        Waits for steps that still run.
        """
        return {
            name: float(mean.result()) if float(mean.count) else math.nan
            for name, mean in self._means.items()
        }
