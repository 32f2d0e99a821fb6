from ai_edge_litert.interpreter import Interpreter


def answer(path, inputs):
    signature = Interpreter(path).get_signature_runner("serving_default")
    [name] = signature.get_input_details()
    [answers] = signature(**{name: inputs}).values()
    return answers
