"""Formulas as people write them, and as Python: ``3x² + 1`` is ``3*x**2 + 1``."""

from __future__ import annotations

import re

FUNCTIONS = [
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "sqrt",
    "log",
    "ln",
    "exp",
    "abs",
    "sin",
    "cos",
    "tan",
]
CONSTANTS = ("pi", "e")

_SIGNS = str.maketrans({"−": "-", "–": "-", "×": "*", "·": "*", "÷": "/", "π": " pi ", "^": "^"})
_POWERS = {"²": "**2", "³": "**3", "⁴": "**4"}
_WORDS = (
    (r"\bdivided by\b", "/"),
    (r"\bmultiplied by\b|\btimes\b", "*"),
    (r"\bto the power of\b", "**"),
    (r"\bplus\b", "+"),
    (r"\bminus\b", "-"),
    (r"\bsquared\b", "**2"),
    (r"\bcubed\b", "**3"),
    (r"\b(?:the )?square root of\s+(\d+(?:\.\d+)?|[a-z]\b|\([^)]*\))", r"sqrt(\1)"),
    (r"\b(\d+(?:\.\d+)?)\s*(?:%|percent)\s+of\s+", r"\1/100*"),
)
_NAME = re.compile(r"[A-Za-z]+")
_ALLOWED = re.compile(r"[-+*/().\dA-Za-z\s]+")


def to_python(text: str) -> str | None:
    """*text* as an expression of Python, functions bare; None when it is no formula."""
    text = text.strip().strip("$`").translate(_SIGNS).replace("\\cdot", "*")
    for sign, power in _POWERS.items():
        text = text.replace(sign, power)
    text = text.replace("^", "**")
    for pattern, python in _WORDS:
        text = re.sub(pattern, python, text, flags=re.IGNORECASE)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    if not text.strip() or not _ALLOWED.fullmatch(text) or not re.search(r"[\dA-Za-z]", text):
        return None
    if any(
        len(n) > 1 and n.lower() not in FUNCTIONS and n != "pi" and not _letters(n)
        for n in _NAME.findall(text)
    ):
        return None
    text = re.sub(r"\bln\b", "log", text)
    text = re.sub(r"(?<![A-Za-z\d.])([a-z]{2,3})(?![A-Za-z(])", _split, text)
    text = re.sub(r"(?<![A-Za-z])(\d+(?:\.\d+)?|\))\s*(?=[A-Za-z(])", r"\1*", text)
    text = re.sub(rf"\b({'|'.join(FUNCTIONS)})\s+(\w+)", r"\1(\2)", text)
    text = re.sub(r"(?<=[A-Za-z\d)])\s+(?=[A-Za-z])", "*", text)
    text = re.sub(r"\)\s*(?=\d)", ")*", text)
    text = re.sub(rf"(?<![A-Za-z])(?!(?:{'|'.join(FUNCTIONS)})\b)([A-Za-z]|pi)\s*\(", r"\1*(", text)
    text = " ".join(text.split())
    try:
        compile(text, "<formula>", "eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return text


def variables(python: str) -> list[str]:
    """The unknowns of an expression, x first."""
    names = {n for n in _NAME.findall(python) if len(n) == 1 and n != "e"}
    return sorted(names, key=lambda n: (n not in "xyz", n))


def qualified(python: str, module: str) -> str:
    """*python* with its functions and constants taken from *module*, fractions kept exact."""
    if module == "sp":
        python = re.sub(r"(\d+)\s*/\s*(\d+)(?!\s*\*\*|[\w.(])", _fraction, python)
        python = re.sub(r"(?<![\w.])(\d+\.\d+)", r'sp.Rational("\1")', python)
    names = "|".join([*FUNCTIONS, "pi"])
    python = re.sub(rf"(?<![\w.])({names})\b", rf"{module}.\1", python)
    exponential = {"sp": "sp.E", "np": "np.e", "math": "math.e"}[module]
    python = re.sub(r"(?<![\w.])e\b(?!\()", exponential, python)
    renamed = {
        "sp": {"abs": "Abs"},
        "math": {"abs": "fabs"},
        "np": {"asin": "arcsin", "acos": "arccos", "atan": "arctan"},
    }[module]
    for name, theirs in renamed.items():
        python = python.replace(f"{module}.{name}", f"{module}.{theirs}")
    return python


def _fraction(found: re.Match[str]) -> str:
    """An exact fraction, unless what stands before binds its numerator closer."""
    before = found.string[: found.start()].rstrip()
    if before.endswith(("**", "/", ".")) or before[-1:].isalnum():
        return found[0]
    return f"sp.Rational({found[1]}, {found[2]})"


def _letters(name: str) -> bool:
    """Whether a short run of letters is a product of variables (``xy``), not a word."""
    return (
        len(name) <= 3
        and set(name) <= set("abcmnkrtxyz")
        and name not in ("a", "an", "at", "any", "by", "my")
    )


def _split(found: re.Match[str]) -> str:
    name = found[1]
    return name if name in (*FUNCTIONS, "pi") else "*".join(name)
