"""The full command line: a typer group that imports a verb's module only when that verb is called.

A person's mistake ends in a sentence on stderr and an exit code, never in a traceback; that mapping is here,
once, so that verbs simply raise.
"""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from orchestrator.cli import exits
from orchestrator.cli.display import complain
from orchestrator.cli.front import BROKEN_PIPE
from orchestrator.cli.verbs import MODULE_OF, SUMMARY_OF, top_help
from orchestrator.errors import FatalError, TaskError


class VerbGroup(TyperGroup):
    """Knows every verb from the static list; imports one when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(MODULE_OF)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The name and summary alone: what completing and guessing a verb need."""
        del ctx
        return TyperCommand(cmd_name, help=SUMMARY_OF[cmd_name]) if cmd_name in MODULE_OF else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in MODULE_OF:
            return args[0], verb_command(args[0]), args[1:]
        if args and not ctx.resilient_parsing:
            near = get_close_matches(args[0], MODULE_OF, n=1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            sentence = f"no such verb: {args[0]!r}.{meant} `orchestrator --help` lists them."
            raise FatalError(sentence, exit_code=exits.USAGE)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        del ctx
        formatter.write(top_help())

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except FatalError as error:
            complain(str(error))
            raise typer.Exit(error.exit_code) from error
        except TaskError as error:
            complain(error.message)
            raise typer.Exit(exits.USAGE if error.reason == "invalid" else exits.FAILED) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(exits.INTERRUPTED) from error
        except BrokenPipeError as error:
            raise typer.Exit(BROKEN_PIPE) from error
        except OSError as error:
            if error.filename is None:
                raise
            complain(f"{error.filename}: {error.strerror}")
            raise typer.Exit(exits.FAILED) from error


def verb_command(verb: str) -> Any:
    """The command of one verb: its module's GROUP, or the function `<verb>_`, with that module's COMMAND class if it
    has one."""
    module = import_module(f"orchestrator.cli.{MODULE_OF[verb]}")
    if hasattr(module, "GROUP"):
        group: Any = get_command(module.GROUP)
        for member in group.commands.values():
            _show_arguments(member)
        return group
    single = typer.Typer(rich_markup_mode=None, add_completion=False)
    single.command(name=verb, cls=getattr(module, "COMMAND", TyperCommand))(getattr(module, f"{verb}_"))
    command = get_command(single)
    _show_arguments(command)
    return command


def _show_arguments(command: Any) -> None:
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            _show_as_metavar(parameter)


def _show_as_metavar(argument: Any) -> None:
    """Typer would write `{ID...}...` into the usage line, and `ID... <list[str]>` beneath it."""
    name = (argument.metavar or argument.name.upper()).strip("[]")
    argument.get_usage_pieces = lambda _: [name if argument.required else f"[{name}]"]
    argument.display_type = lambda *_, **__: ""


app = typer.Typer(
    name="orchestrator",
    cls=VerbGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from orchestrator import __version__

        typer.echo(f"orchestrator {__version__}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    home: Annotated[str | None, typer.Option("--home", metavar="DIR", help="The home to use.")] = None,
    version: Annotated[bool, typer.Option("--version", "-V", callback=_print_version, is_eager=True)] = False,
) -> None:
    """Drop a spec file in a folder; this machine does the work and leaves a small result beside it."""
    del version
    ctx.obj = home


def run(argv: list[str]) -> int:
    """Run a command line in this process; returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that is not UTF-8 gets escapes rather than no line
            stream.reconfigure(errors="backslashreplace")
    try:
        get_command(app).main(args=argv, prog_name="orchestrator")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return exits.OK
