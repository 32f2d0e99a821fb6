"""
Title: Serve a model trained with LocoProp
Author: The keras_locoprop authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: Train, export, and answer with TensorFlow, TF Serving and ONNX.
Accelerator: None
"""

"""
## Introduction

LocoProp changes how a model is trained, and nothing of what it computes
afterwards. An exported model therefore is an ordinary one: it holds the
weights and the forward pass, no state of the optimizer, and whatever serves it
needs neither `keras_locoprop` nor Keras.

Here a small classifier of handwritten digits is trained, exported, and asked
for answers in three ways: by TensorFlow alone, by TensorFlow Serving over HTTP,
and by ONNX Runtime, without TensorFlow.
"""

"""
## Setup
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import importlib.util
import json
from pathlib import Path

import digits
import keras
import numpy as np
import tensorflow as tf

import keras_locoprop

"""
## Settings

The digits come with the repository, so nothing is fetched. All that is exported
goes into the folder `OUTPUT`.
"""

EXAMPLES = None
EPOCHS = 5
BATCH_SIZE = 128
SEED = 1
OUTPUT = "exported"

# <command line>
import argparse

parser = argparse.ArgumentParser(
    description="Trains a classifier of digits with LocoProp and exports it.",
    formatter_class=argparse.ArgumentDefaultsHelpFormatter,
)
parser.add_argument(
    "--examples",
    type=int,
    default=EXAMPLES,
    help="train on so many only",
)
parser.add_argument(
    "--epochs", type=int, default=EPOCHS, help="passes over the data"
)
parser.add_argument(
    "--batch-size", type=int, default=BATCH_SIZE, help="per step"
)
parser.add_argument("--output", default=OUTPUT, help="the folder to write to")
arguments = parser.parse_args()

EXAMPLES, EPOCHS = arguments.examples, arguments.epochs
BATCH_SIZE, OUTPUT = arguments.batch_size, arguments.output
# </command line>

"""
## Training
"""

(x_train, y_train), (x_test, y_test) = digits.load_images()
x_train, y_train = x_train[:EXAMPLES], y_train[:EXAMPLES]

keras.utils.set_random_seed(SEED)
model = keras_locoprop.Sequential(
    [
        keras.Input((784,), name="pixels"),
        keras.layers.Dense(256, activation="relu"),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(
    optimizer=keras_locoprop.LocoProp(),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.fit(
    x_train,
    y_train,
    batch_size=BATCH_SIZE,
    epochs=EPOCHS,
    validation_data=(x_test, y_test),
    verbose=2,
)
expected = model.predict(x_test, verbose=0)

"""
## Export

`export` writes a SavedModel. TensorFlow Serving looks for the versions of a
model in folders named by numbers, and serves the highest: hence the `1`.
"""

folder = Path(OUTPUT) / "digits" / "1"
model.export(folder, verbose=False)

stored = tf.train.list_variables(str(folder / "variables" / "variables"))
print(f"\nThe SavedModel in {folder} holds")
for name, shape in stored:
    # Keras lists every weight once more, under `_all_variables`.
    if not name.startswith("_") and shape:
        print(f"    {name.removesuffix('/.ATTRIBUTES/VARIABLE_VALUE')} {shape}")

"""
These are the weights. The optimizer, with several numbers for every weight,
stayed behind; `model.save("digits.keras")` would keep it, to train further.

## Answers by TensorFlow alone

The signature says what goes in and what comes out, under which names. The batch
may be of any size.
"""

loaded = tf.saved_model.load(str(folder))
signature = loaded.signatures["serving_default"]
_, signature_inputs = signature.structured_input_signature
signature_outputs = signature.structured_outputs
print("\nThe signature serving_default")
for name, spec in signature_inputs.items():
    print(f"    takes {name}, {spec.dtype.name} {spec.shape}")
for name, spec in signature_outputs.items():
    print(f"    gives {name}, {spec.dtype.name} {spec.shape}")

[input_name], [output_name] = signature_inputs, signature_outputs
answers = signature(**{input_name: tf.constant(x_test)})[output_name].numpy()


def report(name, answers):
    accuracy = np.mean(np.argmax(answers, axis=-1) == y_test[: len(answers)])
    difference = np.abs(answers - expected[: len(answers)]).max()
    print(
        f"{name}: accuracy {accuracy:.4f}, "
        f"differs from predict by at most {difference:.0e}"
    )


print()
report("TensorFlow", answers)

"""
TensorFlow's own tool shows the same from the command line:

```sh
saved_model_cli show --dir exported/digits/1 --tag_set serve \\
    --signature_def serving_default
```

## Answers by TensorFlow Serving

TensorFlow Serving comes as a Docker image. It reads the folder as it is, and
listens for HTTP on port 8501 and for gRPC on port 8500:

```sh
docker run --rm --publish 8500:8500 --publish 8501:8501 \\
    --volume "$PWD/exported/digits:/models/digits" --env MODEL_NAME=digits \\
    tensorflow/serving
```

A request over HTTP lists the instances to answer.
"""

request = {
    "signature_name": "serving_default",
    "instances": x_test[:3].tolist(),
}
request_file = Path(OUTPUT) / "request.json"
request_file.write_text(json.dumps(request))
print(f"A request for three digits is in {request_file}")

"""
With the server running, the answer, under `predictions`, has ten probabilities
for each digit:

```sh
curl --data @exported/request.json \\
    http://localhost:8501/v1/models/digits:predict
```

Which versions of the model are ready:

```sh
curl http://localhost:8501/v1/models/digits
```

Python clients that speak gRPC find its messages in the package
`tensorflow-serving-api`. It depends on the package `tensorflow`; beside
`tensorflow-cpu`, install it by `pip install --no-deps tensorflow-serving-api`.

## Answers by ONNX Runtime

For servers without TensorFlow, `export` writes ONNX, if `tf2onnx` is there:
`pip install tf2onnx onnxruntime`. In the same way, `format="litert"` writes a
file for mobile devices, from Keras 3.13 on.
"""

ONNX_PACKAGES = ("tf2onnx", "onnxruntime")
if all(importlib.util.find_spec(package) for package in ONNX_PACKAGES):
    import onnxruntime

    onnx_file = str(Path(OUTPUT) / "digits.onnx")
    model.export(onnx_file, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(
        onnx_file, providers=["CPUExecutionProvider"]
    )
    [onnx_input] = session.get_inputs()
    [answers] = session.run(None, {onnx_input.name: x_test})
    report("ONNX Runtime", answers)
else:
    print("ONNX Runtime: left out, for its packages are not installed")
