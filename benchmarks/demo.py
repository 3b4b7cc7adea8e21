"""How long from a stroke on the demo's page to its answer, and a picture of it.

    python -m benchmarks.demo --screenshot docs/demo.png

in headless Chromium, which Playwright drives. Prints milliseconds from the end
of a stroke to the last change of what the page says of it.
"""

import argparse
import contextlib
import os
import random
import shutil
import statistics
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from benchmarks.strokes import strokes
from keras_mnist_sum.demo import server as demo
from keras_mnist_sum.inference.predictor import Predictor

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Page

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_WATCH = """() => {
  addEventListener("pointerup", e => { window.up = e.timeStamp; }, true);
  new MutationObserver(() => { window.changed = performance.now(); }).observe(
    document.querySelector("#charts"),
    {subtree: true, attributes: true, childList: true},
  );
}"""


def find_chromium() -> str | None:
    """The path of Chromium: `$CHROMIUM`, or what is installed as such."""
    found = filter(None, map(shutil.which, _NAMES))
    return os.environ.get("CHROMIUM") or next(found, None)


@contextlib.contextmanager
def open_browser() -> Iterator["Browser"]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=_FLAGS
        )
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def serve(target: Path | None = None) -> Iterator[demo.Server]:
    """The demo, at a free port, in a thread."""
    with demo.make_server(Predictor.load(target), port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def draw(page: "Page", digit: int, **where: Any) -> None:
    """Draws a digit with the mouse; `where` as `strokes` takes it."""
    box: dict = {**(page.locator("#draw").bounding_box() or {})}
    for stroke in strokes(digit, **where):
        points = [
            (box["x"] + x * box["width"], box["y"] + y * box["height"])
            for x, y in stroke
        ]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=max(12 // len(points), 1))
        page.mouse.up()


def measure(page: "Page", count: int) -> list[float]:
    """Milliseconds to the answer, of each of so many digits drawn."""
    page.evaluate(_WATCH)
    generator = random.Random(0)
    times = []
    for index in range(count):
        at = generator.uniform(0.4, 0.6), generator.uniform(0.4, 0.6)
        draw(page, index % 10, size=generator.uniform(0.4, 0.8), at=at)
        page.wait_for_timeout(600)
        times.append(page.evaluate("changed - up"))
        page.locator("#clear").click()
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strokes", type=int, default=50, metavar="N")
    parser.add_argument("--screenshot", type=Path, metavar="FILE")
    values = parser.parse_args()
    with serve() as server, open_browser() as browser:
        page = browser.new_page(viewport={"width": 1120, "height": 700})
        page.goto(server.url)
        if values.screenshot:
            draw(page, 7)
            page.wait_for_timeout(500)
            page.screenshot(path=values.screenshot, full_page=True)
            page.locator("#clear").click()
        times = sorted(measure(page, values.strokes))
    print(
        f"{len(times)} digits drawn, ms from stroke to answer: "
        f"median {statistics.median(times):.0f}, "
        f"95th percentile {times[int(0.95 * len(times))]:.0f}"
    )


if __name__ == "__main__":
    main()
