"""A model of the toolkit's as the harness sees one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval import simple_evaluate
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import (
    handle_stop_sequences,
    has_bos_prefix,
    normalize_gen_kwargs,
    postprocess_generated_text,
)
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from toolkit.errors import ContextTooShort, EvaluationError, TokenizerMismatch
from toolkit.evaluate.on_device.asking import Asking
from toolkit.evaluate.scoring import (
    ContinueAnswer,
    ContinueRequest,
    Request,
    ScoreAnswer,
    ScoreRequest,
)

_GENERATED_TOKENS = 256
# Of the bootstrap that the harness takes for metrics without a formula.
_BOOTSTRAP = 1000


@dataclass(frozen=True)
class Limits:
    """What a model can take.

    Attributes:
        context_length: positions that it can hold.
        vocab_size: ids that it has an embedding for.
        truncate: cut texts that are too long at their beginning, as the harness's own models do.
    """

    context_length: int
    vocab_size: int
    truncate: bool = False


class ScoredModel(TemplateLM):  # type: ignore[misc]  # an untyped package
    """Texts become token ids as in the harness's HFLM, answers come from wherever the model answers.

    Args:
        subject: the model's name, for errors.
        tokenizer: transformers' for the model.
        asking: gives the answers.
        limits: of the model.
    """

    def __init__(
        self,
        subject: str,
        tokenizer: Any,
        asking: Asking,
        limits: Limits,
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self._subject = subject
        self._asking = asking
        self._limits = limits
        self._pieces: list[str] = []
        self._task = "the task"

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text."""
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """What stands for a text's beginning."""
        bos = self.tokenizer.bos_token_id
        return int(bos) if bos is not None else self.eot_token_id

    @property
    def max_length(self) -> int:
        """Positions that the model can hold."""
        return self._limits.context_length

    @property
    def tokenizer_name(self) -> str:
        """Of the tokenizer."""
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """As HFLM's."""
        special = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        if add_special_tokens is None and has_bos_prefix(string, self.tokenizer.decode(self.prefix_token_id)):
            special = {"add_special_tokens": False}
        ids: list[int] = self.tokenizer.encode(string, **special)
        return ids

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Log-likelihoods of continuations, and whether each is the greedy one."""
        self._task = _task_of(requests)
        found: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=True)
        return found

    def _loglikelihood_tokens(self, requests: Sequence[Any], **kwargs: Any) -> list[tuple[float, bool]]:
        asked = [self._scored(tuple(context), tuple(rest)) for _, context, rest in requests]
        return [
            (sum(answer.log_probabilities), answer.greedy)
            for answer in self._asking.answers(asked)
            if isinstance(answer, ScoreAnswer)
        ]

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        """Log-likelihoods of whole texts, in windows as long as the context, as HFLM cuts them."""
        self._task = _task_of(requests)
        asked: list[Request] = []
        owner = []
        for number, request in enumerate(requests):
            windows = get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0]),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            )
            for context, rest in map(make_disjoint_window, windows):
                asked.append(self._scored(tuple(context), tuple(rest)))
                owner.append(number)
        totals = [0.0] * len(requests)
        for number, answer in zip(owner, self._asking.answers(asked), strict=True):
            assert isinstance(answer, ScoreAnswer)
            totals[number] += sum(answer.log_probabilities)
        return totals

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """Greedy continuations up to a stop sequence."""
        self._task = _task_of(requests)
        asked: list[Request] = []
        ends: list[list[str]] = []
        eos = self.tokenizer.decode(self.eot_token_id, skip_special_tokens=False)
        for request in requests:
            context, given = request.args
            wanted = normalize_gen_kwargs(given, _GENERATED_TOKENS)
            if wanted.get("do_sample"):
                raise EvaluationError(
                    "asks for sampled text; only greedy text can be had",
                    subject=self._task,
                    next_step="Set do_sample: false in the task's generation_kwargs.",
                )
            until = handle_stop_sequences(wanted.get("until"), eos=eos)
            room = self.max_length - wanted["max_gen_toks"]
            tokens = self._fitting(self.tok_encode(context), room, wanted["max_gen_toks"])
            maximum = wanted["max_gen_toks"]
            asked.append(ContinueRequest(tokens, maximum, self._stops(until), self._sequences(until)))
            ends.append(until)
        texts = []
        for answer, until in zip(self._asking.answers(asked), ends, strict=True):
            assert isinstance(answer, ContinueAnswer)
            text = self.tokenizer.decode(list(answer.token_ids), skip_special_tokens=True)
            texts.append(postprocess_generated_text(text, until, None))
        return texts

    def _scored(self, context: tuple[int, ...], rest: tuple[int, ...]) -> ScoreRequest:
        # The last token is never fed.
        tokens = self._fitting((*context, *rest), self.max_length + 1, 0)
        first = len(tokens) - len(rest)
        if first < 1:
            raise self._too_short(len(context) + len(rest), 0)
        return ScoreRequest(tokens, first)

    def _fitting(self, tokens: Sequence[int], room: int, more: int) -> tuple[int, ...]:
        beyond = next((one for one in tokens if one >= self._limits.vocab_size), None)
        if beyond is not None:
            raise TokenizerMismatch(
                f"its tokenizer gives the token {self.tokenizer.convert_ids_to_tokens(beyond)!r} ({beyond}), "
                f"the model has {self._limits.vocab_size} embeddings",
                subject=self._subject,
                next_step="Tokenizer and weights do not belong together: convert the model again from a "
                "folder in which they do.",
            )
        if len(tokens) > room and (not self._limits.truncate or room < 1):
            raise self._too_short(len(tokens), more)
        return tuple(tokens[-room:])

    def _too_short(self, tokens: int, more: int) -> ContextTooShort:
        beside = f" beside {more} that it generates" if more else ""
        return ContextTooShort(
            f"has a prompt of {tokens} tokens{beside}, the context length of {self._subject} is "
            f"{self.max_length}",
            subject=self._task,
            next_step="Ask for fewer --shots, convert with a larger --context, or pass --truncate to leave "
            "the beginnings of such prompts out.",
        )

    def _stops(self, until: Sequence[str]) -> tuple[int, ...]:
        """Tokens that begin with a stop sequence."""
        if not self._pieces:
            # What a token adds to a text, not how it stands alone: some decoders strip a leading space.
            [*_, some] = self.tokenizer.encode("a", add_special_tokens=False)
            alone = len(self.tokenizer.decode([some]))
            pairs = [[some, token] for token in range(len(self.tokenizer))]
            self._pieces = [text[alone:] for text in self.tokenizer.batch_decode(pairs)]
        starting = tuple(one for one in until if one)
        found = {token for token, piece in enumerate(self._pieces) if piece.startswith(starting)}
        return tuple(sorted(found | {self.eot_token_id}))

    def _sequences(self, until: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        """Stop sequences of several tokens, as the tokenizer writes them.

        A model may write them otherwise: then nothing ends early, and the text is cut behind the generation.
        """
        found = []
        for text in until:
            ids = self.tokenizer.encode(text, add_special_tokens=False) if text else []
            if len(ids) > 1 and text in self.tokenizer.decode(ids):
                found.append(tuple(ids))
        return tuple(found)


def tokenizer_of(folder: Path, subject: str) -> Any:
    """A model's tokenizer as transformers loads it.

    Raises:
        TokenizerMismatch: there is none, or it does not say how a text ends.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError):
        # A folder without a model's configuration.
        file = folder / "tokenizer.json"
        if not file.is_file():
            raise TokenizerMismatch(
                "has no tokenizer.json", subject=subject, next_step="Convert the model again."
            ) from None
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(file))
    if tokenizer.eos_token_id is None:
        raise TokenizerMismatch(
            "its tokenizer does not say which token ends a text",
            subject=subject,
            next_step="Add eos_token to the source's tokenizer_config.json, and convert again.",
        )
    return tokenizer


def _task_of(requests: Sequence[Any]) -> str:
    names = dict.fromkeys(str(getattr(one, "task_name", None)) for one in requests)
    return f"task {', '.join(list(names)[:3])}"


def results_of(
    model: ScoredModel, tasks: Sequence[Any], manager: Any, shots: int | None, limit: int | None, seed: int
) -> dict[str, Any]:
    """What the harness says of a model on some tasks, with every question and answer.

    Args:
        model: it.
        tasks: the harness's tasks and groups, with their data.
        manager: the TaskManager that loaded them; without it the harness reads all of its thousands of tasks.
        shots: examples in each prompt; None for what each task says.
        limit: items of each task; None for all.
        seed: of whatever is drawn.
    """
    results: dict[str, Any] = simple_evaluate(
        model=model,
        tasks=list(tasks),
        task_manager=manager,
        num_fewshot=shots,
        limit=limit,
        bootstrap_iters=_BOOTSTRAP,
        log_samples=True,
        random_seed=seed,
        numpy_random_seed=seed,
        torch_random_seed=seed,
        fewshot_random_seed=seed,
    )
    return results
