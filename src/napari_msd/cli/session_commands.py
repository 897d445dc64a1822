"""``napari-msd sessions``: its commands; what they do is in `cli.sessions`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

sessions = typer.Typer(help="List sessions, or export one.", rich_markup_mode=None)


@sessions.callback(invoke_without_command=True)
def list_sessions(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print them for other programs.")] = False,
) -> None:
    """List the sessions that napari-msd has kept, the newest first.

    Each line has the session's id, its last change, its images, and how often something was
    painted. A session that was interrupted can be opened in napari, or exported.
    """
    if context.invoked_subcommand is None:
        from napari_msd.cli.sessions import listing

        for line in listing(as_json=as_json):
            print(line)


@sessions.command("export")
def export_session(
    identity: Annotated[
        str, typer.Argument(metavar="ID", help="A session's id, or the path of its file.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the files.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there.")
    ] = False,
) -> None:
    """Write the annotations and the newest models of a session into a folder.

    Each annotation layer becomes a TIFF with its class names, each image's newest network a model
    file. The session is only read, also while napari has it open.
    """
    from napari_msd.cli.sessions import export

    if code := export(identity, output, overwrite=overwrite):
        raise typer.Exit(code)
