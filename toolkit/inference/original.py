"""The original model as its own makers' code loads it: names and numbers never pass through our reader.

Folders are loaded by transformers, GGUF files by llama.cpp's own Python package and transformers' table of
what llama.cpp's converter did to the values.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from toolkit.errors import ParityFailed, SourceError, first_line
from toolkit.models.facts_shape import LAYER_COUNTS
from toolkit.sources.run_options import forget_run_options

if TYPE_CHECKING:
    from toolkit.sources.base import ModelSource, Original

# Folders of more parameters are not held at once; a sample of their tensors is compared instead.
WHOLE_PARAMETERS = 300_000_000
# Rows of a matrix that are compared; vocabularies have hundreds of thousands.
_COMPARED_ROWS = 2048
# The ways in which transformers and gguf refuse files; their loaders raise all of them.
_LOADING_ERRORS = (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError)


def whole_original(source: ModelSource, parameters: int) -> Any | None:
    """The model in float32 as transformers loads it from its folder, or None for what is compared in samples.

    Args:
        source: where it comes from.
        parameters: how many it has.

    Raises:
        SourceError: transformers cannot load it.
    """
    original = source.original
    if original is None or not original.path.is_dir() or parameters > WHOLE_PARAMETERS:
        return None
    config = _config(original)
    _check_class(source, config)
    return _from_folder(original, config)


def _check_class(source: ModelSource, config: Any) -> None:
    """Two classes may have the same parameters and compute otherwise, in long texts only.

    Raises:
        ParityFailed: transformers makes another model of the folder than we do.
    """
    theirs, ours = type(config.get_text_config(decoder=True)), type(source.config)
    if theirs is not ours and theirs.__module__.startswith("transformers."):
        raise ParityFailed(
            f"is a {theirs.__name__} to transformers, and a {ours.__name__} here",
            subject=source.name,
            next_step="This is a fault of the toolkit: please report it with the name of the model.",
        )


def load_folder(original: Original, dtype: torch.dtype = torch.float32) -> Any:
    """The model as transformers loads it from its folder.

    Raises:
        SourceError: transformers cannot load it.
    """
    return _from_folder(original, _config(original), dtype)


def check_reader(source: ModelSource) -> None:
    """Compare our reader with the makers' code on a sample of the parameters.

    Those outside the layers; of a folder the first layers, until each kind of layer was among them; of a GGUF
    file the first and the last layer.

    Raises:
        ParityFailed: our reader gives other numbers.
        SourceError: the makers' code cannot read the files.
    """
    original = source.original
    if original is None:
        return
    held = set(source.weights.names())
    folder = original.path.is_dir()
    if folder:
        _check_class(source, _config(original))
    compared = 0
    sample = _folder_sample(original) if folder else _gguf_sample(original, source.config)
    for name, theirs in sample:
        if name not in held:
            continue
        ours = source.weights.read(name)
        if theirs.ndim > 1 and not folder:
            # Only the first rows were read; gpt2's are columns.
            ours = ours[tuple(slice(size) for size in theirs.shape)]
        compared += 1
        # gemma's norms are stored as 1 + w, which rounds.
        same = torch.equal(ours, theirs)
        if not same and (ours.shape != theirs.shape or not torch.allclose(ours, theirs, rtol=0, atol=1e-6)):
            raise ParityFailed(
                f"{name} is not read as {'transformers' if folder else 'llama.cpp'} reads it",
                subject=source.name,
                next_step="This is a fault of the toolkit: please report it with the name of the model.",
            )
    if not compared:
        raise _refusal(original.path, "none of its tensors has a name in both")


def _from_folder(original: Original, config: Any, dtype: torch.dtype = torch.float32) -> Any:
    # As in a skeleton: torch's grouped products refuse widths that are no multiple of 16 bytes.
    config._experts_implementation = "eager"
    with _loading(original.path):
        trust = original.trust_remote_code
        model, told = _auto_class(config, trust=trust).from_pretrained(
            original.path,
            config=config,
            dtype=dtype,
            trust_remote_code=trust,
            local_files_only=True,
            output_loading_info=True,
        )
    if told["missing_keys"]:
        raise _refusal(original.path, f"it misses {', '.join(sorted(told['missing_keys'])[:3])}")
    if dtype == torch.float32:
        _widen(model)
    return model.eval()


def _widen(model: torch.nn.Module) -> None:
    """All in float32: some modules are made in a precision of their own (xIELU's factors in bfloat16)."""
    for tensor in itertools.chain(model.parameters(), model.buffers()):
        if tensor.dtype in (torch.bfloat16, torch.float16):
            tensor.data = tensor.data.float()


def _gguf_sample(original: Original, config: Any) -> Iterator[tuple[str, torch.Tensor]]:
    from toolkit.inference.gguf_original import sampled

    with _loading(original.path):
        yield from sampled(original.path, config, _COMPARED_ROWS)


def _folder_sample(original: Original) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters of the decoder with its first layers, by the names that it has alone."""
    whole = _config(original)
    text = whole.get_text_config(decoder=True)
    count = next((name for name in LAYER_COUNTS if hasattr(text, name)), None)
    # A config that calls it otherwise is taken as it is, with all layers.
    if count is not None:
        _shorten(text, count, _layers_of_each_kind(text, count, trust=original.trust_remote_code))
    model = _from_folder(original, whole)
    if text is whole:
        yield from model.state_dict().items()
        return
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        alone = AutoModelForCausalLM.from_config(text)
    for part in ("get_decoder", "get_output_embeddings"):
        theirs, ours = getattr(model, part)(), getattr(alone, part)()
        prefix = next(name for name, module in alone.named_modules() if module is ours)
        for name, values in theirs.state_dict().items():
            yield f"{prefix}.{name}", values


def _layers_of_each_kind(config: Any, count: str, *, trust: bool) -> int:
    """How many of the first layers have every kind among them: layers whose parameters have other names."""
    with torch.device("meta"):
        model = _auto_class(config, trust=trust).from_config(copy.deepcopy(config), trust_remote_code=trust)
    lists = (module for module in model.modules() if isinstance(module, torch.nn.ModuleList))
    layers: Any = next((layers for layers in lists if len(layers) == getattr(config, count)), [])
    kinds = [tuple(layer.state_dict()) for layer in layers]
    return 1 + max((kinds.index(kind) for kind in set(kinds)), default=0)


def _shorten(config: Any, count: str, layers: int) -> None:
    """Leave the first layers, in each list that has an entry per layer as well."""
    before = getattr(config, count)
    setattr(config, count, layers)
    for name, value in list(vars(config).items()):
        if isinstance(value, list | tuple) and len(value) == before:
            setattr(config, name, value[:layers])


def _config(original: Original) -> Any:
    """As the folder has it, of everything that the model does."""
    from transformers import AutoConfig

    with _loading(original.path):
        config = AutoConfig.from_pretrained(original.path, trust_remote_code=original.trust_remote_code)
    forget_run_options(config)
    return config


def _auto_class(config: Any, *, trust: bool) -> Any:
    """The first of transformers' classes for language models that knows a config."""
    import transformers

    names = ("CausalLM", "ImageTextToText", "MultimodalLM", "SpeechSeq2Seq")
    classes: list[Any] = [getattr(transformers, f"AutoModelFor{name}") for name in names]
    known = (auto for auto in classes if type(config) in auto._model_mapping)
    return classes[0] if trust else next(known, classes[0])


@contextmanager
def _loading(path: Path) -> Iterator[None]:
    """Quiet loading, whose errors name the files."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except _LOADING_ERRORS as error:
        raise _refusal(path, first_line(error)) from error
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _refusal(path: Path, why: str) -> SourceError:
    return SourceError(
        f"its makers' own code cannot load it, so nothing can judge the artifact ({why})",
        subject=str(path),
        next_step="Correct what it names, or pass --no-parity-check to convert without a judge.",
    )
