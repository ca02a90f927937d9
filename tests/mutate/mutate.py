#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mutate.py: breaks the library in one random place at a time, and counts how often a test notices.

usage: mutate.py BUILD MUTANTS SEED JOBS [lib/wing/file.c...]

Everything happens in copies of the tree, BUILD/mutate/tree0 and so on. A mutant that does not
compile, or that the compiler makes the same code of, is none, and the next is drawn. The others
are tested until a program fails or takes too long: first that of the room, then those that have
noticed most so far; if none does, all once more with the sanitizers that check-asan has. Those that
nobody notices are printed; BUILD/mutate/log lists all mutants. A lock that is not taken shows only
in check-tsan, and what only costs time in check-bench.
"""
import collections
import concurrent.futures
import os
import pathlib
import queue
import random
import re
import shutil
import subprocess
import sys
import threading
import time

KINDS = ("unit", "sim", "interleave", "threads")  # directories of tests, the quick ones first
MEMORY_MIB = 2048  # of a test program, so that a mutant does not take all there is
# The builds, by their directories. What the compiler makes is compared, so it has no line numbers.
PLAIN = "plain"
BUILDS = {PLAIN: "-O1 -Werror=int-conversion -Werror=incompatible-pointer-types",
          "asan": "-O1 -fsanitize=address,undefined -fno-sanitize-recover=all"}
# A part of the long tests is enough: most of what they notice they notice often.
PART = {"SSE_TORTURE": "37", "SSE_HISTORIES": "2000"}
ASAN = "detect_stack_use_after_return=1:strict_string_checks=1:hard_rss_limit_mb=%d" % MEMORY_MIB

OPERATORS = {
    "==": ["!="], "!=": ["=="], "<": ["<=", ">"], "<=": ["<", ">"], ">": [">=", "<"],
    ">=": [">", "<"], "&&": ["||"], "||": ["&&"], "!": [""], "++": ["--"], "--": ["++"],
    "+": ["-"], "-": ["+"], "*": ["/"], "/": ["*"], "%": ["/"], "&": ["|"], "|": ["&"],
    "<<": [">>"], ">>": ["<<"], "+=": ["-=", "="], "-=": ["+=", "="], "|=": ["=", "&="],
    "&=": ["=", "|="], "?": ["&& 0 ?", "|| 1 ?"], "true": ["false"], "false": ["true"],
    "break": ["continue"], "continue": ["break"],
}
UNARY = "+-*&"  # these are taken where they have two operands, which the layout shows
TOKEN = re.compile(r"'(?:\\.[0-9a-f]*|[^'\\])'|0[xX][0-9a-fA-F]+|\w+|->|\+\+|--|<<=|>>="
                   r"|[-+*/%&|^=!<>]=|&&|\|\||<<|>>|[^\s\w]")
HIDDEN = re.compile(r"""/\*.*?\*/|//[^\n]*|'(?:\\.[0-9a-f]*|[^'\\])'|"(?:\\.|[^"\\])*\""""
                    r"|^[ ]*\#(?:\\\n|[^\n])*|\b(?:_S|static_a|a)ssert\s*\([^;]*;", re.S | re.M)
WORDS = ("return|break|continue|goto|case|default|if|for|while|do|else|switch|typedef|struct|union"
         "|enum|static|const|extern|unsigned")
# A statement that starts a line or follows a condition; two names in a row are a declaration.
STATEMENT = re.compile(r"(?:^ +|\) |\belse )(?!(?:%s)\b|\w+ \*?\w)([*\w][^;{}]*(?:=|\(|\+\+|--)"
                       r"[^;{}]*;)" % WORDS, re.M)
RETURN = re.compile(r"\breturn ([^;]+);")
CONDITION = re.compile(r"\b(if|while|for) \(")


def closing(code, at):
    """Where the parenthesis ends that opens just before."""
    depth = 1
    while depth:
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        at += 1
    return at - 1


def places(path):
    """All places of a file: (path, start, end, replacements)."""
    def blank(match):
        text = match.group()
        return text if text[0] == "'" else re.sub(r"[^\n]", " ", text)

    source = path.read_text()
    code = HIDDEN.sub(blank, source)
    for match in TOKEN.finditer(code):
        token, (start, end) = match.group(), match.span()
        if token in OPERATORS and (token not in UNARY or code[start - 1] == code[end] == " "):
            yield path, start, end, OPERATORS[token]
        elif token[0] == "'":
            yield path, start, end, ["(%s + 1)" % token, "(%s - 1)" % token]
        elif token[0].isdigit():
            number, suffix = re.fullmatch(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)", token).groups()
            value = int(number, 16 if "x" in number.lower() else 10)
            changed = {value + 1, value - 1, 0, 1} - {value}
            yield path, start, end, ["%d%s" % (n, suffix) for n in sorted(changed)]
    for match in STATEMENT.finditer(code):
        yield path, match.start(1), match.end(1), [";"]
    for match in RETURN.finditer(code):
        start, end = match.span(1)
        yield path, start, end, ["0", "1", "-1", "!(%s)" % source[start:end]]
    for match in CONDITION.finditer(code):
        start, end = match.end(), closing(code, match.end())
        if match.group(1) == "for":
            parts = [part.span() for part in re.finditer(r"[^;]+", code[start:end])]
            start, end = (start + at for at in parts[1]) if len(parts) == 3 else (end, end)
        if start < end:
            yield path, start, end, ["1", "0", "!(%s)" % source[start:end]]


