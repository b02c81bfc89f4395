"""Everything that can go wrong, as types.

Each error says what failed, on which model, device or file, and what to do next. The CLI shows a
``ToolkitError`` without a traceback and exits with its ``exit_code``; any other exception is a bug
and keeps its traceback.

::

    ToolkitError                 1
    +-- UsageError               2    an option that cannot be meant as given
    |   +-- BadFilter                 a --where, --sort or --axis that cannot be read
    |   +-- ContextFull               a text that leaves no room for an answer
    |   +-- StudyError                a study that cannot be run or reported as asked
    +-- CatalogueError           2    the catalogue of models
    |   +-- UnknownModel              no model of this name
    |   +-- CatalogueInvalid          an entry that contradicts itself or is no entry
    +-- SourceError              3    where weights come from
    |   +-- SourceNotFound            no such model, folder or file, or the network is needed
    |   +-- SourceCorrupt             truncated or damaged weights
    |   +-- MissingWeights            the model needs tensors that the source lacks
    |   +-- UntrustedSource           pickle weights or remote code without --trust-remote-code
    +-- CompressError            4    quantization that cannot be done as asked
    |   +-- UnknownScheme
    |   +-- BadGroupSize
    +-- ExportError              5    capture, lowering, parity
    |   +-- UnsupportedModel
    |   +-- ContextTooLong
    |   +-- ParityFailed
    |   +-- EngineFailed              the engine cannot run what was just written, or ended its process
    +-- ArtifactError            6    the artifact folder
    |   +-- NotAnArtifact
    |   +-- ArtifactCorrupt
    |   +-- ArtifactExists
    |   +-- PublishFailed             the hub did not take it
    +-- RuntimeBundleError       7    building or finding the native runner
    |   +-- BuildFailed
    |   +-- EngineMismatch
    +-- DeviceError              8    a device; carries its serial
    |   +-- AdbNotFound
    |   +-- AdbServerFailed           adb is there but cannot say which phones are attached
    |   +-- DeviceNotFound
    |   +-- DeviceNotReady            unauthorized, offline, no permissions ...
    |   +-- DeviceLost                vanished in the middle of something
    |   +-- DeviceTimeout
    |   +-- DeviceFull
    |   +-- DeviceBusy                another run holds its lock
    |   +-- DeviceUnreadable          it answered, but not what was asked
    |   +-- TransferFailed
    |   |   +-- FileAbsent            no such file there
    |   +-- EnergyRefused             no counters, or a charger that they do not see
    |   +-- VirtualPhoneFailed        a virtual phone cannot be started
    +-- RunError                 9    the runner on the device
    |   +-- RunnerFailed              non-zero exit, killed, crashed
    |   +-- GateTimeout               too hot, busy or empty to measure within the time limit
    |   +-- Throttled                 it slowed down while being measured
    |   +-- ResultInvalid             result file cut short, of another run, or malformed
    +-- StoreError              10    the results database
    |   +-- StoreLocked
    |   +-- RunNotFound
    |   +-- ConditionsDiffer          runs that must not be ranked against each other
    |   +-- ImportInvalid             a file that cannot be imported; nothing of it was
    +-- RecipeError             11    a recipe that cannot be planned
    |   +-- RecipeInvalid             what is wrong in the file, each with line and column
    +-- BatchError              12    a batch of steps that did not come to its end
    |   +-- StepsFailed               some steps failed; the others are done and are not done again
    |   +-- BatchBusy                 another process runs this recipe
    |   +-- ClusterUnusable           the Ray cluster cannot be reached or lacks what the steps need
    +-- EvaluationError         13    what a model knows cannot be measured as asked
        +-- BadLogits                 the model gives logits that are no numbers
        +-- OtherSource               the model that is compared with is not the one that was converted
        +-- UnknownTask               no task of this name
        +-- TaskInvalid               a task's file that cannot be used
        +-- TaskDataMissing           a task whose data set is not here
        +-- TokenizerMismatch         the tokenizer does not belong to the weights
        +-- ContextTooShort           the prompts of a task do not fit
        +-- RequirementFailed         an artifact does not reach what was asked of it
"""

