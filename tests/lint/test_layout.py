#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_layout.py: trees that layout.py must refuse, and what it must say of each."""
import sys

sys.dont_write_bytecode = True
import layout  # pylint: disable=wrong-import-position

# (name, {file: text}, what must be found; nothing: the tree is good)
INCLUDES = [
    ("a good tree",
     {"util/mem.h": "#include <sse/alloc.h>\n#include <stddef.h>\n",
      "util/mem.c": '#include "util/mem.h"\n#include <string.h>\n',
      "hub/frame.c": '#include "util/mem.h"\n#include <sse/hub.h>\n',
      "stream/open.c": '#include "hub/hub.h"\n', "hub/hub.h": '#include "util/mem.h"\n'}, []),
    ("a wing to the right", {"hub/a.c": '#include "stream/b.h"\n', "stream/b.h": ""},
     ['lib/hub/a.c:1: hub includes a wing to its right: "stream/b.h"']),
    ("wire from util", {"util/a.h": '\n#include "wire/b.h"\n', "wire/b.h": ""},
     ['lib/util/a.h:2: util includes a wing to its right: "wire/b.h"']),
    ("a circle of headers",
     {"hub/a.h": '#include "hub/b.h"\n', "hub/b.h": '#include "hub/a.h"\n'},
     ["circle of includes among 2: hub/a hub/b", "  hub/a uses hub/b: lib/hub/a.h:1",
      "  hub/b uses hub/a: lib/hub/b.h:1"]),
    ("a circle of a header and a source",
     {"hub/a.c": '#include "hub/b.h"\n', "hub/a.h": "", "hub/b.h": '#include "hub/a.h"\n'},
     ["circle of includes among 2: hub/a hub/b", "  hub/a uses hub/b: lib/hub/a.c:1",
      "  hub/b uses hub/a: lib/hub/b.h:1"]),
    ("a circle of three",
     {"hub/a.h": '#include "hub/b.h"\n', "hub/b.h": '#include "hub/c.h"\n',
      "hub/c.c": '#include "hub/a.h"\n', "hub/c.h": ""},
     ["circle of includes among 3: hub/a hub/b hub/c", "  hub/a uses hub/b: lib/hub/a.h:1",
      "  hub/b uses hub/c: lib/hub/b.h:1", "  hub/c uses hub/a: lib/hub/c.c:1"]),
    ("a file of no wing", {"a.c": ""}, ["lib/a.c: not in a wing (util, wire, hub, stream)"]),
    ("a folder that is no wing", {"core/a.c": ""},
     ["lib/core/a.c: not in a wing (util, wire, hub, stream)"]),
    ("a folder in a wing", {"hub/x/a.c": ""},
     ["lib/hub/x/a.c: not in a wing (util, wire, hub, stream)"]),
    ("no wing in the name", {"hub/a.c": '#include "a.h"\n'},
     ['lib/hub/a.c:1: neither "wing/name.h", <sse/name.h> nor a system header: "a.h"']),
    ("a path that climbs", {"hub/a.c": '#include "../util/a.h"\n'},
     ['lib/hub/a.c:1: neither "wing/name.h", <sse/name.h> nor a system header: "../util/a.h"']),
    ("a public header in quotes", {"hub/a.c": '#include "sse/hub.h"\n'},
     ['lib/hub/a.c:1: neither "wing/name.h", <sse/name.h> nor a system header: "sse/hub.h"']),
    ("our header in angle brackets", {"hub/a.c": "#include <util/b.h>\n", "util/b.h": ""},
     ['lib/hub/a.c:1: neither "wing/name.h", <sse/name.h> nor a system header: <util/b.h>']),
    ("a source", {"hub/a.c": '#include "hub/b.c"\n', "hub/b.c": ""},
     ['lib/hub/a.c:1: neither "wing/name.h", <sse/name.h> nor a system header: "hub/b.c"']),
    ("a name from a macro", {"hub/a.c": "#include HEADER\n"},
     ['lib/hub/a.c:1: neither "wing/name.h", <sse/name.h> nor a system header: HEADER']),
    ("a header that is not there", {"hub/a.c": '#include "hub/b.h"\n'},
     ['lib/hub/a.c:1: no such file: "hub/b.h"']),
    ("util and the hub's header", {"util/a.h": "#include <sse/hub.h>\n"},
     ["lib/util/a.h:1: util includes <sse/hub.h>"]),
    ("util and all headers", {"util/a.h": "#  include <sse/sse.h>\n"},
     ["lib/util/a.h:1: util includes <sse/sse.h>"]),
    ("an include in a comment", {"util/a.h": '/*\n#include "hub/b.h"\n*/\n'}, []),
]

