"""What the reading commands ask of the store first: that there is something in it, and what is meant."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.errors import UserError, unknown
from harness.ids import Id

if TYPE_CHECKING:
    import pandas as pd

    from harness.store import Store


def opened(db: str | None) -> tuple["Store", "pd.DataFrame"]:
    """The store and its entries. Raises UserError where there is none of either."""
    from harness.store import Store

    store = Store.open(db, create=False)
    held = store.entries()
    if held.empty:
        raise UserError(
            f"{store.database.name} holds no results yet: `harness run --cell gru --task gap-copy` makes "
            "some, `harness db import reference` loads published ones"
        )
    return store, held


def chosen(kind: str, asked: Iterable[str], held: Iterable[str]) -> set[str]:
    """The ids held that are meant: one without a version means every version, but never other options.

    All of them where nothing is asked for. Raises UserError where something is not there.
    """
    known = set(held)
    found: set[str] = set()
    for text in asked:
        wanted = Id.parse(text)
        meant = {
            id
            for id in known
            if (other := Id.parse(id)).name == wanted.name
            and other.options == wanted.options
            and wanted.version in (None, other.version)
        }
        if not meant:
            raise unknown(f"{kind} in the store", text, known)
        found |= meant
    return found if asked else known
