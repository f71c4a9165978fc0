"""``jupyter ci demo``, for real: its own server, the official client, the sandbox, files saved."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from jupyter_ci_ext.cli import demo, main, server
from jupyter_ci_ext.cli.server import OwnServer, ServerFailed

PROGRAM = "from jupyter_ci_ext.cli import main; raise SystemExit(main())"
TABLE = """\
Bank Name\xa0;State\xa0;Acquiring Institution\xa0;Closing Date\xa0
Citizens Bank;IA;Iowa Trust & Savings Bank;3-Nov-23
Heartland Tri-State Bank;KS;Dream First Bank, N.A.;28-Jul-23
First Republic Bank;CA;JPMorgan Chase Bank, N.A.;1-May-23
Silicon Valley Bank;CA;First-Citizens Bank & Trust Company;10-Mar-23
Café Bank;KS;Equity Bank;23-Oct-20
Ericson State Bank;NE;Farmers and Merchants Bank;14-Feb-20
"""


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def is_up(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}api", timeout=30).close()
    except urllib.error.HTTPError as refused:
        refused.close()
        return True
    except OSError:
        return False
    return True


def test_a_table_of_ones_own_from_start_to_end(tmp_path, capsys):
    table = tmp_path / "my banks.csv"
    table.write_text(TABLE, encoding="cp1252")
    output = tmp_path / "out"
    assert demo.main([str(table), "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\x1b[") == 0 or "Traceback" in printed  # colours of a traceback only
    for words in ("── question ─", "── code ─", "── output ─", "── answer ─"):
        assert words in printed
    assert "pd.read_csv" in printed
    assert "UnicodeDecodeError" in printed  # the first try, and then its repair
    assert "6 rows and 4 columns" in printed
    assert printed.endswith(f"{output}/my_banks_cleaned.csv\n{output}/my_banks_rows_by_year.png\n")
    assert (output / "my_banks_rows_by_year.png").read_bytes().startswith(b"\x89PNG")
    assert (output / "my_banks_cleaned.csv").read_text().startswith("Bank Name,State,")
    assert printed.count("# Clean my banks.csv") == 1
    assert printed.index("── code", printed.index("# Load")) > printed.index("── output")


@pytest.mark.parametrize("name", ["there-is-none.csv", "empty.csv"])
def test_a_file_that_cannot_be_used_is_named(tmp_path, capsys, name):
    (tmp_path / "empty.csv").touch()
    assert demo.main([str(tmp_path / name)]) == 1
    captured = capsys.readouterr()
    assert name in captured.err
    assert captured.out == ""


def test_the_shipped_table_is_real(tmp_path):
    lines = demo._shipped_table(tmp_path).read_text().splitlines()
    assert len(lines) == 179
    assert lines[0].startswith("alcohol,malic_acid,")


def test_a_server_comes_and_goes_without_a_trace():
    with OwnServer() as own:
        url = own.url
        assert is_up(url)
        folder = Path(own._folder.name)
        assert own.token not in own.log
    assert not is_up(url)
    assert not folder.exists()


def test_a_server_that_does_not_start_says_why(monkeypatch):
    monkeypatch.setattr(server.sys, "executable", "/bin/false")
    with pytest.raises(ServerFailed, match="ended at once"), OwnServer():
        pass


def test_when_told_to_end_it_ends_what_it_started(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,2\n")
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "demo", str(table)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.startswith("It runs at"))
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert not is_up(line.split()[3].rstrip(";"))


def test_colours_only_on_a_terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain, coloured = io.StringIO(), Terminal()
    for stream in (plain, coloured):
        show = demo._Printer(stream)
        show.block("output")
        show.output("1")
        show.block("output")
        show.output("2")
        show.block("answer")
        show.answer("It is 12.")
        show.end()
    dashes = "─" * 60
    assert plain.getvalue() == (
        f"\n{('── output ' + dashes)[:60]}\n12\n\n{('── answer ' + dashes)[:60]}\nIt is 12.\n"
    )
    assert "\x1b[2m12"[:5] in coloured.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    dull = Terminal()
    demo._Printer(dull).say("hello")
    assert dull.getvalue() == "hello\n"


def test_the_dispatcher(capsys):
    assert main(["--help"]) == 0
    assert "demo" in capsys.readouterr().out
    assert main(["nonsense"]) == 2
    assert "usage" in capsys.readouterr().err
