"""A catalogue entry of one's own, derived from a checkpoint's config without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import CatalogueInvalid, UsageError
from toolkit.files import expanded, write_whole
from toolkit.models.catalogue import derive
from toolkit.models.catalogue.catalogue import family_text, parse_family, shipped
from toolkit.models.catalogue.entry import Entry
from toolkit.settings import Settings
from toolkit.sources.folder_source import built_type, config_fields, config_from_fields
from toolkit.sources.hub import Hub
from toolkit.sources.naming import safe_name
from toolkit.sources.parameters import expected_parameters
from toolkit.sources.resolution import check_hub_id
from toolkit.sources.tasks import check_task

if TYPE_CHECKING:
    from transformers import PretrainedConfig

# Of the checkpoint or of training and generating, not of the model.
_NOT_THE_MODEL = frozenset(
    {
        *("transformers_version", "dtype", "torch_dtype", "architectures", "_name_or_path", "auto_map"),
        *("id2label", "label2id", "problem_type", "return_dict", "output_attentions"),
        *("output_hidden_states", "chunk_size_feed_forward", "is_encoder_decoder", "initializer_range"),
    }
)


def add_entry(
    model: str,
    settings: Settings,
    *,
    name: str | None = None,
    revision: str | None = None,
    offline: bool = False,
    replace: bool = False,
    hub: Hub | None = None,
) -> tuple[Entry, Path]:
    """Derive an entry and keep it among the user's own.

    Args:
        model: a folder with a config.json, or a hub id; weights are neither needed nor fetched.
        settings: own entries are in its ``models_dir``.
        name: in the catalogue; by default the last part of ``model``.
        revision: commit, branch or tag on the hub.
        offline: use only what is on this machine.
        replace: an own entry of that name.
        hub: another hub than the user's.

    Returns:
        The entry and its file.

    Raises:
        SourceError: no config, or none that can be read.
        UnsupportedModel: transformers does not know it, or it is no text generator.
        UsageError: the name is taken.
        CatalogueInvalid: facts that contradict each other.
    """
    folder = expanded(model)
    local = folder.is_dir()
    if local and revision is not None:
        raise UsageError(
            "--revision is for hub models only", subject=model, next_step="Leave out --revision."
        )
    own = safe_name(name or (folder.resolve().name if local else model.rpartition("/")[2]))
    file = settings.models_dir / f"{own.casefold()}.json"
    if own in shipped():
        raise UsageError(
            "the catalogue has a model of this name", subject=own, next_step="Give another one with --name."
        )
    if file.exists() and not replace:
        raise UsageError(
            "there is an entry of this name", subject=own, next_step="Pass --force, or give another --name."
        )
    if not local:
        check_hub_id(model)
        folder = (hub or Hub()).config_file(model, revision=revision, offline=offline).parent
    entry = derived(config_fields(folder), own, hub_id=None if local else model, origin=folder)
    text = family_text((entry,))
    # What is written can be read: validation is the same both ways.
    parse_family(text, str(file))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, text)
    return entry, file


def derived(fields: Mapping[str, Any], name: str, *, hub_id: str | None, origin: Path) -> Entry:
    """An entry out of the content of a config.json.

    Raises:
        UnsupportedModel: transformers does not know it, or it is no text generator.
        CatalogueInvalid: facts that contradict each other.
    """
    config = config_from_fields(fields, origin)
    composite = config.model_type != built_type(fields)
    if not composite:
        check_task(fields, subject=hub_id or str(origin))
    made = expected_parameters(config, subject=name)
    shapes = {one: parameter.shape for one, parameter in made.items()}
    shape = derive.architecture(config, shapes, {one: parameter.module for one, parameter in made.items()})
    try:
        return Entry(
            name=name,
            family=name,
            hub_id=hub_id,
            organisation=hub_id.partition("/")[0] if hub_id else None,
            model_type=config.model_type,
            architecture=shape,
            parameters=derive.parameters(config, shapes),
            notes=("The text decoder of a model that does more.",) if composite else (),
            sources=("its config.json",),
            config=_complete(config),
        )
    except ValueError as error:
        raise CatalogueInvalid(
            str(error).splitlines()[2].strip() if len(str(error).splitlines()) > 2 else str(error),
            subject=str(origin),
            next_step="Check the config.json.",
        ) from None


def _complete(config: PretrainedConfig) -> dict[str, Any]:
    """All fields that make the model, defaults included: a later transformers may have others."""
    return {key: value for key, value in config.to_dict().items() if key not in _NOT_THE_MODEL}
