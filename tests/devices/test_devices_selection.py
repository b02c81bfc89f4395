"""Which device is meant where only one can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.devices import selection
from toolkit.devices.base import DeviceInfo
from toolkit.devices.identity import Identity
from toolkit.errors import DeviceNotFound
from toolkit.settings import Settings

HOME = Settings(cache_dir=Path("c"), data_dir=Path("d"), store_url="sqlite://")


@pytest.fixture
def two_phones(monkeypatch: pytest.MonkeyPatch) -> None:
    phones = [DeviceInfo(serial=name, kind="adb", state="device") for name in ("one", "two")]
    monkeypatch.setattr(selection, "attached_phones", lambda settings: phones)
    monkeypatch.setattr(
        selection, "identities", lambda names, settings: {name: Identity(name, None) for name in names}
    )


@pytest.mark.parametrize("named", [None, "all"])
def test_work_for_one_device_names_the_phones_and_never_advises_all(
    two_phones: None, named: str | None
) -> None:
    with pytest.raises(DeviceNotFound) as caught:
        selection.chosen_serial(named, HOME)
    assert "one device at a time" in str(caught.value) and "one, two" in str(caught.value)
    assert "--device all" not in str(caught.value)
    assert selection.chosen_serial("two", HOME) == "two"
