"""Reads a report's HTML the way its tests ask about it: tables, text alternatives, what it would load."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "input", "hr"}


@dataclass
class Reading:
    """What a page holds. `tables` go by the id of the section or figure they stand in, rows of cell texts."""

    ids: list[str] = field(default_factory=list)
    attributes: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    text: str = ""
    unclosed: list[str] = field(default_factory=list)

    def elements(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.attributes if name == tag]


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.reading = Reading()
        self.open: list[tuple[str, str]] = []
        self.cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.reading.attributes.append((tag, attributes))
        if "id" in attributes:
            self.reading.ids.append(attributes["id"])
        if tag not in VOID:
            self.open.append((tag, attributes.get("id", "")))
        self.reading.text += " " if tag == "dd" else ""
        if tag == "tr":
            self._rows().append([])
        if tag in ("td", "th"):
            self.cell = []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self.cell is not None:
            self._rows()[-1].append(" ".join("".join(self.cell).split()))
            self.cell = None
        if self.open and self.open[-1][0] == tag:
            self.open.pop()
        else:
            self.reading.unclosed.append(tag)

    def handle_data(self, data: str) -> None:
        if not any(tag in ("style", "script") for tag, _ in self.open):
            self.reading.text += data
        if self.cell is not None:
            self.cell.append(data)

    def _rows(self) -> list[list[str]]:
        holder = next(name for tag, name in reversed(self.open) if tag in ("figure", "section"))
        return self.reading.tables.setdefault(holder, [])


def read_page(html: str) -> Reading:
    """Return what the page holds; `unclosed` names tags that do not match."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    parser.reading.unclosed += [tag for tag, _ in parser.open]
    parser.reading.text = " ".join(parser.reading.text.split())
    return parser.reading
