"""What a study is, and the registry of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from toolkit.analysis.findings import Finding
from toolkit.engines import DEFAULT_ENGINE
from toolkit.errors import UsageError
from toolkit.models.catalogue.entry import Entry
from toolkit.registry import Registry
from toolkit.report.study_content import StudyFigure, Table
from toolkit.studies.data import StudyData
from toolkit.studies.request import NOT_FOR_EVERY_STUDY, ProtocolName, StudyRequest


@dataclass(frozen=True)
class Subject:
    """A model of a study.

    Attributes:
        reference: as `slm convert` takes it.
        entry: of the catalogue; None for models that it does not have.
    """

    reference: str
    entry: Entry | None = None

    @property
    def name(self) -> str:
        """For people."""
        return self.entry.name if self.entry else self.reference


@dataclass(frozen=True)
class LeftOut:
    """A model that was asked for and is not measured, or a part of it, with the reason."""

    model: str
    why: str


# Sections of a recipe, from the request with the study's defaults filled in.
Template = Callable[[StudyRequest, Sequence[Subject]], Mapping[str, Any]]


@dataclass(frozen=True)
class Study:
    """A study.

    Attributes:
        name: `slm study run NAME`.
        title: of its report.
        question: what it answers, one sentence.
        survey: the survey's figure that it redoes, or empty.
        template: the recipe that it stands for.
        figures: what its data look like, with the published ones beside.
        table: its numbers.
        findings: what its data say about the survey's statements.
        models: the catalogue's group or the models that it takes by default, and for `--models survey`;
            several with commas.
        protocol: by default.
        quant: by default.
        fewest_devices: without which it says nothing.
        defaults: other fields of the request.
        weights: what models of the catalogue get; "real" ones come from the hub.
        takes: fields of the request that mean something to it and not to every study.
        leaves_out: what its template leaves out of models that are measured.
    """

    name: str
    title: str
    question: str
    survey: str
    template: Template
    figures: Callable[[StudyData], Sequence[StudyFigure]]
    table: Callable[[StudyData], Table]
    findings: Callable[[StudyData], Sequence[Finding]]
    models: str
    protocol: ProtocolName = "survey"
    quant: tuple[str, ...] = ("mobile-4bit",)
    fewest_devices: int = 1
    defaults: Mapping[str, Any] = field(default_factory=dict)
    weights: Literal["random", "real"] = "random"
    takes: tuple[str, ...] = ()
    leaves_out: Callable[[StudyRequest, Sequence[Subject]], Sequence[LeftOut]] = lambda request, subjects: ()

    def filled(self, request: StudyRequest) -> StudyRequest:
        """A request with the study's own choice for what is not given.

        Raises:
            UsageError: an option that means nothing to this study.
        """
        for name in NOT_FOR_EVERY_STUDY:
            if name not in self.takes and getattr(request, name) not in (None, False):
                meant = ", ".join(one for one in STUDIES if name in STUDIES.get(one).takes)
                raise UsageError(
                    f"--{name.replace('_', '-')} means nothing here",
                    subject=f"study {self.name}",
                    next_step=f"Leave it out; it is for {meant}.",
                )
        own: dict[str, Any] = {
            "models": self.models,
            "device": ("local",),
            "quant": self.quant,
            "backend": (DEFAULT_ENGINE,),
            "protocol": self.protocol,
            **self.defaults,
        }
        given = {name: value for name, value in request if value not in ((), None)}
        return StudyRequest.of(**{**own, **given})


STUDIES: Registry[Study] = Registry("study", UsageError, entry_points="slm.studies")
for _name in (
    "latency-overview",
    "memory-overview",
    "memory-context",
    "latency-breakdown",
    "memory-breakdown",
    "quantization",
    "hardware",
    "energy",
    "sustained",
    "cold-start",
    "capability",
    "in-context",
    "long-context",
):
    STUDIES.register(_name, f"toolkit.studies.kinds.{_name.replace('-', '_')}:STUDY")
