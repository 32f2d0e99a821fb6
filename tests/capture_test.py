"""What the tap records is enough: brute force over all topologies.

Each record's own vector-Jacobian product, summed over the records of a layer,
is the gradient of the training loss with respect to its weights.
"""

import keras
import numpy as np
import pytest
from keras import ops

from keras_locoprop import backend
from keras_locoprop.layers import layer_kind_of
from keras_locoprop.plan import make_plan
from keras_locoprop.tap import recording
from tests.equivalence import random_arrays
from tests.topologies import TOPOLOGIES

pytestmark = [pytest.mark.backends, pytest.mark.usefixtures("float64")]

# Layers that a local problem is expected for, in topologies that have others.
LOCAL_LAYERS = {
    "recurrent": 1,
    "bidirectional": 1,
    "embedded": 1,
    "masked_attention": 6,
    "low_rank_adapted": 1,
    "time_distributed": 2,
}


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_records_give_the_gradients_of_all_local_weights(name):
    model = keras.Model(*TOPOLOGIES[name]())
    plan = make_plan(model)
    if name in LOCAL_LAYERS:
        assert len(plan.local_layers) == LOCAL_LAYERS[name]
    assert plan.local_weights
    inputs = random_arrays(model.inputs, seed=1)
    layers = [local.layer for local in plan.local_layers]

    def forward():
        with recording(layers) as records:
            outputs = model(inputs, training=True)
        loss = sum(
            ops.mean(ops.sin(output)) for output in keras.tree.flatten(outputs)
        )
        return loss, [record.preactivation for record in records], records

    records, record_gradients, weight_gradients = backend.differentiate(
        forward, plan.local_weights
    )
    gradients = {}
    for record, gradient in zip(records, record_gradients, strict=True):
        kind = layer_kind_of(record.layer)
        products = kind.weight_gradients(
            record.layer,
            ops.convert_to_tensor(record.inputs),
            gradient,
        )
        for weight, product in zip(
            kind.weights(record.layer), products, strict=True
        ):
            gradients[id(weight)] = gradients.get(id(weight), 0.0) + product
    for weight, expected in zip(
        plan.local_weights, weight_gradients, strict=True
    ):
        np.testing.assert_allclose(
            gradients[id(weight)], expected, rtol=1e-9, atol=1e-14
        )


def test_there_are_enough_topologies():
    assert len(TOPOLOGIES) >= 25
