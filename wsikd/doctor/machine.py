"""GPU, memory, files and disk, where too little of it has a name."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from wsikd.doctor.finding import Finding
from wsikd.memory import free_memory

_GIB = 2**30
_LEAST_DISK, _FEW_DISK = 1.0, 20.0  # GiB
_FEW_SHARED = 1 / 128  # GiB: locks alone are there
_FEW_FILES = 1024
_SHARED = Path("/dev/shm")  # noqa: S108


def look_at_gpu() -> Finding:
    """Ask torch for GPUs."""
    try:
        import torch  # noqa: PLC0415
    except (ImportError, OSError):
        return Finding(what="GPU", state="note", found="not known without torch")
    if torch.cuda.is_available():
        each = [torch.cuda.get_device_properties(at) for at in range(torch.cuda.device_count())]
        told = [f"{gpu.name}, {gpu.total_memory / _GIB:.0f} GiB" for gpu in each]
        return Finding(what="GPU", state="ok", found="; ".join(told))
    if shutil.which("nvidia-smi") is None:
        return Finding(what="GPU", state="note", found="none; training runs on the CPU")
    built = torch.version.cuda
    reason = f"torch is built for CUDA {built}" if built else "torch is built without CUDA"
    return Finding(
        what="GPU",
        state="note",
        found=f"there may be one that torch cannot use: {reason}",
        remedy="install the torch build for the driver's CUDA, https://pytorch.org/get-started",
    )


def look_at_memory() -> Iterator[Finding]:
    """Measure memory, and what of it processes can share, which those of prepare need."""
    try:
        import psutil  # noqa: PLC0415
    except ImportError:  # told among the packages
        return
    memory = psutil.virtual_memory()
    told = f"{memory.total / _GIB:.0f} GiB, {free_memory() / _GIB:.0f} free"
    yield Finding(what="memory", state="ok", found=f"{told}, {os.cpu_count()} cores")
    if not _SHARED.is_dir():
        return
    shared = shutil.disk_usage(_SHARED).free / _GIB
    if shared >= _FEW_SHARED:
        yield Finding(what="shared memory", state="ok", found=f"{shared:.1f} GiB free")
        return
    yield Finding(
        what="shared memory",
        state="note",
        found=f"{shared:.2f} GiB free, little for --workers of prepare",
        remedy="start the container with --shm-size 1g",
    )


def look_at_files() -> Iterator[Finding]:
    """Ask how many files may be open at once."""
    try:
        import psutil  # noqa: PLC0415
    except ImportError:  # told among the packages
        return
    if not hasattr(psutil, "RLIMIT_NOFILE"):  # Linux alone tells
        return
    limit = int(psutil.Process().rlimit(psutil.RLIMIT_NOFILE)[0])
    if limit < _FEW_FILES:
        yield Finding(
            what="open files",
            state="note",
            found=f"at most {limit}, few for many workers or fields",
            remedy="ulimit -n 4096",
        )
    else:
        yield Finding(what="open files", state="ok", found=f"at most {limit}")


def look_at_workspace(workspace: Path) -> Iterator[Finding]:
    """Measure the disk of the workspace, and try to write and to lock a file there."""
    whole = workspace.resolve()
    there = next(path for path in (whole, *whole.parents) if path.exists())
    if not there.is_dir():
        yield Finding(
            what="workspace",
            state="wrong",
            found=f"{there} is a file",
            remedy="choose a folder as --workspace",
        )
    place = there if there.is_dir() else there.parent
    yield _judge_disk(workspace, shutil.disk_usage(place).free / _GIB)
    try:
        from wsikd.locks import has_locks  # noqa: PLC0415
    except ImportError:  # told among the packages
        return
    try:
        with tempfile.TemporaryDirectory(prefix=".wsikd-doctor-", dir=place) as folder:
            found = has_locks(Path(folder) / "lock")
        yield _judge_locks(workspace, has_own=found)
    except OSError as error:
        yield Finding(
            what="locks",
            state="wrong",
            found=f"{place}: {(error.strerror or str(error)).lower()}",
            remedy="choose a --workspace that can be written",
        )


def _judge_locks(workspace: Path, *, has_own: bool) -> Finding:
    if has_own:
        return Finding(what="locks", state="ok", found="files can be written and locked")
    return Finding(
        what="locks",
        state="note",
        found=f"the file system of {workspace} has none; files stand in for them",
        remedy="have it mounted with them (Lustre: flock) to work on it from several machines",
    )


def _judge_disk(workspace: Path, free: float) -> Finding:
    told = f"{free:.1f} GiB free for {workspace}"
    if free < _FEW_DISK:
        return Finding(
            what="disk",
            state="wrong" if free < _LEAST_DISK else "note",
            found=told,
            remedy="make room, or choose another --workspace",
        )
    return Finding(what="disk", state="ok", found=told)
