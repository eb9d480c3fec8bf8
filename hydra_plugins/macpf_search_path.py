"""Let Hydra find the configuration of installed packages; see `macpf.extensions`."""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from macpf import extensions


class InstalledPackages(SearchPathPlugin):
    """Folders of the entry points of the group ``macpf.conf``, searched after conf/ itself."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the folders."""
        places = [str(source.path).removeprefix("file://") for source in search_path.get_path()]
        if str(extensions.CONF) in places:  # else another program is being configured
            for name, folder in extensions.extensions().items():
                search_path.append(provider=name, path=f"file://{folder}")
