"""Reads any picture of a digit, or refuses it in a line."""

import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL import ImageDraw

import keras_mnist_sum
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.inference.pictures import strokes_to_mnist
from keras_mnist_sum.inference.pictures import to_mnist
from keras_mnist_sum.utils.image_files import read_picture
from tests.fixtures.photos import make_photo
from tests.hostile import files
from tests.hostile import grows_by_less_than
from tests.hostile import inputs
from tests.hostile import read

BLACK, WHITE = (0, 0, 0), (255, 255, 255)


@pytest.fixture(scope="module")
def mnist():
    return load_mnist("sample", test_only=True)


def five(ink=BLACK, page=WHITE, mode="RGB", size=(400, 300), zoom=1.0, at=None):
    """A 5 of two strokes that do not touch."""
    image = Image.new(mode, size, page)
    draw = ImageDraw.Draw(image)
    left, top = at or (150, 50)
    bar = [(10, 0), (100, 0)]
    rest = [(5, 22), (0, 90), (60, 85), (95, 120), (80, 165), (0, 190)]
    for stroke in (bar, rest):
        points = [(left + zoom * x, top + zoom * y) for x, y in stroke]
        draw.line(points, ink, round(16 * zoom), joint="curve")
    return image


def saved(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def alike(one, other):
    """Cosine of the angle between two pictures."""
    one, other = one.astype(float).ravel(), other.astype(float).ravel()
    return one @ other / np.sqrt((one @ one) * (other @ other))


def test_keeps_mnist_images(mnist):
    for image in np.concatenate([mnist.train_images, mnist.test_images]):
        assert np.array_equal(to_mnist(image), image)


@pytest.mark.parametrize(
    "form",
    [
        lambda x: x[..., np.newaxis],
        lambda x: np.repeat(x[..., np.newaxis], 3, axis=2),
        lambda x: x / 255,
        lambda x: (x / 255).astype("float32")[..., np.newaxis],
        lambda x: x.astype("float32"),
        Image.fromarray,
        lambda x: Image.fromarray(x).convert("P"),
        lambda x: Image.fromarray(x).convert("RGBA"),
    ],
)
def test_keeps_mnist_images_in_any_form(mnist, form):
    for image in mnist.test_images[::50]:
        assert np.array_equal(to_mnist(form(image)), image)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF", "PPM"])
def test_keeps_mnist_images_in_a_file(mnist, kind, tmp_path):
    path = tmp_path / "picture"
    image = mnist.test_images[0]
    path.write_bytes(saved(Image.fromarray(image), kind))
    assert np.array_equal(to_mnist(path), image)
    assert np.array_equal(to_mnist(str(path)), image)


def test_picture_is_prepared_as_mnist():
    made = to_mnist(five())
    assert made.shape == (28, 28) and made.dtype == np.uint8
    assert made.max() == 255
    rows, columns = np.nonzero(made)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    mass = made / made.sum()
    assert abs(mass.sum(axis=1) @ np.arange(28) - 14) <= 0.51
    assert abs(mass.sum(axis=0) @ np.arange(28) - 14) <= 0.51
    bar = made[rows.min() : rows.min() + 2]
    assert bar.max() > 200  # The stroke apart is there.
    again = to_mnist(made)
    assert np.array_equal(again, made)


@pytest.mark.parametrize(
    "ink, page",
    [
        (WHITE, BLACK),
        ((230, 240, 230), (20, 80, 50)),
        ((40, 60, 200), (250, 220, 60)),
        (WHITE, (200, 0, 0)),
        ((220, 0, 0), (0, 112, 0)),  # of the same gray
        ((180, 180, 180), (210, 210, 210)),
    ],
)
def test_colours_of_ink_and_page_do_not_matter(ink, page):
    assert alike(to_mnist(five(ink, page)), to_mnist(five())) > 0.98


def test_place_and_size_do_not_matter():
    expected = to_mnist(five())
    for zoom, at in [(0.3, (20, 220)), (1, (290, 90)), (1.3, (30, 20))]:
        assert alike(to_mnist(five(zoom=zoom, at=at)), expected) > 0.9
    large = five(size=(4000, 3000), zoom=10, at=(1500, 500))
    assert alike(to_mnist(large), expected) > 0.98


def test_uneven_light_specks_and_noise_do_not_matter():
    rng = np.random.default_rng(0)
    page = np.asarray(five((60, 60, 90), (240, 230, 210)), "float64")
    page[20:24, 30:34] = page[250:253, 350:353] = 0
    page *= np.linspace(1, 0.4, 400)[:, np.newaxis]
    page[:, :200] *= 0.7  # a shadow over half of the digit
    page += rng.normal(0, 6, page.shape)
    made = to_mnist(page.clip(0, 255).astype("uint8"))
    assert alike(made, to_mnist(five())) > 0.9


@pytest.mark.parametrize("ink", [BLACK, WHITE, (200, 30, 30)])
def test_finds_ink_in_the_alpha_channel_alone(ink):
    drawn = five(255, 0, "L")
    image = Image.new("RGBA", drawn.size, (*ink, 0))
    image.putalpha(drawn)
    for form in (image, image.convert("LA"), np.asarray(image)):
        assert alike(to_mnist(form), to_mnist(five())) > 0.98


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "I;16", "I", "F"])
def test_reads_every_image_mode(mode, tmp_path):
    image = five()
    if mode == "I;16":
        gray = np.asarray(image.convert("L"), "uint16")
        image = Image.fromarray(gray * 257)
    else:
        image = image.convert(mode)
    assert image.mode == mode
    assert alike(to_mnist(image), to_mnist(five())) > 0.98
    path = tmp_path / "picture.tiff"
    image.save(path)
    assert alike(to_mnist(path), to_mnist(five())) > 0.98


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_turns_pictures_upright(kind, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    path = tmp_path / "picture"
    lying = five().transpose(Image.Transpose.ROTATE_90)
    path.write_bytes(saved(lying, kind, exif=exif))
    with Image.open(path) as image:
        for picture in (path, image):
            assert alike(to_mnist(picture), to_mnist(five())) > 0.95


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((28, 28), "uint8"),
        np.zeros((1, 1), "uint8"),
        np.full((300, 400, 3), 255, "uint8"),
        np.random.default_rng(0).integers(200, 255, (300, 400), "uint8"),
        np.linspace(0, 1, 300)[:, np.newaxis] * np.ones(400),
        Image.new("RGBA", (300, 400), (0, 0, 0, 0)),
    ],
    ids=["black", "pixel", "white", "noise", "slope", "clear"],
)
def test_rejects_a_blank_page(picture):
    with pytest.raises(InputError, match="Nothing is drawn here .* Received:"):
        to_mnist(picture)


