"""Whether the screen is lit, from ``dumpsys power``."""

from __future__ import annotations

import re

# android.view.Display's states. A dozing display shows a clock or nothing; it does not render.
_STATES = {
    "ON": True,
    "VR": True,
    "ON_SUSPEND": True,
    "OFF": False,
    "DOZE": False,
    "DOZE_SUSPEND": False,
}
# android.os.PowerManagerInternal's wakefulness; a screen saver ("Dreaming") renders.
_WAKEFULNESS = {"Awake": True, "Dreaming": True, "Asleep": False, "Dozing": False}


def parse_screen_on(text: str) -> bool | None:
    """Read ``dumpsys power``, whole or its lines of these two kinds.

    The display's own state wins. From Android 12 on some phones print an object's address in its place;
    there the wakefulness decides.
    """
    state = re.search(r"^Display Power: state=(\w+)", text, re.MULTILINE)
    if state and state[1] in _STATES:
        return _STATES[state[1]]
    wakefulness = re.search(r"^\s*mWakefulness=(\w+)\s*$", text, re.MULTILINE)
    return _WAKEFULNESS.get(wakefulness[1]) if wakefulness else None
