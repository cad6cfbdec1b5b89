"""What only Unix has is needed by no module, so that all can be imported on Windows."""

import subprocess
import sys

# Only what wsikd itself imports is refused: other libraries' builds for Unix need these.
IMPORT_ALL = """
import builtins, pkgutil
real = builtins.__import__

def guarded(name, globals=None, *rest, **named):
    by = (globals or {}).get("__name__", "")
    if name.partition(".")[0] in ("fcntl", "resource", "pwd", "grp") and by.startswith("wsikd"):
        raise ModuleNotFoundError(f"{by} imports {name}")
    return real(name, globals, *rest, **named)

builtins.__import__ = guarded
import wsikd
names = [found.name for found in pkgutil.walk_packages(wsikd.__path__, "wsikd.")]
for name in names:
    if name != "wsikd.__main__":
        __import__(name)
print(len(names))
"""


def test_every_module_can_be_imported_without_fcntl_and_resource():
    made = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    assert int(made.stdout) > 150
