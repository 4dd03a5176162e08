"""Whatever is recorded and retracted, in whatever order: the store is what a dictionary would be."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from harness.store import RunRequest, Store


def test_any_history(make):
    """First come, first kept, until retracted; another opener of the same store sees the same."""
    requests = [make.request(repetition=r, lr=lr) for r in range(2) for lr in (0.003, 0.01)]

    class History(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.folder = tempfile.TemporaryDirectory()
            self.place = str(Path(self.folder.name) / "results.db")
            self.store = Store.open(self.place)
            self.kept: dict[RunRequest, float] = {}
            self.retracted = 0

        def teardown(self):
            self.folder.cleanup()

        @rule(
            chosen=st.sets(st.sampled_from(requests), min_size=1), auc=st.floats(0, 1), failed=st.booleans()
        )
        def record(self, chosen, auc, failed):
            chosen = sorted(chosen, key=lambda r: (r.repetition, r.lr))
            scores = [s._replace(n_correct=None) for s in make.result().scores] if failed else []
            make.record(self.store, *(make.result(r, gap_auc=auc, scores=scores) for r in chosen))
            for request in chosen:
                self.kept.setdefault(request, auc)

        @rule(request=st.sampled_from(requests))
        def retract(self, request):
            for run in self.store.runs(keys=[request.key])["run"]:
                self.store.retract(run, "why")
                del self.kept[request]
                self.retracted += 1

        @rule()
        def open_again(self):
            self.store = Store.open(self.place, create=False)

        @invariant()
        def is_what_a_dictionary_would_be(self):
            runs = self.store.runs()
            read = {(run.repetition, run.lr): run.gap_auc for run in runs.itertuples()}
            assert read == {(r.repetition, r.lr): auc for r, auc in self.kept.items()}
            assert len(runs) == len(read)
            assert self.store.finished(r.key for r in requests) == {r.key for r in self.kept}
            assert self.store.counts()["retracted"] == self.retracted

    run_state_machine_as_test(
        History, settings=settings(max_examples=10, stateful_step_count=10, deadline=None)
    )
