import inspect

import pytest

from wsikd import errors
from wsikd.errors import StoppedError, WsikdError

# architecture.md 4: 2 usage or settings, 3 some slides failed, 4 nothing usable, 5 refused by a
# guard, 75 try again
STATUSES = {
    "ConfigError": 2,
    "ManifestError": 2,
    "SomeSlidesFailedError": 3,
    "LeakageError": 5,
    "ResumeError": 5,
    "BusyError": 75,
}
ERRORS = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, WsikdError)
]


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_has_its_exit_status(error):
    assert error.exit_status == STATUSES.get(error.__name__, 4)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [("ConfigError", ValueError), ("ManifestError", ValueError), ("RegionError", IndexError)],
)
def test_errors_are_also_the_builtins_a_caller_expects(error, builtin):
    assert issubclass(getattr(errors, error), builtin)


@pytest.mark.parametrize(("number", "status"), [(2, 130), (15, 143)])
def test_stopping_by_a_signal_exits_as_shells_do(number, status):
    assert StoppedError("stopped", number).exit_status == status


def test_stopping_is_not_an_error_that_a_batch_goes_on_after():
    assert not issubclass(StoppedError, Exception)
