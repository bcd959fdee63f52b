"""``python -m demo run`` shows the example DAGs at work and ends; ``python -m demo ui`` keeps Airflow running."""

from __future__ import annotations

import argparse
import signal
import sys

from demo.run import run


def main() -> int:
    """Read the command line, run the demo and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("command", choices=("run", "ui"))
    keep = parser.parse_args().command == "ui"
    # Both must end in an orderly stop, also where a script's `&` has us ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(keep_running=keep)
    except KeyboardInterrupt:
        print("Stopped.")
        return 0 if keep else 130


if __name__ == "__main__":
    sys.exit(main())
