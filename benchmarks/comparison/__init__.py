"""LocoProp beside the optimizers that people would pick instead."""
