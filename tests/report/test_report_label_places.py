"""Names stand where they cover nothing."""

from __future__ import annotations

from toolkit.report.label_places import _LETTER, BEFORE_STEPS, _box, placed, places


def test_crowded_names_go_to_other_sides_and_the_rest_are_left_out() -> None:
    crowd = [(1e9, 50.0 + n / 100, f"model-{n}") for n in range(12)] + [(1e8, 5.0, "alone")]
    found = places(crowd)
    assert found[-1] == "right"
    assert "none" in found and len(set(found)) > 2
    assert places([(1.0, 1.0, "single")]) == ["right"]
    assert places([]) == []


def test_a_name_at_the_right_edge_stands_on_the_left_or_above() -> None:
    assert places([(1e8, 1.0, "small"), (1e9, 9.0, "a-rather-long-name-of-a-model")])[1] != "right"


def test_values_of_a_plain_axis_may_be_nothing_and_less() -> None:
    shares = [(-1.0, 0.0, "low"), (0.0, 0.5, "middle"), (1.0, 1.0, "high")]
    assert "none" not in places(shares, log=(False, False))


def test_nothing_stands_over_the_axis_nor_is_an_empty_name_in_anybody_s_way() -> None:
    first, second = placed(
        [{"label": "a-long-name", "x": "2019-02", "y": 0.4}, {"label": "", "x": "2024-09", "y": 0.4}],
        log=(False, False),
        order=BEFORE_STEPS,
    )
    assert (first["place"], second["place"]) == ("right", "none"), "above and left would leave the drawing"


def test_a_box_lies_beside_its_point() -> None:
    width = _LETTER * 5
    assert _box(100, 100, width, "right").left > 100 > _box(100, 100, width, "left").right
    assert _box(100, 100, width, "above").bottom < 100 < _box(100, 100, width, "below").top
