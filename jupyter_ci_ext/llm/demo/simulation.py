"""Scripts that need no table: simulations, plots of functions and of numbers in the text, files."""

from __future__ import annotations

import re

from jupyter_ci_ext.llm.demo.formulas import qualified, to_python, variables
from jupyter_ci_ext.llm.demo.repair import attempt
from jupyter_ci_ext.llm.demo.script import Outcome, Script
from jupyter_ci_ext.llm.demo.text import link

_SIMULATE = re.compile(
    r"simulat|monte.?carlo|\broll\w*\b|\bdice\b|\bdie\b|\bflip\w*\b|\btoss\w*\b|random walk|estimate (?:pi|π)",
    re.IGNORECASE,
)
_PAIRS = re.compile(r"([A-Za-z][\w ]{0,20}?)\s*[:=]\s*(-?\d+(?:\.\d+)?)")
_NUMBERS = re.compile(
    r"-?\d+(?:\.\d+)?(?:\s*[,;]\s*(?:and\s+)?-?\d+(?:\.\d+)?|\s+and\s+-?\d+(?:\.\d+)?){2,}"
)
_DRAW = re.compile(r"\b(?:plot|draw|graph|sketch|chart|show)\b", re.IGNORECASE)
_FILE = re.compile(r"\b([\w-]+\.(?:txt|md|csv|json|py|html))\b", re.IGNORECASE)


def find(text: str) -> Script | None:
    """A script for what *text* asks for, if it is one of these."""
    if _SIMULATE.search(text):
        return _simulation(text)
    if _DRAW.search(text) or re.search(r"\b(?:chart|diagram|histogram)\b", text, re.IGNORECASE):
        pairs = _PAIRS.findall(
            re.sub(r"^[^:]*\b(?:chart|plot|graph|diagram|of|for|data)\b:?\s*", "", text, count=1)
        )
        if len(pairs) > 1:
            return _pairs_chart([(name.strip(), value) for name, value in pairs], text)
        return _function_plot(text) or _numbers(text)
    if (named := _FILE.search(text)) and re.search(
        r"\b(?:write|create|make|save|generate)\b", text, re.IGNORECASE
    ):
        return _written(named[1], text)
    return _numbers(text)


def _show(file: str) -> str:
    return f'fig.tight_layout()\nfig.savefig("/mnt/data/{file}", dpi=150)\nplt.show()'


def _simulation(text: str) -> Script:
    low = text.lower()
    found = re.search(r"\b(\d[\d,]*)\s*(?:k\b)?", re.sub(r"\b(?:two|2) dice\b", "", low))
    n = int(found[1].replace(",", "")) if found else 10_000
    n = min(max(n, 10), 5_000_000)
    if "walk" in low:
        return _walk(n)
    if re.search(r"\bpi\b|π", low):
        return _pi(n)
    if re.search(r"coin|flip|toss|heads", low):
        return _draws(n, "rng.integers(0, 2, size={n})", "coins", {0: "tails", 1: "heads"})
    dice = re.search(r"\b(two|three|2|3)\b[^.]*\bdice\b", low)
    count = {"two": 2, "three": 3, "2": 2, "3": 3}[dice[1]] if dice else 1
    if dice and found and int(found[1].replace(",", "")) == count:
        n = 10_000
    throw = (
        "rng.integers(1, 7, size={n})"
        if count == 1
        else f"rng.integers(1, 7, size=({{n}}, {count})).sum(axis=1)"
    )
    return _draws(n, throw, "dice", {})


