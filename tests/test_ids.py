from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.ids import Id, signature_options, spell, typed

names = st.from_regex(r"[A-Za-z0-9_.+-]+", fullmatch=True)
values = st.from_regex(r"[A-Za-z0-9_./+=-]+", fullmatch=True)
ids = st.builds(
    Id,
    names,
    st.none() | st.from_regex(r"[A-Za-z0-9]+", fullmatch=True),
    st.dictionaries(st.from_regex(r"[a-z_]+", fullmatch=True), values).map(lambda d: dict(sorted(d.items()))),
)


@given(ids)
def test_an_id_reads_as_it_is_written(id):
    assert Id.parse(str(id)) == id


@given(ids, st.randoms(use_true_random=False))
def test_the_order_of_the_options_does_not_matter(id, random):
    shuffled = list(id.options.items())
    random.shuffle(shuffled)
    text = f"{id.name}[{' , '.join(f'{k} = {v}' for k, v in shuffled)}]"
    assert str(Id.parse(text)) == str(Id(id.name, None, id.options))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gru", Id("gru")),
        (" gru ", Id("gru")),
        ("gru[]", Id("gru")),
        ("gap-copy@1", Id("gap-copy", "1")),
        ("gap-copy[payload=5,]", Id("gap-copy", None, {"payload": "5"})),
        ("x@2[b=1,a=2/4]", Id("x", "2", {"a": "2/4", "b": "1"})),
    ],
)
def test_what_is_an_id(text, expected):
    assert Id.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "a b", "gru[", "gru]", "gru[a=1", "gru@", "gru@1.2", "gru[a=1]x", "[a=1]"]
)
def test_what_is_none(text):
    with pytest.raises(UserError, match="is not an id: write name, name@version or name"):
        Id.parse(text)


@pytest.mark.parametrize("option", ["a", "a=", "=1", "="])
def test_an_option_is_key_and_value(option):
    with pytest.raises(UserError, match=f"^option '{option}' of .* is not of the form key=value$"):
        Id.parse(f"gru[{option}]")


def test_an_option_stands_once():
    with pytest.raises(UserError, match="option 'a' stands twice in"):
        Id.parse("gru[a=1,b=2,a=1]")


@given(st.floats(allow_nan=False))
def test_a_float_is_spelled_with_all_its_digits(x):
    assert float(spell(x)) == x


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.003, "0.003"), (1.0, "1"), (1e-05, "1e-05"), (0.1 + 0.2, "0.30000000000000004"), (64, "64"),
        (True, "true"), (False, "false"), ("noise", "noise"), ((2, 4), "2/4"), ((3e-3, 1.0), "0.003/1"),
    ],
)  # fmt: skip
def test_spelling(value, text):
    assert spell(value) == text


def probe(
    given: str,
    *,
    layers: int = 1,
    peephole: bool = False,
    scale: float = 0.5,
    reset: Literal["after", "before"] = "after",
    steps: Literal[1, 2] = 1,
    payload: int | None = None,
    words="abc",
): ...


KNOWN = signature_options(probe)


def test_the_options_are_the_parameters_with_a_default():
    assert list(KNOWN) == ["layers", "peephole", "scale", "reset", "steps", "payload", "words"]
    assert "layers" not in signature_options(probe, skip=["layers"])


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("layers", "2", 2), ("layers", "-1", -1), ("peephole", "true", True), ("peephole", "false", False),
        ("scale", "1e-3", 1e-3), ("scale", "2", 2.0), ("reset", "before", "before"), ("steps", "2", 2),
        ("payload", "5", 5), ("words", "xyz", "xyz"),
    ],
)  # fmt: skip
def test_options_get_the_type_of_the_signature(key, text, value):
    converted = typed("probe", {key: text}, KNOWN)
    assert converted == {key: value}
    assert type(converted[key]) is type(value)


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("layers", "two", "option layers=two of probe: must be of type int"),
        ("layers", "2.0", "option layers=2.0 of probe: must be of type int"),
        ("payload", "x", "option payload=x of probe: must be of type int"),
        ("peephole", "yes", "option peephole=yes of probe: must be true or false"),
        ("scale", "big", "option scale=big of probe: must be of type float"),
        ("reset", "later", "option reset=later of probe: must be one of after, before"),
        ("layer", "2", "unknown option of probe 'layer': did you mean layers?"),
        ("given", "2", "unknown option of probe 'given': known are "),
    ],
)
def test_an_option_that_cannot_be_is_refused(key, text, message):
    with pytest.raises(UserError) as caught:
        typed("probe", {key: text}, KNOWN)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
