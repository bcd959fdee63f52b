"""Child processes that belong together: each with a log of its own, and all stopped in order."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import psutil

_Child: TypeAlias = subprocess.Popen[bytes]

#: Running tasks have last words for it, so it is stopped after all others.
_LAST: Final = "api-server"


class AirflowStartError(RuntimeError):
    """A component of the local Airflow died, or was not ready in time."""


class Processes:
    """
    Start child processes by name, watch them, and stop them with all their descendants.

    :param folder: where they run, and where each writes its log, ``{name}.log``
    :param env: their environment
    """

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        self._env = env
        self._children: dict[str, _Child] = {}

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a process; its log goes on where one of the same name has left it."""
        # A signal that is ignored here, as SIGINT is behind a shell script's `&`, would be ignored there too.
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        with (
            self._log(name).open("ab") as log,
            _signal_set_to(signal.SIGINT, signal.SIG_DFL) if ignored else contextlib.nullcontext(),
        ):
            self._children[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self.folder,
                start_new_session=True,  # so that a Ctrl-C reaches this process alone, and it stops them in order
            )

    def run(self, name: str, command: Sequence[str], timeout: float) -> None:
        """
        Run a process to its end.

        :raises AirflowStartError: where that isn't a good one, with the end of its log
        """
        self.start(name, command)
        code = self._children[name].wait(timeout)
        if code:
            raise AirflowStartError(self._obituary(name, code))
        del self._children[name]

    def check(self) -> None:
        """Raise :class:`AirflowStartError` with the end of its log if a process has died."""
        for name, child in self._children.items():
            if child.poll() is not None:
                raise AirflowStartError(self._obituary(name, child.returncode))

    def tails(self) -> str:
        """Return the ends of all logs."""
        return "\n".join(f"--- {name}.log\n{self._tail(name)}" for name in self._children)

    def alive(self) -> bool:
        """Return whether any is running."""
        return any(child.poll() is None for child in self._children.values())

    def family(self, name: str) -> list[psutil.Process]:
        """Return a process, and after it all its descendants."""
        child = self._children[name]
        return [psutil.Process(child.pid), *_descendants([child])]

    def signal(self, name: str, sign: signal.Signals) -> None:
        """Send a signal to a process and all its descendants."""
        for process in self.family(name):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(sign)

    def terminate(self, name: str, patience: float = 20.0) -> None:
        """Ask a process with SIGTERM to end, as those who restart services do; kill what is left after a while."""
        family = self.family(name)
        child = self._children.pop(name)
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience)
        _kill(family)

    def kill(self, name: str) -> None:
        """Kill a process and all its descendants, without any warning."""
        _kill(self.family(name))
        self._children.pop(name).wait()

    def stop(self) -> None:
        """End them and their descendants: ask with SIGINT, then SIGTERM, then kill what is left; safe to call twice."""
        children, self._children = self._children, {}
        with _signal_set_to(signal.SIGINT, signal.SIG_IGN):  # a second Ctrl-C must not leave half of them behind
            # Tasks leave their parent's process group, and lose their parent when it ends: note them all beforehand.
            family = _descendants(children.values())
            for last in (False, True):
                _end([child for name, child in children.items() if (name == _LAST) is last])
            _kill(family)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _obituary(self, name: str, code: int) -> str:
        return f"{name} ended with {code}. The end of {self._log(name)}:\n{self._tail(name)}"

    def _tail(self, name: str, lines: int = 30) -> str:
        return "\n".join(self._log(name).read_text(errors="replace").splitlines()[-lines:])


def _end(group: Sequence[_Child]) -> None:
    for sign, patience in ((signal.SIGINT, 6.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0)):
        for child in group:
            if child.poll() is None:
                child.send_signal(sign)
        busy_at = {child.pid: time.monotonic() for child in group}
        deadline = time.monotonic() + patience
        while (alive := [child for child in group if child.poll() is None]) and time.monotonic() < deadline:
            for child in alive:
                if any(map(_is_alive, _descendants([child]))):
                    busy_at[child.pid] = time.monotonic()
                elif time.monotonic() - busy_at[child.pid] > 1:
                    # Nothing of worth is left: Python's teardown takes 3 s, and the triggerer may sleep 10 s before
                    # it sees that its runner has ended.
                    child.kill()
            time.sleep(0.1)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _kill(family: Iterable[psutil.Process]) -> None:
    family = list(family)
    for process in family:
        # psutil compares the start time too: a process id that was given away since is not killed.
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=3)


def _descendants(children: Iterable[_Child]) -> set[psutil.Process]:
    found: set[psutil.Process] = set()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.update(psutil.Process(child.pid).children(recursive=True))
    return found


@contextlib.contextmanager
def _signal_set_to(sign: signal.Signals, action: signal.Handlers) -> Iterator[None]:
    """Handle a signal differently for a while, where Python lets us: in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(sign, action)
    try:
        yield
    finally:
        signal.signal(sign, before)
