"""Inputs that somebody might leave for others to read: valid ones with parts torn, swapped or replaced."""

import copy
import json
import platform
import sys
from contextlib import contextmanager

from hypothesis import strategies as st

from reslab.runs.plan import NoRunsError

CLEAR = (ValueError, FileNotFoundError, NoRunsError)
RAW = {  # what json.dumps cannot write
    "@deep": "[" * 20_000 + "]" * 20_000,
    "@deep table": '{"a":' * 20_000 + "1" + "}" * 20_000,
    "@nested": "[" * 60 + "]" * 60,
    "@endless": "9" * 5_000,
    "@overflow": "1e400",
    "@nan": "NaN",
    "@infinite": "-Infinity",
    "@torn": '"',
    "@surrogate": '"\\ud800"',
}
WORDS = (
    "",
    "\x00",
    "\ud800",
    "\x1b]0;x\x07",
    "../../../etc/passwd",
    "/etc/passwd",
    "</script>",
    "__proto__",
    "x" * 5000,
)
WORDS += ("${oc.env:HOME}", "???", "runs/../../x/seed=0", "a\nb", "\u202eabc", "nan", "1e400", "[bold]", "%s{0}")
NUMBERS = (0, 1, -1, True, False, 2**31, 2**63, -(2**63), 2**64, 10**400, 0.5, -0.0, 1e-320, 1e308, -1e308)
NUMBERS += (float("nan"), float("inf"))
leaf = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(WORDS), st.none(), st.integers(), st.floats(), st.text())
raw_leaf = st.sampled_from(sorted(RAW))
node = st.one_of(
    leaf, st.lists(leaf, max_size=4), st.dictionaries(st.one_of(st.sampled_from(WORDS), st.text()), leaf, max_size=3)
)
RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pty.spawn")
FORBIDDEN = (*RUNS, "os.startfile", "socket.connect", "socket.getaddrinfo", "shutil.rmtree", "ctypes.dlopen")
watching, caught = [False], []


def _audit(event, arguments):
    if watching[0] and event in FORBIDDEN:
        caught.append(f"{event} {arguments!r:.200}")
        raise PermissionError(event)


sys.addaudithook(_audit)
platform.platform()  # asks uname the first time, and never again


@contextmanager
def only_clear_errors():
    """Nothing is started or fetched, and what is refused is refused with a sentence of ours."""
    watching[0] = True
    try:
        yield
    except CLEAR as error:
        if type(error) not in CLEAR or len(str(error)) <= 10:
            raise AssertionError(f"not a sentence: {error!r}") from error
    finally:
        watching[0] = False
        begun = list(caught)
        caught.clear()
    assert begun == []


def places(value, path=()):
    """Where in a tree of tables and lists something can be replaced."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*path, key))


@st.composite
def altered(draw, tree, nodes=node):
    """A tree of which up to three parts are replaced, left out or added to."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(tree))))
        at = tree
        for key in path[:-1]:
            at = at[key]
        what = draw(st.sampled_from(("replace", "replace", "replace", "leave out", "add")))
        if not path:
            tree = copy.deepcopy(draw(nodes)) if what == "replace" and draw(st.booleans()) else tree
        elif what == "replace":
            at[path[-1]] = copy.deepcopy(draw(nodes))
        elif what == "leave out":
            del at[path[-1]]
        elif isinstance(at, dict):
            at[draw(st.sampled_from([word for word in WORDS if word]))] = copy.deepcopy(draw(nodes))
    return tree


@st.composite
def torn(draw, data):
    """Bytes with up to four of them flipped, and pieces cut out, doubled, or put in from elsewhere."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        what, length = (
            draw(st.sampled_from(("flip", "flip", "cut", "end", "double", "put in"))),
            draw(st.integers(1, 64)),
        )
        if what == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif what == "cut":
            del data[at : at + length]
        elif what == "end":
            del data[at:]
        elif what == "double":
            data[at:at] = data[at : at + length]
        else:
            data[at:at] = draw(st.binary(max_size=16))
    return bytes(data)


def as_json(tree):
    """With the parts of RAW as they are, whatever JSON thinks of them."""
    text = json.dumps(tree)
    for name, raw in RAW.items():
        text = text.replace(json.dumps(name), raw)
    return text.encode()


def records(tree):
    """The bytes of a JSON record, altered, torn or made up."""
    changed = altered(tree, st.one_of(node, raw_leaf)).map(as_json)
    return st.one_of(changed, changed, changed, torn(json.dumps(tree).encode()), st.binary(max_size=200))


def lines(trees):
    """The same of a file of one record a line, of which one is altered."""
    kept = [json.dumps(tree).encode() for tree in trees]
    one = st.integers(0, len(kept) - 1).flatmap(
        lambda at: records(trees[at]).map(lambda line: b"\n".join([*kept[:at], line, *kept[at + 1 :]]) + b"\n")
    )
    return st.one_of(one, one, torn(b"\n".join(kept)))
