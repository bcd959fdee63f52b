"""Run the demo server until it is interrupted."""

from __future__ import annotations

import argparse
import contextlib
import threading

from demo.server.server import DemoServer


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m demo.server", description=main.__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--job-seconds", type=float, default=6.0, help="how long a job takes")
    parser.add_argument(
        "--rate-limit-every", type=int, default=5, help="every how many Celigo calls answer 429; 0: none"
    )
    options = parser.parse_args()
    with DemoServer(
        options.host,
        options.port,
        job_seconds=options.job_seconds,
        rate_limit_every=options.rate_limit_every,
    ) as server:
        print(f"Demo server on {server.url} (stop it with Ctrl+C)", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
