"""Regression checks in the formats that CI systems read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from toolkit.analysis.left_out import left_out_words
from toolkit.cli.junit import print_suite, xml_text
from toolkit.cli.results.comparison_table import (
    conditions_under,
    lacking_words,
    power_words,
    print_regression,
    short_figure,
    unpaired_words,
)
from toolkit.errors import UsageError
from toolkit.registry import Registry

if TYPE_CHECKING:
    from toolkit.analysis.condition_key import ConditionKey
    from toolkit.analysis.regress import Check, Regression, Unpaired

# Prints a regression; told whether inconclusive checks and missing conditions fail as well.
Write = Callable[["Regression", bool, bool], None]


def _table(regression: Regression, strict: bool, require_all: bool) -> None:
    print_regression(regression)


def _json(regression: Regression, strict: bool, require_all: bool) -> None:
    from toolkit.cli.results.comparison_json import regression_as_json

    print(json.dumps(regression_as_json(regression), indent=2))


def _markdown(regression: Regression, strict: bool, require_all: bool) -> None:
    print("| outcome | figure | worse by | 95 % interval | baseline | now | conditions |")
    print("|---|---|---|---|---|---|---|")
    under = conditions_under(regression)
    for check in regression.checks:
        figure, interval = check.baseline.figure, check.interval
        cells = [
            f"**{check.outcome}**" if check.outcome in ("worse", "inconclusive") else check.outcome,
            short_figure(figure),
            f"{check.worse_by:+.1%}",
            f"{interval.low:+.1%} .. {interval.high:+.1%}",
            f"{figure.shown(check.baseline.median)} {figure.unit}",
            f"{figure.shown(check.candidate.median)} {figure.unit}",
            under[check.candidate.key] + (f" ({power_words(check.power)})" if check.power else ""),
        ]
        print("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    for unpaired in regression.unpaired:
        print(f"\n- {unpaired_words(unpaired, under)}")
    for lacking in regression.lacking:
        print(f"\n- {lacking_words(lacking, under)}")
    if regression.left_out:
        print(f"\n- {left_out_words(regression.left_out)}")


def _github(regression: Regression, strict: bool, require_all: bool) -> None:
    """Workflow commands; see "Workflow commands for GitHub Actions" in GitHub's documentation."""
    under = conditions_under(regression)
    for check in regression.checks:
        title = f"{short_figure(check.baseline.figure)} {check.outcome}"
        if check.outcome == "worse":
            print(_command("error", title, _sentence(check, under)))
        elif check.outcome == "inconclusive":
            print(_command("error" if strict else "warning", title, _sentence(check, under)))
    for missing in regression.missing:
        level = "error" if _fails(missing, strict, require_all) else "warning"
        print(_command(level, "not measured again", unpaired_words(missing, under)))
    for lacking in regression.lacking:
        title = f"{short_figure(lacking.figure)} not checked"
        print(_command("error" if strict else "warning", title, lacking_words(lacking, under)))
    told = ", ".join(f"{count} {outcome}" for outcome, count in _counts(regression))
    if regression.left_out:
        told = f"{told}; {left_out_words(regression.left_out)}"
    print(_command("notice", "regression check", told))


def _junit(regression: Regression, strict: bool, require_all: bool) -> None:
    suite = ElementTree.Element("testsuite", name="slm results regress")
    under = conditions_under(regression)
    for check in regression.checks:
        case = _case(suite, short_figure(check.baseline.figure), under[check.candidate.key])
        if check.outcome == "worse" or (strict and check.outcome == "inconclusive"):
            ElementTree.SubElement(
                case, "failure", type=check.outcome, message=xml_text(_sentence(check, under))
            )
        elif check.outcome == "inconclusive":
            ElementTree.SubElement(case, "skipped", message=xml_text(_sentence(check, under)))
        else:
            ElementTree.SubElement(case, "system-out").text = xml_text(_sentence(check, under))
    for missing in regression.missing:
        case = _case(suite, short_figure(missing.group.figure), under[missing.group.key])
        words = xml_text(unpaired_words(missing, under))
        if _fails(missing, strict, require_all):
            ElementTree.SubElement(case, "failure", type="not measured again", message=words)
        else:
            ElementTree.SubElement(case, "skipped", message=words)
    for lacking in regression.lacking:
        where = "baseline" if lacking.key is None else under[lacking.key]
        case = _case(suite, short_figure(lacking.figure), where)
        words = xml_text(lacking_words(lacking, under))
        if strict:
            ElementTree.SubElement(case, "failure", type="not checked", message=words)
        else:
            ElementTree.SubElement(case, "skipped", message=words)
    print_suite(suite)


def _fails(missing: Unpaired, strict: bool, require_all: bool) -> bool:
    return require_all or (strict and bool(missing.left_out))


def _case(suite: ElementTree.Element, figure: str, under: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=xml_text(under), name=figure)


def _sentence(check: Check, under: Mapping[ConditionKey, str]) -> str:
    figure, interval = check.baseline.figure, check.interval
    power = f"; {power_words(check.power)}" if check.power else ""
    return (
        f"{short_figure(figure)} {check.outcome}: worse by {check.worse_by:+.1%} "
        f"({interval.low:+.1%} .. {interval.high:+.1%}), {figure.shown(check.baseline.median)} before, "
        f"{figure.shown(check.candidate.median)} {figure.unit} now, {under[check.candidate.key]}{power}"
    )


def _counts(regression: Regression) -> Iterator[tuple[str, int]]:
    from toolkit.analysis.verdicts import OUTCOMES

    for outcome in OUTCOMES:
        yield outcome, sum(check.outcome == outcome for check in regression.checks)


def _command(level: str, title: str, message: str) -> str:
    for character, written in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        message, title = message.replace(character, written), title.replace(character, written)
    title = title.replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={title}::{message}"


FORMATS: Registry[Write] = Registry("format", UsageError)
FORMATS.register("table", _table)
FORMATS.register("json", _json)
FORMATS.register("md", _markdown)
FORMATS.register("junit", _junit)
FORMATS.register("github", _github)