def _draws(n: int, throw: str, name: str, faces: dict[int, str]) -> Script:
    shown = (
        f"faces = {faces}\nlabels = [faces[v] for v in values]\n"
        if faces
        else "labels = [str(v) for v in values]\n"
    )
    outcome: Outcome = yield from attempt(
        "import matplotlib.pyplot as plt\nimport numpy as np\n\n"
        "rng = np.random.default_rng(1)\n"
        f"draws = {throw.format(n=n)}\n"
        "values, counts = np.unique(draws, return_counts=True)\n"
        f"{shown}"
        "for label, count in zip(labels, counts):\n"
        '    print(f"- {label}: {count} times ({count / len(draws):.2%})")\n'
        'print(f"- mean {draws.mean():.4f}, standard deviation {draws.std():.4f}")\n\n'
        "fig, ax = plt.subplots(figsize=(7, 4))\n"
        "ax.bar(labels, counts / len(draws))\n"
        f'ax.set(title="{n:,} draws", ylabel="Share")\n'
        f"{_show(f'simulated_{name}.png')}"
    )
    rows = "\n".join(f"- {line}" for line in outcome.findings)
    return f"After {n:,} draws:\n\n{rows}\n\nThe chart is saved as {link(f'simulated_{name}.png')}."


def _walk(n: int) -> Script:
    n = min(n, 200_000)
    outcome: Outcome = yield from attempt(
        "import matplotlib.pyplot as plt\nimport numpy as np\n\n"
        "rng = np.random.default_rng(1)\n"
        f"walk = rng.choice([-1, 1], size={n}).cumsum()\n"
        'print(f"- It ends at {walk[-1]}, after going from {walk.min()} to {walk.max()}")\n\n'
        "fig, ax = plt.subplots(figsize=(8, 4))\n"
        "ax.plot(walk, lw=0.8)\n"
        f'ax.set(title="Random walk of {n:,} steps", xlabel="Step", ylabel="Position")\n'
        f"{_show('random_walk.png')}"
    )
    return f"A random walk of {n:,} steps. {outcome.findings[0]}. The chart is saved as {link('random_walk.png')}."


def _pi(n: int) -> Script:
    outcome: Outcome = yield from attempt(
        "import numpy as np\n\n"
        "rng = np.random.default_rng(1)\n"
        f"points = rng.random(({n}, 2))\n"
        "inside = (points**2).sum(axis=1) <= 1\n"
        "estimate = 4 * inside.mean()\n"
        'print(f"- π ≈ {estimate:.5f}, off by {abs(estimate - np.pi):.5f}")'
    )
    return f"From {n:,} random points in a square: **{outcome.findings[0]}**."


def _function_plot(text: str) -> Script | None:
    low = text.lower()
    bounds = re.search(
        r"\b(?:from|between)\s+(-?[\d.]*\s*(?:pi|π)?)\s+(?:to|and)\s+(-?[\d.]*\s*(?:pi|π)?)", low
    )
    rest = re.sub(
        r".*?\b(?:plot|draw|graph|sketch|chart|show)\b\s*(?:me\s+)?",
        "",
        text,
        count=1,
        flags=re.IGNORECASE | re.DOTALL,
    )
    rest = re.sub(
        r"\s*\b(?:from|between|for x|over|in the range|on)\b.*$",
        "",
        rest,
        flags=re.IGNORECASE | re.DOTALL,
    )
    rest = re.sub(
        r"^(?:the |a |an )*(?:function |curve |graph |plot |of )*(?:[fy](?:\(x\))?\s*=\s*)?",
        "",
        rest.strip(),
        flags=re.IGNORECASE,
    )
    wave = re.match(r"(co)?sine?(?: wave| curve| function)?\s*[.!?]*$", rest, re.IGNORECASE)
    formula = ("cos(x)" if wave[1] else "sin(x)") if wave else to_python(rest.rstrip(".?!"))
    if (
        formula is None
        or len(names := variables(formula)) != 1
        or not re.search(r"[-+*/(]", formula)
    ):
        return None
    low_end, high_end = (
        (_bound(bounds[1], "-10"), _bound(bounds[2], "10")) if bounds else ("-10", "10")
    )
    return _plotted(formula, names[0], low_end, high_end)


def _bound(text: str, otherwise: str) -> str:
    python = to_python(text)
    return qualified(python, "np") if python else otherwise


