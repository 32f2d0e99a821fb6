"""Optimizers from PyTorch's libraries, run by an interpreter that has them.

python -m benchmarks.comparison.torch_peer FOLDER (see `training_loop.serve`)

It needs `torch`, `pytorch_optimizer` and `locoprop` from the package index.
"""

import importlib.metadata

import locoprop
import numpy as np
import pytorch_optimizer
import torch
from torch import nn
from torch.nn import functional

from benchmarks.comparison import training_loop

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ACTIVATIONS = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softmax": lambda: nn.Softmax(dim=-1),
}


class Permuted(nn.Module):
    def __init__(self, *order):
        super().__init__()
        self.order = order

    def forward(self, x):
        return x.permute(self.order)


class Positions(nn.Module):
    def __init__(self, vectors):
        super().__init__()
        self.vectors = nn.Parameter(tensor(vectors))

    def forward(self, x):
        return x + self.vectors


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(dim=1)


class Attention(nn.Module):
    """Self-attention with its residual connection and normalization."""

    def __init__(self, weights, heads, size):
        super().__init__()
        self.heads, self.size = heads, size
        width = weights[0].shape[0]
        self.query, self.key, self.value = (
            linear(kernel.reshape(width, -1), bias.ravel())
            for kernel, bias in zip(weights[:6:2], weights[1:6:2])
        )
        self.output = linear(weights[6].reshape(-1, width), weights[7])
        self.normalization = normalization(*weights[8:])

    def forward(self, x):
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, self.size)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        attended = functional.scaled_dot_product_attention(query, key, value)
        attended = self.output(attended.transpose(1, 2).flatten(2))
        return self.normalization(attended + x)


class FeedForward(nn.Module):
    def __init__(self, weights, activation):
        super().__init__()
        self.inner, self.outer = linear(*weights[:2]), linear(*weights[2:4])
        self.activation = ACTIVATIONS[activation]()
        self.normalization = normalization(*weights[4:])

    def forward(self, x):
        outer = self.outer(self.activation(self.inner(x)))
        return self.normalization(outer + x)


def tensor(array):
    return torch.from_numpy(np.array(array, order="C"))


def linear(kernel, bias):
    layer = nn.Linear(*kernel.shape)
    layer.weight.data, layer.bias.data = tensor(kernel.T), tensor(bias)
    return layer


def convolution(kernel, bias):
    layer = nn.Conv2d(kernel.shape[2], kernel.shape[3], kernel.shape[:2])
    layer.weight.data = tensor(kernel.transpose(3, 2, 0, 1))
    layer.bias.data = tensor(bias)
    return layer


def embedding(vectors):
    return nn.Embedding.from_pretrained(tensor(vectors), freeze=False)


def normalization(gamma, beta):
    layer = nn.LayerNorm(gamma.shape[0], training_loop.NORMALIZATION_EPSILON)
    layer.weight.data, layer.bias.data = tensor(gamma), tensor(beta)
    return layer


def plain(layer, activation, is_last):
    return [layer] if is_last else [layer, ACTIVATIONS[activation]()]


def of_locoprop(layer, activation, is_last):
    activation = ACTIVATIONS[activation]()
    return [locoprop.LocoLayer(layer, activation, implicit=is_last)]


def network(layers, weights, activated=plain):
    """The network, which ends in logits.

    Args:
        layers: As in `tasks.Task`.
        weights: List of arrays, as Keras orders them.
        activated: Function of a layer, its activation's name and whether it is
            the last one: the list of modules that stand for them.

    Returns:
        A `torch.nn.Sequential`.
    """
    weights, modules = list(weights), []

    def take(count):
        taken = weights[:count]
        del weights[:count]
        return taken

    for index, (kind, *arguments) in enumerate(layers):
        is_last = index == len(layers) - 1
        if kind == "dense":
            modules += activated(linear(*take(2)), arguments[1], is_last)
        elif kind == "convolution":
            if not modules:
                modules.append(Permuted(0, 3, 1, 2))
            modules += activated(convolution(*take(2)), arguments[2], is_last)
        elif kind == "pooling":
            modules.append(nn.MaxPool2d(arguments[0]))
        elif kind == "flatten":
            modules += [Permuted(0, 2, 3, 1), nn.Flatten()]
        elif kind == "embedding":
            modules.append(embedding(*take(1)))
        elif kind == "positions":
            modules.append(Positions(*take(1)))
        elif kind == "attention":
            modules.append(Attention(take(10), *arguments))
        elif kind == "feed_forward":
            modules.append(FeedForward(take(6), arguments[1]))
        elif kind == "mean":
            modules.append(Mean())
        else:
            raise ValueError(f"`kind` must be known. Received: kind={kind!r}")
    return nn.Sequential(*modules)


