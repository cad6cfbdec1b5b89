"""The training engine, which knows no paper: loop, checkpoints, feeds, processes, signals."""
