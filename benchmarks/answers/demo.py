"""How long from a stroke on the demo's page to its answer.

In headless Chromium, which Playwright drives: milliseconds from the end of a
stroke to the last change of what the page says of it.
"""

import argparse
import random
import statistics
from pathlib import Path

from benchmarks import harness
from keras_mnist_sum.inference.predictor import Predictor
from tests.fixtures import browser

OPTIONS = {
    "count": (50, "digits drawn"),
    "screenshot": (Path, "a PNG file for a picture of the page"),
}
SMOKE = {"count": 2}
_WATCH = """() => {
  addEventListener("pointerup", e => { window.up = e.timeStamp; }, true);
  new MutationObserver(() => { window.changed = performance.now(); }).observe(
    document.querySelector("#charts"),
    {subtree: true, attributes: true, childList: true},
  );
}"""


def main(values: argparse.Namespace) -> None:
    served = browser.serve(Predictor.load())
    with served as server, browser.open_browser() as chromium:
        page = chromium.new_page(viewport={"width": 1120, "height": 700})
        page.goto(server.url)
        if values.screenshot:
            browser.draw(page, 7)
            page.wait_for_timeout(500)
            page.screenshot(path=values.screenshot, full_page=True)
            page.locator("#clear").click()
        page.evaluate(_WATCH)
        generator, times = random.Random(0), []
        for index in range(values.count):
            at = generator.uniform(0.4, 0.6), generator.uniform(0.4, 0.6)
            size = generator.uniform(0.4, 0.8)
            browser.draw(page, index % 10, size=size, at=at)
            page.wait_for_timeout(600)
            times.append(page.evaluate("changed - up"))
            page.locator("#clear").click()
    times.sort()
    found = {"median": statistics.median(times)}
    found["95th percentile"] = times[int(0.95 * len(times))]
    harness.save(values, {"milliseconds_to_the_answer": found})
