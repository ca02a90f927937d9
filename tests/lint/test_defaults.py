#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_defaults.py: texts that defaults.py must refuse or accept."""
import sys

sys.dont_write_bytecode = True
import defaults  # pylint: disable=wrong-import-position

# (value in the code, text, whether the text gives it)
TEXTS = [
    ("1024", "frames; default 1,024", True),
    ("1024", "frames; default 1,025", False),
    ("1024", "frames; default 11,024", False),
    ("1024", "frames; default 1,024,000", False),
    ("1024", "frames, 1,024 at most; default 512", False),
    ("1024", "frames; default 1,024 KiB", False),
    ("1024", "frames; 1,024", True),
    ("1024", "frames; 2,048", False),
    ("1024", "Frames. The default is 1,024.", True),
    ("1024", "frames", False),
    ("65536", "channels; default 65,536", True),
    ("65536", "channels; default 65536", False),
    ("4 * MIB", "bytes; default 4 MiB", True),
    ("4 * MIB", "bytes; default 4 KiB", False),
    ("4 * MIB", "bytes; default 64 MiB", False),
    ("(size_t)64 * MIB", "bytes; default 64 MiB", None),
    ("a / 8 < 256 * KIB ? a / 8 : 256 * KIB", "default 256 KiB, or an eighth if it is less", True),
    ("a / 8 < 256 * KIB ? a / 8 : 256 * KIB", "an eighth (the default where it is less)", False),
    ("256 * KIB", "256 KiB. An eighth (which is the default where that is less)", True),
    ("SSE_NEVER", "age in ms; default SSE_NEVER", True),
    ("SSE_NEVER", "age in ms; default none", True),
    ("SSE_NEVER", "age in ms; default 1,000", False),
    ("SSE_NEVER", "SSE_NEVER (the default): all", True),
    ("SSE_NEVER", "SSE_YES: only the newest; default SSE_NO", True),
    ("SSE_NEVER", "SSE_YES: only the newest; default SSE_YES", False),
    ("2000", "ms; SSE_NEVER: none is sent; default 2,000", True),
    ("2000", "ms; SSE_NEVER: none is sent; default SSE_NEVER", False),
    ("UINT32_MAX", "streams; default none", True),
    ("UINT32_MAX", "streams; default 100", False),
    ('"gap"', 'type; default "gap"', True),
    ('"gap"', 'type; default "sse-gap"', False),
    ("sse__os_clock", "anything", None),
]

CODE = """
  DEFAULT(c->heartbeat_ms, 15000);
  DEFAULT(c->channel.streams_max,
          UINT32_MAX);
"""
HEADER = """typedef struct sse_channel_config {
  uint32_t streams_max; /* streams at one time; default none */
} sse_channel_config;
typedef struct sse_hub_config {
  int32_t heartbeat_ms; /* silence after which a heartbeat is sent;
                           default 15,000 */
  void *reserved[4];    /* must be NULL */
} sse_hub_config;
"""
PAGE = """.Bl -tag
.It Va heartbeat_ms
Silence; default 15,000.
.El
.Bl -tag
.It Va streams_max
Streams; default
.Dv none .
.El
"""
# (name, code, header, page, how many findings)
TREES = [
    ("all agree", CODE, HEADER, PAGE, 0),
    ("another number in the code", CODE.replace("15000", "15001"), HEADER, PAGE, 2),
    ("another number in the header", CODE, HEADER.replace("15,000", "14,000"), PAGE, 1),
    ("another number in the manual", CODE, HEADER, PAGE.replace("15,000", "14,000"), 1),
    ("a member that the manual leaves out", CODE, HEADER, PAGE.replace("Va streams", "Va x"), 1),
    ("a member that the header leaves out", CODE, HEADER.replace(" streams_max", " x"), PAGE, 1),
    ("a number without code", "  DEFAULT(c->channel.streams_max, UINT32_MAX);\n", HEADER, PAGE, 1),
    ("no code", "", HEADER.replace("15,000", "none"), PAGE, 1),
    ("a list within an entry", CODE, HEADER,
     PAGE.replace("Silence;", "Silence\n.Bl -bullet\n.It\nof a stream\n.El\n"), 0),
]


def main():
    failed = 0
    for value, text, expected in TEXTS:
        said = defaults.renditions(value)
        found = None if said is None else defaults.states(text, said)
        if found != expected:
            failed += 1
            print("test_defaults: %s in %r: %s" % (value, text, found))
    for name, code, header, page, expected in TREES:
        found = list(defaults.check([code], header, [page]))
        if len(found) != expected:
            failed += 1
            print("test_defaults: %s:" % name, *found, sep="\n  ")
    count = len(TEXTS) + len(TREES)
    print("test_defaults: %d passed, %d failed" % (count - failed, failed))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
