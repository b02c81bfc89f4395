"""What the kinds of steps share while a recipe is planned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from toolkit.devices.base import DeviceInfo
from toolkit.devices.discovery import attached_phones, identities, list_devices
from toolkit.devices.given_names import find_name
from toolkit.devices.ssh.client import PREFIX as BOARD
from toolkit.recipes import fingerprints
from toolkit.recipes.freshness import Freshness
from toolkit.recipes.schema import LoadedRecipe
from toolkit.recipes.step_estimates import History
from toolkit.recipes.steps import Stage, State, Step, Work
from toolkit.recipes.targets import LOCAL, PHONES, virtual_count, virtual_name
from toolkit.recipes.workspace import StepRecord, Workspace
from toolkit.settings import Settings

UNKNOWN = "?"

# The phones that the word stands for, by their names in a plan.
Phones = Callable[[Settings], Sequence[str]]


def unknown_key(title: str, needs: Sequence[str]) -> str:
    """What stands for the key of a step while a model that it needs is not fetched.

    By it such steps are told apart, and followed to what they need.
    """
    return UNKNOWN + fingerprints.digest([title, *needs])


def is_known(key: str) -> bool:
    """Whether it is a step's key, and does not only stand for it."""
    return not key.startswith(UNKNOWN)


def planned_name(device: DeviceInfo) -> str:
    """A device's name in plans: of its hardware, as the same phone under another serial is the same."""
    return device.serial if device.kind == LOCAL else device.identity or device.serial


def named_device(word: str, settings: Settings) -> str:
    """The name in plans of a device that a recipe names by a serial or by the name that its owner gave it.

    A phone that hangs on another host keeps the word, which must be its hardware's serial number then.

    Raises:
        AdbServerFailed: there is an adb, but it cannot say which phones are attached.
        UsageError: the file of names is damaged.
    """
    named = find_name(word, settings)
    if named is not None:
        # Boards are found by their address alone.
        return named.serial if named.serial == LOCAL or named.serial.startswith(BOARD) else named.identity
    if word.startswith(BOARD):
        # No phone, so that adb has no say in it.
        return word
    if not any(phone.serial == word and phone.state == "device" for phone in attached_phones(settings)):
        return word
    return identities([word], settings)[word].hardware or word


def phones_here(settings: Settings) -> list[str]:
    """The phones attached to this machine; virtual ones are none.

    Raises:
        AdbServerFailed: there is an adb, but it cannot say which phones are attached.
    """
    phones = [one for one in list_devices(settings) if one.kind != LOCAL and not one.emulated]
    return list(dict.fromkeys(_told_apart(phones, settings)))


def _told_apart(phones: Sequence[DeviceInfo], settings: Settings) -> list[str]:
    """The names of phones in plans; two phones to which a maker gave one number keep what adb calls them."""
    names = [planned_name(one) for one in phones]
    if len(set(names)) == len(names):
        return names
    known = identities([one.serial for one in phones if one.identity], settings)
    return [
        one.serial if one.serial in known and known[one.serial].hardware is None else name
        for one, name in zip(phones, names, strict=True)
    ]


@dataclass
class Planning:
    """A plan in the making.

    Attributes:
        loaded: the recipe and its place.
        workspace: where artifacts and records are.
        settings: says which store and caches.
        phones: asked what the word "phones" stands for, when the recipe has it.
        history: what earlier steps took.
        shared: keys of the artifacts that other hosts can get; None without a share.
        freshness: until when a measurement counts.
        steps: planned so far: all of earlier stages, and of this one those of earlier kinds.
    """

    loaded: LoadedRecipe
    workspace: Workspace
    settings: Settings
    phones: Phones
    history: History
    shared: frozenset[str] | None
    freshness: Freshness = field(default_factory=Freshness)
    steps: list[Step] = field(default_factory=list)
    _phones: list[str] | None = None
    _named: dict[str, str] = field(default_factory=dict)

    def of_kind(self, name: str) -> list[Step]:
        """The steps of a kind, in the order in which it planned them."""
        return [step for step in self.steps if step.kind == name]

    def of_stage(self, stage: Stage) -> list[Step]:
        """The steps of a stage."""
        return [step for step in self.steps if step.work.stage == stage]

    def recorded_state(self, key: str, work: Work) -> State:
        """The state of a step whose record in the workspace is all that there is of its result."""
        if not is_known(key):
            return "unknown"
        record = self.workspace.record(key)
        return "done" if record is not None and self.still_counts(record, work) else "to do"

    def still_counts(self, record: StepRecord, work: Work) -> bool:
        """Whether a step's newest attempt ended well, and by the recipe's rule needs not be done again."""
        return self.freshness.is_done(record.last, work)

    def devices(self, word: str) -> list[str]:
        """The devices that a recipe's word stands for, by their names in the plan."""
        if count := virtual_count(word):
            return [virtual_name(number) for number in range(1, count + 1)]
        if word == LOCAL:
            return [LOCAL]
        if word != PHONES:
            if word not in self._named:
                self._named[word] = named_device(word, self.settings)
            return [self._named[word]]
        if self._phones is None:
            self._phones = list(self.phones(self.settings))
        # With none attached the word stays, so that the plan shows what cannot be run now.
        return self._phones or [PHONES]

    @property
    def timeout_s(self) -> float | None:
        """Longest time for one step."""
        minutes = self.loaded.recipe.limits.timeout_minutes
        return None if minutes is None else minutes * 60
