"""Where networks are computed, in the fastest way that the memory there allows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import torch

from wsikd.errors import TooLargeError
from wsikd.geometry import Size
from wsikd.memory import free_memory
from wsikd.models import Network
from wsikd.models.images import Images
from wsikd.models.network import Seen
from wsikd.models.policies import Policy
from wsikd.training.device import USUAL, Kernels, NetworkType, Precision, Way, choose_device, place
from wsikd.training.distributed import process_count_here
from wsikd.training.memory import REMEDY, choose_policy, least_policy, policies_of, predict_peak
from wsikd.training.settings import TrainingSettings
from wsikd.words import bytes_text

_SHARE = 0.9  # of what is free: predictions are not exact, and other programs take some
_ANY = 4096  # bytes a pixel that no network with several policies takes; counting takes a moment
_GIB = 2**30
_SMALL_PX = 1 << 15  # unequal images up to here are faster at once: make bench


class Machine:
    """A device, and the memory that networks may take on it.

    Parameters
    ----------
    device : torch.device
        Where they are computed.
    room_bytes : int
        What all that is made while one is computed may take.
    way : Way
        How they are computed there.
    """

    def __init__(self, device: torch.device, room_bytes: int, way: Way = USUAL) -> None:
        self.device, self.room_bytes, self.way = device, room_bytes, way
        self._last: Reading | None = None

    @classmethod
    def of(cls, settings: TrainingSettings) -> Self:
        """Return the machine that a training is told to use; raises as `find`."""
        told = settings.device, settings.memory_gib
        return cls.find(*told, precision=settings.precision, kernels=settings.kernels)

    @classmethod
    def find(
        cls,
        device: str,
        memory_gib: float | None = None,
        *,
        precision: Precision = "auto",
        kernels: Kernels = "eager",
    ) -> Self:
        """Return the machine of that device, with most of what is free there or what is said.

        Raises
        ------
        ConfigError
            If there is no such device, or it does not compute so.
        """
        found = choose_device(device)
        way = Way.choose(found, precision, kernels)
        if memory_gib is not None:
            return cls(found, round(memory_gib * _GIB), way)
        is_gpu = found.type == "cuda"
        # of several processes each has a GPU of its own
        free = (
            torch.cuda.mem_get_info(found)[0] if is_gpu else free_memory() // process_count_here()
        )
        return cls(found, round(_SHARE * free), way)

    def place(self, network: NetworkType) -> NetworkType:
        """Bring a network here."""
        return place(self.way.bring(network), self.device)

    @contextmanager
    def reserved(self, count: int) -> Iterator[None]:
        """Leave so many bytes to what stays beside networks during the block."""
        before = self.room_bytes
        self.room_bytes = max(0, before - count)
        try:
            yield
        finally:
            self.room_bytes = before

    def reading(self, network: Network) -> "Reading":
        """Return what computes a network here."""
        return Reading(network, self)

    def began(self, reading: "Reading") -> None:
        """Note which network is being computed."""
        self._last = reading

    def relent(self, name: str) -> str:
        """Compute the network that ran out of memory in a slower way, at that size and beyond.

        Parameters
        ----------
        name : str
            Of what was being computed, for the message.

        Returns
        -------
        str
            What to tell.

        Raises
        ------
        TooLargeError
            If no way takes less.
        """
        if self._last is None:
            raise TooLargeError(f"{name}: needs more memory than there is on {self.device}")
        return self._last.relent(name)

    def wait(self) -> None:
        """Wait until what was begun here is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def clear(self) -> None:
        """Give back what PyTorch keeps of memory that was freed."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


class Reading:
    """Computes a network, each batch by the fastest policy whose memory is there.

    Parameters
    ----------
    network : Network
        On the device of the machine.
    machine : Machine
        Has the memory.
    """

    def __init__(self, network: Network, machine: Machine) -> None:
        self.network, self._machine = network, machine
        self._most: int | None = None  # bytes, less than which were too many
        self._size, self._training = Size(1, 1), False

    def __call__(self, images: Images) -> Seen:
        images = Images.of(images)
        self._training = torch.is_grad_enabled() and self._learns()
        self._machine.began(self)
        parts = self._part(images)
        # what is learnt from stays until all of it is, what is only read does not
        together = self._extent(images) if self._training else None
        return Seen.join([self._compute(part, together or self._extent(part)) for part in parts])

    def _compute(self, images: Images, size: Size) -> Seen:
        self._size = size
        self.network.policy = self._choose()
        seen: Seen = self.network(images)
        return seen

    def _part(self, images: Images) -> list[Images]:
        """Return images one by one where padding and masks take more time than this saves."""
        count, _, height, width = images.pixels.shape
        is_here = self._machine.device.type == "cpu"
        if not is_here or images.sizes is None or height * width <= _SMALL_PX:
            return [images]
        return [images.part(slice(index, index + 1)) for index in range(count)]

    @staticmethod
    def _extent(images: Images) -> Size:
        count, _, height, width = images.pixels.shape
        return Size(count * width, height)

    def relent(self, name: str) -> str:
        """Take less memory for images of the last size, and return what to tell of it.

        Raises
        ------
        TooLargeError
            If no policy takes less than the last one did.
        """
        size, training, tried = self._size, self._training, self.network.policy
        needed = predict_peak(self.network, size, tried, training=training)
        less = choose_policy(self.network, size, needed - 1, training=training)
        if less is None:
            raise TooLargeError(
                f"{name}: memory ran out, which its {size.width} x {size.height} pixels need "
                f"{bytes_text(needed)} of, computed {tried!r}, which takes least; the "
                f"{bytes_text(self._machine.room_bytes)} that networks may take are not there: "
                f"end other programs, or {REMEDY}"
            )
        self._most = needed - 1
        return (
            f"{name}: memory ran out, computed {tried!r}; what is as large as its "
            f"{size.width} x {size.height} pixels is computed {less!r} from here on"
        )

    def _learns(self) -> bool:
        """Tell whether more than the last layer does, so that maps are kept for a backward pass."""
        named = self.network.named_parameters()
        return any(weight.requires_grad for name, weight in named if not name.startswith("fc."))

    def _choose(self) -> Policy:
        policies = policies_of(self.network, training=self._training)
        if len(policies) == 1:
            return policies[0]
        room = self._machine.room_bytes if self._most is None else self._most
        if self._size.width * self._size.height * _ANY < room:
            return "plain"
        size, training = self._size, self._training
        chosen = choose_policy(self.network, size, room, training=training)
        # one that was not foreseen to fit may, as what is free changes
        return chosen or least_policy(self.network, size, training=training)
