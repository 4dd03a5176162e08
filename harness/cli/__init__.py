"""The command line: one file per command, imported when that command is asked for."""

import importlib
import io
import sys

import click

from harness.errors import UserError, unknown

COMMANDS = {
    "run": "Train and score cells on tasks.",
    "sweep": "Train and score what a file asks for.",
    "status": "Print what trains, what failed, and what is left.",
    "cells": "List the cells.",
    "tasks": "List the tasks.",
    "new": "Begin a cell or a task.",
    "show": "Print samples of a task, roles marked.",
    "check": "Check that cells and tasks are what they must be.",
    "board": "Print the leaderboard.",
    "curves": "Print and plot accuracy against gap.",
    "compare": "Compare two cells, task by task.",
    "report": "Write the results as a page, and charts for papers.",
    "dashboard": "Open the dashboard in a browser.",
    "db": "Look after the store of results.",
}


class _Commands(click.Group):
    """Imports a command's module only when it is asked for, so that `--help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"harness.cli.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise unknown("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="recurrent-harness")
def cli() -> None:
    """How far does a recurrent cell remember? Accuracy against an exact gap.

    \b
    harness run --cell gru --task gap-copy      train, score, plot
    harness dashboard                           compare in a browser
    """


def main() -> None:
    """The entry point `harness`: user errors are one line and exit code 2, Ctrl-C is 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # where a terminal has no such letter
    try:
        status = cli.main(standalone_mode=False)
    except UserError as error:
        click.echo(f"harness: {error}", err=True)
        status = 2
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        status = 2
    except click.ClickException as error:
        click.echo(f"harness: {error.format_message()}", err=True)
        status = 2
    except (click.Abort, KeyboardInterrupt):
        status = 130
    sys.exit(status if isinstance(status, int) else 0)
