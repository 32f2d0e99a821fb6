"""Lets a consumer answer in a process that cannot import TensorFlow or Keras.

Arguments: the consumer's module, the exported model, a file of inputs, the file
to write the answers to, and what else the consumer needs.
"""

import importlib
import sys

import numpy as np

for package in ("tensorflow", "keras", "keras_locoprop"):
    assert package not in sys.modules
    # From here on, importing it is an error, from whichever package.
    sys.modules[package] = None

consumer, model, inputs, answers, *details = sys.argv[1:]
answer = importlib.import_module(consumer).answer
np.save(answers, answer(model, np.load(inputs), *details))
