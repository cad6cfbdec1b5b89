"""What all HTML pages share: how templates are filled, one style, pictures within the text."""

import base64
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template

_MEDIA = {".jpg": "image/jpeg", ".png": "image/png"}


def load_template(package: str, name: str, **known: object) -> Template:
    """Load a template of a package; what it is filled with is escaped.

    It takes in the common style by `{% include "page.css" %}`.

    Parameters
    ----------
    package : str
        Such as "wsikd.report".
    name : str
        Of the file in it.
    **known : object
        Functions and values that the template and its macros know beside what they are filled with.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "."), PackageLoader("wsikd", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(known)
    return environment.get_template(name)


def data_uri(name: str, content: bytes) -> str:
    """Return a picture as text that a page can hold, so that the page needs no file beside it.

    Examples
    --------
    >>> data_uri("a.png", b"PNG")
    'data:image/png;base64,UE5H'
    """
    return f"data:{_MEDIA[Path(name).suffix]};base64,{base64.b64encode(content).decode()}"
