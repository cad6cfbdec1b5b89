"""Reading YAML as it is written: nothing is dropped, and no value has two meanings.

PyYAML follows YAML 1.1, where `010` is 8, `1:30` is 90 and `no` is false, and takes the last of
two equal keys. People and other programs read these otherwise, so they are refused by their line.
"""

from collections.abc import Iterator

import yaml

_YES = ("yes", "on")
_BOOL, _INT, _FLOAT = (f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float"))
_TIMESTAMP, _TEXT, _MERGE = (f"tag:yaml.org,2002:{name}" for name in ("timestamp", "str", "merge"))


class YamlError(yaml.YAMLError):
    """The text cannot be read in one way only."""


def read_yaml(text: str) -> object:
    """Read one YAML document; a date stays the text that it is.

    Raises
    ------
    yaml.YAMLError
        If it is no YAML of plain values.
    YamlError
        If a setting is there twice, however it is spelt, or a value has two meanings; the message
        names the line.

    Examples
    --------
    >>> read_yaml("teach: {epochs: 3, name: 2026-01-31}")
    {'teach': {'epochs': 3, 'name': '2026-01-31'}}
    >>> try:
    ...     read_yaml("seed: 1_000")
    ... except YamlError as refusal:
    ...     print(refusal)
    line 1: '1_000' is 1000 to some programs and a text to others; write 1000, or put it in quotes
    """
    loader = yaml.SafeLoader(text)
    root = loader.get_single_node()
    if root is None:
        return None
    _check(root, set())
    return loader.construct_document(root)


def _check(node: yaml.Node, done: set[int]) -> None:
    if id(node) in done:  # an alias may even hold itself
        return
    done.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        _refuse_two_meanings(node)
        return
    if isinstance(node, yaml.MappingNode):
        _refuse_twice(node)
    for child in _children(node):
        _check(child, done)


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    for child in node.value:
        yield from child if isinstance(child, tuple) else (child,)


def _refuse_twice(node: yaml.MappingNode) -> None:
    keys = [(_words(key), key) for key, _ in node.value]
    seen: set[tuple[str, ...]] = set()
    for words, key in (*keys, *_nested(node, (), [])):
        if words in seen:
            raise YamlError(f"{_line_of(key)}: {key.value!r} is there twice; leave one out")
        seen.add(words)


def _nested(
    node: yaml.MappingNode, above: tuple[str, ...], inside: list[yaml.Node]
) -> Iterator[tuple[tuple[str, ...], yaml.Node]]:
    """Yield the settings of mappings in this one by all their words, as `a.b: 1` is `a: {b: 1}`."""
    for key, value in node.value:
        if key.tag == _MERGE:  # what it brings may be overruled
            continue
        words = (*above, *_words(key))
        if above:
            yield words, key
        if isinstance(value, yaml.MappingNode) and value not in inside:
            yield from _nested(value, words, [*inside, value])


def _words(key: yaml.Node) -> tuple[str, ...]:
    """Return a name's words, as options have them: `segment train` and `tissue.mpp` are of two."""
    if key.tag not in (_TEXT, _MERGE):
        found = key.value if isinstance(key, yaml.ScalarNode) else "a list or mapping"
        raise YamlError(
            f"{_line_of(key)}: a name must be text, got {found}; put it in quotes, and write "
            "decimals with a point"
        )
    return tuple(key.value.replace("_", "-").replace(".", " ").split(" "))


def _refuse_two_meanings(node: yaml.ScalarNode) -> None:
    text = node.value
    digits = text.lstrip("+-")
    if node.tag == _TIMESTAMP:
        node.tag = _TEXT
    elif node.tag == _BOOL and text.lower() not in ("true", "false"):
        _refuse(node, "true" if text.lower() in _YES else "false")
    elif node.tag == _INT and digits[:1] == "0" and digits[1:].strip("_").isdecimal():
        plain = str(int(text.replace("_", "")))
        _refuse(node, plain, str(int(text.replace("_", ""), 8)))
    elif node.tag in (_INT, _FLOAT) and ("_" in text or ":" in text or digits[:2] == "0b"):
        _refuse(node, str(yaml.safe_load(text)))


def _refuse(node: yaml.ScalarNode, remedy: str, read: str = "") -> None:
    first, second = (read, remedy) if read else (remedy, "a text")
    raise YamlError(
        f"{_line_of(node)}: {node.value!r} is {first} to some programs and {second} "
        f"to others; write {remedy}, or put it in quotes"
    )


def _line_of(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"
