"""Clients of TensorFlow Serving reach an exported model by gRPC.

The server here is a small one, for TensorFlow Serving itself is no Python
package; requests, answers and the service are those of its clients.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf

grpc = pytest.importorskip("grpc")
predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
service = pytest.importorskip(
    "tensorflow_serving.apis.prediction_service_pb2_grpc"
)


class Servicer(service.PredictionServiceServicer):
    def __init__(self, folder):
        self.model = tf.saved_model.load(str(folder))

    def Predict(self, request, context):
        answer = self.model.signatures[request.model_spec.signature_name]
        inputs = {
            name: tf.constant(tf.make_ndarray(values))
            for name, values in request.inputs.items()
        }
        response = predict_pb2.PredictResponse(model_spec=request.model_spec)
        for name, values in answer(**inputs).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(values))
        return response


@pytest.fixture
def client(trained, tmp_path):
    """A client of a server that answers with the trained model."""
    # A server finds the versions of a model in folders named by numbers.
    trained.model.export(tmp_path / "classifier" / "1", verbose=False)
    server = grpc.server(ThreadPoolExecutor(max_workers=1))
    service.add_PredictionServiceServicer_to_server(
        Servicer(tmp_path / "classifier" / "1"), server
    )
    port = server.add_insecure_port("localhost:0")
    server.start()
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(f"localhost:{port}", options) as channel:
        yield service.PredictionServiceStub(channel)
    server.stop(None).wait()


def test_prediction_service_answers(trained, client):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "classifier"
    request.model_spec.signature_name = "serving_default"
    [name] = [entry.name for entry in trained.model.inputs]
    request.inputs[name].CopyFrom(tf.make_tensor_proto(trained.inputs))
    response = client.Predict(request, timeout=60)
    [answers] = map(tf.make_ndarray, response.outputs.values())
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, trained.answers, rtol=0, atol=1e-5)
