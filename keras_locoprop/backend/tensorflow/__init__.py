"""TensorFlow: a step is one graph, differentiated by tapes."""
