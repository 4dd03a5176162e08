"""What the natural-language probes share: filler, vocabulary, tables, how rows are made and shown."""

from .filler import Filler as Filler
from .filler import english as english
from .pools import Part as Part
from .pools import portion as portion
from .text import Blank as Blank
from .text import Fixed as Fixed
from .text import Text as Text
from .text import Vocabulary as Vocabulary
from .text import compose as compose
from .text import read_csv as read_csv
