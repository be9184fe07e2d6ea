"""Tables: what is read of them, bit for bit, and what they leave open is refused in a sentence."""

import gzip

import numpy as np
import pandas as pd
import pytest

from fineq.errors import InputError
from fineq.studies.inputs import load_points
from fineq.studies.inputs.sheet import DELIMITERS

ROWS = np.array([[0.5, -1.25], [1.5, 2.0], [0.0, 0.25]])


@pytest.fixture
def read(tmp_path):
    """A function that writes a file and reads points from it."""

    def reading(content, ending=".csv", **options):
        path = tmp_path / f"data{ending}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_points("target.path", str(path), **options)

    return reading


@pytest.fixture
def sentence(read):
    """A function that writes a file and returns the sentence that refuses it."""

    def refused(content, ending=".csv", **options):
        with pytest.raises(InputError) as caught:
            read(content, ending, **options)
        said = str(caught.value)
        assert said.startswith(("target.path=", "target.columns"))
        assert "\n" not in said
        return said

    return refused


def rows_of(delimiter, rows=ROWS):
    return "\n".join(delimiter.join(map(str, row)) for row in rows.tolist()) + "\n"


@pytest.mark.parametrize("ending", DELIMITERS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("upper", [False, True])
def test_every_ending_reads_the_same_points(read, ending, packed, upper):
    content = rows_of(DELIMITERS[ending]).encode()
    named = ending + (".gz" if packed else "")
    found = read(gzip.compress(content) if packed else content, named.upper() if upper else named)
    np.testing.assert_array_equal(found.x, ROWS)
    assert found.weights is None
    assert "3 rows, 2 columns: 0 in [0, 1.5], 1 in [-1.25, 2]" in found.words


@pytest.mark.parametrize(
    "content",
    [
        rows_of(","),
        "\ufeff" + rows_of(","),
        rows_of(",").replace("\n", "\r\n"),
        rows_of(",").replace("\n", "\r"),
        rows_of(",").replace(",", " , "),
        "# remark\n\n" + rows_of(",").replace("\n", "\n\n"),
        "x,y\n" + rows_of(","),
        "\ufeffx,y\n" + rows_of(","),
        '"x","y"\n"0.5","-1.25"\n1.5,2\n0,.25\n',
        "x,y\n+5e-1,-1.25\n15E-1,2.\n0,0.25",
        pd.DataFrame(ROWS).to_csv(),
        pd.DataFrame(ROWS, columns=["x", "y"]).to_csv(),
        pd.DataFrame(ROWS, columns=["x", "y"]).to_csv(index=False),
        pd.DataFrame(ROWS, columns=["x", "y"], index=[1, 2, 3]).to_csv(),
    ],
)
def test_no_point_and_no_column_is_lost_or_gained(read, content):
    np.testing.assert_array_equal(read(content).x, ROWS)


def test_numbers_are_the_nearest_doubles(read):
    x = np.random.default_rng(0).normal(size=(200, 3)) * 10.0 ** np.arange(-200, 199, 2)[:, None]
    np.testing.assert_array_equal(read(rows_of(",", x)).x, x)


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("x,label,y\n.5,cat,1.5\n2,dog,3\n", {"columns": ["x", "y"]}, [[0.5, 1.5], [2, 3]]),
        ("x,label,y\n.5,cat,1.5\n2,dog,3\n", {"columns": ["y", "x"]}, [[1.5, 0.5], [3, 2]]),
        ("0,.5\n1,.6\n", {"columns": [1]}, [[0.5], [0.6]]),
        ("0,.5\n1,.6\n", {"columns": [0, 1]}, [[0, 0.5], [1, 0.6]]),
        (",x,y\n7,1.5,2\n3,4,5\n", {"columns": ["x", "y"]}, [[1.5, 2], [4, 5]]),
        ("0,1\n.5,.25\n", {"header": False}, [[0, 1], [0.5, 0.25]]),
        ("0,1\n.5,.25\n", {"header": True}, [[0.5, 0.25]]),
        ("2019,2020\n.5,.25\n", {"header": True, "columns": [2020]}, [[0.25]]),
        ("a,1\n.5,.25\n", {"header": True}, [[0.5, 0.25]]),
        ("x,weights\n.5,.25\n", {"columns": ["x"]}, [[0.5]]),
        ("1,5\n2,5\n", {"columns": [0, 1]}, [[1, 5], [2, 5]]),
    ],
)
def test_columns_and_header_say_what_is_meant(read, content, options, expected):
    np.testing.assert_array_equal(read(content, **options).x, expected)


