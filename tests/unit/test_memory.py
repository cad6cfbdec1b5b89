import psutil
import pytest
import torch

from wsikd.memory import fits, free_memory, ran_out

MIB = 2**20


def second_version(folder, limit, used, cache):
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 4096\ninactive_file {cache}\n")


def first_version(folder, limit, used, cache):
    group = folder / "memory"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(f"{limit}\n")
    (group / "memory.usage_in_bytes").write_text(f"{used}\n")
    (group / "memory.stat").write_text(f"cache 1\ntotal_inactive_file {cache}\n")


def test_without_a_container_it_is_what_the_machine_has(tmp_path):
    free = psutil.virtual_memory().available
    assert free_memory(tmp_path) == pytest.approx(free, rel=0.2)  # others take and give back


@pytest.mark.parametrize("version", [first_version, second_version])
def test_a_container_leaves_its_limit_less_what_is_used_but_for_the_cache(tmp_path, version):
    version(tmp_path, 100 * MIB, 70 * MIB, 20 * MIB)
    assert free_memory(tmp_path) == 50 * MIB


@pytest.mark.parametrize("version", [first_version, second_version])
def test_a_container_that_is_full_leaves_nothing(tmp_path, version):
    version(tmp_path, 100 * MIB, 101 * MIB, 0)
    assert free_memory(tmp_path) == 0


def test_a_container_without_a_limit_leaves_what_the_machine_has(tmp_path):
    second_version(tmp_path, "max", 70 * MIB, 0)
    assert free_memory(tmp_path) > 100 * MIB


def test_a_limit_beyond_the_machine_is_none(tmp_path):
    first_version(tmp_path, 2**63 - 4096, 70 * MIB, 0)
    assert free_memory(tmp_path) <= psutil.virtual_memory().total


def test_what_had_no_memory_is_told_from_other_failures():
    def compute(error):
        raise error

    assert not fits(compute, MemoryError())
    assert not fits(compute, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert fits(len, "done")
    with pytest.raises(RuntimeError, match="shape"):
        fits(compute, RuntimeError("shape mismatch"))


def test_a_cpu_says_in_words_that_it_has_no_memory():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**55)
    assert ran_out(raised.value)
