"""JSON that means one thing, in both directions."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_ref.formats import strict_json

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_what_is_written_comes_back(value):
    text = strict_json.dumps(value, "value")
    assert strict_json.loads(text) == value
    assert json.loads(text) == value


def endless() -> list:
    value: list = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "error", "sentence"),
    [
        ({"a": [1, float("nan")]}, ValueError, r"notes\['a'\]\[1\] is nan"),
        ({"a": np.float32(1)}, TypeError, r"notes\['a'\] is a numpy.float32.*\.tolist\(\)"),
        ({"a": np.zeros(2)}, TypeError, "numpy.ndarray"),
        ([(1, 2)], TypeError, r"notes\[0\] is a tuple"),
        ({1: 2}, TypeError, "notes has the key 1"),
        ({"a": "\ud800"}, ValueError, r"notes\['a'\] holds half a character"),
        ({"\ud800": 1}, ValueError, "a key of notes holds half a character"),
        (endless(), ValueError, "holds itself"),
    ],
)
def test_what_json_cannot_say_is_named_with_its_place(value, error, sentence):
    with pytest.raises(error, match=sentence):
        strict_json.dumps(value, "notes")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"a": NaN}', "NaN"),
        ("[-Infinity]", "-Infinity"),
        ("1e999", "1e999, which is beyond float64"),
        ('{"a": 1, "b": 2, "a": 3}', "'a' twice"),
        ("[" * 100_000, "too deep"),
        ("[" * 100_000 + "]" * 100_000, "too deep"),
        ("9" * 10_000, "Exceeds the limit"),
        ('"\\ud800"', "half a character"),
        ("{", "Expecting"),
        ("", "Expecting"),
    ],
)
def test_what_is_not_strict_json_is_refused(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        strict_json.loads(text)
