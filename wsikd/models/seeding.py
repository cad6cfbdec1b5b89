"""First weights that depend on a seed alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from wsikd.models.build import build_model
from wsikd.models.network import Network


def build_seeded(architecture: str, class_count: int, *, seed: int) -> Network:
    """Build a network with first weights that depend on the seed alone."""
    with seeded(seed):
        return build_model(architecture, class_count)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let what is drawn inside depend on the seed alone, and nothing after it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
