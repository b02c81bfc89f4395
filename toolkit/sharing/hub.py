"""An artifact in a repository of the Hugging Face hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.artifact import MANIFEST, Artifact
from toolkit.errors import PublishFailed, UsageError
from toolkit.sharing.model_card import CARD, with_metadata_of

if TYPE_CHECKING:
    from huggingface_hub import HfApi


_NOT_FOUND = 404


def push_to_hub(
    artifact: Artifact,
    repository: str,
    card: str,
    *,
    private: bool = False,
    message: str | None = None,
    endpoint: str | None = None,
) -> str:
    """Upload all files and the card in one commit, into a repository that is made where there is none.

    Args:
        artifact: verified before anything is sent.
        repository: "USER/NAME".
        card: the repository's README.md; what the metadata of the one that is there has beside it is kept.
        private: of a new repository.
        message: of the commit.
        endpoint: base URL of the hub; the hub library's own choice (``HF_ENDPOINT``) by default.

    Returns:
        The commit's address.

    Raises:
        ArtifactCorrupt: a file has changed since it was converted.
        PublishFailed: the hub refused or was not reached; a commit is there as a whole or not at all.
        UsageError: no such name of a repository is possible, or the metadata that is there cannot be read.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    artifact.verify()
    api = HfApi(endpoint=endpoint, library_name="slm-toolkit")
    names = [*(entry.path for entry in artifact.manifest.files), MANIFEST]
    operations = [
        CommitOperationAdd(path_in_repo=name, path_or_fileobj=artifact.path / name)
        for name in names
        if name != CARD
    ]
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        there = _card_there(api, repository)
        if there is not None:
            card = with_metadata_of(card, there)
        operations.append(CommitOperationAdd(path_in_repo=CARD, path_or_fileobj=card.encode()))
        commit = api.create_commit(
            repository, operations, commit_message=message or f"Add {artifact.name}, made with slm-toolkit"
        )
    except HFValidationError as error:
        raise UsageError(str(error), subject=repository, next_step="Write it like USER/NAME.") from None
    except HfHubHTTPError as error:
        raise _refused(error, repository) from None
    except (HfHubHTTPError.__bases__[0], OSError) as error:
        # The hub library's HTTP client changed its name once already; its error base is above the hub's own.
        raise PublishFailed(
            f"the hub was not reached: {error}",
            subject=repository,
            next_step="Check the network and HF_ENDPOINT, and run the same command again.",
        ) from None
    return str(commit.commit_url)


def _card_there(api: HfApi, repository: str) -> str | None:
    """The card that a repository has; None where it has none."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    address = hf_hub_url(repository, CARD, endpoint=api.endpoint)
    answer = get_session().get(address, headers=build_hf_headers(token=api.token))
    if answer.status_code == _NOT_FOUND:
        return None
    hf_raise_for_status(answer)
    return str(answer.text)


def _refused(error: Exception, repository: str) -> PublishFailed:
    status = getattr(getattr(error, "response", None), "status_code", None)
    said = str(error).strip().splitlines()
    next_step = "Run the same command again; nothing of the commit is there."
    if status in (401, 403):
        next_step = "Log in with a token that may write there: hf auth login, or set HF_TOKEN."
    return PublishFailed(
        f"the hub refused it ({status}): {said[-1] if said else 'no reason given'}",
        subject=repository,
        next_step=next_step,
    )
