"""Plain formulas, symbols and calculations set as HTML or LaTeX: indices, powers, Greek letters."""

from __future__ import annotations

import html as _html
import re

MINUS = "&minus;"
_GREEK = {name: f"&{name};" for name in ("delta", "alpha", "sigma", "Phi", "phi")}
_SYMBOL = re.compile(
    r"\bd(?P<of>[JCE])/d(?=[A-Za-z])|(?P<number>\d[\d.]*)(?:e(?P<exponent>-?\d+))?"
    r"|(?P<letter>[A-Za-z]+)(?:_(?P<sub>\w+(?:,\w+)*))?(?:\^(?P<sup>\w+|\(\w+\)))?(?P<prime>'*)"
    r"|\^(?P<power>\w+)|(?P<arrow>&lt;-)|(?P<hadamard>\.\*)|(?P<other>[-*])"
)


def html(formula: str) -> str:
    """A plain formula, symbol or calculation with its indices, signs and powers set as HTML."""

    def typeset(found: re.Match[str]) -> str:
        part = found.groupdict()
        if part["of"]:
            return f"&part;<i>{part['of']}</i>/&part;"
        if part["number"]:
            power = part["exponent"]
            ten = f"&middot;10<sup>{power.replace('-', MINUS)}</sup>" if power else ""
            return part["number"] + ten
        if part["letter"]:
            return _typeset_symbol(part)
        if part["power"]:
            return f"<sup>{part['power']}</sup>"
        if part["arrow"]:
            return "&larr;"
        return "&odot;" if part["hadamard"] else {"-": MINUS, "*": "&middot;"}[found[0]]

    return _SYMBOL.sub(typeset, _html.escape(formula, quote=False))


def _typeset_symbol(part: dict[str, str | None]) -> str:
    letter, sub, sup = part["letter"] or "", part["sub"], part["sup"]
    if letter in ("amp", "lt", "gt"):  # of what was escaped
        return letter
    text = "&Sigma;" if letter == "sum" else _GREEK.get(letter, letter)
    if len(letter) == 1 or letter == "net":
        text = f"<i>{text}</i>"
    text += "&prime;" * len(part["prime"] or "") + (f"<sub>{sub}</sub>" if sub else "")
    return text + (f"<sup>{sup}</sup>" if sup else "")


def latex(formula: str) -> str:
    """A plain formula or symbol as LaTeX for math mode, without dollar signs."""

    def typeset(found: re.Match[str]) -> str:
        part = found.groupdict()
        if part["of"]:
            return rf"\partial {part['of']}/\partial "
        if part["letter"]:
            return _latex_symbol(part)
        if part["power"]:
            return f"^{{{part['power']}}}"
        if part["arrow"]:
            return r"\leftarrow"
        if part["hadamard"]:
            return r"\odot"
        return r" \, " if found[0] == "*" else found[0]

    return _SYMBOL.sub(typeset, formula.replace("<-", "&lt;-"))


def _latex_symbol(part: dict[str, str | None]) -> str:
    letter, sub, sup = part["letter"] or "", part["sub"], part["sup"]
    if letter in _GREEK or letter == "sum":
        text = f"\\{letter}"
    else:
        text = letter if len(letter) == 1 else rf"\mathrm{{{letter}}}"
    text += "'" * len(part["prime"] or "") + (f"_{{{sub}}}" if sub else "")
    return text + (f"^{{{sup}}}" if sup else "")
