"""A population's models as one: a function of their stacked parameters.

Letters: P members, N parameters of one member, R repetitions, T time, B batch, Q queries, C classes, V
vocabulary.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from harness.engine.data import MemberBatch
from harness.engine.sequence import CHUNK
from harness.model import Model
from harness.task import Classes, Real


class _Part(nn.Module):
    """One method of a model as a module, for `functional_call`."""

    def __init__(self, model: Model, method: str) -> None:
        super().__init__()
        self.model = model
        self.method = method

    def forward(self, *arguments: Any) -> Any:
        return getattr(self.model, self.method)(*arguments)


class StackedModel:
    """Models of one shape, one of each member, as a function of their parameters (P, N).

    choice: says how the cells are run along their sequences
    """

    def __init__(self, models: Sequence[Model], choice: "HasEngine") -> None:
        self.template = models[0]
        self.choice = choice
        self.start = torch.stack([torch.cat([p.detach().flatten() for p in m.parameters()]) for m in models])
        named = [dict(model.named_buffers(prefix="model")) for model in models]
        self.buffers = {
            name: torch.stack([buffers[name] for buffers in named])
            for name, first in named[0].items()
            if not all(torch.equal(first, buffers[name]) for buffers in named)
        }
        """Those that differ from member to member, (P, …)."""
        parameters = dict(self.template.named_parameters(prefix="model"))
        self._shapes = {name: p.shape for name, p in parameters.items()}
        self._sizes = [shape.numel() for shape in self._shapes.values()]
        learned = [torch.full_like(p, p.requires_grad, dtype=torch.bool) for p in parameters.values()]
        self._learned = torch.cat([each.flatten() for each in learned])

    def parameters(self, flat: Tensor) -> dict[str, Tensor]:
        """The flat parameters (P, N) by name, each (P, …); what the cell has frozen has no gradient."""
        flat = torch.where(self._learned, flat, flat.detach())
        parts, shapes = flat.split(self._sizes, dim=1), self._shapes.items()
        return {
            name: part.contiguous().view(-1, *shape)
            for part, (name, shape) in zip(parts, shapes, strict=True)
        }

    def answers(self, flat: Tensor, batch: MemberBatch) -> Tensor:
        """What the members answer, (P, Q, B, C)."""
        parameters, outputs = self._run(flat, batch, batch.queries)
        answers: Tensor = vmap(self.part("readout"))(parameters, outputs)
        return answers if batch.candidates is None else answers[..., batch.candidates]

    def _run(
        self, flat: Tensor, batch: MemberBatch, queries: Sequence[int]
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The parameters by name, and the outputs of the cells at the queries, (P, Q, B, H)."""
        parameters = self.parameters(flat)
        parameters |= {name: buffer[batch.members] for name, buffer in self.buffers.items()}
        return parameters, self.choice.engine.run(self, parameters, batch.inputs, queries)

    def part(self, method: str) -> Callable[..., Any]:
        """A method of the model as a function of one member's tensors by name and the method's arguments."""
        module = _Part(self.template, method)
        return lambda parameters, *arguments: functional_call(module, parameters, arguments)

    def losses(self, flat: Tensor, batch: MemberBatch, output: Classes | Real) -> Tensor:
        """Each member's mean loss, (P,): cross-entropy for classes, squared error for reals."""
        if batch.candidates is not None:
            return self._losses_of_words(flat, batch)
        answers, targets = self.answers(flat, batch), batch.targets
        if isinstance(output, Classes):
            each = F.cross_entropy(answers.flatten(0, -2), targets.flatten(), reduction="none")
        else:
            each = F.mse_loss(answers.flatten(), targets.flatten(), reduction="none")
        return each.view(len(flat), -1).mean(dim=1)

    def _losses_of_words(self, flat: Tensor, batch: MemberBatch) -> Tensor:
        """Each member's mean cross-entropy of the next word, (P,).

        The scores of all words are the largest tensor by far: they are made a chunk of time at once, and made
        again on the way back.
        """
        following = batch.following()
        parameters, outputs = self._run(flat, batch, range(following.shape[1]))

        def of_chunk(outputs: Tensor, following: Tensor) -> Tensor:
            scores = vmap(self.part("readout"))(parameters, outputs)
            return F.cross_entropy(scores.flatten(0, -2), following.flatten(), reduction="none")

        chunks = zip(outputs.split(CHUNK, dim=1), following.split(CHUNK, dim=1), strict=True)
        each = [
            checkpoint(of_chunk, *chunk, use_reentrant=False, preserve_rng_state=False).view(len(flat), -1)
            for chunk in chunks
        ]
        return torch.cat(each, dim=1).sum(dim=1) / (following[0] >= 0).sum()

    @torch.no_grad()
    def correct(self, flat: Tensor, batch: MemberBatch, output: Classes | Real) -> Tensor:
        """How many answers of each member are right, (P,)."""
        answers, targets = self.answers(flat, batch), batch.targets
        if isinstance(output, Classes):
            right = answers.argmax(dim=-1) == targets
        else:
            right = (answers.squeeze(-1) - targets).abs() < output.tolerance
        return right.flatten(1).sum(dim=1)


class Engine(Protocol):
    """A way to run the cells of a population along their sequences."""

    def run(
        self, model: StackedModel, parameters: dict[str, Tensor], inputs: Tensor, queries: Sequence[int]
    ) -> Tensor:
        """Inputs (P, T, B) or (P, T, B, D) to the cells' outputs at the queries, (P, Q, B, H)."""
        ...


class HasEngine(Protocol):
    """What says which engine is to be used, from one update to the next."""

    @property
    def engine(self) -> Engine:
        """The engine now."""
        ...
