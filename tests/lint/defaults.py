#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""defaults.py: compares the defaults of a hub's configuration in code, header and manual.

usage: defaults.py [ROOT]

The code is each DEFAULT(c->member, value) of lib/hub/*.c. The comment of the member in
include/sse/hub.h and its entry in the lists of man/sse_hub*.3 say "default VALUE"; a text without
the word must contain the value. VALUE is a number as 1,024 or 64 MiB, a constant, a string, or
none for a limit that is off. A default that is a function is left out.
"""
import pathlib
import re
import sys

UNITS = {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}
NONE = ("none", "no limit", "no bound", "unlimited")
# What a constant of the code may be called in a text.
CONSTANTS = {"SSE_NEVER": ("SSE_NEVER", "SSE_NO", *NONE), "SSE_NO": ("SSE_NO",),
             "SSE_YES": ("SSE_YES",), "UINT32_MAX": NONE, "SIZE_MAX": NONE, "0": NONE}
STRUCTS = ("sse_hub_config", "sse_channel_config")
CODE = re.compile(r"^ *DEFAULT\(\w+->([\w.]+),\s*(.*?)\);", re.M | re.S)
# "default" and something that looks like a value.
PHRASE = re.compile(r"\b[Dd]efault(?: is)?:? +(?=[\d\"A-Z]|(?:%s)\b)" % "|".join(NONE))
NUMBER = re.compile(r"(\d[\d,]*)(?: ([KMG]iB))?")


def renditions(expression):
    """What a text may say of a value of the code; None if that cannot be said."""
    expression = " ".join(expression.split()).rsplit(" : ", 1)[-1]
    if expression.startswith('"'): return (expression,)
    if expression in CONSTANTS: return CONSTANTS[expression]
    number = 1
    for factor in expression.split(" * "):
        word = re.sub(r"(?<=\d)[uUlL]+$", "", factor.strip("()"))
        if not (word in UNITS or word.isdigit()): return None
        number *= UNITS.get(word) or int(word)
    said = ["{:,}".format(number)] + ([str(number)] if number < 10000 else [])
    for unit, size in UNITS.items():
        if number % size == 0: said.append("{:,} {}iB".format(number // size, unit[0]))
    return tuple(said)


def says(text, value):
    """Whether a text begins with a value, and the value ends there."""
    return bool(re.match(re.escape(value) + r"(?![\w\"]|,\d| [KMG]iB)", text))


def states(text, said):
    """Whether a text gives the default that is expected."""
    if any(re.search(re.escape(value) + r",? \(?the default", text) for value in said): return True
    phrases = [text[match.end():] for match in PHRASE.finditer(text)]
    if phrases: return any(says(phrase, value) for phrase in phrases for value in said)
    return any(says(text[m.start():], value) for value in said
               for m in re.finditer(r"(?<![\w,\"])" + re.escape(value), text))


def of_code(sources):
    """{(struct, member): expression} of the DEFAULT lines."""
    found = {}
    for source in sources:
        for match in CODE.finditer(source):
            member = match.group(1)
            where = STRUCTS["." in member]
            found[where, member.split(".")[-1]] = match.group(2)
    return found


def of_header(text):
    """{(struct, member): comment} of a header."""
    found = {}
    for struct in STRUCTS:
        body = re.search(r"typedef struct %s \{(.*?)\n\} %s;" % (struct, struct), text, re.S)
        for match in re.finditer(r"(\w+)(?:\[\d+\])?;\s*/\*(.*?)\*/", body.group(1) if body else "",
                                 re.S):
            found[struct, match.group(1)] = " ".join(match.group(2).replace("\n *", "\n").split())
    return found


def lists(page):
    """The tagged lists of a manual page, each {member: text}."""
    open_lists, done = [], []
    for line in page.split("\n"):
        if line.startswith(".Bl"):
            open_lists.append(({}, []))
        elif line.startswith(".El") and open_lists:
            done.append(open_lists.pop()[0])
        elif line.startswith(".It") and open_lists:
            words = re.findall(r"\w+", re.sub(r"^\.It( (Va|Fa|Li|Ns|Vt))*", "", line))
            open_lists[-1][1][:] = [word for word in words if len(word) > 2]
            for word in open_lists[-1][1]: open_lists[-1][0].setdefault(word, "")
        elif open_lists:
            text = re.sub(r"^\.(Qq|Dq) (.*?)( [.,;:)]+)?$", r'"\2"\3', line)
            text = re.sub(r"^\.[A-Z][a-z] ", "", text)
            for words in open_lists: # a list in an entry belongs to the entry
                for word in words[1]: words[0][word] += " " + text
    return [{word: re.sub(r" ([.,;:])", r"\1", " ".join(text.split()))
             for word, text in entries.items()} for entries in done]


def of_manual(pages, code):
    """{(struct, member): text}, of the list that has most of the struct's members."""
    found, all_lists = {}, [entries for page in pages for entries in lists(page)]
    for struct in STRUCTS:
        wanted = {member for where, member in code if where == struct}
        best = max(all_lists, key=lambda entries: len(wanted & set(entries)), default={})
        found.update({(struct, member): text for member, text in best.items()})
    return found


def check(sources, header, pages):
    """What is wrong, a line for each."""
    code = of_code(sources)
    if not code: yield "no DEFAULT(...) in lib/hub"
    texts = {"include/sse/hub.h": of_header(header), "man/sse_hub.3": of_manual(pages, code)}
    for (struct, member), expression in code.items():
        said = renditions(expression)
        if said is None: continue
        for file, members in texts.items():
            name = "%s: %s.%s" % (file, struct, member)
            if (struct, member) not in members:
                yield "%s is not described" % name
            elif not states(members[struct, member], said):
                yield "%s: the code has %s, the text: %s" % (
                    name, said[0], members[struct, member])
    for (struct, member), text in texts["include/sse/hub.h"].items():
        match = re.search(r"\bdefault:? +" + NUMBER.pattern + r"(?= *(?:[;,.]|$))", text)
        if match and (struct, member) not in code:
            yield "include/sse/hub.h: %s.%s: no DEFAULT in the code: %s" % (struct, member, text)


def main():
    root = pathlib.Path(*sys.argv[1:2])

    def read(pattern):
        return [path.read_text(encoding="utf-8") for path in sorted(root.glob(pattern))]

    found = list(check(read("lib/hub/*.c"), "".join(read("include/sse/hub.h")),
                       read("man/sse_hub*.3")))
    print(*found, "defaults: %d findings" % len(found), sep="\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