def _plotted(formula: str, name: str, low: str, high: str) -> Script:
    outcome: Outcome = yield from attempt(
        "import matplotlib.pyplot as plt\nimport numpy as np\n\n"
        f"{name} = np.linspace({low}, {high}, 1000)\n"
        f"with np.errstate(all='ignore'):\n    y_values = {qualified(formula, 'np')}\n"
        'print(f"- values from {np.nanmin(y_values):.4g} to {np.nanmax(y_values):.4g}")\n\n'
        "fig, ax = plt.subplots(figsize=(8, 4.5))\n"
        f"ax.plot({name}, y_values)\n"
        f'ax.grid(alpha=0.3)\nax.set(title="{formula.replace("**", "^")}", xlabel="{name}")\n'
        f"{_show('function.png')}"
    )
    return f"`{formula.replace('**', '^')}` has {outcome.findings[0]} there. The plot is saved as {link('function.png')}."


def _pairs_chart(pairs: list[tuple[str, str]], text: str) -> Script:
    low = text.lower()
    draw = (
        'ax.pie(list(data.values()), labels=list(data), autopct="%.0f%%")'
        if "pie" in low
        else (
            "ax.plot(list(data), list(data.values()), marker='o')"
            if "line" in low
            else "ax.bar(list(data), list(data.values()))"
        )
    )
    rows = ", ".join(f"{name!r}: {value}" for name, value in pairs)
    outcome: Outcome = yield from attempt(
        "import matplotlib.pyplot as plt\n\n"
        f"data = {{{rows}}}\n"
        'print(f"- {len(data)} values, together {sum(data.values()):g}")\n\n'
        f"fig, ax = plt.subplots(figsize=(7, 4))\n{draw}\n{_show('chart.png')}"
    )
    return f"The chart shows {outcome.findings[0]}. It is saved as {link('chart.png')}."


def _numbers(text: str) -> Script | None:
    found = _NUMBERS.search(text)
    if found is None:
        return None
    numbers = re.findall(r"-?\d+(?:\.\d+)?", found[0])
    return _statistics(numbers, bool(_DRAW.search(text)))


def _statistics(numbers: list[str], draw: bool) -> Script:
    chart = (
        "\n\nimport matplotlib.pyplot as plt\n\nfig, ax = plt.subplots(figsize=(7, 4))\n"
        f"ax.bar(range(1, len(numbers) + 1), numbers)\n{_show('numbers.png')}"
        if draw
        else ""
    )
    outcome: Outcome = yield from attempt(
        "import statistics\n\n"
        f"numbers = [{', '.join(numbers)}]\n"
        'print("- sum", sum(numbers))\n'
        'print("- mean", statistics.mean(numbers))\n'
        'print("- median", statistics.median(numbers))\n'
        'print("- standard deviation", round(statistics.stdev(numbers), 6))\n'
        'print("- smallest", min(numbers), "and largest", max(numbers))\n'
        'print("- sorted", sorted(numbers))' + chart
    )
    rows = "\n".join(f"- {line}" for line in outcome.findings)
    saved = f"\n\nThe chart is saved as {link('numbers.png')}." if draw else ""
    return f"Of these {len(numbers)} numbers:\n\n{rows}{saved}"


def _written(name: str, text: str) -> Script:
    quoted = re.search(r"\"([^\"]+)\"|'([^']+)'|“([^”]+)”|`([^`]+)`", text.replace(name, ""))
    content = next(filter(None, quoted.groups())) if quoted else "Hello from the demo model."
    if name.endswith(".csv") and not quoted:
        content = "n,square\n" + "\n".join(f"{n},{n * n}" for n in range(1, 11))
    outcome: Outcome = yield from attempt(
        f"from pathlib import Path\n\n"
        f'path = Path("/mnt/data/{name}")\n'
        f"path.write_text({content!r} + '\\n', encoding='utf-8')\n"
        f'print(f"- {{path.name}}: {{path.stat().st_size}} bytes")'
    )
    return f"I wrote {link(name)} ({outcome.findings[0].split(': ', 1)[-1]})."
