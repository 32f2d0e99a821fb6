"""Benchmarks of keras_locoprop, run from the root of the repository."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