class Tree:
    """A copy of the sources, to be broken."""
    def __init__(self, root):
        self.root = root
        self.env = {**PART, "ASAN_OPTIONS": ASAN, **os.environ}
        for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
            self.env.pop(name, None)

    def make(self, *targets, jobs=1):
        """Whether all of it, of one build, could be made."""
        build = targets[0].split("/")[0]
        command = [self.env.get("MAKE", "make"), "-s", "-j%d" % jobs, "BUILD=" + build,
                   "CFLAGS=" + BUILDS[build], "CC=" + self.env.get("CC", "cc"), *targets]
        return subprocess.run(command, cwd=self.root, env=self.env, stdin=subprocess.DEVNULL,
                              capture_output=True, check=False).returncode == 0

    def run(self, program, seconds):
        """What is wrong with a test program: "" if it passes."""
        # A sanitizer reserves much more than it uses, and has a bound of its own.
        memory = MEMORY_MIB << 10 if program.startswith(PLAIN) else "unlimited"
        # The bound on processor time ends one that spins though this script is gone.
        command = "ulimit -c 0; ulimit -v %s; ulimit -t %d; exec %s" % (memory, seconds, program)
        try:
            done = subprocess.run(["sh", "-c", command], cwd=self.root, env=self.env,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            return "hangs"
        return "status %d" % done.returncode if done.returncode else ""


class Hunt:
    """The mutants in their order, what tests them, and what came of it."""
    def __init__(self, root, seed, jobs, paths):
        self.lock, self.noticed, self.seconds = threading.Lock(), collections.Counter(), {}
        self.trees = queue.SimpleQueue()
        draw = random.Random(seed)
        drawn = [place for path in paths for place in places(pathlib.Path(path))]
        draw.shuffle(drawn)
        self.mutants = iter([(*place[:3], draw.choice(place[3])) for place in drawn])
        shutil.rmtree(root, ignore_errors=True)
        self.prepare([root / ("tree%d" % n) for n in range(jobs)])
        self.log = open(root / "log", "w", encoding="utf-8")

    def prepare(self, roots):
        """Makes the trees, and sees all tests pass while nothing is broken."""
        for part in ("lib", "include", "examples", "tests"):
            shutil.copytree(part, roots[0] / part)
        shutil.copy("Makefile", roots[0])
        first = Tree(roots[0])
        names = [str(path.with_suffix("")) for kind in KINDS
                 for path in sorted(pathlib.Path("tests", kind).glob("test_*.c"))]
        for build in BUILDS:
            programs = ["%s/%s" % (build, name) for name in names]
            if not first.make(*programs, jobs=len(roots)):
                sys.exit("the tests cannot be built")
            for program in programs:
                started = time.monotonic()
                wrong = first.run(program, 300)
                if wrong:
                    sys.exit("%s without a mutant: %s" % (program, wrong))
                self.seconds[program] = 10 + 10 * (time.monotonic() - started)
        for root in roots[1:]:
            shutil.copytree(roots[0], root)
        for root in roots:
            self.trees.put(Tree(root))

    def test(self, tree, room):
        """Which program notices, and how; None if none does."""
        def rank(program):
            return (not program.startswith(PLAIN), not program.endswith("/unit/test_" + room),
                    -self.noticed[program])

        for program in sorted(self.seconds, key=rank):
            wrong = tree.make(program) and tree.run(program, self.seconds[program])
            if wrong:
                self.noticed[program] += 1
                return "%s: %s" % (program, wrong)
        return None

    def one(self, _):
        """Draws until there is a mutant, and tests it: whether it was noticed."""
        tree = self.trees.get()
        while True:
            with self.lock:
                path, start, end, new = next(self.mutants)
            target = "%s/obj/%s" % (PLAIN, path.with_suffix(".o"))
            source, made = tree.root / path, tree.root / target
            text, before = source.read_text(), made.read_bytes()
            source.write_text(text[:start] + new + text[end:])
            mutant = tree.make(target) and made.read_bytes() != before
            noticed = mutant and self.test(tree, path.stem)
            source.write_text(text)
            made.write_bytes(before)
            if mutant:
                break
        self.trees.put(tree)
        self.tell(path, text, (start, end, new), noticed)
        return bool(noticed)

    def tell(self, path, text, change, noticed):
        """A line for the log, and of a survivor the lines around it."""
        start, end, new = change
        lines, number = text.split("\n"), text.count("\n", 0, start) + 1
        column = start - text.rfind("\n", 0, start)
        words = "%s:%d:%d: '%s' becomes '%s'" % (path, number, column, text[start:end], new)
        words = " ".join(words.split())
        with self.lock:
            print(words + ":", noticed or "SURVIVES", file=self.log, flush=True)
            if not noticed:
                print(words, *("%s %s" % (" >"[n == number], lines[n - 1])
                               for n in range(number - 1, number + 2)), sep="\n", flush=True)


def main():
    build, count, seed, jobs = sys.argv[1], *map(int, sys.argv[2:5])
    os.nice(5)
    hunt = Hunt(pathlib.Path(build, "mutate"), seed, jobs,
                sys.argv[5:] or sorted(pathlib.Path("lib").glob("*/*.c")))
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        noticed = sum(pool.map(hunt.one, range(count)))
    print("%d of %d mutants noticed" % (noticed, count))


if __name__ == "__main__":
    main()
