#!/usr/bin/env python3
"""document.py [--check]: writes each module's variables and outputs into its README.md, below the mark
there; with --check it only says which README is not what it would write, and fails."""

import re
import sys
from pathlib import Path

MARK = "<!-- Below: made by terraform/document.py from the variables and outputs. -->\n"
OPEN, CLOSE = "([{", ")]}"


def end_of(text, start):
    """Where the value that starts there ends: at the line's end, outside brackets and quotes."""
    depth, at = 0, start
    while at < len(text):
        letter = text[at]
        if letter == '"':
            at += 1
            while text[at] != '"':
                at += 2 if text[at] == "\\" else 1
        elif letter in OPEN:
            depth += 1
        elif letter in CLOSE:
            depth -= 1
            if depth < 0:
                return at
        elif letter == "#" or (letter == "\n" and depth == 0):
            return at
        at += 1
    return at


def blocks(text, kind):
    """Name and attributes of each block of a kind."""
    for found in re.finditer(rf'^{kind} "([a-z0-9_]+)" {{\n', text, re.M):
        body = text[found.end():end_of(text, found.end() - 2)]
        attributes, at = {}, 0
        while attribute := re.compile(r"^  ([a-z_]+) *(=|{) *", re.M).search(body, at):
            at = attribute.end() if attribute[2] == "=" else attribute.end() - 1
            # A block within: its own lines are of no interest.
            end = end_of(body, at)
            if attribute[2] == "=":
                attributes[attribute[1]] = body[at:end].strip()
            at = end
        yield found[1], attributes


def code(value):
    lines = [re.sub(r"\s+", " ", line).strip() for line in value.splitlines()]
    one_line = re.sub(r"([{(\[]), ", r"\1", ", ".join(lines))
    return "`" + re.sub(r", ([})\]])", r"\1", one_line).replace("|", "\\|") + "`"


def words(value):
    return value[1:-1].replace('\\"', '"').replace("|", "\\|")


def tables(folder):
    text = "".join(path.read_text() for path in sorted(folder.glob("*.tf")))
    lines = ["", "## Variables", "", "| name | what | type | default |", "| --- | --- | --- | --- |"]
    required = lambda one: "default" in one[1]
    for name, said in sorted(blocks(text, "variable"), key=required):
        default = code(said["default"]) if "default" in said else "**required**"
        lines.append(f"| `{name}` | {words(said['description'])} | {code(said['type'])} | {default} |")
    lines += ["", "## Outputs", "", "| name | what |", "| --- | --- |"]
    for name, said in blocks(text, "output"):
        secret = " Sensitive." if said.get("sensitive") == "true" else ""
        lines.append(f"| `{name}` | {words(said['description'])}{secret} |")
    return "\n".join(lines) + "\n"


def main():
    here = Path(__file__).resolve().parent
    stale = []
    for readme in sorted(here.glob("**/README.md")):
        text = readme.read_text()
        if MARK not in text or ".terraform" in readme.parts:
            continue
        right = text[:text.index(MARK) + len(MARK)] + tables(readme.parent)
        if right != text:
            stale.append(str(readme.relative_to(here.parent)))
            if "--check" not in sys.argv:
                readme.write_text(right)
    if stale and "--check" in sys.argv:
        sys.exit(f"not what the variables say: {', '.join(stale)}; `make fix` mends it")


if __name__ == "__main__":
    main()