def pixel_cross_entropy(logits, images):
    """Summed over pixels, a mean over images."""
    loss = functional.binary_cross_entropy_with_logits(
        logits, images, reduction="sum"
    )
    return loss / len(images)


LOSSES = {"inputs": pixel_cross_entropy, "labels": functional.cross_entropy}

# Of convolutions, too: the others multiply in float32.
torch.backends.cudnn.allow_tf32 = False


class GradientTrainer:
    """Training by a `torch.optim.Optimizer`."""

    activated = staticmethod(plain)

    def __init__(self, run, weights):
        self.loss = LOSSES[run["targets"]]
        self.has_labels = run["targets"] == "labels"
        self.run, self.weights = run, weights
        self.start()

    def start(self):
        self.model = network(
            self.run["layers"], self.weights, type(self).activated
        ).to(DEVICE)
        self.steps_taken = 0
        self.make_optimizer()

    def make_optimizer(self):
        kind = {
            "SOAP": pytorch_optimizer.SOAP,
            "Shampoo": pytorch_optimizer.ScalableShampoo,
        }[self.run["optimizer"]]
        settings = dict(self.run["settings"])
        settings["betas"] = settings.pop("beta_1"), settings.pop("beta_2")
        self.rate = settings["lr"]
        self.optimizer = kind(self.model.parameters(), **settings)
        self.optimizers = [self.optimizer]

    def step(self, x, y):
        self.optimizer.zero_grad()
        self.loss(self.model(x), y).backward()
        self.optimizer.step()

    def warm_up(self, x, y):
        self.fit(x, y, len(x))
        self.start()

    def fit(self, x, y, batch_size):
        x, y = torch.from_numpy(x), torch.from_numpy(y)
        for batch in training_loop.in_batches(batch_size, x, y):
            if self.run["scheduled"]:
                factor = training_loop.rate_factor(
                    self.steps_taken, self.run["steps"]
                )
                for optimizer in self.optimizers:
                    for group in optimizer.param_groups:
                        group["lr"] = self.rate * factor
            self.step(*(part.to(DEVICE) for part in batch))
            self.steps_taken += 1
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    def evaluate(self, x, y):
        return training_loop.mean_results(
            (len(part), self._evaluate(part.to(DEVICE), targets.to(DEVICE)))
            for part, targets in training_loop.in_batches(
                training_loop.EVALUATION_BATCH_SIZE,
                torch.from_numpy(x),
                torch.from_numpy(y),
            )
        )

    @torch.no_grad()
    def _evaluate(self, x, y):
        logits = self.model(x)
        results = {"loss": self.loss(logits, y).item()}
        if self.has_labels:
            hits = logits.argmax(dim=-1) == y
            results["accuracy"] = hits.float().mean().item()
        return results


class LocoPropTrainer(GradientTrainer):
    """Training by the public PyTorch port of LocoProp."""

    activated = staticmethod(of_locoprop)

    def make_optimizer(self):
        # The port's own rate is γ; that of its RMSprop is the one to schedule.
        settings = dict(self.run["settings"])
        inner = {
            name: settings.pop(name)
            for name in ("lr", "eps", "momentum", "alpha")
        }
        self.rate = inner["lr"]
        self.trainer = locoprop.LocopropTrainer(
            self.model, self.loss, optimizer_hparams=inner, **settings
        )
        self.optimizers = [o for o in self.trainer.opts if o is not None]

    def step(self, x, y):
        self.trainer.step(x, y)


def make_trainer(run, weights):
    if run["optimizer"] == "locoprop":
        return LocoPropTrainer(run, weights)
    return GradientTrainer(run, weights)


def main():
    training_loop.serve(
        make_trainer,
        {
            name: importlib.metadata.version(name)
            for name in ("torch", "pytorch_optimizer", "locoprop", "numpy")
        },
    )


if __name__ == "__main__":
    main()
