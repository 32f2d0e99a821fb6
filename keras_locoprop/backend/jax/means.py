"""JAX: means of what steps report.

A step can assign no variable but those that Keras hands to it: the numbers are
sent out of it.
"""

import math

import jax
import numpy as np


class Means:
    def __init__(self):
        self._sums = {}

    def update(self, name, value, weight):
        self._sums.setdefault(name, np.zeros(2))

        def add(value, weight):
            self._sums[name] += np.array([value * weight, weight], float)

        jax.debug.callback(add, value, weight)

    def reset(self):
        jax.effects_barrier()
        self._sums = {name: np.zeros(2) for name in self._sums}

    def results(self):
        jax.effects_barrier()
        return {
            name: float(total / count) if count else math.nan
            for name, (total, count) in self._sums.items()
        }
