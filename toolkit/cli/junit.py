"""Results as JUnit's XML, which every CI system reads."""

from __future__ import annotations

from xml.etree import ElementTree


def xml_text(text: str) -> str:
    """Without the characters that XML 1.0 has no way to write."""
    return "".join(one if one >= " " or one in "\t\n\r" else "?" for one in text)


def print_suite(suite: ElementTree.Element) -> None:
    """Print a suite with the numbers of its cases; what fails or is skipped is an element of its case."""
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("*/failure"))))
    suite.set("skipped", str(len(suite.findall("*/skipped"))))
    suite.set("errors", "0")
    ElementTree.indent(suite)
    print('<?xml version="1.0" encoding="utf-8"?>')
    print(ElementTree.tostring(suite, encoding="unicode"))
