"""The page without a server: it answers in the browser, as the demo does."""

import itertools

import numpy as np
import pytest
from PIL import Image
from PIL import ImageDraw

from keras_mnist_sum import __main__
from keras_mnist_sum.demo.page import page_without_server
from keras_mnist_sum.demo.static_site import CDN
from keras_mnist_sum.formats import pretrained
from keras_mnist_sum.inference.pictures import strokes_to_mnist
from keras_mnist_sum.inference.predictor import Predictor
from keras_mnist_sum.task import Task
from tests.clients.test_clients import NODE_MODULES
from tests.clients.test_clients import needs_node
from tests.clients.test_clients import served
from tests.fixtures import browser as driver

RUNTIME = NODE_MODULES / "onnxruntime-web" / "dist"
SIDE = 256  # of the canvas as it is read


@pytest.fixture(scope="module")
def browser():
    if driver.find_chromium() is None:
        pytest.skip("no Chromium is installed")
    with driver.open_browser() as browser:
        yield browser


@pytest.fixture
def address(tmp_path):
    """Of the folder `site`."""
    with served(tmp_path / "site") as url:
        yield f"{url}/"


def scribble(seed):
    """A line through some points, with a pen of some width."""
    random = np.random.default_rng(seed)
    image = Image.new("L", (SIDE, SIDE))
    points = random.uniform(20, 236, (random.integers(2, 7), 2))
    width = int(random.integers(2, 40))
    ImageDraw.Draw(image).line([*map(tuple, points)], 255, width, "curve")
    return np.asarray(image)


@pytest.mark.slow
def test_prepares_strokes_as_the_demo_does(browser):
    page = browser.new_page()
    page.set_content(page_without_server(Task.named(), CDN))
    for seed in range(40):
        ink = scribble(seed)
        found = page.evaluate(
            f"ink => [...toMnist(Uint8Array.from(ink), {SIDE}, [28, 28, 1])]",
            ink.ravel().tolist(),
        )
        # A half may be rounded to either side: of gray, or of a pixel.
        expected = strokes_to_mnist(ink).astype(int)
        apart = min(
            np.abs(
                np.roll(np.reshape(found, (28, 28)), shift, (0, 1)) - expected
            ).mean()
            for shift in itertools.product((-1, 0, 1), repeat=2)
        )
        assert apart < 0.5, seed
    page.close()


@pytest.mark.slow
@needs_node("onnxruntime-web")
def test_answers_in_the_browser_what_the_demo_answers(
    browser, address, tmp_path, capsys
):
    site = str(tmp_path / "site")
    model = str(pretrained.FOLDER / "model.keras")
    arguments = ["export", model, "--format", "web", "--out", site]
    assert __main__.main([*arguments, "--runtime", str(RUNTIME)]) == 0
    assert f"python -m http.server -d {site}" in capsys.readouterr().out
    asked, errors = [], []
    page = browser.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(error))
    page.goto(address)
    assert page.locator("#choose").is_hidden()
    driver.draw(page, 7)
    page.locator("#numbers input").nth(4).check(force=True)
    page.wait_for_function("$('equation-sum').textContent === '7 + 4 = 11'")
    answer = page.evaluate(f"answerHere(drawn(), {SIDE}, 4, TASK)")
    image = page.evaluate(
        "({image}) => [...atob(image)].map(x => x.charCodeAt(0))", answer
    )
    seen = np.reshape(image, (1, 28, 28)).astype("uint8")
    [expected] = Predictor.load().answers(seen, np.array([4]))
    assert answer["values"] == expected.values
    assert answer["agree"] and expected.agree
    for name, prediction in expected.predictions.items():
        np.testing.assert_allclose(
            answer["predictions"][name], prediction, atol=1e-5
        )
    assert not errors
    assert asked and not [x for x in asked if not x.startswith(address)]


@pytest.mark.slow
def test_says_what_could_not_be_loaded(browser):
    page = browser.new_page()
    page.set_content(page_without_server(Task.named(), "nowhere/"))
    driver.draw(page, 7)
    page.wait_for_selector("[data-state=error]")
    assert "cannot be loaded" in page.locator("#verdict").text_content()
    page.close()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--out", "taken"], "not overwritten"),
        (["--out", "new", "--runtime", "taken"], "without ort.wasm.min.mjs"),
        (["--out", "new", "--batch", "1"], "are for a file"),
        (["--out", "new", "--quantize"], "are for a file"),
    ],
)
def test_wrong_arguments_are_one_line_and_write_nothing(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    assert __main__.main(["export", "--format", "web", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["taken"]
