"""Scripts for equations, calculus and arithmetic, with sympy."""

from __future__ import annotations

import re
from collections.abc import Callable

from jupyter_ci_ext.llm.demo.formulas import qualified, to_python, variables
from jupyter_ci_ext.llm.demo.repair import attempt
from jupyter_ci_ext.llm.demo.script import Outcome, Run, Script

_MARKED = re.compile(r"`([^`\n]+)`|\$([^$\n]+)\$|\\\((.+?)\\\)")
_LEAD = re.compile(
    r"^.*?\b(?:solve(?: for [a-z](?=\b.*[:,]))?|equations?|roots? of|zeros? of|inequality|system|for which [a-z] is|find [a-z](?: if| such that| in)?)\b[\s:]*"
    r"(?:the |this |following |an? |linear |quadratic |equations?|inequality|system|of|for [a-z]\b|[:,\s])*",
    re.IGNORECASE | re.DOTALL,
)
_TAIL = re.compile(
    r"\s*(?:\bfor [a-z]\b|\bplease\b|\bcan you\b|\bcould you\b|\bthanks?\b|\bwhat is\b|\bhelp\b).*$",
    re.IGNORECASE | re.DOTALL,
)
_RELATION = re.compile(r"<=|>=|≤|≥|==|=|<|>")
_CALCULUS = re.compile(
    r"\b(?P<verb>derivative of|differentiate|derive|integral of|integrate|antiderivative of|simplify|factori[sz]e|factor|expand|limit of)\s+(?P<rest>.+)",
    re.IGNORECASE | re.DOTALL,
)
_QUESTION = re.compile(
    r"^(?:please |can you |could you |tell me )*(?:what(?:'s| is| are)|calculate|compute|how much is|evaluate|work out|what does)?\s*(?:the (?:value|result) of\s*)?",
    re.IGNORECASE,
)


def find(text: str, *, sure: bool) -> Script | None:
    """A script for the formula in *text*; *sure*: only where the text says plainly it is one."""
    return _calculus(text) or _equation(text, sure) or _arithmetic(text)


def _equation(text: str, sure: bool) -> Script | None:
    plain = re.search(
        r"\b(?:solve|equations?|inequality|roots?|zeros?|find [a-z]\b)", text, re.IGNORECASE
    )
    if sure and not plain:
        return None
    marked = [next(filter(None, groups)) for groups in _MARKED.findall(text)]
    candidates = marked or [_TAIL.sub("", _LEAD.sub("", text, count=1)), text]
    for candidate in [" and ".join(marked)] * bool(marked) + candidates:
        relations = _relations(candidate, allow_bare=bool(plain))
        if relations:
            wanted = re.search(r"\bfor ([a-z])\b", text)
            return _solve(relations, wanted[1] if wanted else None)
    return None


Relation = tuple[str, str, str]


def _relations(text: str, *, allow_bare: bool) -> list[Relation]:
    """The equations in *text* as (left, relation, right); empty when it holds anything else."""
    found: list[Relation] = []
    for part in re.split(r"\band\b|[;\n]|,(?!\d{3}\b)", text.strip().rstrip(".?!")):
        if not part.strip():
            continue
        sides = _RELATION.split(part)
        signs = _RELATION.findall(part)
        if len(sides) == 1 and allow_bare:
            sides, signs = [*sides, "0"], ["="]
        formulas = [to_python(side) for side in sides]
        if len(sides) != 2 or None in formulas:
            return []
        left, right = str(formulas[0]), str(formulas[1])
        if not variables(left + " " + right):
            return []
        sign = {"≤": "<=", "≥": ">=", "=": "==", "==": "=="}.get(signs[0], signs[0])
        found.append((left, sign, right))
    return found


