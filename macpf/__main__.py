"""``python -m macpf``: see `macpf.command`."""

import sys

from macpf.command import main

if __name__ == "__main__":
    sys.exit(main())