from __future__ import annotations

from typing import ClassVar

# A line may begin with the path of a folder; what is the matter comes behind it.
_LONGEST_LINE = 1000


class ToolkitError(Exception):
    """Base of all expected errors.

    Attributes:
        what: what failed, one sentence.
        subject: the model, file, recipe or device serial it failed on.
        next_step: what the user can do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, subject: str | None = None, next_step: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.subject = subject
        self.next_step = next_step

    def __str__(self) -> str:
        text = f"{self.subject}: {self.what}" if self.subject else self.what
        return f"{text}\n  next: {self.next_step}" if self.next_step else text


def first_line(error: BaseException) -> str:
    """The first line of what an error of other code says; its type's name where it says nothing."""
    said = str(error).strip().splitlines()
    return said[0][:_LONGEST_LINE] if said else type(error).__name__


class UsageError(ToolkitError):
    """An option or combination of options that cannot be meant as given."""

    exit_code = 2


class BadFilter(UsageError):
    """A filter, sort order or comparison axis that cannot be read."""


class ContextFull(UsageError):
    """A text leaves no room in the model's context."""


class StudyError(UsageError):
    """A study that cannot be run or reported as asked: too few devices, or nothing was measured yet."""


class CatalogueError(ToolkitError):
    """The catalogue of models cannot be used as asked."""

    exit_code = 2


class UnknownModel(CatalogueError):
    """The catalogue has no model of this name."""


class CatalogueInvalid(CatalogueError):
    """A file that is no entry, or an entry whose facts contradict each other."""


class SourceError(ToolkitError):
    """A model source cannot be read."""

    exit_code = 3


class SourceNotFound(SourceError):
    """No such model, folder or file, or it is not cached and the network is out of reach."""


class SourceCorrupt(SourceError):
    """Truncated or damaged weights or configuration."""


class MissingWeights(SourceError):
    """The architecture needs tensors that the source does not hold."""


class UntrustedSource(SourceError):
    """Pickle weights or remote code, without the flag that allows them."""


class CompressError(ToolkitError):
    """Quantization that cannot be done as asked."""

    exit_code = 4


class UnknownScheme(CompressError):
    """No such quantization scheme, algorithm or preset."""


class BadGroupSize(CompressError):
    """A group size that the scheme, the engine or the tensor's shape does not allow."""


class ExportError(ToolkitError):
    """Capture, lowering or parity failed."""

    exit_code = 5


class UnsupportedModel(ExportError):
    """A model type or operator that the capture or the lowering does not know."""


class ContextTooLong(ExportError):
    """More context than the model was trained for."""


class ParityFailed(ExportError):
    """The artifact does not agree with the transformers model."""


class EngineFailed(ExportError):
    """The engine refuses what was just written, or its process ended over it."""


class ArtifactError(ToolkitError):
    """An artifact folder cannot be used."""

    exit_code = 6


class NotAnArtifact(ArtifactError):
    """No valid manifest.json in the folder."""


class ArtifactCorrupt(ArtifactError):
    """A file is missing or differs from its hash in the manifest."""


class ArtifactExists(ArtifactError):
    """The output folder is already there."""


class PublishFailed(ArtifactError):
    """The hub refused an upload, or was not reached."""


class RuntimeBundleError(ToolkitError):
    """The runner bundle cannot be built or found."""

    exit_code = 7


class BuildFailed(RuntimeBundleError):
    """CMake or the compiler failed."""


class EngineMismatch(RuntimeBundleError):
    """Runner and engine library, or bundle and device ABI, do not fit."""


class DeviceError(ToolkitError):
    """Something went wrong on a device; ``serial`` says which.

    Attributes:
        serial: the device's serial, or ``local``.
    """

    exit_code = 8

    def __init__(self, what: str, *, serial: str | None = None, next_step: str | None = None) -> None:
        super().__init__(what, subject=f"device {serial}" if serial else None, next_step=next_step)
        self.serial = serial


