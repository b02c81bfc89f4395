"""`slm devices measure`: what a device can do at most."""

from __future__ import annotations

import time

import typer

from toolkit.settings import Settings


def measure(
    device: str | None = typer.Argument(
        None, help="Serial, name, ssh:USER@HOST or local; default: the attached phone.", metavar="DEVICE"
    ),
    buffer_mb: int | None = typer.Option(
        None, "--buffer-mb", min=1, max=65536, help="Mebibytes to read, more than the caches hold [256]."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Measure a device's memory bandwidth and arithmetic. int8 and float, by the number of threads.

    No model is needed; nothing else should run on the device meanwhile. It is stored: `slm results show` says
    how near a run came to it. docs/runner.md says how each is measured.

    \b
    Examples:
      slm devices measure local
      slm devices measure R5CT1234567 --json
    """  # noqa: D301
    from toolkit.cli.text_output import write_text
    from toolkit.devices.discovery import open_device
    from toolkit.devices.selection import chosen_serial
    from toolkit.profiling.run_rows import device_row, roofline_row
    from toolkit.profiling.session.measuring import measure_roofline
    from toolkit.store import open_store
    from toolkit.store.rooflines import add_roofline

    settings = Settings.from_environment()
    chosen = open_device(chosen_serial(device, settings), settings)
    with open_store(settings.store_url) as store:
        found = measure_roofline(chosen, settings, buffer_mb=buffer_mb)
        add_roofline(store, roofline_row(device_row(chosen.info()), found, time.time_ns()))
    if as_json:
        write_text(found.model_dump_json(by_alias=True, indent=2) + "\n")
        return
    write_text(f"{found.abi}, {found.cpus} CPUs, {found.kernels} kernels, best of {found.passes} passes\n")
    write_text(f"{'THREADS':>7}  {'READ GB/s':>9}  {'INT8 GOP/s':>10}  {'FLOAT GFLOP/s':>13}\n")
    for point in found.points:
        write_text(
            f"{point.threads:>7}  {point.read_bytes_per_second / 1e9:>9.2f}  "
            f"{point.int8_ops_per_second / 1e9:>10.1f}  {point.float_ops_per_second / 1e9:>13.1f}\n"
        )
