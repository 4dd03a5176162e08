"""The dashboard as people meet it: started by the command, looked at in Chromium."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pandas as pd
import pytest
import synthetic

from harness import board, stats
from harness.protocol import QUICK, QUICK_MIXED
from harness.registry import ROOT
from harness.store import RunRequest, Store

pytestmark = pytest.mark.slow
DRAWN = "[data-testid=stVegaLiteChart] svg, [data-testid=stVegaLiteChart] canvas"
SECONDS = 30_000
REQUEST = RunRequest(
    *("lstm", "lstm", "0" * 12, "gap-copy@1", "quick@1", "closed"), *(0, 0.01, 64, 40, "float32", 1)
)


@pytest.fixture(scope="module")
def browser(require):
    path = require("browser")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Server:
    """`harness dashboard` in a folder that has a `dashboard` and a `tasks` of its own."""

    def __init__(self, folder):
        for name in ("dashboard", "tasks", "submissions"):
            (folder / name).mkdir(exist_ok=True)
            (folder / name / "__init__.py").write_text("raise ImportError('not the harness')")
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://localhost:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harness", "dashboard", "--no-browser", "--port", str(self.port)],
            cwd=folder,
            env={k: v for k, v in os.environ.items() if k != "HARNESS_DB"} | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.wait()

    def wait(self):
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.url}/_stcore/health")
            except OSError:
                assert self.process.poll() is None, self.process.stdout.read()
                time.sleep(0.1)
            else:
                return
        pytest.fail("the dashboard did not start within a minute")

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=30)
        return self.process.returncode, output


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filled")
    store = Store.open(str(folder / "results.db"))
    synthetic.fill(store)
    synthetic.fill_suite(store, {"gru": 5, "lstm": 2})
    store.plan("folder/" * 9 + "a_very_long_name_of_a_sweep.toml", "elsewhere:1:1", {REQUEST.key: 1.0})
    return folder


@pytest.fixture(scope="module")
def serve(browser):
    """`serve(folder)`: the dashboard in a folder, ended when the tests are."""
    servers = []
    yield lambda folder: servers.append(Server(folder)) or servers[-1]
    for server in servers:
        server.process.kill()
        server.process.communicate()


@pytest.fixture(scope="module")
def server(serve, filled):
    return serve(filled)


def visit(browser, url, width=1440, **options):
    page = browser.new_page(viewport={"width": width, "height": 1000}, **options)
    page.set_default_timeout(SECONDS)
    page.goto(url)
    return page


class TestLooks:
    def test_fixed_and_mixed_are_side_by_side_and_drawn_whole(self, browser, server):
        page = visit(browser, f"{server.url}/gap-curves")
        page.locator(DRAWN).nth(1).wait_for()
        left, right = (page.locator(DRAWN).nth(i).bounding_box() for i in (0, 1))
        assert left["y"] == pytest.approx(right["y"], abs=2)
        assert left["x"] + left["width"] <= right["x"]
        assert min(left["width"], right["width"]) > 500
        for text in ("gap (tokens, log scale)", "accuracy on test", "chance 12.5 %", "extrapolated"):
            page.locator("[data-testid=stVegaLiteChart]", has_text=text).first.wait_for()
        page.close()

    def test_on_a_phone_they_stand_below_each_other_and_nothing_sticks_out(self, browser, server):
        page = visit(browser, f"{server.url}/gap-curves", width=400)
        page.locator(DRAWN).nth(1).wait_for()
        page.wait_for_timeout(1000)
        upper, lower = (page.locator(DRAWN).nth(i).bounding_box() for i in (0, 1))
        assert upper["y"] + upper["height"] <= lower["y"]
        assert upper["x"] + upper["width"] <= 400
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        page.close()

    @pytest.mark.parametrize(
        ("address", "title", "shows"),
        [
            ("", "Leaderboard", "table td .curve"),
            ("cell?cell=my-very-long-experimental-cell-name[forget_bias=1.5,layers=3]", "Cell", DRAWN),
            ("task?task=nl-birthplace@2&gap=200", "Task", ".sample mark.cue"),
            ("runs", "Runs", "[data-testid=stDataFrame]"),
            ("methods", "Methods", ".katex"),
        ],
    )
    def test_every_page_fits_on_a_phone(self, browser, server, address, title, shows):
        page = visit(browser, f"{server.url}/{address}", width=400)
        page.get_by_role("heading", name=title, exact=True).wait_for()
        page.locator(shows).first.wait_for()
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        main = page.locator("[data-testid=stMain]")
        assert main.evaluate("it => it.scrollWidth <= it.clientWidth")
        assert page.locator("[data-testid=stException]").count() == 0
        page.close()

    @pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
    def test_follows_the_system_s_colours(self, browser, server, scheme, dark):
        page = visit(browser, server.url, color_scheme=scheme)
        page.locator("table").first.wait_for()
        colour = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
        red, green, blue = (int(part) for part in colour.strip("rgba()").split(",")[:3])
        assert (red + green + blue < 3 * 128) is dark
        page.close()

    def test_nothing_is_fetched_from_elsewhere(self, browser, server):
        page = browser.new_page()
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{server.url}/gap-curves")
        page.locator(DRAWN).first.wait_for(timeout=SECONDS)
        page.wait_for_timeout(1000)
        own = (server.url, server.url.replace("http", "ws"), "data:", "blob:")
        assert [url for url in asked if not url.startswith(own)] == []
        page.close()


class TestUse:
    def test_a_choice_can_be_shared_by_its_address(self, browser, server):
        page = visit(browser, f"{server.url}/gap-curves")
        page.locator(DRAWN).first.wait_for()
        page.get_by_label("Remove rnn").last.click()
        page.wait_for_url("**cell=gru**")
        shared = page.url
        assert "rnn" not in shared
        page.close()
        page = visit(browser, shared)
        page.locator(DRAWN).first.wait_for()
        legend = page.locator(".legend").inner_text()
        assert "gru" in legend
        assert "rnn" not in legend
        page.close()

    def test_the_points_can_be_downloaded(self, browser, server, filled):
        page = visit(browser, f"{server.url}/gap-curves?task=gap-copy@1&protocol=quick@1&cell=gru")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download the points (CSV)").click()
        text = download.value.path().read_text()
        scores = Store.open(str(filled / "results.db")).scores(
            task="gap-copy@1", protocol="quick@1", cells=["gru"]
        )
        assert text == stats.curves(scores).to_csv(index=False)
        page.close()

    def test_the_leaderboard_is_filtered_shared_and_downloaded(self, browser, server, filled):
        page = visit(browser, f"{server.url}/?protocol=quick-mixed@1")
        names = page.locator("table").first.locator("td .name")
        names.nth(6).wait_for()
        page.get_by_text("Filter and sort").click()
        box = page.get_by_label("Name contains")
        box.fill("l")
        box.press("Enter")
        page.wait_for_url("**find=l**")
        page.close()
        page = visit(browser, page.url.replace("/?", "/leaderboard?"))  # it is found by its name, too
        names = page.locator("table").first.locator("td .name")
        names.first.wait_for()
        assert not page.get_by_text("Page not found").count()
        assert [name.split()[-1] for name in names.all_inner_texts()] == [
            "lstm", "clockwork", "lstm[layers=2]",
            "my-very-long-experimental-cell-name[forget_bias=1.5,layers=3]",
        ]  # fmt: skip
        with page.expect_download() as download:
            page.get_by_role("button", name="Download (CSV)").click()
        table = board.read(Store.open(str(filled / "results.db")), "quick-mixed@1").table()
        taken = pd.read_csv(download.value.path())
        assert taken["cell"].tolist() == [name.split()[-1] for name in names.all_inner_texts()]
        assert taken["score"].tolist()[0] == table.set_index("cell")["score"]["lstm"]
        page.close()

    def test_a_cell_of_the_leaderboard_leads_to_its_page_by_keyboard(self, browser, server):
        page = visit(browser, server.url, width=400)
        link = page.locator("table").first.get_by_role("link", name="gru")
        link.wait_for()
        region = page.get_by_role("region", name="Leaderboard, quick-mixed@1")
        region.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("() => document.activeElement.scrollLeft > 0")  # the table scrolls, by keys
        link.focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/cell?cell=gru**")
        page.get_by_role("heading", name="Cell", exact=True).wait_for()
        page.close()


class TestLife:
    def test_results_appear_by_themselves_and_ctrl_c_ends_it(self, browser, serve, tmp_path):
        server = serve(tmp_path)
        page = visit(browser, f"{server.url}/gap-curves")
        page.get_by_text("There are no results yet").wait_for()
        page.get_by_text("harness run --cell gru --task gap-copy").first.wait_for()
        assert not (tmp_path / "results.db").exists()

        store = Store.open(str(tmp_path / "results.db"))
        synthetic.record(store, "gru", protocol=QUICK)
        page.locator(DRAWN).first.wait_for()
        assert page.locator(DRAWN).count() == 1

        start = time.monotonic()
        synthetic.record(store, "rnn", protocol=QUICK_MIXED)
        page.locator(DRAWN).nth(1).wait_for()
        assert time.monotonic() - start < 10  # within 5 seconds where the machine is not busy

        runs = visit(browser, f"{server.url}/runs")
        runs.get_by_text("Nothing is being trained.").wait_for()
        owner = f"{socket.gethostname()}:{os.getpid()}:1"
        store.plan("sweep.toml", owner, {REQUEST.key: 1.0})
        runs.get_by_text("0 of 1 runs are done, 1 are left").wait_for()
        attempt = store.claim([REQUEST], owner=owner).attempt
        runs.get_by_text("0 of 1 runs are done, 1 train now").wait_for()
        runs.get_by_text("Running now: 1").wait_for()
        store.beat({attempt: 0.5})  # a run that writes while pages read
        runs.get_by_text("50%").wait_for()
        store.end(attempt, "timed-out", "it took too long")
        runs.get_by_text("Nothing is being trained.").wait_for()
        runs.close()

        code, output = server.interrupt()
        assert code == 0
        assert "Traceback" not in output
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(server.url)
        page.close()
