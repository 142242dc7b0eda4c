"""CSV files to numbers with names; columns to standard units and back."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lstm_ref.errors import ShapeError
from lstm_ref.sequences import Standardizer, Table, read_table


@pytest.fixture
def written(tmp_path):
    def write(content: str | bytes) -> str:
        path = tmp_path / "table.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_reads_names_numbers_and_what_is_missing(written, delimiter):
    lines = ["date,t,p", "2024-01-01,1.5,1e3", "2024-01-02,,NA", '"2024-01-03", nan ,-2', ""]
    table = read_table(written("\r\n".join(lines).replace(",", delimiter)), ["p", "t"])
    assert table.columns == ("p", "t")
    np.testing.assert_array_equal(table.values, [[1e3, 1.5], [np.nan, np.nan], [-2, np.nan]])
    assert table.values.dtype == np.float64
    assert len(table) == 3
    np.testing.assert_array_equal(table.select(["t"]), table.values[:, 1:])


def test_without_columns_all_are_read(written):
    table = read_table(written("\ufeffa,b\n1,2\n"))  # with the mark Excel puts before UTF-8
    assert table.columns == ("a", "b")
    np.testing.assert_array_equal(table.values, [[1, 2]])


def test_a_table_without_rows_has_columns(written):
    table = read_table(written("a,b\n"))
    assert table.values.shape == (0, 2)


@pytest.mark.parametrize(
    ("content", "columns", "sentence"),
    [
        ("", None, "no first row"),
        ("a,b\n1,2\n3\n", None, "line 3 has 1 cells.*2 columns"),
        ("a,b\n1,2\n3,x\n", None, "line 3, column 'b': 'x' is not a number"),
        ("a;b\n1;2,5\n", None, "'2,5' is not a number; write decimals with a point"),
        ("a,b\n1,inf\n", None, "line 2, column 'b': 'inf'"),
        ("a,b\n1,2\n", ["a", "c", "d"], "no columns 'c', 'd'; the table has 'a', 'b'"),
        ("a,a\n1,2\n", None, "2 columns named 'a'"),
        ('a,b\n1,"2\n', None, "table.csv, line 2: unexpected end"),
        (b"\xff\xfea\x00", None, "not UTF-8"),
    ],
)
def test_a_table_that_cannot_be_read_is_told(written, content, columns, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_table(written(content), columns)


def test_columns_not_asked_for_may_share_a_name(written):
    assert read_table(written("a,,\n1,x,y\n"), ["a"]).values.tolist() == [[1.0]]


def test_select_names_what_is_absent():
    with pytest.raises(ValueError, match="no column 'z'; the table has 'a'"):
        Table(("a",), np.zeros((1, 1))).select(["z"])


tables = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 20), st.integers(1, 4)),
    elements=st.integers(-1000, 1000).map(float) | st.just(np.nan),
)


@given(tables.filter(lambda rows: not np.isnan(rows).all(axis=0).any()))
def test_standardized_columns_and_back(rows):
    scaling = Standardizer.fit(rows, ["?"] * rows.shape[1])
    z = scaling.apply(rows)
    np.testing.assert_array_equal(np.isnan(z), np.isnan(rows))
    # A few roundings of numbers up to 1000, divided by a std that is at least 1000/√20·… > 0.1.
    np.testing.assert_allclose(np.nanmean(z, axis=0), 0, atol=1e-10)
    constant = np.nanmin(rows, axis=0) == np.nanmax(rows, axis=0)
    np.testing.assert_allclose(np.nanstd(z, axis=0), np.where(constant, 0, 1), atol=1e-10)
    np.testing.assert_allclose(scaling.invert(z), rows, atol=1e-10)


def test_the_scaling_travels_as_json():
    scaling = Standardizer.fit(np.array([[1.0, 5.0], [2.0, 5.0], [4.5, 5.0]]), ["a", "b"])
    back = Standardizer.from_dict(json.loads(json.dumps(scaling.to_dict())))
    np.testing.assert_array_equal(back.mean, scaling.mean)
    np.testing.assert_array_equal(back.std, [np.std([1.0, 2.0, 4.5]), 1.0])


def test_a_column_without_values_is_named():
    with pytest.raises(ShapeError, match="column 'b' has no value in the 2 rows"):
        Standardizer.fit(np.array([[1.0, np.nan], [2.0, np.nan]]), ["a", "b"])


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"mean": [1.0]},
        {"mean": [1.0], "std": [1.0, 2.0]},
        {"mean": ["x"], "std": [1.0]},
        {"mean": [1.0], "std": [0.0]},
        {"mean": [float("nan")], "std": [1.0]},
        {"mean": 1.0, "std": 1.0},
    ],
)
def test_a_broken_scaling_is_told(record):
    with pytest.raises(ValueError, match=r"mean and std|positive"):
        Standardizer.from_dict(record)
