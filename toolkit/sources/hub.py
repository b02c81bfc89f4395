"""Models on the Hugging Face hub: first the cache, then the network, and a quick no where there is none."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import MissingWeights, SourceError, SourceNotFound, UntrustedSource, first_line
from toolkit.models.catalogue.catalogue import shipped
from toolkit.progress import ProgressCallback, bar, say
from toolkit.registry import did_you_mean
from toolkit.settings import Settings
from toolkit.sources.adapters import refuse_adapter_folder
from toolkit.sources.base import ModelSource
from toolkit.sources.folder_source import TRUST, config_fields, from_folder
from toolkit.sources.hub_cache import CONFIG, TEXT_FILES, mark_absent, unknown_files
from toolkit.sources.naming import safe_name
from toolkit.sources.network import network_errors, within
from toolkit.sources.weight_files import entry_point, files_of, folder_files, is_pickled

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

# A machine without internet must not wait: the name lookup alone can block for tens of seconds.
_REACH_TIMEOUT_S = 4.0

_OF_THIS_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


class HubUnreachable(SourceNotFound):
    """The hub did not answer in time, or the network is down."""


@dataclass(frozen=True)
class Hub:
    """Where the hub and its cache are.

    Attributes:
        endpoint: base URL, or None for the hub library's default (``HF_ENDPOINT``).
        cache_dir: or None for the hub library's default (``HF_HOME``, ``HF_HUB_CACHE``).
    """

    endpoint: str | None = None
    cache_dir: Path | None = None

    def open(
        self,
        repo_id: str,
        settings: Settings,
        *,
        revision: str | None = None,
        offline: bool = False,
        trust_remote_code: bool = False,
    ) -> ModelSource:
        """Open a model from the cache, or download it first.

        Files that the cache lacks and the repository may have are asked for; offline they are named.

        Args:
            repo_id: "owner/name", or "name" for the hub's oldest models.
            settings: hashes are cached in its cache_dir.
            revision: commit, branch or tag; the default is what is cached, else the main branch.
            offline: do not use the network.
            trust_remote_code: allow pickled weights and model code from the repository.

        Raises:
            SourceNotFound: no such repository or revision, or not cached when offline.
            HubUnreachable: not cached, and the hub cannot be reached.
            UntrustedSource: only pickled weights.
        """
        folder = self._cached(repo_id, revision, trust_remote_code)
        if folder is None and offline:
            raise SourceNotFound(
                "not in the hub cache, and --offline was given",
                subject=repo_id,
                next_step="Run once without --offline.",
            )
        if folder is None:
            folder = self._download(repo_id, revision, trust_remote_code)
        else:
            self._complete(repo_id, folder, trust_remote_code, offline=offline)
        return from_folder(
            folder,
            settings,
            name=safe_name(repo_id.rpartition("/")[2]),
            hub_id=repo_id,
            # The hub library names a snapshot's folder after its commit.
            revision=folder.name,
            trust_remote_code=trust_remote_code,
        )

    def config_file(self, repo_id: str, *, revision: str | None = None, offline: bool = False) -> Path:
        """A repository's config.json, out of the cache or fetched; nothing else of it is.

        Raises:
            SourceNotFound: no such repository, none in it, or not cached and offline.
        """
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(repo_id, CONFIG, cache_dir=self.cache_dir, revision=revision)
        if isinstance(cached, str):
            return Path(cached)
        if offline:
            raise SourceNotFound(
                "its config.json is not in the cache", subject=repo_id, next_step="Leave out --offline."
            )
        info = self._model_info(repo_id, revision)
        if not any(file.rfilename == CONFIG for file in info.siblings or []):
            raise SourceNotFound(
                "the repository has no config.json",
                subject=repo_id,
                next_step="Give a repository in transformers' layout, or the path of a GGUF file of it.",
            )
        with bar(f"download {repo_id}") as progress:
            fetch = _Fetch(self, repo_id, str(info.sha), progress)
            return fetch.file(CONFIG, 0, revision=revision or "main")

    def _cached(self, repo_id: str, revision: str | None, trust_remote_code: bool) -> Path | None:
        """The snapshot in the cache when it holds the config and all weights."""
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            folder = Path(
                snapshot_download(repo_id, revision=revision, cache_dir=self.cache_dir, local_files_only=True)
            )
            files = folder_files(folder, config_fields(folder))
        except (LocalEntryNotFoundError, MissingWeights, SourceNotFound):
            return None
        return folder if trust_remote_code or not is_pickled(files[0].name) else None

    def _complete(self, repo_id: str, snapshot: Path, trust_remote_code: bool, *, offline: bool) -> None:
        """Fetch what else a conversion reads into a snapshot that another program may have left."""
        unknown = unknown_files(snapshot, with_code=trust_remote_code)
        if not unknown:
            return
        reason = "--offline"
        if not offline:
            try:
                # Of the commit in the cache: the branch may have moved on, and its weights with it.
                info = self._model_info(repo_id, snapshot.name)
            except SourceNotFound as error:
                reason = error.what
            else:
                with bar(f"download {repo_id}") as progress:
                    self._fetch_texts(_Fetch(self, repo_id, snapshot.name, progress), info, trust_remote_code)
                return
        say(
            f"{repo_id} is read as it is in the cache ({reason}); "
            f"not known is whether the repository has {', '.join(unknown)}"
        )

    def _fetch_texts(self, fetch: _Fetch, info: ModelInfo, trust_remote_code: bool) -> None:
        """Download the texts that a model is read by, and trusted code; note what the repository lacks."""
        sizes = _sizes(info)
        path = None
        for name in sizes:
            if name in TEXT_FILES or (trust_remote_code and name.endswith(".py") and "/" not in name):
                path = fetch.file(name, sizes[name])
        if path is None:
            return
        absent = unknown_files(path.parent, with_code=trust_remote_code)
        mark_absent(path.parent, [name for name in absent if name not in sizes])
        refuse_adapter_folder(path.parent, hub_id=str(info.id), names=sizes)

    def _download(self, repo_id: str, revision: str | None, trust_remote_code: bool) -> Path:
        info = self._model_info(repo_id, revision)
        sizes = _sizes(info)
        with bar(f"download {repo_id}") as progress:
            fetch = _Fetch(self, repo_id, str(info.sha), progress)
            self._fetch_texts(fetch, info, trust_remote_code)
            weights = _weight_files(list(sizes), repo_id, trust_remote_code, lambda name: fetch.file(name, 0))
            fetch.total_bytes = fetch.done_bytes + sum(sizes.get(name, 0) for name in weights)
            for name in weights:
                path = fetch.file(name, sizes.get(name, 0))
            # The branch's entry in the cache comes last: it makes the snapshot findable by name.
            fetch.file(CONFIG, 0, revision=revision or "main")
        return path.parent

    def _model_info(self, repo_id: str, revision: str | None) -> ModelInfo:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            HFValidationError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        api = HfApi(endpoint=self.endpoint)
        try:
            return within(
                _REACH_TIMEOUT_S,
                lambda: api.model_info(
                    repo_id, revision=revision, timeout=_REACH_TIMEOUT_S, files_metadata=True
                ),
            )
        except GatedRepoError as error:
            raise SourceNotFound(
                "the model is gated",
                subject=repo_id,
                next_step="Accept its terms on the hub, then log in with `hf auth login`.",
            ) from error
        except RevisionNotFoundError as error:
            raise SourceNotFound(
                f"has no revision {revision!r}",
                subject=repo_id,
                next_step="Leave out --revision, or give a commit, branch or tag of the repository.",
            ) from error
        except (RepositoryNotFoundError, HFValidationError) as error:
            raise SourceNotFound(
                "no such model on the hub",
                subject=repo_id,
                next_step=f"{_near(repo_id)}Check the spelling; hub ids are owner/name. Private models need "
                "`hf auth login`.",
            ) from error
        except network_errors(HfHubHTTPError) as error:
            _raise_of_this_machine(error)
            raise HubUnreachable(
                f"not cached, and the hub cannot be reached ({first_line(error)})",
                subject=repo_id,
                next_step=f"{_near(repo_id)}Check the connection, or give a local folder or .gguf file.",
            ) from error


def _sizes(info: ModelInfo) -> dict[str, int]:
    """Size in bytes of every file of the repository, by its path there."""
    return {file.rfilename: file.size or 0 for file in info.siblings or []}


def _near(repo_id: str) -> str:
    """The catalogue's nearest name to a word without an owner, which few ids on the hub are."""
    if "/" in repo_id:
        return ""
    # Compared without what all of them begin with: it would make any word look like one of them.
    near = did_you_mean(repo_id.removeprefix("random:"), shipped())
    return near.replace("'", "'random:", 1)


