"""What does not depend on the state is done once, and changes nothing."""

import pytest
import torch
from torch import Tensor
from torch.func import vmap

from harness.engine.hoist import hoist

P, B, D, H = 3, 4, 5, 4
PARAMETERS = {"W": (H, D), "U": (H, H), "b": (H,), "mask": (H, H)}


def plain(p, x, h):
    h = torch.tanh(x @ p["W"].T + p["b"] + h @ p["U"].T)
    return h, h


def masked(p, x, h):
    h = torch.tanh(x @ p["W"].T + h @ (p["U"] * torch.sigmoid(p["mask"])).T)
    return h, h


def columns(p, x, h):
    """The product as in a paper: (H, B), which here has the shape (B, H) too."""
    h = torch.tanh((p["W"] @ x.T).T + h @ p["U"].T)
    return h, h


def columns_kept(p, x, h):
    h = torch.tanh((p["W"] @ x.T + p["U"] @ h.T).T)
    return h, h


def input_beside_its_product(p, x, h):
    h = torch.tanh(x @ p["W"].T + h * x[:, :H])
    return h, h


def of_no_state(p, x, h):
    return torch.tanh(x @ p["W"].T), h


def no_product(p, x, h):
    h = torch.tanh(2 * x[:, :H] + 1 + h @ p["U"].T)
    return h, h


def over_the_batch(p, x, h):
    x = x @ p["W"].T
    h = torch.tanh(x - x.mean(dim=0) + h)
    return h, h


def written_in_place(p, x, h):
    a = torch.zeros_like(h) + x @ p["W"].T
    a[:, 0] = h[:, 1]
    a.copy_(a + h @ p["U"].T)
    return a, a


def counting(p, x, state):
    h, t = state
    h = torch.tanh(x @ p["W"].T) * (t % 2)[:, None] + h @ p["U"].T
    return h, (h, t + 1)


CELLS = {
    cell.__name__: cell
    for cell in (
        plain, masked, columns, columns_kept, input_beside_its_product, of_no_state, no_product,
        over_the_batch, written_in_place, counting,
    )
}  # fmt: skip


def state(name: str) -> Tensor | tuple[Tensor, Tensor]:
    h = torch.linspace(-1, 1, P * B * H).double().sin().view(P, B, H)
    return (h, torch.arange(P * B).view(P, B)) if name == "counting" else h


def divided(name: str):
    generator = torch.Generator().manual_seed(0)
    parameters = {
        key: torch.randn(P, *shape, generator=generator).double().requires_grad_()
        for key, shape in PARAMETERS.items()
    }
    x = torch.randn(P, B, D, generator=generator).double().requires_grad_()
    advance = vmap(CELLS[name])
    return hoist(advance, parameters, x.detach(), state(name)), advance, parameters, x


@pytest.mark.parametrize("name", CELLS)
def test_the_parts_together_are_the_step(name):
    found, advance, parameters, x = divided(name)
    expected, after = advance(parameters, x, state(name))
    y, after_too = found.recur(found.values(parameters), found.features(parameters, x), state(name))
    torch.testing.assert_close((y, after_too), (expected, after))
    inputs = [x, *parameters.values()]
    weights = torch.arange(y.numel()).view_as(y)
    one = torch.autograd.grad((expected * weights).sum(), inputs, allow_unused=True)
    other = torch.autograd.grad((y * weights).sum(), inputs, allow_unused=True)
    for a, b in zip(one, other, strict=True):
        if a is None and b is not None:
            a = torch.zeros_like(b)
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(b, a)


@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("plain", H),
        ("masked", H),
        ("columns_kept", D),  # rows are not where rows are looked for
        ("input_beside_its_product", D + H),
        ("of_no_state", H),
        ("no_product", D),  # as cheap at every step
        ("over_the_batch", D),  # of no row by itself
        ("counting", H),
    ],
)
def test_products_with_the_input_are_hoisted_where_that_is_right_and_pays(name, features):
    found, _, parameters, x = divided(name)
    assert found.features(parameters, x).shape == (P, B, features)


def test_what_is_made_of_parameters_alone_is_hoisted():
    found, _, parameters, _ = divided("masked")
    (made,) = [v for k, v in found.values(parameters).items() if k not in parameters]
    torch.testing.assert_close(made, parameters["U"] * torch.sigmoid(parameters["mask"]))


@pytest.mark.parametrize("rows", [1, B - 1, B, 2 * B + 3])
def test_any_number_of_inputs_is_projected(rows):
    found, _, parameters, _ = divided("plain")
    x = torch.randn(P, rows, D, generator=torch.Generator().manual_seed(1)).double()
    expected = x @ parameters["W"].mT + parameters["b"][:, None]
    torch.testing.assert_close(found.features(parameters, x), expected)
