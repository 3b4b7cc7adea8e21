"""The report's page, where it is narrow."""

import pytest

from keras_mnist_sum.reporting import report
from tests.evaluation.known_model import known_predictions
from tests.fixtures import browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.find_chromium() is None, reason="no Chromium"),
]


def test_nothing_is_cut_in_500_pixels(digits, tmp_path):
    folder = tmp_path / "report"
    facts = {"model": "runs/" + 20 * "long", "data": "MNIST"}
    report.save_report(folder, known_predictions(digits), {}, facts)
    with browser.open_browser() as opened:
        page = opened.new_page(viewport={"width": 500, "height": 900})
        page.goto((folder / report.PAGE).as_uri())
        outside = page.evaluate(
            "() => [...document.querySelectorAll('body *')].filter("
            "x => x.getBoundingClientRect().right > innerWidth)"
            ".map(x => x.outerHTML)"
        )
    assert outside == []
