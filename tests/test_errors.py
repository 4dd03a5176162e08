import pytest

from harness.errors import UserError, unknown


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gur", "unknown cell 'gur': did you mean gru?"),
        ("lsmt", "unknown cell 'lsmt': did you mean lstm?"),
        ("transformer", "unknown cell 'transformer': known are gru, lstm, rnn"),
    ],
)
def test_an_unknown_name_is_met_with_the_nearest_or_all(name, message):
    error = unknown("cell", name, ["rnn", "gru", "lstm"])
    assert isinstance(error, UserError)
    assert str(error) == message


def test_when_nothing_is_known():
    assert str(unknown("cell", "gru", [])) == "unknown cell 'gru': known are none"