def _solve(relations: list[Relation], wanted: str | None) -> Script:
    names = variables(" ".join(f"{left} {right}" for left, _, right in relations))
    unknowns = [wanted] if wanted in names and wanted else names
    if len(unknowns) > len(relations):
        unknowns = unknowns[: len(relations)]
    head = f"import sympy as sp\n\n{', '.join(names)} = sp.symbols({' '.join(names)!r})\n"
    if any(sign != "==" for _, sign, _ in relations):
        return _inequality(head, relations[0], unknowns[0])
    sides = [
        f"sp.Eq({qualified(left, 'sp')}, {qualified(right, 'sp')})" for left, _, right in relations
    ]
    if len(sides) == 1:
        made, given, of = f"equation = {sides[0]}", "equation", unknowns[0]
    else:
        made = "equations = [\n" + "".join(f"    {side},\n" for side in sides) + "]"
        given, of = "equations", f"[{', '.join(unknowns)}]"
    source = (
        f"{head}{made}\n"
        f"solutions = sp.solve({given}, {of}, dict=True)\n"
        f"for solution in solutions:\n"
        f'    print("- " + ", ".join(f"{{name}} = {{value}}" for name, value in solution.items()))\n'
        f"    rounded = {{name: sp.N(value, 8) for name, value in solution.items() if value.is_number and not value.is_Integer}}\n"
        f"    if rounded:\n"
        f'        print("  ≈", rounded)'
    )
    return _answer_solutions(source, f"{head}{made}", unknowns, len(sides))


def _answer_solutions(source: str, head: str, unknowns: list[str], equations: int) -> Script:
    outcome: Outcome = yield Run(source)
    if (
        outcome.failure is not None
        and outcome.failure.kind == "NotImplementedError"
        and equations == 1
    ):
        outcome = yield from attempt(
            f"{head}\nvalue = sp.nsolve(equation, {unknowns[0]}, 1)\n"
            f'print(f"- {unknowns[0]} ≈ {{value}}")',
            preface="There is no closed form; I look for a number.\n\n",
        )
    elif outcome.failure is not None:
        return f"sympy could not solve this: {outcome.failure}"
    lines = outcome.printed.splitlines()
    found = [
        f"**{line[2:]}**" + (_rounded(lines, n))
        for n, line in enumerate(lines)
        if line.startswith("- ")
    ]
    what = "equation" if equations == 1 else "system"
    if not found:
        return f"The {what} has no solution."
    if len(found) == 1:
        return f"The solution of the {what} is {found[0]}."
    return f"The {what} has {len(found)} solutions:\n\n" + "\n".join(f"- {s}" for s in found)


def _rounded(lines: list[str], number: int) -> str:
    following = lines[number + 1] if number + 1 < len(lines) else ""
    found = re.match(r"\s+≈ \{(.*)\}", following)
    return f" (≈ {found[1].replace(': ', ' = ')})" if found else ""


def _inequality(head: str, relation: Relation, unknown: str) -> Script:
    left, sign, right = relation
    outcome: Outcome = yield from attempt(
        f"{head}inequality = {qualified(left, 'sp')} {sign} {qualified(right, 'sp')}\n"
        f"print(sp.solve_univariate_inequality(inequality, {unknown}, relational=False))"
    )
    return f"It holds for **{unknown}** in `{outcome.printed.strip()}`."


def _calculus(text: str) -> Script | None:
    found = _CALCULUS.search(text)
    if found is None:
        return None
    rest = re.sub(
        r"^(?:the )?(?:function |expression )?(?:f\(x\)\s*=\s*|y\s*=\s*)?",
        "",
        found["rest"].strip().rstrip(".?!"),
        flags=re.IGNORECASE,
    )
    rest, given = _limits(rest)
    marked = _MARKED.search(rest)
    formula = to_python(next(filter(None, marked.groups())) if marked else rest)
    if formula is None or not (names := variables(formula)):
        return None
    return _calculated(found["verb"].lower(), formula, names, given)


def _limits(rest: str) -> tuple[str, dict[str, str]]:
    """What follows the formula: the variable, the bounds, the point of a limit."""
    given: dict[str, str] = {}
    patterns = {
        "bounds": r"\s+(?:from|between)\s+(?P<a>\S+)\s+(?:to|and)\s+(?P<b>\S+)",
        "point": r"\s+(?:as|for)\s+(?P<v>[a-z])\s*(?:->|→|to|approaches|goes to|tends to)\s*(?P<p>\S+)",
        "by": r"\s+(?:with respect to|for|by|d)\s*(?P<w>[a-z])$",
    }
    for pattern in patterns.values():
        match = re.search(pattern, rest)
        if match:
            given |= {key: value for key, value in match.groupdict().items() if value}
            rest = rest[: match.start()] + rest[match.end() :]
    return re.sub(r"\s*\bd[a-z]$", "", rest), given


