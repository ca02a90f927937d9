# SPDX-License-Identifier: MIT
"""check.py: every example of the pages stands in a file that is tested, or is run here.

The pages are sse-recipes(7) and sse-log(7). Before each literal block of a page a comment says where it comes from:

  .\\" from tests/recipes/chat.c [join]   the part of that file between /* [join] */ and /* [/join] */
  .\\" from examples/deploy/nginx.conf    lines of that file, one after the other
  .\\" run notify                         commands, each with what it prints, against that program

usage: check.py BUILD
"""

import difflib
import os
import pathlib
import re
import selectors
import subprocess
import sys
import textwrap
import time

PAGES = [pathlib.Path("man/sse-recipes.7"), pathlib.Path("man/sse-log.7")]
LINES_MAX = 40
COLUMNS_MAX = 74  # of what is not a line of another file
PATIENCE_S = 20
EPOCH = "V3kq0ZsXb-A"  # that of the pages

checked = 0
failures = []  # a text for each finding


def blocks(page):
    """Gives (line, origin, text) for each literal block of a page."""
    origin, begin, text = None, 0, []
    for number, line in enumerate(page.read_text().split("\n"), 1):
        if line.startswith(".Bd -literal"):
            begin, text = number, []
        elif line == ".Ed":
            yield begin, origin, "\n".join(text)
            origin, begin = None, 0
        elif begin:
            text.append(line.removeprefix("\\&").replace("\\e", "\\"))
        elif re.match(r'\.\\" (from|run) ', line):
            origin = line[4:]


def regions(path):
    """The marked parts of a file, by name."""
    found = {}
    source = pathlib.Path(path).read_text()
    for match in re.finditer(r"^ *(?:/\*|//) \[([a-z]+)\].*\n", source, re.M):
        end = re.search(rf"^ *(?:/\*|//) \[/{match[1]}\]", source[match.end():], re.M)
        part = source[match.end():match.end() + end.start()]
        found[match[1]] = textwrap.dedent(part).strip("\n")
    return found


def difference(wanted, got):
    return "\n".join(difflib.unified_diff(wanted.split("\n"), got.split("\n"), "wanted", "found",
                                          lineterm="", n=2))


def check_from(where, origin, text):
    match = re.fullmatch(r"from (\S+)(?: \[(\w+)\])?", origin)
    if match[2]:
        wanted = regions(match[1]).get(match[2], "")
    else:
        # A part of a file may be indented there.
        lines = pathlib.Path(match[1]).read_text().split("\n")
        count = text.count("\n") + 1
        parts = [textwrap.dedent("\n".join(lines[i:i + count])) for i in range(len(lines))]
        wanted = text if text in parts else "\n".join(lines)
    if text != wanted:
        failures.append(f"{where}: not as in {origin[5:]}\n" + difference(wanted, text))


class Program:
    """One of the recipes, on a port of its own."""

    def __init__(self, path):
        self.process = subprocess.Popen([path, "0"], stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        self.epoch = None

    def as_here(self, text):
        """A text of the page, with the port and the epoch of this run."""
        return text.replace("http://127.0.0.1:5000/", self.url).replace(
            EPOCH, self.epoch or EPOCH)

    def stop(self):
        self.process.terminate()
        return self.process.wait(PATIENCE_S)


def output_of(command, length):
    """What a command prints: to its end, or as many lines as are wanted."""
    process = subprocess.Popen(["sh", "-c", "exec " + command], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    until = time.monotonic() + PATIENCE_S
    text = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while text.count(b"\n") < length and selector.select(max(0, until - time.monotonic())):
            got = os.read(process.stdout.fileno(), 65536)
            if not got:
                break
            text += got
    process.kill()
    process.wait()
    return text.decode().replace("\r\n", "\n").rstrip("\n")


def same(text):
    """Without what differs in each run."""
    return re.sub(r"retry: \d+", "retry: N", text)


def check_run(where, program, text):
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        # A command goes on in the next line after a backslash.
        match = re.match(r"((?:.*\\\n)*.*)\n?", part)
        wanted = part[match.end():].rstrip("\n")
        got = output_of(program.as_here(match[1]), wanted.count("\n") + 1)
        found = re.search(r"^id: (\S{11})\.\d", got, re.M)
        if found:
            program.epoch = found[1]
        if same(got) != same(program.as_here(wanted)):
            failures.append(f"{where}: {match[1]}\n" +
                            difference(same(program.as_here(wanted)), same(got)))


def main():
    global checked
    build = pathlib.Path(sys.argv[1])
    used, programs = set(), {}
    found = [(f"{page}:{line}", origin, text)
             for page in PAGES for line, origin, text in blocks(page)]
    for where, origin, text in found:
        checked += 1
        if text.count("\n") >= LINES_MAX:
            failures.append(f"{where}: more than {LINES_MAX} lines")
        for part in text.split("\n"):
            if len(part) > COLUMNS_MAX and not (origin or "").startswith("from examples/"):
                failures.append(f"{where}: wider than {COLUMNS_MAX} columns: {part}")
        if not origin:
            failures.append(f"{where}: nothing says where this comes from")
        elif origin.startswith("from "):
            used.add(origin[5:])
            check_from(where, origin, text)
        else:
            name = origin[4:]
            if name not in programs:
                programs[name] = Program(build / "tests/recipes" / name)
            check_run(where, programs[name], text)
    for name, program in programs.items():
        if program.stop() != 0:
            failures.append(f"{name}: exit status {program.process.returncode}")
    for path in sorted(pathlib.Path("tests/recipes").glob("*.[cj]*")):
        for name in regions(path):
            checked += 1
            if f"{path} [{name}]" not in used:
                failures.append(f"{path}: no page shows [{name}]")
    print("\n".join(failures + [f"{checked} examples, {len(failures)} findings"]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
