# SPDX-License-Identifier: BSD-3-Clause
"""Markdown for the pages of results: no line is longer than 100 columns, unless a single word or a table's row is."""

import re
import textwrap

COLUMNS = 100


def table(header, rows):
    """A table. The first two columns are text and left-aligned, the others numbers."""
    rule = ["---"] * 2 + ["---:"] * (len(header) - 2)
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [header, rule, *rows]) + "\n"


def number(value, form="{:.2f}"):
    """The number in the format `form`; "-" for None."""
    return "-" if value is None else form.format(value)


def fill(text, first="", others=""):
    """One paragraph, broken into lines. `first` begins the first line, `others` the others."""
    return textwrap.fill(" ".join(text.split()), COLUMNS, initial_indent=first, subsequent_indent=others, break_long_words=False,
                         break_on_hyphens=False)


def wrapped(text):
    """The page with its paragraphs and list items broken into lines. Headings, tables, code blocks and figures stay."""
    blocks = []
    for block in re.split(r"\n\n+", text.strip("\n")):
        if block.startswith(("#", "|", "![", "    ")):
            blocks.append(block)
        elif block.startswith("- "):
            blocks.append("\n".join(fill(item, "- ", "  ") for item in re.split(r"(?m)^- ", block)[1:]))
        else:
            blocks.append(fill(block))
    return "\n\n".join(blocks) + "\n"
