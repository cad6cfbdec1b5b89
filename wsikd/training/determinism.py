"""Computing to the same bits each time, on a GPU as well; on a CPU training does so by itself."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from wsikd.errors import ConfigError

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
_SAME_EACH_TIME = (":4096:8", ":16:8")  # of the settings that cuBLAS knows


@contextmanager
def deterministic(*, asked: bool) -> Iterator[None]:
    """Let torch take only operations that give the same bits each time, during the block, if asked.

    An operation that has no such form on the device then raises `RuntimeError`; none of what is
    trained here uses one where a gradient flows. To be entered before CUDA is used.

    Raises
    ------
    ConfigError
        If CUDA was used before without what makes its matrix products so, or that is set otherwise.

    Examples
    --------
    >>> with deterministic(asked=True):
    ...     torch.are_deterministic_algorithms_enabled()
    True
    >>> torch.are_deterministic_algorithms_enabled()
    False
    """
    if not asked:
        yield
        return
    _set_up_cublas()
    cudnn = torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled(), cudnn.deterministic, cudnn.benchmark
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=warned)
        cudnn.deterministic, cudnn.benchmark = before[1:]


def _set_up_cublas() -> None:
    """Ask for buffers of their own for matrix products that run at once; read as CUDA starts."""
    if not torch.cuda.is_available():
        return
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch does not annotate it
        os.environ.setdefault(_CUBLAS, _SAME_EACH_TIME[0])
    found = os.environ.get(_CUBLAS)
    if found not in _SAME_EACH_TIME:
        raise ConfigError(
            f"--deterministic needs {_CUBLAS}={_SAME_EACH_TIME[0]} before CUDA is used, got "
            f"{found or 'nothing'}; set it in the environment"
        )
