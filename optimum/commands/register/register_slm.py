"""Registers `optimum-cli export slm`; optimum finds this file in the namespace package it shares."""

from optimum.commands.export.base import ExportCommand

from toolkit.cli.optimum_export import SlmExportCommand

REGISTER_COMMANDS = [(SlmExportCommand, ExportCommand)]
