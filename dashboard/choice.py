"""Choices that live in the page's address, so that what is shown can be shared by its URL."""

import re
from collections.abc import Sequence

import streamlit as st

from dashboard.drawn import words


def one(label: str, options: Sequence[str], key: str, help: str | None = None) -> str:
    """The option chosen, the first if none is."""
    asked = _asked(key, options)
    st.session_state[key] = next((option for option in asked if option in options), options[0])
    return str(st.selectbox(label, options, key=key, help=help, on_change=_keep, args=(key, options[:1])))


def several(label: str, options: Sequence[str], default: Sequence[str], key: str) -> list[str]:
    """The options chosen, in their order; the default if none is asked for or none of those is here."""
    asked = _asked(key, options)
    here = [option for option in options if option in asked]
    st.session_state[key] = here if here or asked == [""] else list(default)
    chosen = st.multiselect(label, options, key=key, on_change=_keep, args=(key, default))
    return [option for option in options if option in chosen]


def text(label: str, key: str, placeholder: str) -> str:
    """What was written, without blanks around it."""
    st.session_state[key] = st.query_params.get(key, "")
    return st.text_input(label, key=key, placeholder=placeholder, on_change=_keep, args=(key, [""])).strip()


def whole(label: str, key: str, default: int, low: int, high: int) -> int:
    """The whole number chosen; what the address asks for is moved into its bounds."""
    asked = st.query_params.get(key, "")
    number = int(asked) if asked.isdecimal() else default
    st.session_state[key] = min(max(number, low), high)
    return int(st.number_input(label, low, high, key=key, on_change=_keep, args=(key, [f"{default}"])))


def _asked(key: str, options: Sequence[str]) -> list[str]:
    """What the address asks for; a name without a version means what is here. Says what is not here."""
    named = {re.sub(r"@\d+", "", option): option for option in options}
    asked = [named.get(name, name) for name in st.query_params.get_all(key)]
    if missing := [name for name in asked if name and name not in options]:
        st.warning(f"There are no such results: {words(', '.join(missing))}")
    return asked


def _keep(key: str, default: Sequence[str]) -> None:
    """Write a choice into the address; the default needs no mention there."""
    value = st.session_state[key]
    chosen = value if isinstance(value, list) else [f"{value}"]
    if set(chosen) == set(default):
        st.query_params.pop(key, None)
    else:
        st.query_params[key] = chosen or [""]
