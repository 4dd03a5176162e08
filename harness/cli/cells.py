"""`harness cells`."""

import json

import click

from harness.registry import cell_files, is_reference


@click.command("cells")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def command(as_json: bool) -> None:
    """List the cells, with their options and defaults. A reference stands outside the comparison.

    \b
    Example: harness cells
    """
    rows = []
    for name, file in sorted(cell_files().items()):
        summary, options = file.summary()
        rows.append(
            {
                "cell": name,
                "summary": summary,
                "options": options,
                "reference": is_reference(file.source),
                "version": file.version,
                "file": str(file.path),
            }
        )
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
