"""Errors before and during training, each shown to the user as one line."""

import errno
import traceback
from pathlib import Path

#: Error numbers of writes for which there is no room, and of writes that are not possible at this path.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.ENOENT)


class ConfigError(Exception):
    """An invalid value; the message says what is wrong, the value, and what to type instead. Exit code 2."""


class RunRefused(Exception):
    """The run cannot start now, e.g. because another process is training it. Exit code 1."""


class ForeignFiles(RunRefused):
    """A file in the run's folder belongs to another run; nothing was changed."""


class Diverged(RunRefused):
    """A number used in training became NaN or infinite; the message says which and where. The run is over."""


class Untrained(RunRefused):
    """The budget ended before the first update, so the run has only untrained networks. The run is over."""


class Interrupted(Exception):
    """A signal stopped the run; its checkpoint is saved. Exit code 128 + the signal's number."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def described(error: BaseException) -> str:
    """An unexpected error, in one line with the place where it occurred, or where a library was called that failed."""
    text = " ".join(str(error).split()).partition(" Exception raised from ")[0]
    places = [place for place in traceback.extract_tb(error.__traceback__) if not place.filename.startswith("<")]
    own = [place for place in places if not {"site-packages", "dist-packages"} & set(Path(place.filename).parts)]
    where = [f" ({place.filename}, line {place.lineno})" for place in (own or places)[-1:]]
    return f"{type(error).__name__}: {text}{''.join(where)}"
