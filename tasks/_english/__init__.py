"""What the natural-language probes share: filler, vocabulary, tables, how rows are made and shown."""

from .filler import Filler as Filler
from .filler import english as english
from .lines import Lines as Lines
from .lines import first_names as first_names
from .lines import fixed_words as fixed_words
from .lines import pick as pick
from .notation import spelled_out as spelled_out
from .pools import Part as Part
from .pools import portion as portion
from .text import Blank as Blank
from .text import Fixed as Fixed
from .text import Text as Text
from .text import Vocabulary as Vocabulary
from .text import compose as compose
from .text import read_csv as read_csv
