"""The graphs of layers that Functional and Sequential models are made of."""

from keras_locoprop import keras_private


def symbolic_calls(model):
    """The calls in the graphs of a model and of those nested in it.

    A layer remembers more calls than these: those of another model's graph, and
    of a Sequential that was added to since.

    Args:
        model: A `keras.Model`.

    Returns:
        List of Keras's nodes, each once. Of what is no graph of layers there
        are none.
    """
    graphs = (model, *keras_private.all_sublayers(model))
    calls = [call for graph in graphs for call in keras_private.nodes(graph)]
    return list({id(call): call for call in calls}.values())


def first_calls(calls):
    """Maps the id of each layer to the first of its calls."""
    return {id(call.operation): call for call in reversed(calls)}
