"""The data sets that tasks name, and whether they are here or can be had, without reading any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from glob import has_magic
from pathlib import Path
from typing import Any

from toolkit.sources.network import network_errors, within

# A hub that takes longer to answer will not bring a data set either.
_PATIENCE_S = 10.0
_NAMED = 3

Configs = Iterable[Mapping[str, Any]]


def named_sets(configs: Configs) -> Iterator[str]:
    """For people, from what the files of tasks say; of a set with many parts the first ones."""
    parts: dict[str, dict[str, None]] = {}
    for config in configs:
        path = config.get("dataset_path")
        if isinstance(path, str):
            part = config.get("dataset_name")
            files = _data_files(config)
            where = f" of {files}" if files else ""
            parts.setdefault(path, {})[f"{path}/{part}{where}" if part else f"{path}{where}"] = None
    for named in map(list, parts.values()):
        yield from named[:_NAMED]
        if len(named) > _NAMED:
            yield f"and {len(named) - _NAMED} more of its parts"


class DataSets:
    """Asks its hub at most once."""

    def lacking(self, configs: Configs) -> str | None:
        """Why the data of tasks cannot be loaded; None as far as nothing speaks against it."""
        for config in configs:
            path = config.get("dataset_path")
            if not isinstance(path, str) or Path(path).exists():
                continue
            if _is_reader(path):
                gone = [one for one in _flat(_data_files(config)) if _is_path(one) and not Path(one).exists()]
                if gone:
                    return f"there is no file {gone[0]}"
            elif not _is_kept(path) and self._refusal is not None:
                return self._refusal
        return None

    @cached_property
    def _refusal(self) -> str | None:
        """Why the hub gives nothing; None when it answers, whatever it says."""
        from huggingface_hub import constants
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
        from huggingface_hub.utils import get_session

        try:
            within(_PATIENCE_S, lambda: get_session().head(constants.ENDPOINT, timeout=_PATIENCE_S))
        except OfflineModeIsEnabled:
            return "HF_HUB_OFFLINE is set"
        except network_errors(HfHubHTTPError) as error:
            return f"{constants.ENDPOINT} cannot be reached ({error})"
        return None


def _data_files(config: Mapping[str, Any]) -> Any:
    return (config.get("dataset_kwargs") or {}).get("data_files")


def _is_reader(path: str) -> bool:
    """Whether it is no data set but a reader of files: json, csv, parquet and the like."""
    from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES

    return path in _PACKAGED_DATASETS_MODULES


def _is_kept(path: str) -> bool:
    """Whether the library's cache has something of a hub's data set, as it looks itself without a network."""
    from datasets import config
    from datasets.naming import camelcase_to_snakecase

    owner, _, name = path.rpartition("/")
    folder = "___".join([*([owner] if owner else []), camelcase_to_snakecase(name)])
    return any(one.is_dir() for one in Path(config.HF_DATASETS_CACHE).expanduser().glob(f"{folder}/*/*/*"))


def _is_path(name: str) -> bool:
    return "://" not in name and not has_magic(name)


def _flat(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _flat(one)
    elif isinstance(value, list):
        for one in value:
            yield from _flat(one)
