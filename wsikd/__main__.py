"""Run the command line by `python -m wsikd`, or in several processes by `torchrun -m wsikd`."""

import sys

from wsikd.cli import main

if __name__ == "__main__":
    sys.exit(main())
