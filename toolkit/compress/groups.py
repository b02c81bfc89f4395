"""Group sizes: which ones exist, which ones fit a tensor."""

from __future__ import annotations

from toolkit.errors import BadGroupSize

PER_CHANNEL = 0
# Powers of two from 16 on: what engines' kernels take.
GROUP_SIZES = (16, 32, 64, 128, 256)


def check_group_size(group_size: int | None) -> int:
    """Refuse a group size that no engine takes.

    Raises:
        BadGroupSize: not one of GROUP_SIZES or 0.
    """
    if group_size is None or (group_size != PER_CHANNEL and group_size not in GROUP_SIZES):
        raise BadGroupSize(
            f"Group size {group_size} does not exist.",
            next_step=f"Use one of {_listed(GROUP_SIZES)}, or 0 for one scale per output channel.",
        )
    return group_size


def columns_per_group(group_size: int | None, columns: int, *, subject: str) -> int:
    """Columns that share one scale: the group size, or all columns for 0.

    Args:
        group_size: one of GROUP_SIZES, or 0 for per-channel.
        columns: input features of the tensor.
        subject: the tensor's name, for the message.

    Raises:
        BadGroupSize: unknown, or it does not divide the columns.
    """
    size = check_group_size(group_size)
    if size == PER_CHANNEL:
        return columns
    if columns % size:
        fitting = [fit for fit in GROUP_SIZES if columns % fit == 0]
        raise BadGroupSize(
            f"Group size {size} does not divide the {columns} columns.",
            subject=subject,
            next_step=f"Group sizes that fit: {_listed([*fitting, PER_CHANNEL])} (0 is per-channel).",
        )
    return size


def _listed(sizes: tuple[int, ...] | list[int]) -> str:
    return ", ".join(str(size) for size in sizes)
