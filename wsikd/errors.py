"""Errors that wsikd raises on purpose: one line the user can act on, and an exit status each.

Messages read *subject + rule + value; remedy*, in lower case and without a full stop. Anything that
is not a `WsikdError`, nor an `OSError` that names its file, is a bug and keeps its traceback.
"""


class WsikdError(Exception):
    """Base of all errors a user can act on."""

    exit_status = 4


class ConfigError(WsikdError, ValueError):
    """A setting or an option breaks its rule."""

    exit_status = 2


class ManifestError(WsikdError, ValueError):
    """The table of slides, patients, labels and splits breaks a rule."""

    exit_status = 2


class SlideError(WsikdError):
    """A slide cannot be read or used."""


class UnsupportedSlideError(SlideError):
    """A slide is whole, but of a kind that this reader does not read; another may."""


class MissingResolutionError(SlideError):
    """Nothing says how many µm a pixel of the slide is."""


class RegionError(SlideError, IndexError):
    """A level or a rectangle that the slide does not have was asked for."""


class NotBrightfieldError(SlideError):
    """The slide has a dark background, so it is not a brightfield image."""


class NoTissueError(SlideError):
    """No piece of tissue was found on the slide."""


class MaskError(SlideError):
    """A user's mask of a slide cannot be read or does not fit it."""


class StoreError(WsikdError):
    """The region store lacks something or cannot be read."""


class UnwritableError(StoreError):
    """Nothing more can be written where the regions are: every further slide would fail, too."""


class CheckpointError(WsikdError):
    """A run's model or training state is missing or does not fit."""


class TooLargeError(WsikdError):
    """A region needs more memory than there is, however its network is computed."""


class DivergedError(WsikdError):
    """The loss of a training run is not a finite number."""


class NothingUsableError(WsikdError):
    """There is nothing left to work on."""


class SomeSlidesFailedError(WsikdError):
    """The batch finished, and some of its slides failed."""

    exit_status = 3


class LeakageError(WsikdError):
    """A patient or a slide is in more than one split."""

    exit_status = 5


class ResumeError(WsikdError):
    """Finished or half-finished work was made with other settings or inputs."""

    exit_status = 5


class BusyError(WsikdError):
    """Another process holds what is needed; trying again later can succeed."""

    exit_status = 75


class PeerError(WsikdError):
    """Another process that works together with this one has ended, or could not go on."""


class ToldError(Exception):
    """Another process has told the user why all of them end.

    Parameters
    ----------
    exit_status : int
        That of the process that told.
    """

    def __init__(self, exit_status: int) -> None:
        super().__init__(exit_status)
        self.exit_status = exit_status


class StoppedError(KeyboardInterrupt):
    """A signal ended the work after a clean checkpoint.

    It is no `WsikdError`: a batch that goes on after the errors of one slide must not go on then.

    Parameters
    ----------
    message : str
        What was saved and how to go on.
    signal_number : int
        The exit status is 128 plus this number.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_status = 128 + signal_number


def exit_status_of(error: BaseException) -> int:
    """Return the status that a command ends with.

    Examples
    --------
    >>> exit_status_of(LeakageError()), exit_status_of(KeyError())
    (5, 1)
    """
    if isinstance(error, WsikdError | ToldError | StoppedError):
        return error.exit_status
    if isinstance(error, KeyboardInterrupt):
        return 130
    is_of_file = isinstance(error, OSError) and error.filename is not None
    return WsikdError.exit_status if is_of_file else 1
