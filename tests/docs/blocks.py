"""The blocks of code in the pages, and what they say that they print.

A comment behind a line that prints, or alone on the lines below it, is what is printed, to the letter:

    print(receipt)  # {'status': 'charged'}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from programs import ROOT

#: Where code may stand that users read.
PAGES = sorted(
    page
    for pattern in (
        "*.md",
        "docs/*.md",
        "bindings-*/*.md",
        "core/*.md",
        "benches/*.md",
        "examples/**/*.md",
        "conformance/*.md",
    )
    for page in ROOT.glob(pattern)
    if "node_modules" not in page.parts
)

PRINTS = re.compile(r"\b(print|console\.log|System\.out\.println|println!|printf|puts|std::cout)\b")


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    #: The word behind the fence, with all that follows it.
    info: str
    code: str

    @property
    def language(self) -> str:
        return re.split(r"[,\s]", self.info)[0]

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def printed(self) -> list[str]:
        """The lines that it says it prints."""
        sign = "#" if self.language == "python" else "//"
        behind = re.compile(rf"[;)}}]\s+{sign} (.+)$")
        said: list[str] = []
        below = False
        for line in self.code.splitlines():
            if below and line.lstrip().startswith(f"{sign} "):
                said.append(line.lstrip()[len(sign) + 1 :])
                continue
            below = False
            if PRINTS.search(line):
                if found := behind.search(line):
                    said.append(found[1])
                else:
                    below = True
        return said


def blocks() -> list[Block]:
    return [block for page in PAGES for block in blocks_of(page)]


def blocks_of(page: Path) -> list[Block]:
    found: list[Block] = []
    begun: tuple[int, str, str] | None = None
    lines: list[str] = []
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        fence = re.match(r"( *)(```+)\s*(.*)$", line)
        if begun is None:
            if fence:
                begun, lines = (number, fence[1], fence[3].strip()), []
        elif fence and not fence[3]:
            found.append(Block(page, begun[0], begun[2], "\n".join(lines) + "\n"))
            begun = None
        else:
            lines.append(line.removeprefix(begun[1]))
    assert begun is None, f"{page.relative_to(ROOT)}:{begun}: a block without an end"
    return found
