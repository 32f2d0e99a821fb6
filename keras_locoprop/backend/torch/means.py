"""PyTorch: means of what steps report."""

from keras_locoprop.backend.metric_means import MetricMeans as Means

__all__ = ["Means"]