class AdbNotFound(DeviceError):
    """No adb binary on PATH or in the adbutils wheel, and none named by SLM_ADB."""


class AdbServerFailed(DeviceError):
    """adb cannot be run or cannot list phones, so nobody knows whether one is attached."""


class DeviceNotFound(DeviceError):
    """No device with this serial, or several where one must be named."""


class DeviceNotReady(DeviceError):
    """Attached but unauthorized, offline, without permissions ..."""


class DeviceLost(DeviceError):
    """The device vanished in the middle of something."""


class DeviceTimeout(DeviceError):
    """A call took longer than it may."""


class DeviceFull(DeviceError):
    """Not enough free space on the device."""


class DeviceBusy(DeviceError):
    """Another process holds the device's lock."""


class DeviceUnreadable(DeviceError):
    """The device answered, but not what was asked: what is on it is not known, which is not "nothing"."""


class TransferFailed(DeviceError):
    """A push or pull ended with different bytes than it began with."""


class FileAbsent(TransferFailed):
    """The device has no such file: its folder can be looked into, or is not there either."""


class EnergyRefused(DeviceError):
    """Energy cannot be measured: no readable counters, or external power attached."""


class VirtualPhoneFailed(DeviceError):
    """A virtual phone cannot be started here."""


class RunError(ToolkitError):
    """The runner ran but brought no usable result."""

    exit_code = 9


class RunnerFailed(RunError):
    """The runner exited with an error or was killed."""


class GateTimeout(RunError):
    """The device did not become fit for measuring within the gate's time limit."""


class Throttled(RunError):
    """The device slowed itself down during a measured repetition."""


class ResultInvalid(RunError):
    """The result file is cut short, malformed or of another run."""


class StoreError(ToolkitError):
    """The results database cannot be used as asked."""

    exit_code = 10


class StoreLocked(StoreError):
    """Another process has held the database's write lock for too long."""


class RunNotFound(StoreError):
    """No run with this id."""


class ConditionsDiffer(StoreError):
    """Runs under different conditions, which must not be ranked against each other."""


class ImportInvalid(StoreError):
    """A file that cannot be imported; nothing of it was."""


class RecipeError(ToolkitError):
    """A recipe cannot be planned."""

    exit_code = 11


class RecipeInvalid(RecipeError):
    """The recipe file is wrong; the message lists every problem with its line and column."""


class BatchError(ToolkitError):
    """A batch of recipe steps did not come to its end."""

    exit_code = 12


class StepsFailed(BatchError):
    """Some steps failed; the others are done and are not done again."""


class BatchBusy(BatchError):
    """Another process runs this recipe."""


class ClusterUnusable(BatchError):
    """The Ray cluster cannot be reached, or no node of it has what the steps need."""


class EvaluationError(ToolkitError):
    """What a model knows cannot be measured as asked."""

    exit_code = 13


class BadLogits(EvaluationError):
    """The model gives logits that are no numbers."""

    @classmethod
    def of(cls, subject: str) -> BadLogits:
        """The error of one model."""
        return cls(
            "its logits hold what is no number",
            subject=subject,
            next_step="Convert it with more bits, or in fp32: activations that overflow give such logits.",
        )


class OtherSource(EvaluationError):
    """The model that an artifact is compared with is not the one that it was converted from."""


class UnknownTask(EvaluationError):
    """The harness has no task of this name, and neither has the user's folder."""


class TaskInvalid(EvaluationError):
    """A task's file that cannot be used."""


class TaskDataMissing(EvaluationError):
    """A task whose data set is neither on this machine nor to be downloaded."""


class TokenizerMismatch(EvaluationError):
    """The tokenizer does not belong to the weights."""


class ContextTooShort(EvaluationError):
    """A task's prompts are longer than the context that the artifact was made for."""


class RequirementFailed(EvaluationError):
    """An artifact does not reach what was asked of it; it is there all the same."""
