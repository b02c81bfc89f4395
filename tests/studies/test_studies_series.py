"""What tells points of one model in one panel apart."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from made_points import point

from toolkit.store import Store
from toolkit.studies.data import Point, StudyData, told_apart
from toolkit.studies.overview import panels
from toolkit.studies.pairs import equal_architectures


def made_by(algorithm: str, model: str = "Phi-1", **medians: float) -> Point:
    """A 4-bit point whose weights an algorithm rounded."""
    one = point(model, conditions={"algorithm": algorithm}, **medians)
    sha256 = (algorithm * 64)[:64]
    artifact = replace(one.artifact, algorithm=algorithm, sha256=sha256)
    return replace(one, artifact=artifact, key=replace(one.key, artifact_sha256=sha256))


def data_of(points: list[Point]) -> StudyData:
    return StudyData(points, [], [], cast(Store, None), {})


def test_two_algorithms_are_two_series() -> None:
    found = told_apart([made_by("rtn", decode_ms=10), made_by("gptq", decode_ms=20)])
    assert [one.series for one in found] == ["ort 8da4w g32 rtn", "ort 8da4w g32 gptq"]
    assert [[one.artifact.algorithm for one in some] for _, some in data_of(found).series()] == [
        ["rtn"],
        ["gptq"],
    ]
    (panel,) = panels(data_of(found), [("title", "decode_ms", "ms")])
    assert [row["series"] for row in panel.charts[0].rows] == ["ort 8da4w g32 rtn", "ort 8da4w g32 gptq"]


def test_one_algorithm_is_not_named() -> None:
    found = told_apart([made_by("rtn", decode_ms=10), made_by("rtn", "Phi-1.5", decode_ms=20)])
    assert {one.series for one in found} == {"ort 8da4w g32"}


def test_models_rounded_by_different_algorithms_are_no_pair_of_one_architecture() -> None:
    mixed = told_apart([made_by("rtn", decode_ms=10), made_by("gptq", "Phi-1.5", decode_ms=20)])
    assert equal_architectures(mixed, {}, "here").why.startswith("no two models of equal architecture")
    alike = told_apart([made_by("rtn", decode_ms=10), made_by("rtn", "Phi-1.5", decode_ms=20)])
    assert not equal_architectures(alike, {}, "here").why.startswith("no two models")
