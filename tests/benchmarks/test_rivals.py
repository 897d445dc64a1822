import numpy as np
import pytest
from _cases import Case
from _rivals import Forest, PixelClassifier, chosen, missing, standardised


class Nearest(PixelClassifier):
    """The class of the painted pixel whose value is nearest."""

    name = "nearest"
    packages = ()
    install = ""
    computed = 0

    def features(self, image):
        self.computed += 1
        return image.astype(np.float32)[..., None]

    def model(self, seed):
        class Model:
            def fit(self, x, y):
                self.x, self.y = x, y

            def predict(self, x):
                return self.y[np.abs(x - self.x.T).argmin(1)]

        return Model()


@pytest.fixture
def case():
    image = np.array([[0, 0, 9, 9], [0, 4, 5, 9]], np.uint8)
    truth = (image > 4).astype(np.uint8) + 1
    return Case("a", "a", "tuning", (image, truth), (9 - image, 3 - truth))


def test_learns_from_painted_pixels_and_answers_for_both_images(case):
    strokes = np.array([[1, 0, 0, 2], [0, 0, 0, 0]], np.uint8)
    answer = Nearest(case, 0).answer(strokes)
    assert answer.here.dtype == np.uint8
    assert (answer.here == case.here[1]).all()
    assert (answer.there == case.there[1]).all()


def test_features_of_an_image_are_computed_once(case):
    rival = Nearest(case, 0)
    rival.answer(case.here[1])
    rival.answer(case.here[1])
    assert rival.computed == 2  # of one image and of the other


def test_without_its_package_a_rival_is_left_out_in_one_sentence(capsys):
    class Absent(Nearest):
        name = "absent"
        packages = ("no_such_package_anywhere",)
        install = "pip install it"

    assert missing(Nearest) == ""
    assert chosen(["absent", "nearest"], [Absent, Nearest, Forest]) == [Nearest]
    said = capsys.readouterr().out
    assert said == ("absent is left out, no_such_package_anywhere is missing: pip install it\n")


def test_channels_are_standardised_one_by_one():
    image = np.random.default_rng(0).integers(0, 255, (30, 30, 3)) * np.array([1, 10, 0])
    scaled = standardised(image)
    np.testing.assert_allclose(scaled.mean((0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.std((0, 1)), [1, 1, 0], atol=1e-3)
