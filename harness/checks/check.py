"""What a check is: a name, the reason for it, and what it finds.

As a test of one's own task:

    @pytest.mark.parametrize("check", TASK_CHECKS, ids=str)
    def test_my_task(check):
        finding = check(MyTask())
        assert finding.verdict != "failed", finding
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, Protocol, TypeVar

from harness.errors import UserError
from harness.executors.worker import describe

Verdict = Literal["passed", "failed", "expected", "undecided", "reported"]
"""`expected`: a failure that the subject gives a reason for; `undecided`: what was tried did not come to the
point; `reported`: figures, of which none is wrong."""


class Subject(Protocol):
    """What is checked."""

    @property
    def id(self) -> str:
        """Its canonical id."""
        ...

    @property
    def expected_failures(self) -> Mapping[str, str]:
        """By the name of a check, why it has to fail."""
        ...


S_contra = TypeVar("S_contra", bound=Subject, contravariant=True)


@dataclass(frozen=True)
class Found:
    """What a check found: in a line, as plain data, and on failure the smallest case that shows it.

    case: of an expected failure, why it is expected
    """

    verdict: Verdict
    measured: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    case: str = ""


@dataclass(frozen=True)
class Finding(Found):
    """What a check found of a subject."""

    subject: str = ""
    check: str = ""
    reason: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        lines = [f"{self.subject}: {self.check} {self.verdict}: {self.measured}", self.case, self.reason]
        return "\n  ".join(filter(None, lines))


@dataclass(frozen=True)
class Check(Generic[S_contra]):
    """A named check. Called with a subject it gives its finding; what the subject raises is a failure.

    reason: why it matters, in a sentence
    applies: whether there is something to check of a subject
    """

    name: str
    reason: str
    run: Callable[[S_contra], Found]
    applies: Callable[[S_contra], bool] = lambda subject: True

    def __call__(self, subject: S_contra) -> Finding:
        """Check a subject."""
        began = time.perf_counter()
        try:
            found = self.run(subject)
        except (Exception, SystemExit) as error:
            case = (
                str(error) if isinstance(error, UserError) else describe(error, getattr(subject, "cls", None))
            )
            found = Found("failed", "raises", case=case)
        seconds = time.perf_counter() - began
        excuse = subject.expected_failures.get(self.name)
        if excuse and found.verdict == "failed":
            found = replace(found, verdict="expected", case=excuse)
        return Finding(
            **vars(found), subject=subject.id, check=self.name, reason=self.reason, seconds=seconds
        )

    def __str__(self) -> str:
        return self.name
