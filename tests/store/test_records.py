"""Keys: the same request, the same key, for ever."""

from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from harness.store import RunRequest

TEXT = st.text(max_size=20)
REQUESTS = st.builds(
    RunRequest,
    cell=TEXT, cell_name=TEXT, cell_version=TEXT, task=TEXT, protocol=TEXT, division=TEXT, dtype=TEXT,
    repetition=st.integers(0, 1000), lr=st.floats(1e-9, 1e3), gap=st.none() | st.integers(0, 10**6),
    hidden_size=st.integers(1, 10**6), numerics=st.integers(0, 100),
)  # fmt: skip


def test_a_key_never_changes(make):
    assert make.request().key == "cb94dcd37c8c6f13c35a3f9a9a7f19baabe55a52c36b7305a7db83a66bdd4d50"
    assert make.request(gap=None).key != make.request().key


@given(REQUESTS, REQUESTS, st.sampled_from([f.name for f in fields(RunRequest)]))
def test_every_field_and_nothing_else_makes_the_key(one, other, name):
    same, near = replace(one), replace(one, **{name: getattr(other, name)})
    assert same.key == one.key
    assert (near.key == one.key) == (near == one)


def test_a_rate_of_one_is_the_same_as_an_integer_and_as_a_float(make):
    assert make.request(lr=1) == make.request(lr=1.0)
    assert make.request(lr=1).key == make.request(lr=1.0).key
