import onnxruntime


def answer(path, inputs):
    session = onnxruntime.InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )
    [name] = [entry.name for entry in session.get_inputs()]
    [answers] = session.run(None, {name: inputs})
    return answers