def test_what_was_not_read_is_said(read):
    assert read(pd.DataFrame(ROWS).to_csv()).words.endswith(
        "not read: the first column, which has no name and counts the rows"
    )
    assert "not read: 1 line beginning with #" in read("#x,y\n" + rows_of(",")).words
    words = read("x,label\n.5,cat\n.7,dog\n", columns=["x"]).words
    assert words == "data.csv: 2 rows, 1 column: x in [0.5, 0.7]; not read: column label"
    wide = read(rows_of(",", np.arange(12.0).reshape(2, 6) + 0.5)).words
    assert wide == "data.csv: 2 rows, 6 columns, 0, 1, 2, 3, 4, 5, in [0.5, 11.5]"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("0,1,2\n.1,.2,.3\n", "may hold the names of the columns or the first point: say target.h"),
        ("0\n0.5\n", "line 1 (0) may hold the names"),
        ("2019,2020\n.5,.25\n.25,.75\n", "line 1 (2019, 2020) may hold the names"),
        ("x,0.5\n1,2\n", "line 1 holds words (x) and numbers (0.5): say target.header=true or"),
        ("0,.5\n1,.25\n2,.75\n", "column 0 counts the rows and may be no coordinate: say which"),
        (",x,y\n7,.1,.2\n3,.2,.3\n", "column 1 of 3 has no name: give it one, or say which to"),
        ("x,y,\n.1,.2,\n.2,.3,\n", "column 3 of 3 has no name"),
        ("x,weights\n.1,.5\n.2,.5\n", "has a column weights, but weights are read from npz files"),
        ("3,5\n1,25\n-2,125\n", "may be 2 whole numbers or 1 with decimal commas"),
        ("x\n0,5\n1,5\n", "line 2 has 2 and line 1 has 1: numbers take a decimal point"),
        ("x;y\n0,5;1,5\n", "semicolons between its fields"),
        ("0,5;1,5\n2,5;3,5\n", "semicolons between its fields"),
        ('x,y\n.5,"0,5"\n', "row 1 (line 2), column y: '0,5' is no real number: numbers take a"),
        (
            ".5,05\n.25,125\n",
            "row 1 (line 1), column 1: 05 looks like what stands behind a decimal",
        ),
        ("1,2\n3\n", "line 2 has 1 and line 1 has 2"),
        ("1,2\n\n3,4,5\n", "line 3 has 3 and line 1 has 2"),
        ("x,y\n.5,\n", "row 1 (line 2), column y: there is no number"),
        ("x,y\n\n.5,.6\nNA,.7\n", "row 2 (line 4), column x: 'NA' is no real number"),
        (",.5\n.1,.2\n", "row 1 (line 1), column 0: there is no number"),
        ("x,y\n.5,cat\n", "row 1 (line 2), column y: 'cat' is no real number"),
        ("x,y\n.5,1_000\n", "'1_000' is no real number"),
        ("x,y\n.5,1.0D+00\n", "'1.0D+00' is no real number"),
        ("x,y\n.5,1+2j\n", "'1+2j' is no real number"),
        ("x,y\n.5,True\n", "'True' is no real number"),
        ("x,y\n.5,٣\n", "'٣' is no real number"),
        ("x,y\n.5,nan\n", "numbers must be finite, got nan"),
        ("inf,.5\n", "row 1 (line 1), column 0: numbers must be finite, got inf"),
        ("x,y\n.5,1e999\n", "numbers must be finite, got 1e999"),
        ("x,y\n", "holds no points: it has a line of names and nothing else"),
        ("", "holds no points: it is empty"),
        (" \n\n# x\n", "holds no points: it is empty"),
        ('1,"2\n3",4\n', "line 1 has a quote that is not closed"),
        (".5\t1.5\n2.5\t3.5\n", "numbers take a decimal point, and the file's ending says"),
        (b"a\0b\n1,2\n", "is no text: it holds zero bytes"),
        ("x,y\n.5,.6\n".encode("utf-16"), "is text in UTF-16: save it as UTF-8"),
        (b"x,y\n.5,.6\n\xe9,1\n", "is no text in UTF-8: line 3 cannot be read"),
    ],
)
def test_what_is_no_table_or_leaves_open_what_is_meant_is_refused(sentence, content, said):
    assert said in sentence(content)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": ["z"]}, "has no column z; it has columns x, y, y"),
        ({"columns": ["y"]}, "has more than one column y"),
        ({"columns": ["x", "x"]}, "target.columns must hold every column once, got x, x"),
        ({"columns": [3], "header": False}, "has no column 3; it has no names, but columns 0, 1"),
        ({"header": False}, "row 1 (line 1), column 0: 'x' is no real number"),
    ],
)
def test_columns_that_are_not_there_are_named(sentence, options, said):
    assert said in sentence("x,y,y\n.1,.2,.3\n", **options)


def test_a_table_of_another_ending_is_asked_for_its_ending(sentence):
    assert "which ends in .csv, .tsv, .txt, or one of these followed by .gz" in sentence(
        rows_of(","), ".data"
    )
    assert "is damaged, or not a table (BadGzipFile: Not a gzipped" in sentence(
        rows_of(","), ".csv.gz"
    )
    packed = gzip.compress(rows_of(",").encode())
    assert "is damaged, or not a table (EOFError" in sentence(packed[:-9], ".csv.gz")
    assert "is damaged, or not a table (error" in sentence(
        packed[:12] + b"zz" + packed[14:], ".csv.gz"
    )


def test_what_fills_a_line_is_said_in_part(sentence):
    wide = "x" * 5000
    for content in (
        f"{wide}\ncat\n",
        "0,5" + ",0,5" * 3000,
        f"{wide},y\n1,2\n,3\n",
        f"{wide},1\n2,3",
    ):
        assert len(sentence(content)) < 400
