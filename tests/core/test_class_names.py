"""Class names: whatever people write stays, whatever breaks a file or deceives goes."""

import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_msd.core.class_names import MAX_NAME, class_name_or_number, clean_class_name

REAL_NAMES = {
    "English": "cell wall (inner)",
    "Persian with a non-joiner": "می\u200cخواهم",
    "Hindi with a joiner": "क्\u200dष",
    "family emoji": "👩\u200d👩\u200d👧",
    "emoji with a variation selector": "❤\ufe0f",
    "flag of Scotland": "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "soft hyphen": "Zell\u00adkern",
    "Thai": "นิวเคลียส",
    "Arabic with a mark of direction": "نواة\u200f (1)",
    "Chinese": "細胞核",
    "markup": "<b>&amp;\"'\\",
}


@pytest.mark.parametrize("kind", REAL_NAMES)
def test_a_real_name_stays(kind):
    assert clean_class_name(REAL_NAMES[kind]) == REAL_NAMES[kind]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("  two\t\n words ", "two words"),
        ("ideographic\u3000and\u00a0no-break", "ideographic and no-break"),
        ("line\u2028end", "line end"),
        ("a\0b\x1b[31m", "ab[31m"),
        ("\ufeffnucleus", "nucleus"),
        ("cell \u202egnp.exe", "cell gnp.exe"),
        ("\u2066isolated\u2069", "isolated"),
        ("lone \ud800 half", "lone half"),
        ("no\uffff\ufdd0character", "nocharacter"),
        ("Caf" + "e\u0301", "Café"),
        ("e\u202e\u0301", "é"),
        ("", ""),
        (" \n\0\u202e", ""),
        ("\u200d\u00ad\ufe0f", ""),
    ],
)
def test_what_goes(text, name):
    assert clean_class_name(text) == name


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("x" * 500, 100),
        ("x" * 99 + " y", 99),
        ("x" * 98 + "👩\u200d👩\u200d👧", 98),
        ("x" * 99 + "a\u0323\u035c", 99),
        ("x" * 99 + "🇨🇭", 99),
        ("x" * 98 + "🇨🇭" + "y", 100),
        ("a" + "\u0300\u0316" * 500, 100),
        ("👍" * 99 + "👍🏽", 99),
    ],
)
def test_a_long_name_is_cut_between_signs(text, length):
    name = clean_class_name(text)
    assert len(name) == length
    assert unicodedata.normalize("NFC", text).startswith(name) or "\u0316" in text


def test_a_huge_text_is_no_work():
    assert len(clean_class_name("a" + "\u0301\u0316" * 500_000)) == MAX_NAME


@given(text=st.text(st.characters(codec=None), max_size=250))
def test_a_clean_name_stays_as_it_is_and_fits_into_xml_and_json(text):
    name = clean_class_name(text)
    assert clean_class_name(name) == name
    assert len(name) <= MAX_NAME
    assert name == unicodedata.normalize("NFC", name) == name.strip()
    name.encode("utf-8")
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in name)


def test_a_class_without_a_name_is_called_by_its_value():
    assert class_name_or_number("\u202e\n", 7) == "class 7"
    assert class_name_or_number(" a ", 7) == "a"


def test_the_rule_is_light():
    code = (
        "import sys, napari_msd.core.class_names\n"
        "assert not {'numpy', 'qtpy', 'torch'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
