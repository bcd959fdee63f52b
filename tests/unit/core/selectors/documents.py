"""Documents that several tests of JSONPath read."""

from hypothesis import strategies as st

DOCUMENT = {
    "data": {"task": {"id": 7}, "task-id": "u-1", "a.b": 1, "null": None},
    "jobs": [{"id": "7", "state": "done"}, {"id": "8", "state": "running"}],
    "@type": "Job",
    "größe": 5,
}


NAMES = st.sampled_from(["a", "b", "a-b", "_x1", "where2", "Null"])
# "*" in quotes is every key to jsonpath-ng before 1.8, and the key "*" to us and to later ones.
QUOTED = (NAMES | st.text("ab .$[]*@{}'\"ü", min_size=1, max_size=4)).filter(lambda name: name != "*")


@st.composite
def paths(draw):
    steps = []
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["name", "index", "quoted"]))
        if kind == "name":
            steps.append("." + draw(NAMES))
        elif kind == "index":
            steps.append(f"[{draw(st.integers(0, 3))}]")
        else:
            name = draw(QUOTED)
            quote = '"' if '"' not in name else "'"
            steps.append("." + quote + name.replace(quote, "") + quote if name.replace(quote, "") else ".a")
    if draw(st.booleans()):
        # No index after it: before 1.8 jsonpath-ng finds nothing at all if one item has none.
        steps += ["[*]", *(f".{name}" for name in draw(st.lists(NAMES, max_size=2)))]
    path = "".join(steps)
    return path.removeprefix(".") if path and draw(st.booleans()) else "$" + path


def nested(depth, leaf=1):
    for _ in range(depth):
        leaf = {"a": leaf}
    return leaf
