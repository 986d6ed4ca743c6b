"""Plain formulas, symbols and calculations set as HTML or LaTeX: indices, powers, Greek letters."""

from __future__ import annotations

import html as _html
import re

MINUS = "\N{MINUS SIGN}"
_SIGNS = {"-": MINUS, "*": "\N{MIDDLE DOT}", "&lt;-": "\N{LEFTWARDS ARROW}"}
_SIGNS |= {".*": "\N{CIRCLED DOT OPERATOR}"}
_D = "\N{PARTIAL DIFFERENTIAL}"
_NAMES = {
    "delta": "\N{GREEK SMALL LETTER DELTA}",
    "alpha": "\N{GREEK SMALL LETTER ALPHA}",
    "sigma": "\N{GREEK SMALL LETTER SIGMA}",
    "Phi": "\N{GREEK CAPITAL LETTER PHI}",
    "phi": "\N{GREEK SMALL LETTER PHI}",
    "sum": "\N{GREEK CAPITAL LETTER SIGMA}",
}
_LATEX = {"*": r" \, ", "&lt;-": r"\leftarrow", ".*": r"\odot"}
_SYMBOL = re.compile(
    r"\bd(?P<of>[JCE])/d(?=[A-Za-z])|(?P<number>\d[\d.]*)(?:e(?P<exponent>-?\d+))?"
    r"|(?P<letter>[A-Za-z]+)(?:_(?P<sub>\w+(?:,\w+)*))?(?:\^(?P<sup>\w+|\(\w+\)))?(?P<prime>'*)"
    r"|\^(?P<power>\w+)|&lt;-|\.\*|[-*]"
)


def html(formula: str) -> str:
    """A plain formula, symbol or calculation with its indices, signs and powers set as HTML."""

    def typeset(found: re.Match[str]) -> str:
        part = found.groupdict()
        if part["of"]:
            return f"{_D}<i>{part['of']}</i>/{_D}"
        if part["number"]:
            power = part["exponent"]
            ten = f"{_SIGNS['*']}10<sup>{power.replace('-', MINUS)}</sup>" if power else ""
            return part["number"] + ten
        if part["letter"]:
            return _typeset_symbol(part)
        return f"<sup>{part['power']}</sup>" if part["power"] else _SIGNS[found[0]]

    return _SYMBOL.sub(typeset, _html.escape(formula, quote=False))


def _typeset_symbol(part: dict[str, str | None]) -> str:
    letter, sub, sup = part["letter"] or "", part["sub"], part["sup"]
    if letter in ("amp", "lt", "gt"):  # of what was escaped
        return letter
    text = _NAMES.get(letter, letter)
    if len(letter) == 1 or letter == "net":
        text = f"<i>{text}</i>"
    text += "\N{PRIME}" * len(part["prime"] or "") + (f"<sub>{sub}</sub>" if sub else "")
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
        return _LATEX.get(found[0], found[0])

    return _SYMBOL.sub(typeset, formula.replace("<-", "&lt;-"))


def _latex_symbol(part: dict[str, str | None]) -> str:
    letter, sub, sup = part["letter"] or "", part["sub"], part["sup"]
    if letter in _NAMES:
        text = f"\\{letter}"
    else:
        text = letter if len(letter) == 1 else rf"\mathrm{{{letter}}}"
    text += "'" * len(part["prime"] or "") + (f"_{{{sub}}}" if sub else "")
    return text + (f"^{{{sup}}}" if sup else "")
