"""The page, drawn on in a real browser."""

import re

import numpy as np
import pytest
from PIL import Image

from keras_mnist_sum.inference.predictor import Predictor
from keras_mnist_sum.task import Task
from tests.demo.test_server import drawing
from tests.demo.test_server import png
from tests.evaluation.known_model import always_reads
from tests.fixtures import browser as driver
from tests.fixtures.browser import serve

pytestmark = pytest.mark.skipif(
    driver.find_chromium() is None, reason="no Chromium is installed"
)
WRONG = "A picture must be one whole image"


@pytest.fixture(scope="module")
def server():
    with serve(Predictor.load()) as server:
        yield server


@pytest.fixture(scope="module")
def browser():
    with driver.open_browser() as browser:
        yield browser


@pytest.fixture
def open_page(server, browser):
    """Opens the page; at the end, all it asked for was ours."""
    asked, errors, contexts = [], [], []

    def open_page(**options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(error))
        page.goto(server.url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors
    assert asked and not [x for x in asked if not x.startswith(server.url)]


def expect(page, digit, number):
    """Waits until the page shows these answers, and looks at all of them."""
    sums = f"{digit} + {number} = {digit + number}"
    page.wait_for_function("x => $('equation-sum').textContent === x", arg=sums)
    difference = page.locator("#equation-difference").text_content()
    assert difference == f"|{digit} − {number}| = {abs(digit - number)}"
    assert "agree." in page.locator("#verdict").text_content()
    for name, value in (
        ("digit", digit),
        ("sum", digit + number),
        ("difference", abs(digit - number)),
    ):
        best = page.locator(f"#chart-{name} .best")
        assert best.text_content() == str(value)
        assert best.locator("i").bounding_box()["height"] > 30
    ink = "seen.getContext('2d').getImageData(0, 0, 28, 28).data"
    assert page.evaluate(f"Math.max(...{ink}.filter((_, i) => i % 4 < 3))") > 99


def expect_nothing(page):
    page.wait_for_selector("[data-state=blank]")
    assert page.locator("#equation-sum").text_content().startswith("? + ")
    assert page.locator("#hint").is_visible()
    assert "Draw a digit here" in page.locator("#hint").text_content()
    assert page.locator(".best").count() == 0


def test_answers_a_one_a_zero_and_a_seven(open_page):
    page = open_page()
    expect_nothing(page)
    driver.draw(page, 1)
    expect(page, 1, 3)
    page.get_by_text("8", exact=True).locator("visible=true").first.click()
    expect(page, 1, 8)
    page.locator("#clear").click()
    driver.draw(page, 0)
    expect(page, 0, 8)
    page.keyboard.press("0")
    expect(page, 0, 0)
    page.keyboard.press("Delete")
    expect_nothing(page)
    driver.draw(page, 7)
    page.keyboard.press("9")
    expect(page, 7, 9)


def test_reads_all_digits_small_and_large(open_page):
    page = open_page()
    places = [(0.3, (0.7, 0.3)), (0.9, (0.5, 0.5))]
    for digit in range(10):
        size, at = places[digit % 2]
        driver.draw(page, digit, size=size, at=at)
        expect(page, digit, 3)
        page.keyboard.press("Delete")


def test_answers_change_while_one_draws(open_page):
    page = open_page()
    box = page.locator("#draw").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + 0.2 * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 0.6 * box["height"], steps=10)
    expect(page, 1, 3)  # The button is still down.
    page.mouse.up()


def test_undo_takes_back_strokes_and_clearing(open_page):
    page = open_page()
    driver.draw(page, 1)
    expect(page, 1, 3)
    page.locator("#clear").click()
    expect_nothing(page)
    page.locator("#undo").click()
    expect(page, 1, 3)
    page.keyboard.press("Control+z")
    expect_nothing(page)
    assert page.locator("#undo").is_disabled()
    assert page.locator("#clear").is_disabled()


