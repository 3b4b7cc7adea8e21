from io import BytesIO

import numpy as np
from matplotlib.colors import to_hex

from keras_mnist_sum.evaluation.mistakes import find_mistakes
from keras_mnist_sum.reporting import charts
from keras_mnist_sum.reporting import image_grids
from tests.evaluation.test_scores import ask


def framed(axes):
    return to_hex(axes.patches[0].get_edgecolor()) == charts.WRONG


def test_examples_show_number_truth_and_answer_and_mark_mistakes(digits):
    def change(name, classes):
        if name == "sum":
            classes[:, 3] = 18

    answers = ask(digits, change, "signed")
    figure = image_grids.examples(answers)
    chosen = np.linspace(0, 49, 20).astype(int)
    for i, axes in enumerate(figure.axes):
        image, number = chosen[i], i * 3 % 10
        assert (axes.images[0].get_array() == answers.images[image]).all()
        texts = [text.get_text() for text in axes.texts if text.get_text()]
        label = int(answers.labels[image])
        said = 18 if number == 3 else label + number
        difference = str(label - number).replace("-", "−")
        assert texts == [
            *("number", str(number), "truth", "model"),
            *("digit", str(label), str(label)),
            *("sum", str(label + number), str(said)),
            *("difference", difference, difference),
        ]
        orange = [
            t.get_text() for t in axes.texts if t.get_color() == "#d55e00"
        ]
        assert orange == (["18"] if number == 3 else [])
        assert framed(axes) == (number == 3)


def test_mistakes_are_framed_and_say_what_is_wrong(digits):
    answers = ask(digits)
    digit = answers.predictions["digit"]
    digit[3], digit[3, :, 7] = 0, 0.61
    sums = answers.predictions["sum"]
    sums[14, 5], sums[14, 5, 2] = 0, 0.97
    found = find_mistakes(answers)
    figure = image_grids.mistakes(answers, found)
    assert figure.get_suptitle() == "2 of 50 test images have a wrong answer"
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    assert titles == [
        "4 + 5 = 9, said 2\n97.0 % sure\n1 of 10 pairs wrong",
        "3 read as 7\n61.0 % sure",
    ]
    assert all(framed(axes) for axes in figure.axes if axes.images)


def test_more_mistakes_than_are_legible_are_counted(digits):
    answers = ask(digits, lambda name, classes: classes.fill(0))
    found = find_mistakes(answers)
    assert len(found) == 50  # with any number but 0, also for a 0
    figure = image_grids.mistakes(answers, found)
    assert figure.get_suptitle() == (
        "50 of 50 test images have a wrong answer: the surest 40"
    )
    assert sum(bool(axes.images) for axes in figure.axes) == 40


def test_overview_says_every_answer_and_draws_what_was_learned(digits):
    def change(name, classes):
        if name == "sum":
            classes[:, 3] = 18

    answers = ask(digits, change, "signed")
    table = np.eye(19)[answers.outputs["sum"].table]
    table[9, 9] = np.eye(19)[0]  # 9 + 9 = 0
    figure = image_grids.overview(answers, {"sum": table}, "a title")
    assert figure.get_suptitle() == "a title"
    *images, learned = figure.axes
    chosen = np.linspace(0, 49, 20).astype(int)
    for i, (axes, image) in enumerate(zip(images, chosen, strict=True)):
        label, number = int(answers.labels[image]), i * 3 % 10
        said = 18 if number == 3 else label + number
        difference = str(label - number).replace("-", "−")
        assert axes.get_title() == (
            f"{label} + {number} = {said}\n{label} − {number} = {difference}"
        )
        wrong = axes.title.get_color() == charts.WRONG
        assert wrong == (number == 3)
    assert learned.get_title() == "learned sum: 99 of 100 cells right"
    assert framed(learned)
    # What was given, not learned, is no picture of its own.
    narrow = image_grids.overview(answers, {}, "a title")
    assert len(narrow.axes) == 20
    assert narrow.get_figwidth() < figure.get_figwidth()


def test_path_with_dollar_signs_is_no_formula(digits):
    path = r"/data/$a_$b/\frac.npz"
    images, _ = digits
    targets = dict.fromkeys(("digit", "sum", "difference"), [0])
    drawn = image_grids.batch(images[:1, ..., np.newaxis], [0], targets, path)
    overview = image_grids.overview(ask(digits), {}, path)
    for figure in (drawn, overview):
        figure.savefig(BytesIO())
        assert path in figure.get_suptitle()