STATICS = [
    ("different names", {"a.c": "static int f(void) {\n}\n", "b.c": "static int g;\n"}, []),
    ("twice in one file", {"a.c": "static int f(void);\nstatic int f(void) { return 0; }\n"}, []),
    ("locals", {"a.c": "void f(void) { static int n; }\n",
                "b.c": "void g(void) { static int n; }\n"}, []),
    ("comments and strings", {"a.c": "/* static int f(void); */\n", "b.c": "static int f(void);\n",
                              "c.c": 'const char *t = "static int f(void);";\n'}, []),
    ("functions", {"a.c": "static int f(void) { if (1) { } return '}'; }\n",
                   "b.c": "static inline void *f(int a) { }\n"},
     ["static f has several homes: a.c b.c"]),
    ("behind a function", {"a.c": "int g(void) { }\nstatic int f(void) { }\n",
                           "b.c": "static int f(void) { }\n"},
     ["static f has several homes: a.c b.c"]),
    ("variables", {"a.c": "static const char *const f[] = {0};\n", "b.c": "static int f;\n"},
     ["static f has several homes: a.c b.c"]),
    ("a function pointer", {"a.c": "static int (*f)(void);\n", "b.c": "static int f = 1;\n"},
     ["static f has several homes: a.c b.c"]),
    ("an attribute",
     {"a.c": "__attribute__((noinline)) static int f(void) { }\n",
      "b.c": "static __attribute__((format(printf, 1, 2))) int f(void) { }\n"},
     ["static f has several homes: a.c b.c"]),
    ("a header and a source", {"a.h": "static inline int f(void) { }\n", "b.c": "static int f;\n"},
     ["static f has several homes: a.h b.c"]),
]

CALLS = [
    ("downwards",
     {"hub/a": ["sse_a T 0 1", "sse__b U"], "util/b": ["sse__b T 0 1", "memcpy U"]}, []),
    ("itself", {"hub/a": ["sse_a T 0 1", "sse_a U"]}, []),
    ("upwards", {"hub/a": ["sse__a T 0 1", "sse__b U"], "stream/b": ["sse__b T 0 1"]},
     ["hub/a calls a wing to its right: sse__b of stream/b"]),
    ("a circle of two",
     {"hub/a": ["sse__a T 0 1", "sse__b U"], "hub/b": ["sse__b T 0 1", "sse__a U"]},
     ["circle of calls among 2: hub/a hub/b", "  hub/a uses hub/b: sse__b",
      "  hub/b uses hub/a: sse__a"]),
    ("a circle by a variable, with underscores in front",
     {"hub/a": ["_sse_a T 0 1", "_sse__b U"], "hub/b": ["_sse__b D 0 1", "_sse_a U"]},
     ["circle of calls among 2: hub/a hub/b", "  hub/a uses hub/b: sse__b",
      "  hub/b uses hub/a: sse_a"]),
    ("a circle of three and one that hangs on it",
     {"hub/a": ["sse__a T 0 1", "sse__b U"], "hub/b": ["sse__b T 0 1", "sse__c U"],
      "hub/c": ["sse__c T 0 1", "sse__a U"], "hub/d": ["sse__d T 0 1", "sse__a U"]},
     ["circle of calls among 3: hub/a hub/b hub/c", "  hub/a uses hub/b: sse__b",
      "  hub/b uses hub/c: sse__c", "  hub/c uses hub/a: sse__a"]),
    ("what nobody defines", {"hub/a": ["sse__a T 0 1", "sse__b U"]},
     ["hub/a uses sse__b, which no object defines"]),
    ("no symbols", {"hub/a": []}, ["no object defines a symbol that begins with sse_"]),
]


def main():
    failed = count = 0
    for check, rows in ((layout.check_includes, INCLUDES), (layout.check_statics, STATICS),
                        (layout.check_calls, CALLS)):
        for name, tree, expected in rows:
            found = list(check(tree))
            count += 1
            if found != expected:
                failed += 1
                print("test_layout: %s:" % name, "expected", *expected, "found", *found, sep="\n  ")
    print("test_layout: %d passed, %d failed" % (count - failed, failed))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