def test_takes_a_photo_chosen_dropped_or_pasted(open_page):
    page = open_page()
    photos = {
        digit: png(Image.fromarray(255 - drawing(digit)).convert("RGB"))
        for digit in (2, 5, 8)
    }
    file = {"name": "2.png", "mimeType": "image/png", "buffer": photos[2]}
    page.locator("#file").set_input_files(file)
    expect(page, 2, 3)
    give = """([kind, name, bytes]) => {
      const data = new DataTransfer();
      data.items.add(
        new File([new Uint8Array(bytes)], "a.png", {type: "image/png"}));
      document.body.dispatchEvent(kind === "drop"
        ? new DragEvent("drop", {dataTransfer: data, bubbles: true})
        : new ClipboardEvent("paste", {clipboardData: data, bubbles: true}));
    }"""
    page.evaluate(give, ["drop", "5.png", list(photos[5])])
    expect(page, 5, 3)
    page.evaluate(give, ["paste", "8.png", list(photos[8])])
    expect(page, 8, 3)
    page.keyboard.press("4")
    expect(page, 8, 4)
    driver.draw(page, 1)  # in its place
    expect(page, 1, 4)


def test_shows_what_is_wrong_with_an_upload_and_undoes_it(open_page):
    page = open_page()
    driver.draw(page, 7)
    expect(page, 7, 3)
    file = {"name": "x.txt", "mimeType": "text/plain", "buffer": b"hello"}
    page.locator("#file").set_input_files(file)
    page.wait_for_selector("[data-state=error]")
    assert WRONG in page.locator("#verdict").text_content()
    assert page.locator(".best").count() == 0
    page.wait_for_function("() => $('spoken').textContent.includes('one')")
    page.locator("#undo").click()
    expect(page, 7, 3)


def test_late_answer_never_replaces_a_newer_one(open_page):
    page = open_page()
    late = []

    def hold(route):
        if "number=5" in route.request.url:
            late.append(route)
        else:
            route.continue_()

    def ask(number):
        with page.expect_request(f"**/answer?number={number}"):
            page.keyboard.press(str(number))

    # In a page that is open a route begins some time after `route` returned:
    # what was asked before is neither held nor told of.
    page.route("**/answer*", hold)
    page.reload()
    driver.draw(page, 7)
    expect(page, 7, 3)
    ask(5)
    ask(6)
    expect(page, 7, 6)
    ask(5)
    page.keyboard.press("Delete")
    page.wait_for_timeout(100)
    assert len(late) == 2
    for route in late:
        answer = '{"error": "late"}'
        route.fulfill(body=answer, content_type="application/json")
    page.wait_for_timeout(100)
    expect_nothing(page)


def test_says_that_the_server_has_ended(open_page):
    page = open_page()
    page.route("**/answer*", lambda route: route.abort())
    driver.draw(page, 7)
    page.wait_for_selector("[data-state=error]")
    assert "does not answer" in page.locator("#verdict").text_content()
    page.unroute("**/answer*")
    page.keyboard.press("4")
    expect(page, 7, 4)


@pytest.mark.parametrize("sure, kind", [(0.98, "warn"), (0.995, "good")])
def test_doubtful_answer_gets_no_tick(browser, sure, kind):
    def predict(arrays):
        shares = always_reads(7)(arrays)
        for share in shares.values():
            share *= sure
            share[0, 0] += 1 - sure
        return shares

    with serve(Predictor(predict)) as server:
        page = browser.new_page()
        page.goto(server.url)
        driver.draw(page, 7)
        page.wait_for_selector("[data-state=answered]")
        assert page.locator("#verdict").get_attribute("class") == kind
        ticked = "✓" in page.locator("#verdict").text_content()
        assert ticked == (kind == "good")
        page.close()


