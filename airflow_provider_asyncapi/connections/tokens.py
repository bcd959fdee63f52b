"""
The store in which the processes of one user on one host share access tokens, because vendors limit their number.

Each connection has an encrypted file in a folder that no other user can access. The name and the key of the file are
derived from the connection. So the file is useless without the credentials, and a changed connection has a new file.
"""

from __future__ import annotations

import errno
import fcntl
import io
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cryptography.fernet import InvalidToken

from airflow_provider_asyncapi.connections.token_cipher import TokenCipher
from airflow_provider_asyncapi.core.auth.tokens import Token

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.auth.tokens import TokenLock

log = logging.getLogger(__name__)

#: Changes with the format of the file, so that no version finds a file of another format.
_PURPOSE = b"airflow-provider-asyncapi token 1"


class HostTokenStore:
    """
    The shared token of one connection.

    If the file is missing, damaged or owned by another user, there is no token. If the file can't be written, the
    process requests a token of its own, and writes one line to the debug log.

    :param credentials: all values on which the token depends.
    """

    def __init__(self, credentials: bytes) -> None:
        self._cipher = TokenCipher(credentials, _PURPOSE)
        self._has_logged = False

    def lock(self) -> TokenLock | None:
        """Return the right to request a token; None if another process has it."""
        try:
            with _open_private_folder() as folder:
                file = _open_file(folder, f"{self._cipher.name}.lock", "ab")
        except OSError as problem:
            self._log_once(problem)
            # Without a shared folder, each process may request a token.
            return io.BytesIO()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError as problem:
            self._log_once(problem)
        return file

    def read(self) -> Token | None:
        """Return the token that was stored last."""
        try:
            with _open_private_folder() as folder, _open_file(folder, self._cipher.name, "rb") as file:
                return self._cipher.decrypt(file.read())
        except FileNotFoundError:
            return None
        except (OSError, InvalidToken) as problem:
            self._log_once(problem)
            return None

    def write(self, token: Token) -> None:
        """Store a token in place of the previous one."""
        content = self._cipher.encrypt(token)
        beside = f"{self._cipher.name}.{os.getpid()}"
        try:
            with _open_private_folder() as folder:
                with _open_file(folder, beside, "wb") as file:
                    file.write(content)
                os.replace(beside, self._cipher.name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as problem:
            self._log_once(problem)

    def _log_once(self, problem: Exception) -> None:
        if not self._has_logged:
            log.debug("Access tokens aren't shared by the processes of this host: %r", problem)
            self._has_logged = True


@contextmanager
def _open_private_folder() -> Iterator[int]:
    """
    Open the folder of all tokens; create it if it doesn't exist.

    :raises OSError: if it can't be created, is a link, belongs to another user, or is accessible to other users.
    """
    # Any user can create a folder of this name. It is opened before it is checked, so that no one can replace it later.
    path = Path(tempfile.gettempdir(), f"airflow-provider-asyncapi-{os.geteuid()}")
    path.mkdir(mode=0o700, exist_ok=True)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(folder)
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise PermissionError(errno.EACCES, "not a folder of this user alone", str(path))
        yield folder
    finally:
        os.close(folder)


def _open_file(folder: int, name: str, mode: str) -> IO[bytes]:
    def private(path: str, flags: int) -> int:
        return os.open(path, flags | os.O_NOFOLLOW, 0o600, dir_fd=folder)

    return open(name, mode, opener=private)
