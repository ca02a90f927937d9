#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""layout.py: checks the layout of lib/, and prints a line for each breach.

usage: layout.py [--nm NM] [--objects DIRECTORY] [LIB]

A pair is a .c file and the .h file of the same name. The wings have an order, util <- wire <- hub
<- stream: a pair uses its own wing and the wings to the left. No pairs include each other or call
each other in a circle. An include is "wing/name.h", <sse/name.h> or a header of the system; util
includes only alloc.h and error.h of the public headers. The name of a static is unique in lib/.

With --objects, nm tells which pair defines and which uses each symbol that begins with sse_.
"""
import argparse
import collections
import pathlib
import re
import subprocess
import sys

WINGS = ("util", "wire", "hub", "stream")
UTIL_MAY = ("sse/alloc.h", "sse/error.h")
NEITHER = 'neither "wing/name.h", <sse/name.h> nor a system header'
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"][^>"\n]*[>"]|.*)', re.M)
HIDDEN = re.compile(r"""/\*.*?\*/|//[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*\"""", re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.M)
ATTRIBUTE = re.compile(r"\b__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)")
STATIC = re.compile(r"\bstatic\b[^;=(\[]*?(\w+)\s*[;=(\[)]")
POINTER = re.compile(r"\(\s*\*\s*(?=\w)")  # of "(*function)(void)"


def pair_of(file):
    """The pair of a file: its path without the ending."""
    return file.rsplit(".", 1)[0]


def wing_of(file):
    return file.split("/", 1)[0]


def upwards(user, used):
    """Whether a file, or a pair, uses one of a wing to the right."""
    return WINGS.index(wing_of(used)) > WINGS.index(wing_of(user))


def without_comments(text):
    """The text in which comments, strings and characters are blank, line for line."""
    return HIDDEN.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def includes(text):
    """(line, what follows #include) for each include of a file."""
    blank = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)
    for match in INCLUDE.finditer(blank):
        yield blank.count("\n", 0, match.start()) + 1, match.group(1).strip()


def statics(text):
    """The names of a file's functions and variables that are static, at file level."""
    code = ATTRIBUTE.sub("", DIRECTIVE.sub("", without_comments(text)))
    level, outside = 0, []
    for char in code:
        level -= char == "}"
        if level == 0: outside.append(char)
        level += char == "{"
    # "}" ends what stood in braces, so a function's body does not run into what follows.
    for part in re.split(r"[;}]", "".join(outside)):
        match = STATIC.search(POINTER.sub(" ", part) + ";")
        if match: yield match.group(1)


def circles(uses):
    """Each circle of a graph {node: {used: why}}, as (its members, the shortest way round)."""
    reached = {}
    for start in uses:
        seen, row = set(), [start]
        while row:
            for used in uses.get(row.pop(), ()):
                if used not in seen:
                    seen.add(used)
                    row.append(used)
        reached[start] = seen
    done = set()
    for start in sorted(uses):
        if start in done or start not in reached[start]: continue
        members = sorted(node for node in reached[start] if start in reached.get(node, ()))
        done.update(members)
        yield members, min((way_round(uses, node) for node in members), key=len)


def way_round(uses, start):
    """The shortest way from a node back to itself."""
    row = collections.deque([[start]])
    seen = set()
    while row:
        way = row.popleft()
        for used in sorted(uses.get(way[-1], ())):
            if used == start: return way + [start]
            if used not in seen:
                seen.add(used)
                row.append(way + [used])
    return []


def check_circles(kind, uses):
    for members, way in circles(uses):
        yield "circle of %s among %d: %s" % (kind, len(members), " ".join(members))
        for user, used in zip(way, way[1:]):
            yield "  %s uses %s: %s" % (user, used, uses[user][used])


def check_includes(files):
    """What is wrong with the includes of {path below lib/: text}."""
    uses = collections.defaultdict(dict)
    for file in sorted(files):
        if file.count("/") != 1 or wing_of(file) not in WINGS:
            yield "lib/%s: not in a wing (%s)" % (file, ", ".join(WINGS))
            continue
        for line, what in includes(files[file]):
            where, name = "lib/%s:%d" % (file, line), what[1:-1]
            ours = wing_of(name) in WINGS and name.count("/") == 1
            if what.startswith('"') and ours and name.endswith(".h"):
                if name not in files:
                    yield "%s: no such file: %s" % (where, what)
                elif upwards(file, name):
                    yield "%s: %s includes a wing to its right: %s" % (where, wing_of(file), what)
                if pair_of(name) != pair_of(file):
                    uses[pair_of(file)].setdefault(pair_of(name), where)
            elif not what.startswith("<") or ours:
                yield "%s: %s: %s" % (where, NEITHER, what)
            elif wing_of(file) == "util" and wing_of(name) == "sse" and name not in UTIL_MAY:
                yield "%s: util includes %s" % (where, what)
    yield from check_circles("includes", uses)


def check_statics(files):
    homes = collections.defaultdict(set)
    for file in files:
        for name in statics(files[file]):
            homes[name].add(file)
    for name in sorted(homes):
        if len(homes[name]) > 1:
            yield "static %s has several homes: %s" % (name, " ".join(sorted(homes[name])))


def check_calls(symbols):
    """What is wrong with the symbols of {pair: lines of `nm -g -P`}."""
    home, used_by = {}, collections.defaultdict(set)
    for pair in symbols:
        for line in symbols[pair]:
            match = re.match(r"_?(sse_\w+) (\w)", line)
            if match and match.group(2) == "U": used_by[match.group(1)].add(pair)
            elif match: home[match.group(1)] = pair
    if not home:
        yield "no object defines a symbol that begins with sse_"
    uses = collections.defaultdict(dict)
    for name in sorted(used_by):
        for pair in sorted(used_by[name]):
            if name not in home:
                yield "%s uses %s, which no object defines" % (pair, name)
                continue
            if home[name] != pair: uses[pair].setdefault(home[name], name)
            if upwards(pair, home[name]):
                yield "%s calls a wing to its right: %s of %s" % (pair, name, home[name])
    yield from check_circles("calls", uses)


def read_tree(lib):
    return {str(path.relative_to(lib)): path.read_text(encoding="utf-8")
            for path in pathlib.Path(lib).rglob("*.[ch]")}


def read_symbols(tool, objects, files):
    """The symbols of the objects of the .c files; what else is in the directory is left out."""
    return {pair_of(file): subprocess.run(
        [*tool.split(), "-g", "-P", str(pathlib.Path(objects, pair_of(file) + ".o"))],
        check=True, capture_output=True, text=True).stdout.splitlines()
            for file in sorted(files) if file.endswith(".c")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--objects")
    parser.add_argument("lib", nargs="?", default="lib")
    options = parser.parse_args()
    files = read_tree(options.lib)
    if not files: sys.exit("layout: no sources in %s" % options.lib)
    found = [*check_includes(files), *check_statics(files)]
    if options.objects:
        found += check_calls(read_symbols(options.nm, options.objects, files))
    print(*found, sep="\n", end="\n" if found else "")
    findings = sum(not line.startswith(" ") for line in found)
    print("layout: %d files, %d findings" % (len(files), findings))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