@pytest.mark.parametrize("width", [320, 390])
def test_phone_has_answer_and_sheet_in_sight_and_a_finger_draws(
    open_page, width
):
    page = open_page(
        viewport={"width": width, "height": 800},
        has_touch=True,
        is_mobile=True,
        device_scale_factor=2,
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sheet = page.locator("#draw").bounding_box()
    assert sheet["y"] + sheet["height"] < 800
    assert page.locator("#verdict").bounding_box()["y"] < sheet["y"]
    finger = page.context.new_cdp_session(page)
    x = sheet["x"] + sheet["width"] / 2

    def touch(kind, *ys):
        points = [{"x": x, "y": sheet["y"] + y * sheet["height"]} for y in ys]
        finger.send(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": points}
        )

    touch("touchStart", 0.2)
    for step in range(1, 7):
        touch("touchMove", 0.2 + 0.1 * step)
    touch("touchEnd")
    expect(page, 1, 3)
    assert page.evaluate("scrollY") == 0
    assert page.locator("#draw").bounding_box() == sheet


def test_page_follows_the_colour_scheme(open_page):
    colours = set()
    for scheme in ("light", "dark"):
        page = open_page(color_scheme=scheme)
        driver.draw(page, 7)
        expect(page, 7, 3)
        style = "getComputedStyle(document.body).backgroundColor"
        colours.add(page.evaluate(style))
    assert len(colours) == 2


def test_everything_can_be_reached_by_name_and_by_keyboard(open_page):
    page = open_page()
    driver.draw(page, 7)
    expect(page, 7, 3)
    reached = []
    for _ in range(4):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "document.activeElement.labels?.[0]?.textContent "
                "|| document.activeElement.textContent"
            )
        )
    assert reached == ["Undo", "Clear", "Choose a photo…", "3"]
    page.keyboard.press("ArrowRight")
    expect(page, 7, 4)
    assert page.get_by_role("radio").count() == 10
    assert page.get_by_role("group", name=re.compile("^Number")).count() == 1
    for image in page.get_by_role("img").all():
        assert image.get_attribute("aria-label")
    page.wait_for_function(
        "() => $('spoken').textContent === "
        "'Digit 7. 7 + 4 = 11. |7 − 4| = 3. ✓ All answers agree.'"
    )


@pytest.mark.parametrize("width", [320, 1400])
def test_page_shows_all_outputs_of_a_task_of_ones_own(browser, width):
    """Any names, in any order; 37 classes, two, a hundred; values."""
    task = Task(
        main=lambda d, n: d * n,
        greater=lambda d, n: d > n,
        digit=lambda d, n: d,
        far_below=lambda d, n: -1000 * d - n,
        sum=lambda d, n: d + n,
    )

    def predict(arrays):
        number = arrays["number"].argmax(axis=1)
        predictions = always_reads(7, task)(arrays)
        return {**predictions, "sum": number[:, np.newaxis] + 7.1}

    with serve(Predictor(predict, task)) as server:
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.goto(server.url)
        asked = [f"{name}(?, 3) = ?" for name in task if name != "digit"]
        assert page.locator("#equations > div").all_text_contents() == asked
        driver.draw(page, 7)
        page.wait_for_selector("[data-state=answered]")
        assert page.locator("#equations > div").all_text_contents() == [
            "main(7, 3) = 21",
            "greater(7, 3) = 1",
            "far_below(7, 3) = −7003",
            "sum(7, 3) = 10",
        ]
        assert "agree." in page.locator("#verdict").text_content()
        best = {"main": "21", "greater": "1", "digit": "7"}
        for name, value in {**best, "far_below": "−7003"}.items():
            bars = page.locator(f"#chart-{name} .bars > div")
            assert bars.count() == task[name].num_classes
            assert page.locator(f"#chart-{name} .best").inner_text() == value
        shown = page.locator("#chart-sum")
        assert shown.locator("small").text_content() == "value 10.10"
        assert shown.locator(".bars").is_hidden()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.close()
