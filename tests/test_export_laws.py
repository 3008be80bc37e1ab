"""Any value of any type, written in any format, is read back the same by the tools that people use, or refused."""

from __future__ import annotations

import io
import json
import math
import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.io.votable import parse_single_table
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.answers import votable
from catalog.answers.formats import FORMATS, Format, write
from catalog.api.catalog import Catalog
from catalog.errors import BadValue
from catalog.questions.statement import rows as asked
from catalog.store.database import Database

from .conftest import copy_of

LINE_ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0") | st.sampled_from(LINE_ENDS + "#\"'<&> \t\\,"),
    max_size=12,
)
TABLES = st.lists(
    st.fixed_dictionaries({
        "first": st.none() | TEXTS,
        "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
        "small": st.none() | st.integers(-(2**7), 2**7 - 1),
        "positive": st.none() | st.integers(0, 2**63 - 1),
        "number": st.none() | st.floats(allow_nan=False),
        "flag": st.none() | st.booleans(),
        "when": st.none() | st.integers(-(2**63) + 2, 2**63 - 2),
        "moment_ns": st.none() | st.integers(-(2**63) + 2, 2**63 - 2),
        "last": st.none() | TEXTS,
    }),
    max_size=5,
)  # fmt: skip
SCHEMA = pa.schema({
    "first": pa.string(), "whole": pa.int64(), "small": pa.int8(), "positive": pa.uint64(), "number": pa.float64(),
    "flag": pa.bool_(), "when": pa.timestamp("us"), "moment_ns": pa.timestamp("ns"), "last": pa.string(),
})  # fmt: skip


def written(table: pa.Table, form: Format) -> bytes:
    sink = io.BytesIO()
    assert write(table.to_reader(2), form, sink) == table.num_rows
    return sink.getvalue()


def values(column: Any) -> list[Any]:
    """An astropy column as Python values, masked ones as None."""
    masked = np.ma.asarray(column)
    hidden = np.ma.getmaskarray(masked)
    return [None if h else one for one, h in zip(masked.data.tolist(), hidden, strict=True)]


def same(got: Any, want: Any) -> bool:
    """Compare cells; formats that are text have one null and empty text."""
    if want is None or want == "":
        return got in (None, "") or (isinstance(got, float) and math.isnan(got))
    return bool(got == want)


def compare(got: list[Any], want: list[Any], name: str) -> None:
    assert len(got) == len(want), name
    for one, other in zip(got, want, strict=True):
        assert same(one, other), (name, one, other)


def expected(table: pa.Table) -> dict[str, list[Any]]:
    """What each column reads back as: times as ISO 8601 text."""
    found = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if pa.types.is_timestamp(column.type):
            counts = column.cast(pa.int64()).to_pylist()
            texts = [None if c is None else str(np.datetime64(c, column.type.unit)) for c in counts]
            found[name] = [None if t is None else t.removesuffix("." + "0" * (9 if "ns" in name else 6)) for t in texts]
        else:
            found[name] = column.to_pylist()
    return found


