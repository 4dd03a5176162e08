"""Checks that nothing but the cue tells the answer. What guesses learn from training rows is tried on test.

Letters: N rows, F features, Q queries, V vocabulary.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.checks.chance import Z, limit, naive_bayes
from harness.checks.check import Found
from harness.streams import Ints
from harness.task import Batch, Classes, Role, Task, Tokens

SIZE = 64
SEEN, NEW = 200, 100
"""Batches that a guess learns from, and on which it is tried."""
EXTRA = (2, 17)
"""Gaps beyond the smallest at which it is tried."""
PLACES = 64
"""Tokens before the query that are seen in their places."""
LEVELS = 8
"""Real numbers are seen, and guessed, in as many levels, each equally often."""
HASHED = 8191
"""Numbers that stand for the last tokens taken together."""
SURE = 12
"""Cues after which it is known what a word stands for."""
OFTEN = 3
"""A bag counts up to so many of a token."""

View = NDArray[Any]
"""Features (N, F), small numbers."""


def batches(task: Task, gap: int, split: Any, first: int, count: int) -> list[Batch]:
    """So many batches from index `first` on."""
    return [task.batch(split, 0, gap, first + index, SIZE) for index in range(count)]


def shortcuts(task: Task) -> Found:
    """The best of the guesses that do not see the cue, at two gaps. One that is better than chance is tried
    again on other rows, and fails if it is there too.
    """
    best: dict[str, Any] = {}
    tried = 0
    for gap in (task.min_gap + extra for extra in EXTRA):
        seen = batches(task, gap, "train", 0, SEEN)
        tests = [batches(task, gap, "test", first, NEW) for first in (0, NEW)]
        for query in sorted({0, len(seen[0].queries) - 1}):
            for name, guess in guesses(task, gap, seen, query):
                tried += 1
                shares, bounds = [], []
                for new in tests:
                    right, chance = guess(new)
                    shares.append(float(right.mean()))
                    bounds.append(limit(chance, right.size))
                    if shares[-1] <= bounds[-1]:
                        break
                figures = {
                    "guess": name, "gap": gap, "query": query, "accuracy": shares[0], "chance": chance,
                    "limit": bounds[0],
                }  # fmt: skip
                if len(shares) == len(tests) and shares[-1] > bounds[-1]:
                    case = (
                        f"gap {gap}, query {query}: by {name} right in {shares[0]:.3f}, then {shares[1]:.3f} "
                        f"of {SIZE * NEW:,} rows; chance is {chance:.3f}, its limit {bounds[0]:.3f}"
                    )
                    return Found("failed", f"{name} tells the answer", figures, case)
                if not best or shares[0] - bounds[0] > best["accuracy"] - best["limit"]:
                    best = figures
    measured = (
        f"{tried} guesses at chance; the best is {best['guess']}: {best['accuracy']:.3f} "
        f"(chance {best['chance']:.3f}, limit {best['limit']:.3f})"
    )
    return Found("passed", measured, {**best, "guesses": tried})


Guess = Callable[[Sequence[Batch]], tuple[NDArray[np.bool_], float]]
"""Batches to which answers are right, (N,), and how many would be by chance."""


def guesses(task: Task, gap: int, seen: Sequence[Batch], query: int) -> Iterator[tuple[str, Guess]]:
    """Every guess at an answer, by name, with what it has learned."""
    targets = _targets(seen, query)
    if not isinstance(task.output, Classes):
        constant, tolerance = _best_constant(targets, task.output.tolerance), task.output.tolerance
        yield "a constant", lambda new: (abs(_targets(new, query) - constant) < tolerance, task.chance(gap))
    inputs, outputs = _Levels.of_inputs(task, seen), _Levels.of_outputs(task, targets)
    learned = views(task, gap, seen, query, inputs)
    for name, features in learned.items():
        size = int(features.max(initial=0)) + 1
        classify = naive_bayes(features, outputs(targets), size, outputs.count)

        def guess(
            new: Sequence[Batch], name: str = name, size: int = size, classify: Any = classify
        ) -> tuple[NDArray[np.bool_], float]:
            features = np.minimum(views(task, gap, new, query, inputs, only=name)[name], size - 1)
            chance = task.chance(gap) if isinstance(task.output, Classes) else 1 / outputs.count
            return classify(features) == outputs(_targets(new, query)), chance

        yield name, guess


def views(
    task: Task, gap: int, some: Sequence[Batch], query: int, inputs: "_Levels", only: str | None = None
) -> Mapping[str, View]:
    """What a guess may see of rows, by name: what follows the cue, in its places and as a bag, the last
    tokens taken together, and the place of the query; where the gap is the same for all queries, also all of
    the row but the cue.
    """
    hidden, missing = inputs.count, inputs.count + 1
    after, rest = [], []
    for batch in some:
        time = int(batch.queries[query])
        rows = inputs(batch.inputs)  # (T, B, F)
        first = (time if task.streaming else int(batch.queries[0])) - gap
        after.append(_last(rows[first : time + 1], missing))
        if not task.streaming:
            cue = batch.roles[: time + 1, :, None] == Role.CUE
            rest.append(_last(np.where(cue, hidden, rows[: time + 1]), missing))
    length = [np.full((SIZE, 1), len(batch.inputs)) for batch in some]
    named: dict[str, Callable[[], View]] = {
        "the majority": lambda: np.zeros((SIZE * len(some), 1), np.int64),
        "the length": lambda: np.concatenate(length),
        "the last token": lambda: _together(after, 1),
        "the last two tokens": lambda: _together(after, 2),
        "the last three tokens": lambda: _together(after, 3),
        "what follows the cue, by place": lambda: np.concatenate(after),
        "what follows the cue, as a bag": lambda: _bag(after, missing),
    }
    if rest:
        named["all but the cue, by place"] = lambda: np.concatenate(rest)
        named["all but the cue, as a bag"] = lambda: _bag(rest, missing)
    return {name: view() for name, view in named.items() if only in (None, name)}


def _targets(some: Sequence[Batch], query: int) -> NDArray[Any]:
    return np.concatenate([batch.targets[query] for batch in some])


def _last(rows: Ints, missing: int) -> View:
    """Rows (T, B, F) to the features of their last tokens in their places, (B, PLACES F)."""
    rows = rows[-PLACES:]
    padded = np.pad(rows, [(PLACES - len(rows), 0), (0, 0), (0, 0)], constant_values=missing)
    return padded.swapaxes(0, 1).reshape(padded.shape[1], -1)


def _together(rows: Sequence[View], count: int) -> View:
    """The last tokens as one number. Of several features of a token only the last ones are taken."""
    last = np.concatenate(rows)[:, -count:]
    return (last @ (1009 ** np.arange(count)) % HASHED)[:, None]


def _bag(rows: Sequence[View], vocabulary: int) -> View:
    """How often each of `vocabulary` numbers stands in a row."""
    bags = []
    for each in rows:
        place = np.arange(len(each))[:, None] * (vocabulary + 1) + each
        counts = np.bincount(place.ravel(), minlength=len(each) * (vocabulary + 1))
        counts = counts.reshape(len(each), -1)[:, :vocabulary]
        bags.append(np.minimum(counts, OFTEN).astype(np.int8))
    return np.concatenate(bags)


class _Levels:
    """Numbers as small integers: those that are some already stay, reals become one of `LEVELS`."""

    def __init__(self, count: int, edges: NDArray[Any] | None) -> None:
        self.count, self.edges = count, edges

    @classmethod
    def of_inputs(cls, task: Task, seen: Sequence[Batch]) -> "_Levels":
        if isinstance(task.inputs, Tokens):
            return cls(task.inputs.size, None)
        numbers = np.concatenate([batch.inputs.reshape(-1, task.inputs.size) for batch in seen])
        return cls(LEVELS, np.quantile(numbers, np.arange(1, LEVELS) / LEVELS, axis=0).T)

    @classmethod
    def of_outputs(cls, task: Task, targets: NDArray[Any]) -> "_Levels":
        if isinstance(task.output, Classes):
            return cls(task.output.size, None)
        return cls(LEVELS, np.quantile(targets, np.arange(1, LEVELS) / LEVELS)[None])

    def __call__(self, numbers: NDArray[Any]) -> Ints:
        """Inputs (T, B) or (T, B, F) to levels (T, B, F); targets (N,) to levels (N,)."""
        if self.edges is None:
            return numbers if numbers.ndim == 1 else numbers[..., None]
        if numbers.ndim == 1:
            return np.searchsorted(self.edges[0], numbers)
        levels = [np.searchsorted(e, numbers[..., f]) for f, e in enumerate(self.edges)]
        return np.stack(levels, axis=-1)


def _best_constant(targets: NDArray[Any], tolerance: float) -> float:
    """The constant that is within the tolerance of the most targets."""
    rising = np.sort(targets)
    within = np.searchsorted(rising, rising + 2 * tolerance) - np.arange(len(rising))
    return float(rising[within.argmax()] + tolerance)


def mentions(task: Task) -> Found:
    """The first and the last answer that a row mentions, as guesses, against one of its mentions at random.

    A word mentions the answer that it is the name of, or those that it goes with where it is the cue, as long
    as these are half of all at most.
    """
    gap = task.min_gap + EXTRA[1]
    stands_for = _meanings(task, batches(task, gap, "train", 0, SEEN))
    figures: dict[str, Any] = {"gap": gap, "words": int(stands_for.any(axis=1).sum())}
    if not figures["words"]:
        return Found("undecided", "no word stands for an answer", figures)
    first, last, share = [], [], []
    for batch in batches(task, gap, "test", 0, NEW):
        words, rows = batch.inputs[: batch.queries[0] + 1], np.arange(SIZE)
        there = stands_for[words].any(axis=2)  # (T, B)
        right = stands_for[words, batch.targets[0]]
        first.append(right[there.argmax(axis=0), rows])
        last.append(right[::-1][there[::-1].argmax(axis=0), rows])
        share.append(right.sum(axis=0) / np.maximum(there.sum(axis=0), 1))
    chances = np.concatenate(share)
    chance, error = float(chances.mean()), Z * float(np.sqrt((chances * (1 - chances)).sum())) / chances.size
    figures |= {"at_random": chance, "limit": chance + error}
    for name, guess in (("first", first), ("last", last)):
        figures[name] = float(np.mean(guess))
    measured = "first {first:.3f}, last {last:.3f}, any {at_random:.3f} right".format(**figures)
    if chance > 0.9:
        case = f"gap {gap}: a row mentions hardly anything but its answer"
        return Found("failed", f"{measured}: there are no decoys", figures, case)
    for name in ("first", "last"):
        if figures[name] > figures["limit"]:
            case = f"gap {gap}: the {name} of a row's mentions is right in {figures[name]:.3f} of the rows"
            return Found("failed", measured, figures, case)
    return Found("passed", measured, figures)


def _meanings(task: Task, seen: Sequence[Batch]) -> NDArray[np.bool_]:
    """Which answers each word stands for, (V, C)."""
    assert isinstance(task.inputs, Tokens)
    assert isinstance(task.output, Classes)
    counts = np.zeros((task.inputs.size, task.output.size), np.int64)
    for batch in seen:
        t, row = np.nonzero(batch.roles == Role.CUE)
        np.add.at(counts, (batch.inputs[t, row], batch.targets[0, row]), 1)
    meanings = counts > 0
    meanings[(counts.sum(axis=1) < SURE) | (2 * meanings.sum(axis=1) > task.output.size)] = False
    names = {name: number for number, name in enumerate(task.output.names)}
    for number, word in enumerate(task.inputs.words):
        if word in names:
            meanings[number] = np.arange(task.output.size) == names[word]
    return meanings
