"""Memory allocation of this process."""

from __future__ import annotations

import ctypes
import sys

#: Parameters of glibc's `mallopt` (malloc.h).
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> None:
    """Let the C library reuse large blocks instead of returning each one to the system.

    An update repeatedly creates and frees tensors of tens of megabytes. By default each gets new memory, of which the
    system clears every page. Reusing memory makes updates 10 to 25 % faster (docs/speed.md). This needs glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_TOP_PAD, 64 * 2**20)