def test_names_the_rejected_file(tmp_path):
    for image in (Image.new("L", (40, 40)), Image.new("F", (40, 40), -1)):
        image.save(tmp_path / "picture.tiff")
        with pytest.raises(InputError, match=r"Received: .*picture\.tiff'$"):
            to_mnist(tmp_path / "picture.tiff")


@pytest.mark.parametrize(
    "received, picture",
    [
        ("nan to nan", np.full((9, 9), np.nan)),
        ("0.0 to inf", np.array([[0, np.inf]])),
        ("-1.0 to 0.0", np.array([[0, -1.0]])),
        ("0.0 to 256.0", np.array([[0, 256.0]])),
        ("int64", np.zeros((9, 9), "int64")),
        ("object", np.zeros((9, 9), object)),
        (r"\(28,\)", np.zeros(28)),
        (r"\(28, 28, 2\)", np.zeros((28, 28, 2))),
        (r"\(1, 28, 28, 1\)", np.zeros((1, 28, 28, 1))),
        ("28 x 0", np.zeros((0, 28))),
        ("0 x 5", Image.new("L", (0, 5))),
        ("list", [[0, 1], [1, 0]]),
        ("nan to nan", Image.fromarray(np.full((9, 9), np.nan, "float32"))),
        ("0.0 to inf", Image.fromarray(np.float32([[0, np.inf]]))),
        ("-7 to 3", Image.fromarray(np.int32([[-7, 3]]))),
    ],
)
def test_rejects_anything_but_a_picture(received, picture):
    with pytest.raises(InputError, match=f"Received: .*{received}"):
        to_mnist(picture)


@pytest.mark.parametrize(
    "content, why",
    [
        (b"", "it is empty"),
        (b"no picture at all", "it is none of these"),
        (saved(five(), "ICO"), "it is none of these"),
    ],
)
def test_rejects_another_kind_of_file(content, why, tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"Received: .*png' [(]{why}[)]"):
        to_mnist(path)


@pytest.mark.parametrize(
    "content",
    [
        saved(five())[:-400],
        saved(five(), "JPEG")[:2000],
        saved(five(), "WEBP")[:-99],
        saved(five(), "BMP")[:-1],
    ],
    ids=["png", "jpeg", "webp", "bmp"],
)
def test_rejects_a_truncated_file(content, tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match="one whole image .* Received: .*png"):
        to_mnist(path)


