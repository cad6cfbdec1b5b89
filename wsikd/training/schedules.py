"""Courses of the learning rate over the steps of a training."""

import math


def warm_up_cosine(done: int, in_all: int, *, warm_up: int) -> float:
    """Return the factor of the learning rate: linear from 0, then half a cosine down to 0.

    Examples
    --------
    >>> [round(warm_up_cosine(step, 10, warm_up=2), 2) for step in (0, 1, 2, 6, 10)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if done < warm_up:
        return done / warm_up
    return 0.5 * (1 + math.cos(math.pi * (done - warm_up) / max(1, in_all - warm_up)))
