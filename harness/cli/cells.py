"""`harness cells`."""

import json
from typing import Any

import click

from harness.cli._options import warn_of_problems
from harness.registry import cell_files, is_reference


@click.command("cells")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def command(as_json: bool) -> None:
    """List the cells, with their options and defaults. A reference stands outside the comparison.

    They are the published ones, the files of `submissions/` here and of the folders in HARNESS_SUBMISSIONS,
    and what installed packages add by entry points.

    \b
    Example: harness cells
    """
    rows: list[dict[str, Any]] = []
    for name, file in sorted(cell_files().items()):
        summary, options = file.summary()
        rows.append(
            {
                "cell": name,
                "summary": summary,
                "options": options,
                "reference": is_reference(file.whole, file.class_name),
                "version": file.version,
                "file": str(file.path),
                "package": file.plugin.package if file.plugin else None,
            }
        )
    warn_of_problems()
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("cell", "what it is", "options", "version", box=None, header_style="bold")
    for row in rows:
        table.add_row(
            row["cell"],
            row["summary"],
            f"{row['options']}, layers=1".strip(", ") if "layers=" not in row["options"] else row["options"],
            row["version"],
        )
    Console().print(table)
