"""What the natural-language probes share: filler, tables of names and countries, and how text is shown."""

from .filler import Filler as Filler
from .filler import english as english
from .text import Text as Text
from .text import read_csv as read_csv
