"""PyTorch: a step runs eagerly, differentiated by autograd."""
