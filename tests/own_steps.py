"""Models with a train step of their own, on every backend."""

import keras

import keras_locoprop

IS_STATELESS = keras.backend.backend() == "jax"
# Where the step is stateless the optimizer's state has to exist before it.
OwnModel = keras_locoprop.Model if IS_STATELESS else keras.Model


class OwnStep:
    """A subclass says in `take_own_step` what others say in `train_step`."""

    if IS_STATELESS:

        def train_step(self, state, data):
            groups = (
                self.trainable_variables,
                self.non_trainable_variables,
                self.optimizer.variables,
                self.metrics_variables,
            )
            pairs = zip(sum(groups, []), sum(map(list, state), []))
            with keras.StatelessScope(list(pairs)) as scope:
                logs = self.take_own_step(data)
            return logs, tuple(
                [scope.get_current_value(variable) for variable in group]
                for group in groups
            )

    else:

        def train_step(self, data):
            return self.take_own_step(data)