def _calculated(verb: str, formula: str, names: list[str], given: dict[str, str]) -> Script:
    of = given.get("w") or given.get("v") or names[0]
    head = f"import sympy as sp\n\n{', '.join(names)} = sp.symbols({' '.join(names)!r})\n"
    expression = qualified(formula, "sp")
    bounds = [to_python(given.get(key, "")) for key in ("a", "b")]
    makers: dict[str, Callable[[], str]] = {
        "d": lambda: f"sp.diff(expression, {of})",
        "i": lambda: (
            f"sp.integrate(expression, {of})"
            if None in bounds
            else f"sp.integrate(expression, ({of}, {qualified(str(bounds[0]), 'sp')}, {qualified(str(bounds[1]), 'sp')}))"
        ),
        "s": lambda: "sp.simplify(expression)",
        "f": lambda: "sp.factor(expression)",
        "e": lambda: "sp.expand(expression)",
        "l": lambda: f"sp.limit(expression, {of}, {_point(given.get('p', '0'))})",
    }
    kind = "i" if verb.startswith(("integ", "anti")) else verb[0]
    outcome: Outcome = yield from attempt(
        f"{head}expression = {expression}\nprint({makers[kind]()})"
    )
    what = {
        "d": f"The derivative by {of} is",
        "i": "The integral is",
        "s": "Simplified:",
        "f": "Factored:",
        "e": "Expanded:",
        "l": "The limit is",
    }[kind]
    constant = " + C" if kind == "i" and None in bounds else ""
    return f"{what} **`{outcome.printed.strip()}{constant}`**."


def _point(text: str) -> str:
    if text.strip("+-").lower() in ("oo", "∞", "inf", "infinity"):
        return "-sp.oo" if text.startswith("-") else "sp.oo"
    python = to_python(text)
    return qualified(python, "sp") if python else "0"


def _arithmetic(text: str) -> Script | None:
    asked = _QUESTION.sub("", text.strip().rstrip("?.!= ").strip("`"), count=1).strip("` ")
    if named := re.fullmatch(r"(?:is )?(\d+) (?:a )?prime(?: number)?", asked, re.IGNORECASE):
        return _printed(
            f"import sympy as sp\n\nprint(sp.isprime({named[1]}))",
            f"Whether {named[1]} is a prime number: **{{}}**.",
        )
    if named := re.search(r"\bprime factors? of (\d+)|\bfactori[sz]e (\d+)$", asked, re.IGNORECASE):
        number = named[1] or named[2]
        return _printed(
            f"import sympy as sp\n\nprint(sp.factorint({number}))",
            f"The prime factors of {number} with their powers: **{{}}**.",
        )
    if named := re.search(
        r"\bfactorial of (\d+)|^(\d+)!$", text.strip().rstrip("?."), re.IGNORECASE
    ):
        number = named[1] or named[2]
        return _printed(f"import math\n\nprint(math.factorial({number}))", f"{number}! = **{{}}**")
    if named := re.search(r"\bfirst (\d+) (prime|fibonacci|square)", text, re.IGNORECASE):
        return _sequence(int(named[1]), named[2].lower())
    formula = to_python(asked)
    if formula is None or variables(formula) or not re.search(r"[-+*/(]", formula.lstrip("-+")):
        return None
    if not re.search(r"\d", formula):
        return None
    python = qualified(formula, "math")
    head = "import math\n\n" if "math." in python else ""
    return _printed(f"{head}print({python})", f"{formula.replace('**', '^')} = **{{}}**")


def _sequence(count: int, kind: str) -> Script:
    source = {
        "prime": f"import sympy as sp\n\nprint([sp.prime(n) for n in range(1, {count} + 1)])",
        "square": f"print([n * n for n in range(1, {count} + 1)])",
        "fibonacci": f"numbers = [0, 1]\nwhile len(numbers) < {count}:\n    numbers.append(numbers[-1] + numbers[-2])\nprint(numbers[:{count}])",
    }[kind]
    name = {"prime": "primes", "square": "squares", "fibonacci": "Fibonacci numbers"}[kind]
    return _printed(source, f"The first {count} {name}: {{}}")


def _printed(source: str, answer: str) -> Script:
    outcome: Outcome = yield from attempt(source)
    return answer.replace("{}", outcome.printed.strip())
