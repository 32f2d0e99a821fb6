"""Layers by their names, or by regular expressions."""

import re


def is_list_of_patterns(value):
    """Whether an argument is a list of regular expressions, or `None`."""
    if value is None:
        return True
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        return False
    try:
        # What is compiled already could not be saved.
        return all(isinstance(p, str) and re.compile(p) for p in value)
    except re.error:
        return False


def matches(pattern, path):
    """Whether a pattern names a layer, or one of those that it is in.

    Args:
        pattern: String, a regular expression.
        path: Tuple of the names of the layers around a layer, and of its own.

    Returns:
        Whether it matches the whole of a name or path.
    """
    return any(
        re.fullmatch(pattern, name)
        for depth in range(len(path))
        for name in (path[depth], "/".join(path[: depth + 1]))
    )


def check_each_matches(argument, patterns, paths):
    """Raises if a pattern names no layer.

    Args:
        argument: String, the name of the argument.
        patterns: List of patterns, or `None`.
        paths: List of tuples, as in `matches`.
    """
    for pattern in patterns or ():
        if not any(matches(pattern, path) for path in paths):
            raise ValueError(
                f"`{argument}` must hold names of layers, or regular "
                f"expressions that match some. Received: {pattern!r}, which "
                f"matches none of {['/'.join(path) for path in paths]}"
            )
