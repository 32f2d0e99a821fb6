"""What the tutorial prints and draws, be it a script or a notebook."""

import re

from PIL import Image


def assert_is_a_picture(path):
    with Image.open(path) as picture:
        width, height = picture.size
        colors = len(picture.convert("RGB").getcolors(maxcolors=width * height))
    assert width >= 900
    assert 0.4 < height / width < 1.2
    assert colors > 50


def assert_has_results(printed):
    for name in ("LocoProp", "Adam"):
        row = re.search(rf"^{name}((?: +\d+\.\d){{4}})$", printed, re.MULTILINE)
        assert row, printed
        train_loss, test_loss, seconds, first_step = map(
            float, row.group(1).split()
        )
        # Between a digit told apart from the others and 784 coin tosses.
        assert 40 < train_loss < 550
        assert 40 < test_loss < 550
        assert 0 <= seconds < 120
        assert 0 <= first_step < 120
