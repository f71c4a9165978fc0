"""The demo model on real tables: its code runs, what it says is true, what it links is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from tests.llm.demo_kernel import Conversation

#: The real thing: no-break spaces in the header, quoted commas, dates like 3-Nov-23, an en dash.
BANKS = """\
Bank Name\xa0,City\xa0,State\xa0,Cert\xa0,Acquiring Institution\xa0,Closing Date\xa0,Fund
Citizens Bank,Sac City,IA,8758,Iowa Trust & Savings Bank,3-Nov-23,10545
Heartland Tri-State Bank,Elkhart,KS,25851,"Dream First Bank, N.A.",28-Jul-23,10544
First Republic Bank,San Francisco,CA,59017,"JPMorgan Chase Bank, N.A.",1-May-23,10543
Signature Bank,New York,NY,57053,"Flagstar Bank, N.A.",12-Mar-23,10540
Silicon Valley Bank,Santa Clara,CA,24735,First–Citizens Bank & Trust Company,10-Mar-23,10539
Almena State Bank,Almena,KS,15426,Equity Bank,23-Oct-20,10538
First City Bank of Florida,Fort Walton Beach,FL,16748,"United Fidelity Bank, fsb",16-Oct-20,10537
The First State Bank,Barboursville,WV,14361,"MVB Bank, Inc.",3-Apr-20,10536
Ericson State Bank,Ericson,NE,18265,Farmers and Merchants Bank,14-Feb-20,10535
City National Bank of New Jersey,Newark,NJ,21111,Industrial Bank,1-Nov-19,10534
Resolute Bank,Maumee,OH,58317,Buckeye State Bank,25-Oct-19,10533
Louisa Community Bank,Louisa,KY,58112,Kentucky Farmers Bank Corporation,25-Oct-19,10532
Bank of Nowhere,Elkhart,KS,58113,No Acquirer,7-Jun-10,10400
Bank of Somewhere,Topeka,KS,58114,No Acquirer,8-Jun-10,10401
"""


@pytest.fixture
def talk(tmp_path: Path) -> Conversation:
    return Conversation(tmp_path)


@pytest.fixture
def banks(tmp_path: Path) -> Path:
    path = tmp_path / "banks.csv"
    path.write_text(BANKS, encoding="utf-8")
    return path


@pytest.fixture
def wine(tmp_path: Path) -> Path:
    from sklearn.datasets import load_wine

    path = tmp_path / "wine.csv"
    load_wine(as_frame=True).frame.to_csv(path, index=False)
    return path


def linked(answer: str) -> list[str]:
    return re.findall(r"\(sandbox:/mnt/data/([^)]+)\)", answer)


def check_links(talk: Conversation, answer: str) -> list[str]:
    """The files the answer links; each must be there."""
    names = linked(answer)
    for name in names:
        path = talk.folder / name
        assert path.stat().st_size > 0
        if name.endswith(".png"):
            assert path.read_bytes().startswith(b"\x89PNG")
    return names


async def test_a_table_is_looked_at_cleaned_drawn_and_told_about(talk, banks):
    talk.attach(banks)
    answer = await talk.ask("Analyse this table and draw a chart.")
    assert [source.split("\n")[0] for source in talk.sources] == [
        "# Load banks.csv",
        "# Clean banks.csv",
        "# Analyse banks.csv",
    ]
    assert talk.prefaces[0] == "First I look at what is in `banks.csv`.\n\n"
    assert "14 rows and 7 columns" in answer
    assert "runs from 07 Jun 2010 to 03 Nov 2023" in answer
    assert "Most frequent State: KS (4)" in answer
    assert "highest for 2023 (5)" in answer
    assert "no-break spaces removed from 6 column names" in answer
    assert check_links(talk, answer) == ["banks_cleaned.csv", "banks_rows_by_year.png"]
    cleaned = pd.read_csv(talk.folder / "banks_cleaned.csv")
    assert list(cleaned.columns)[:2] == ["Bank Name", "City"]
    assert cleaned["Closing Date"][0] == "2023-11-03"
    assert len(cleaned) == 14


def _semicolons(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, sep=";", encoding="cp1252", index=False)


def _preamble(frame: pd.DataFrame, path: Path) -> None:
    path.write_text("Banks that failed\n\n" + frame.to_csv(index=False))


def _trailing(frame: pd.DataFrame, path: Path) -> None:
    header, *rows = frame.to_csv(index=False).splitlines()
    path.write_text("\n".join([header, *(f"{row}," for row in rows)]) + "\n")


def _nested(frame: pd.DataFrame, path: Path) -> None:
    rows = json.loads(frame.to_json(orient="records"))
    path.write_text(json.dumps({"count": len(rows), "banks": [{"bank": row} for row in rows]}))


FORMATS = {
    "semicolons.csv": (_semicolons, ["UnicodeDecodeError", "ParserError"]),
    "sixteen.csv": (
        lambda f, p: f.to_csv(p, encoding="utf-16", index=False),
        ["UnicodeDecodeError"],
    ),
    "bars.csv": (lambda f, p: f.to_csv(p, sep="|", index=False), ["ParserError"]),
    "trailing.csv": (_trailing, []),
    "preamble.csv": (_preamble, []),
    "table.tsv": (lambda f, p: f.to_csv(p, sep="\t", index=False), []),
    "no_ending": (lambda f, p: f.to_csv(p, sep=";", index=False), []),
    "table.xlsx": (lambda f, p: f.to_excel(p, index=False), []),
    "titled.xlsx": (lambda f, p: f.to_excel(p, index=False, startrow=3), []),
    "table.parquet": (lambda f, p: f.to_parquet(p, index=False), []),
    "table.json": (lambda f, p: f.to_json(p, orient="records"), []),
    "by_column.json": (lambda f, p: f.to_json(p), []),
    "table.jsonl": (lambda f, p: f.to_json(p, orient="records", lines=True), []),
    "lines.json": (lambda f, p: f.to_json(p, orient="records", lines=True), ["ValueError"]),
    "nested.json": (_nested, []),
}


@pytest.mark.parametrize("name", FORMATS)
async def test_the_same_table_in_every_format(talk, banks, name):
    write, errors = FORMATS[name]
    write(pd.read_csv(banks), talk.folder / name)
    talk.attach(talk.folder / name)
    answer = await talk.ask("Please analyse the file.")
    assert talk.errors == errors
    assert f"**{name}** has 14 rows and {8 - (name != 'nested.json')} columns" in answer or (
        name == "nested.json" and "14 rows and 7 columns" in answer
    )
    assert "runs from 07 Jun 2010 to 03 Nov 2023" in answer
    assert len(check_links(talk, answer)) == 2


async def test_a_table_of_one_row(talk):
    (talk.folder / "tiny.csv").write_text("a,b\n1,2\n")
    talk.attach(talk.folder / "tiny.csv")
    answer = await talk.ask("Please analyse the file.")
    assert talk.errors == []
    assert "has 1 row" in answer
    assert len(check_links(talk, answer)) == 2


async def test_numbers_with_a_decimal_comma_and_amounts(talk):
    path = talk.folder / "prices.csv"
    path.write_text("name;price\nA;1,50\nB;2,25\nC;10,00\n")
    talk.attach(path)
    assert "mean 4.583" in await talk.ask("Analyse it")
    path = talk.folder / "sales.csv"
    path.write_text('who,sales\nA,"$1,200"\nB,"$3,400"\nC,$20\nC,$20\n')
    talk.attach(path)
    answer = await talk.ask("Analyse sales.csv")
    assert "sales read as numbers" in answer
    assert "1 empty or repeated rows removed" in answer
    assert "20 to 3400" in answer


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0", "no table I know how to read"),
        (b"just a sentence\nand another\n", "It begins with"),
    ],
)
async def test_what_is_no_table_is_said(talk, content, words):
    name = "empty.csv" if not content else "thing"
    (talk.folder / name).write_bytes(content)
    talk.attach(talk.folder / name)
    answer = await talk.ask("Analyse this")
    assert words in answer
    assert linked(answer) == []


QUESTIONS = [
    ("How many rows are there?", "14 rows and 7 columns"),
    ("What are the column names?", "- Acquiring Institution\xa0: "),
    ("Are there missing values?", "0 of 98 cells are empty"),
    ("Are there duplicates?", "0 of 14 rows repeat"),
    ("Show the first 2 rows", "Heartland Tri-State Bank"),
    ("Show the last 2 rows", "Bank of Somewhere"),
    ("Describe the data", "25%"),
    ("How many banks failed in 2010?", "2 rows where Closing Date is 2010"),
    ("How many rows where State is KS?", "4 rows where State is KS"),
    ("How many banks are in KS?", "4 rows where State is KS"),
    ("How many banks are in Atlantis?", "No column of banks.csv holds Atlantis"),
    ("List the banks in Elkhart where Closing Date after 2015", "1 of 14 rows"),
    ("How many different cities are there?", "13 different values"),
    ("Which state has the most banks?", "highest for KS (4)"),
    ("Top 3 acquiring institutions", "No Acquirer: 2 of 14 rows"),
    ("average Cert by State", "Mean of Cert by State: highest for OH (58317)"),
    ("Plot the closings per month as a line chart", "lowest for 2019-11 (1)"),
    ("number of failures over time", "Rows by year: highest for 2023 (5)"),
    ("Draw a pie chart of State", "Rows by State: highest for KS (4)"),
    ("histogram of Fund", "from 1.04e+04 to 1.054e+04"),
    ("Save the rows where State is CA as Excel", "2 rows written to banks_selected.xlsx"),
    ("Export it to parquet", "14 rows written to banks_cleaned.parquet"),
]


async def test_questions_about_one_table_in_one_thread(talk, banks):
    talk.attach(banks)
    for question, words in QUESTIONS:
        answer = await talk.ask(question)
        assert words in answer, (question, answer)
        assert talk.errors == [], (question, answer)
        check_links(talk, answer)
    loads = [m for m in talk.messages if "# Load" in str(m)]
    assert len(loads) == 1  # the variables persist: nothing is read twice


async def test_measures(talk, wine):
    talk.attach(wine)
    frame = pd.read_csv(wine)
    profile = await talk.ask("What is in this file?")
    assert "total_phenols and flavanoids, r = 0.86" in profile
    for question, words in (
        (
            "average alcohol by target",
            f"highest for 0 ({frame.groupby('target').alcohol.mean()[0]:.6g})",
        ),
        ("median proline for target 1", "Proline where target is 1: median 495"),
        ("scatter of alcohol versus color intensity", "r = 0.546"),
        ("fit a line of proline against alcohol", "proline = 249.7 * alcohol -2499"),
        ("correlation heatmap", "total_phenols and flavanoids: r = 0.86"),
        ("box plot of hue by target", "quartiles 0.7825, 0.965, 1.12"),
        ("histogram of magnesium", "mean 99.74"),
        ("plot flavanoids and total phenols", "r = 0.865"),
        ("the 5 wines with the highest alcohol", "14.83"),
        ("rows where alcohol > 14 and hue < 1", "7 of 178 rows"),
        ("maximum ash", "max 3.23"),
        ("what is the mean of alcohool?", "mean 13.000618"),
    ):
        answer = await talk.ask(question)
        assert words in answer, (question, answer)
        assert talk.errors == [], (question, answer)
        check_links(talk, answer)


async def test_a_misspelt_column_is_repaired_by_its_traceback(talk, banks):
    talk.attach(banks)
    answer = await talk.ask("Plot `Stat` as a bar chart")
    assert talk.errors == ["KeyError"]
    assert "There is no column `Stat`; the nearest is `State`." in talk.prefaces[-1]
    assert "KS (4" in answer


async def test_a_new_session_is_noticed_and_the_table_read_again(talk, banks):
    talk.attach(banks)
    await talk.ask("Analyse it")
    talk.new_session()
    answer = await talk.ask("How many rows where State is KS?")
    assert talk.errors == ["NameError"]
    assert answer.startswith("4 rows")


async def test_a_missing_package_is_named_with_what_is_there(talk, banks, monkeypatch):
    talk.attach(banks)
    run = talk.run

    def without_pandas(source: str) -> str:
        if "pandas" in source and "distributions" not in source:
            return (
                "Traceback (most recent call last)\nModuleNotFoundError: No module named 'pandas'"
            )
        return run(source)

    monkeypatch.setattr(talk, "run", without_pandas)
    answer = await talk.ask("Analyse it")
    assert "needs the Python module `pandas`" in answer
    assert "numpy" in answer


async def test_the_table_that_is_meant(talk, banks, wine):
    talk.attach(banks)
    talk.attach(wine)
    assert "**wine.csv**" in await talk.ask("Analyse it")
    assert "14 rows" in await talk.ask("How many rows has banks.csv?")
    answer = await talk.ask("Analyse it\n\n[Attached: /mnt/data/banks.csv]")
    assert "**banks.csv**" in answer


async def test_names_that_need_care(talk, banks):
    for name in ("my data (2).csv", 'it\'s "quoted".csv', "Übersicht.csv"):
        talk.attach(banks, name)
        answer = await talk.ask(f"Analyse it\n\n[Attached: /mnt/data/{name}]")
        assert f"**{name}** has 14 rows" in answer
        assert len(check_links(talk, answer)) == 2


async def test_column_names_that_need_care(talk):
    path = talk.folder / "odd.csv"
    frame = pd.DataFrame(
        {"price in $ {net}": range(30), 'the "group"': list("ab") * 15, "100": [1.5] * 30}
    )
    frame.to_csv(path, index=False)
    talk.attach(path)
    for question in (
        "Analyse it",
        'average price in $ {net} by the "group"',
        "histogram of price in $ {net}",
        'how many rows where the "group" is a',
    ):
        answer = await talk.ask(question)
        assert talk.errors == [], (question, answer)
        check_links(talk, answer)


async def test_what_is_not_about_the_table_is_not_answered_with_it(talk, banks):
    talk.attach(banks)
    assert "**banks.csv**" in await talk.ask("What do you make of this?")
    assert "I cannot do what you ask" in await talk.ask("Tell me a joke")
    assert "**banks.csv**" in await talk.ask("Give me another overview")


async def test_without_a_table_it_asks_for_one(talk):
    assert "attach one" in await talk.ask("Analyse my data")