@pytest.mark.parametrize("name", ["missing.png", ""])
def test_rejects_a_path_without_a_file(name, tmp_path):
    why = f"Received: '{tmp_path / name}' [(](no such file|a folder)"
    with pytest.raises(InputError, match=why):
        to_mnist(tmp_path / name)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_rejects_several_frames(kind, tmp_path):
    path = tmp_path / "picture"
    frames = [five(), five(zoom=0.5)]
    path.write_bytes(
        saved(frames[0], kind, save_all=True, append_images=frames[1:])
    )
    with pytest.raises(InputError, match="it has several frames"):
        to_mnist(path)
    with Image.open(path) as image:
        with pytest.raises(InputError, match="Received: several frames"):
            to_mnist(image)
        assert alike(to_mnist(image.copy()), to_mnist(five())) > 0.95
    image = Image.open(path)
    image.close()
    with pytest.raises(InputError, match="Received: "):
        to_mnist(image)


def test_reads_a_photo_with_more_images_behind_it(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(
        saved(five(), "MPO", save_all=True, append_images=[five(zoom=0.5)])
    )
    assert alike(to_mnist(path), to_mnist(five())) > 0.95


@pytest.mark.parametrize("side", [9_000, 20_000])
@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF"])
def test_rejects_a_huge_picture_before_decoding_it(kind, side, tmp_path):
    content = bytearray(saved(Image.new("1", (side, 1)), kind))
    if kind == "PNG":
        content = bytearray(saved(Image.new("1", (side, side)), kind))
    elif kind == "GIF":
        content[6:10] = 2 * side.to_bytes(2, "little")
    else:
        at = content.index(bytes([1, 1, 4, 0])) + 8  # ImageLength
        content[at : at + 4] = side.to_bytes(4, "little")
    path = tmp_path / "picture"
    path.write_bytes(content)
    why = r"Received: .*picture' \(it has more than 67,108,864 pixels\)"
    with grows_by_less_than(50e6), pytest.raises(InputError, match=why):
        to_mnist(path)


WHOLE = {
    kind: saved(five(size=(60, 40), zoom=0.15, at=(20, 5)), kind)
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "PPM", "WEBP")
}


@inputs()
@given(kind=st.sampled_from(list(WHOLE)), data=st.data())
def test_reads_or_rejects_any_file(kind, data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "picture"
    path.write_bytes(data.draw(files(WHOLE[kind])))
    read(read_picture, path)


SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@inputs(40)
@given(shape=SHAPES, seed=st.integers(0, 99), levels=st.integers(1, 255))
def test_prepares_or_rejects_any_pixels(shape, seed, levels):
    pixels = np.random.default_rng(seed).integers(0, levels, (*shape, 3))
    read(to_mnist, pixels.astype("uint8"))


@pytest.mark.slow
def test_reads_photos_of_digits(mnist):
    """The sample's digits were trained on, their photos were not."""
    rng = np.random.default_rng(0)
    chosen = rng.permutation(1000)[:60]
    photos = [make_photo(mnist.test_images[x], rng) for x in chosen]
    images = np.stack([to_mnist(photo) for photo in photos])
    answers = keras_mnist_sum.load_pretrained().predict(
        {"image": images[..., np.newaxis], "number": np.eye(10)[chosen % 10]},
        verbose=0,
    )
    right = answers["digit"].argmax(axis=1) == mnist.test_labels[chosen]
    assert right.sum() >= 57


def test_reads_pictures_without_tensorflow():
    code = (
        "import sys, keras_mnist_sum.inference.pictures; "
        "assert not {'tensorflow', 'keras', 'scipy'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_reads_bytes_as_it_reads_the_file(tmp_path):
    path = tmp_path / "five.png"
    path.write_bytes(saved(five()))
    assert np.array_equal(to_mnist(path.read_bytes()), to_mnist(path))
    with pytest.raises(InputError, match=r"Received: 4 bytes \(it is none"):
        to_mnist(b"five")


def test_strokes_without_a_page_are_prepared_as_mnist():
    made = strokes_to_mnist(np.asarray(five(255, 0, "L")))
    assert made.shape == (28, 28) and made.dtype == np.uint8
    assert alike(made, to_mnist(five())) > 0.95
    # Nothing is taken for a speck, or for what belongs to the margin.
    dots = np.zeros((200, 200), "uint8")
    dots[:6, 97:103] = dots[-6:, 97:103] = 255
    rows, _ = np.nonzero(strokes_to_mnist(dots))
    assert np.ptp(rows) + 1 == 20


@pytest.mark.parametrize("value", [0, 100])
def test_rejects_an_empty_canvas(value):
    with pytest.raises(InputError, match="Nothing is drawn.*9 x 7 empty"):
        strokes_to_mnist(np.full((7, 9), value, "uint8"))