def _raise_of_this_machine(error: Exception) -> None:
    """Raise what the network is not to blame for: a cache that is full, or may not be written to."""
    if isinstance(error, OSError) and error.errno in _OF_THIS_MACHINE:
        raise error


def _weight_files(
    names: list[str], repo_id: str, trust_remote_code: bool, fetch: Callable[[str], Path]
) -> list[str]:
    """Weight files to download: those that transformers would read.

    Raises:
        UntrustedSource: only pickled weights, without trust.
        SourceNotFound: nothing that transformers would read.
    """
    top_level = [name for name in names if "/" not in name]
    fields = config_fields(fetch(CONFIG).parent) if CONFIG in names else {}
    entry = entry_point(top_level, fields, subject=repo_id)
    if is_pickled(entry) and not trust_remote_code:
        raise UntrustedSource(
            f"only pickled weights ({entry}), which can run code when loaded",
            subject=repo_id,
            next_step=TRUST,
        )
    return files_of(entry, lambda: fetch(entry))


class _Fetch:
    """Downloads files of one commit and adds up the bytes."""

    def __init__(self, hub: Hub, repo_id: str, commit: str, progress: ProgressCallback) -> None:
        self._hub = hub
        self._repo_id = repo_id
        self._commit = commit
        self._progress = progress
        self.done_bytes = 0
        self.total_bytes = 0

    def file(self, name: str, size_bytes: int, *, revision: str | None = None) -> Path:
        """Download one file of the commit; an interrupted download never gets its final name.

        Raises:
            SourceError: the download broke off.
        """
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError

        try:
            path = hf_hub_download(
                self._repo_id,
                name,
                revision=revision or self._commit,
                cache_dir=self._hub.cache_dir,
                endpoint=self._hub.endpoint,
                tqdm_class=self._bar_class(),
            )
        except network_errors(HfHubHTTPError) as error:
            _raise_of_this_machine(error)
            raise SourceError(
                f"the download of {name} failed: {first_line(error)}",
                subject=self._repo_id,
                next_step="Run the command again; files that are complete are kept.",
            ) from error
        self.done_bytes += size_bytes
        self._progress(self.done_bytes, self.total_bytes)
        return Path(path)

    def _bar_class(self) -> type:
        """What the hub library takes for a tqdm class, moving our bar instead."""
        fetch = self

        class Forward:
            def __init__(self, *_: Any, initial: int = 0, total: int | None = None, **__: Any) -> None:
                self.n = initial
                self.total = total

            def update(self, amount: int | None = 1) -> None:
                self.n += int(amount or 0)
                fetch._progress(fetch.done_bytes + self.n, fetch.total_bytes)

            def __enter__(self) -> Forward:
                return self

            def __exit__(self, *_: object) -> None:
                self.close()

            def close(self) -> None: ...

            def refresh(self, *_: Any, **__: Any) -> None: ...

            def set_description(self, *_: Any, **__: Any) -> None: ...

        return Forward