@pytest.mark.long
@settings(max_examples=40)
@given(TABLES)
def test_ecsv_is_read_back_cell_by_cell_by_astropy(cells: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(cells, SCHEMA)
    back = Table.read(written(table, "ecsv").decode(), format="ascii.ecsv")
    assert len(back) == len(cells)
    for name, want in expected(table).items():
        compare(values(back[name]), want, name)


@pytest.mark.parametrize("character", LINE_ENDS)
@pytest.mark.parametrize("form", ["a{}b", "{}", "{}b", "a{}", "#{}", " {} "])
def test_ecsv_survives_every_character_that_ends_a_line(character: str, form: str) -> None:
    text = form.format(character)
    table = pa.table({"targname": [text, "plain", "#2", None], "n": [1, 2, 3, 4]})
    back = Table.read(written(table, "ecsv").decode(), format="ascii.ecsv")
    assert values(back["targname"]) == [text, "plain", "#2", None]
    assert values(back["n"]) == [1, 2, 3, 4]


def in_xml(text: str | None) -> str | None:
    """What XML can hold of a text."""
    bad = {*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0xFFFE, 0xFFFF}
    return text and "".join("\ufffd" if ord(c) in bad else c for c in text)


@settings(max_examples=40)
@given(TABLES)
def test_votable_is_read_back_cell_by_cell_by_astropy(cells: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(cells, SCHEMA)
    back = parse_single_table(io.BytesIO(written(table, "votable"))).to_table()
    assert len(back) == len(cells)
    for name, want in expected(table).items():
        got = [str(one) if isinstance(one, np.str_) else one for one in values(back[name])]
        if name in ("first", "last"):  # astropy drops blanks at a text's ends
            compare([one and one.strip() for one in got], [one and (in_xml(one) or "").strip() for one in want], name)
        else:
            compare(got, want, name)


@settings(max_examples=40)
@given(TABLES)
def test_json_is_read_back_cell_by_cell(cells: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(cells, SCHEMA)
    back = json.loads(written(table, "json"))
    assert back == [json.loads(line) for line in written(table, "jsonl").splitlines()]
    for name, want in expected(table).items():
        finite = [None if isinstance(one, float) and not math.isfinite(one) else one for one in want]
        assert [row[name] for row in back] == finite, name


@settings(max_examples=40)
@given(TABLES)
def test_parquet_is_read_back_cell_by_cell_by_three_readers(cells: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(cells, SCHEMA)
    content = written(table, "parquet")
    assert pq.read_table(io.BytesIO(content)).equals(table)
    assert pl.read_parquet(io.BytesIO(content)).to_arrow().cast(SCHEMA).equals(table)
    frame = pd.read_parquet(io.BytesIO(content), dtype_backend="pyarrow")
    for name in ("whole", "positive", "small", "number", "flag", "first"):
        assert [None if one is pd.NA else one for one in frame[name]] == table[name].to_pylist(), name


@settings(max_examples=40)
@given(TABLES)
def test_csv_is_read_back_cell_by_cell_by_three_readers(cells: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(cells, SCHEMA).drop_columns(["when", "moment_ns"])
    content = written(table, "csv")
    types = {one.name: one.type for one in table.schema}
    options = pa.csv.ConvertOptions(column_types=types, strings_can_be_null=True, null_values=[""])
    parsing = pa.csv.ParseOptions(newlines_in_values=True)
    by_arrow = pa.csv.read_csv(io.BytesIO(content), parse_options=parsing, convert_options=options)
    as_text = dict.fromkeys(table.column_names, str)
    by_pandas = pd.read_csv(io.BytesIO(content), keep_default_na=False, dtype=as_text, lineterminator="\n")
    by_polars = pl.read_csv(content, infer_schema=False).fill_null("")
    for name in table.column_names:
        want = table[name].to_pylist()
        compare(by_arrow[name].to_pylist(), want, name)
        if name in ("first", "last", "whole", "small", "positive"):
            texts = ["" if one is None else str(one) for one in want]
            assert list(by_pandas[name]) == texts, name
            assert by_polars[name].to_list() == texts, name


@pytest.fixture(scope="module")
def kinds() -> dict[str, pa.Table]:
    """Each of DuckDB's types with its least value, its greatest, and null."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        names = [row[0] for row in connection.execute("DESCRIBE FROM test_all_types()").fetchall()]
        return {
            name: connection.execute(f'SELECT "{name}" AS value, 1 AS n FROM test_all_types()').to_arrow_table()
            for name in names
        }


def refused_or_written(table: pa.Table, form: Format) -> bytes | None:
    try:
        return written(table, form)
    except BadValue as error:
        return (
            None if str(error).count("CAST it AS VARCHAR") == len(str(error).splitlines()) else pytest.fail(str(error))
        )


@pytest.mark.parametrize("form", FORMATS)
def test_the_extremes_of_every_type_are_written_or_refused_in_one_line(
    form: Format, kinds: dict[str, pa.Table]
) -> None:
    for name, table in kinds.items():
        content = refused_or_written(table, form)
        if content is None:
            assert name in ("ubigint", "hugeint", "uhugeint", "dec38_10"), name
        elif form == "json":
            assert len(json.loads(content)) == 3, name
        elif form == "votable":
            back = parse_single_table(io.BytesIO(content)).to_table()
            assert values(back["n"]) == [1, 1, 1], name
        elif form == "ecsv":
            assert values(Table.read(content.decode(), format="ascii.ecsv")["n"]) == [1, 1, 1], name
        elif form == "parquet":
            assert pq.read_table(io.BytesIO(content)).num_rows == 3, name


@pytest.mark.parametrize("form", ["ecsv", "votable", "json"])
@pytest.mark.parametrize(
    "kind", ["tinyint", "smallint", "int", "bigint", "utinyint", "usmallint", "uint", "float", "double", "bool"]
)
def test_the_extremes_of_numbers_are_the_same_numbers(form: Format, kind: str, kinds: dict[str, pa.Table]) -> None:
    content, want = written(kinds[kind], form), kinds[kind]["value"].to_pylist()
    if form == "json":
        assert [row["value"] for row in json.loads(content)] == want
    elif form == "ecsv":
        assert values(Table.read(content.decode(), format="ascii.ecsv")["value"]) == want
    else:
        assert values(parse_single_table(io.BytesIO(content)).to_table()["value"]) == want


def test_numbers_of_64_bits_without_a_sign_are_themselves_or_refused() -> None:
    small = pa.table({"n": pa.array([0, 2**63 - 1, None], pa.uint64())})
    large = pa.table({"n": pa.array([2**64 - 1], pa.uint64())})
    assert values(parse_single_table(io.BytesIO(written(small, "votable"))).to_table()["n"]) == [0, 2**63 - 1, None]
    assert values(Table.read(written(large, "ecsv").decode(), format="ascii.ecsv")["n"]) == [2**64 - 1]
    assert json.loads(written(large, "json")) == [{"n": 2**64 - 1}]
    with pytest.raises(BadValue, match=r"n has a value .* CAST it AS VARCHAR"):
        written(large, "votable")


def test_infinities_and_nulls_are_as_the_standard_writes_them() -> None:
    table = pa.table({
        "x": [math.inf, -math.inf, None], "flag": [True, None, False], "n": pa.array([None, -(2**15), 1], pa.int16()),
    })  # fmt: skip
    content = written(table, "votable")
    assert b"<TD>+Inf</TD><TD>T</TD><TD></TD>" in content
    assert b"<TD>-Inf</TD><TD>?</TD><TD>-32768</TD>" in content
    assert b'datatype="boolean"' in content
    assert b"null=" not in content


def test_times_are_characters_with_the_type_of_times() -> None:
    content = written(pa.table({"t": pa.array([0], pa.timestamp("us")), "s": ["x"]}), "votable").decode()
    assert '<FIELD ID="t" arraysize="*" datatype="char" name="t" xtype="timestamp"/>' in content
    assert content.count("xtype") == 1


def test_a_document_that_astropy_writes_in_another_way_is_an_error_and_no_empty_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from astropy.io.votable.tree import VOTableFile

    table = pa.table({"n": [1, 2]})
    whole = VOTableFile.to_xml

    def otherwise(self: Any, out: io.BytesIO, **options: Any) -> None:
        plain = io.BytesIO()
        whole(self, plain, **options)
        out.write(plain.getvalue().replace(b"\n", b"").replace(b" <", b"<"))

    monkeypatch.setattr(VOTableFile, "to_xml", otherwise)
    assert len(parse_single_table(io.BytesIO(written(table, "votable"))).to_table()) == 2
    monkeypatch.setattr(votable, "_ROWS", re.compile(rb"nowhere"))
    with pytest.raises(RuntimeError, match="unknown way"):
        written(table, "votable")


HUGE = st.none() | st.integers(-(2**127) + 1, 2**127 - 1) | st.integers(-(2**63) - 1, -(2**63) + 1)
ODD = st.fixed_dictionaries({
    "kind": st.sampled_from(["HUGEINT", "UBIGINT", "DECIMAL(38,0)", "DECIMAL(20,3)"]),
    "cells": st.lists(HUGE | st.integers(0, 2**64), min_size=1, max_size=4),
})  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=20)
@given(ODD)
def test_a_number_of_any_length_is_written_with_its_digits_or_refused_before_the_first_byte(
    form: Format, odd: dict[str, Any]
) -> None:
    with duckdb.connect() as connection:
        texts = ", ".join("(NULL)" if cell is None else f"('{cell}')" for cell in odd["cells"])
        question = f"SELECT TRY_CAST(c AS {odd['kind']}) AS n FROM (VALUES {texts}) t(c)"
        table = connection.execute(question).to_arrow_table()
    sink, refusal = io.BytesIO(), ""
    try:
        write(table.to_reader(1), form, sink)
    except BadValue as error:
        refusal = str(error)
    if refusal:
        assert (form in ("votable", "ecsv"), sink.getvalue()) == (True, b"")
        assert refusal.startswith("n has a value that this format cannot hold; CAST it AS VARCHAR")
        return
    if odd["kind"] == "DECIMAL(20,3)":
        return
    content, want = sink.getvalue(), [cell for cell in table["n"].to_pylist() if cell is not None]
    told = str(pq.read_table(io.BytesIO(content)).to_pylist()) if form == "parquet" else content.decode()
    assert all(str(cell) in told for cell in want)


VIEWS = ("cards", "drift", "exposures", "file_access", "file_drift", "files", "findings", "hdus", "headers",
         "keyword_drift", "lineage", "local_files", "observation_products", "observations", "products",
         "search_files", "search_observations")  # fmt: skip
TABLES_OF_ONE = ("searches", "runs", "changes", "keywords")


@pytest.fixture(scope="module")
def lake(_harvested: Path, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A harvested catalog with local files: one that the archive knows, and one with odd cards."""
    folder = tmp_path_factory.mktemp("exported")
    database = copy_of(_harvested, folder / "catalog.duckdb")
    known = str(asked(database, "SELECT filename FROM files WHERE filename LIKE '%.fits' LIMIT 1")["filename"][0])
    primary = fits.PrimaryHDU()
    primary.header["TARGNAME"] = "WASP-39 <&> 'b'"
    primary.header["CAL_VER"] = ("0.0.1", "an old pipeline")
    table = fits.BinTableHDU.from_columns([fits.Column("FLUX", "D", unit="Jy", array=[1.0, 2.0])])
    (folder / "data").mkdir()
    for name in (known, "own.fits"):
        fits.HDUList([primary, table, fits.ImageHDU(np.zeros((2, 3)))]).writeto(folder / "data" / name)
    with Catalog.open(database.path) as catalog:
        catalog.index(folder / "data")
    return database


@pytest.mark.long
def test_the_views_that_are_read_back_are_all_that_there_are(lake: Database) -> None:
    there = asked(lake, "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1")
    assert there["view_name"].to_pylist() == list(VIEWS)
    counts = ", ".join(f"(SELECT count(*) FROM {view})" for view in VIEWS)
    filled = [
        view
        for view, count in zip(VIEWS, asked(lake, f"SELECT {counts}").to_pylist()[0].values(), strict=True)
        if count
    ]
    assert {*VIEWS} - {*filled} <= {"findings", "lineage", "file_drift", "keyword_drift"}


@pytest.mark.long
@pytest.mark.parametrize("view", [*VIEWS, *TABLES_OF_ONE])
def test_every_view_is_read_back_cell_by_cell_in_every_format(lake: Database, view: str) -> None:
    table = asked(lake, f"FROM {view} LIMIT 5")
    plain = json.loads(written(table, "json"))
    assert plain == [json.loads(line) for line in written(table, "jsonl").splitlines()]
    ecsv = Table.read(written(table, "ecsv").decode(), format="ascii.ecsv")
    vot = parse_single_table(io.BytesIO(written(table, "votable"))).to_table(use_names_over_ids=True)
    for name in table.column_names:
        want = [row[name] for row in plain]
        compare([iso(one) for one in table[name].to_pylist()], want, name)
        for back in (ecsv, vot):
            got = values(back[name])
            if any(isinstance(one, list | dict) for one in want):
                got = [None if one in (None, "") else json.loads(str(one)) for one in got]
            compare([str(one) if isinstance(one, np.str_) else one for one in got], want, name)
    compare_parquet(written(table, "parquet"), table)
    compare_csv(written(table, "csv"), table)


def iso(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def compare_parquet(content: bytes, table: pa.Table) -> None:
    """Compare by the three readers of Parquet."""
    assert pq.read_table(io.BytesIO(content)).equals(table)
    assert pl.read_parquet(io.BytesIO(content)).to_arrow().cast(table.schema).equals(table)
    frame = pd.read_parquet(io.BytesIO(content), dtype_backend="pyarrow")
    for name in table.column_names:
        got = [None if one is pd.NA or one is pd.NaT else one for one in frame[name].tolist()]
        compare([list(one) if isinstance(one, np.ndarray) else one for one in got], table[name].to_pylist(), name)


def compare_csv(content: bytes, table: pa.Table) -> None:
    """Compare by the three readers of CSV: by one with types, by the others as text."""
    types = {one.name: pa.string() if pa.types.is_nested(one.type) else one.type for one in table.schema}
    options = pa.csv.ConvertOptions(column_types=types, strings_can_be_null=True, null_values=[""])
    parsing = pa.csv.ParseOptions(newlines_in_values=True)
    by_arrow = pa.csv.read_csv(io.BytesIO(content), parse_options=parsing, convert_options=options)
    texts = pl.read_csv(content, infer_schema=False).fill_null("")
    as_text = dict.fromkeys(table.column_names, str)
    frame = pd.read_csv(io.BytesIO(content), keep_default_na=False, dtype=as_text, lineterminator="\n")
    for name in table.column_names:
        got = by_arrow[name].to_pylist()
        if pa.types.is_nested(table.schema.field(name).type):
            got = [None if one is None else json.loads(one) for one in got]
        compare(got, table[name].to_pylist(), name)
        assert list(frame[name]) == texts[name].to_list(), name


@pytest.mark.long
@pytest.mark.skipif(shutil.which("stilts") is None, reason="STILTS (Debian's package stilts) is not installed")
def test_votlint_has_nothing_to_say(lake: Database, tmp_path: Path) -> None:
    extremes = pa.table({
        "targname": ["<&>\x0b\r\n", None, "δ"], "count(*)": [1, None, -(2**63)], "x": [math.inf, None, math.nan],
        "flag": [True, None, False], "t": pa.array([0, None, 2**50], pa.timestamp("us")), "π/2": [None, None, None],
    })  # fmt: skip
    tables = {"extremes": extremes, **{view: asked(lake, f"FROM {view} LIMIT 3") for view in (*VIEWS, *TABLES_OF_ONE)}}
    document = b""
    for name, table in tables.items():  # all in one document: to start Java takes longer than to read them
        head, resource, tail = re.split(rb"(?s)(<RESOURCE.*</RESOURCE>)", written(table, "votable"))
        document += resource.replace(b' ID="', f' ID="{name}.'.encode())
    (tmp_path / "all.vot").write_bytes(head + document + tail)
    done = subprocess.run(["stilts", "votlint", str(tmp_path / "all.vot")], capture_output=True, text=True, check=False)
    assert (done.stdout + done.stderr).strip() == ""
