"""Ray: a node that is lost, a cluster that is not there, and Ray itself that is not."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.executors import Done, find_executor


@pytest.fixture
def cluster():
    """A cluster of one node without CPUs, to which others can be added; the driver is connected."""
    ray = pytest.importorskip("ray", reason="needs ray: pip install 'recurrent-harness[ray]'")
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.mark.slow
def test_a_node_that_is_lost_takes_its_job_and_another_does_the_rest(cluster, job):
    first = cluster.add_node(num_cpus=1)
    found = {}
    with find_executor("ray", "eager", 1 << 28) as executor:
        executor.start("cpu", 9)
        assert executor.size == 1
        for number, kind, content in executor.run([job("hanging"), job()]):
            if (number, kind) == (0, "begin"):
                time.sleep(1)
                cluster.remove_node(first)
                cluster.add_node(num_cpus=1)
            if kind == "outcome":
                found[number] = content
    assert found[0].outcome == "killed"
    assert found[0].reason.startswith("its place on the cluster is gone: ")
    assert "\n" not in found[0].reason
    assert isinstance(found[1], Done)


@pytest.mark.slow
def test_a_cluster_without_a_place_for_anyone(cluster):
    with find_executor("ray") as executor, pytest.raises(UserError, match="has no CPU"):
        executor.start("cpu", 1)
    with find_executor("ray") as executor, pytest.raises(UserError, match="has no GPU"):
        executor.start("cuda", 1)


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "ray://127.0.0.1:1", "[::1]:1", "no.such.host.invalid:6379"]
)
def test_a_cluster_that_is_not_there(address):
    pytest.importorskip("ray", reason="needs ray: pip install 'recurrent-harness[ray]'")
    with (
        find_executor("ray", address=address) as executor,
        pytest.raises(UserError, match="there is no Ray cluster: ") as caught,
    ):
        executor.start("cpu", 1)
    assert str(caught.value).startswith(f"--address {address}: ")
    assert "\n" not in str(caught.value)


def test_without_ray_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"--executor ray needs Ray: pip install 'recurrent-harness\[ray\]'"):
        find_executor("ray")


def test_ray_is_imported_where_it_is_asked_for_only():
    script = "import sys, harness.runner, harness.cli.run; assert 'ray' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])
