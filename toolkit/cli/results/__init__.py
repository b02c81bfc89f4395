"""`slm results`: everything that is done with stored runs."""

from __future__ import annotations

import typer

from toolkit.cli.results import (
    columns,
    compare,
    deleting,
    export,
    importing,
    listing,
    regress,
    scores,
    show,
    sql,
    tagging,
)

app = typer.Typer(
    help="List, compare, tag, export and import stored runs.", no_args_is_help=True, rich_markup_mode=None
)
app.command("columns")(columns.columns)
app.command("compare")(compare.compare)
app.command("delete")(deleting.delete)
app.command("export")(export.export_runs)
app.command("import")(importing.import_runs)
app.command("list")(listing.list_runs)
app.command("regress")(regress.regress)
app.command("scores")(scores.scores)
app.command("show")(show.show)
app.command("sql")(sql.sql)
app.command("tag")(tagging.tag)
app.command("tags")(tagging.tags)
app.command("undo-import")(deleting.undo_import)
app.command("untag")(tagging.untag)
