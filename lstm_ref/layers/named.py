"""What a name or a config describes: an initializer, a regularizer or a constraint.

A program gives Keras one of these as a name, a class, an object or the ``{"class_name",
"config"}`` of a saved model. How each of these is read, and written again, stands here, once.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self, TypeVar

from lstm_ref.errors import ModelFormatError, UnsupportedError
from lstm_ref.layers.session import snake_case


class Named:
    """An object whose class has a name, and whose constructor's arguments are its config."""

    arguments: ClassVar[tuple[str, ...]] = ()
    """The names of the constructor's arguments, each kept in an attribute of the same name."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-able."""
        return {name: getattr(self, name) for name in self.arguments}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The reverse of `get_config`.

        Raises:
            ModelFormatError: arguments that the constructor does not have, or cannot read.
        """
        try:
            return cls(**config)
        except TypeError as error:
            raise ModelFormatError(
                f"{cls.__name__} cannot have the config {config!r}: {error}"
            ) from error


Kind = TypeVar("Kind", bound=Named)


def by_name(classes: Iterable[type[Kind]]) -> dict[str, type[Kind]]:
    """The classes by their names, as they are and in snake case: both are Keras'."""
    classes = tuple(classes)
    return {
        **{cls.__name__: cls for cls in classes},
        **{snake_case(cls.__name__): cls for cls in classes},
    }


def find(identifier: Any, base: type[Kind], known: Mapping[str, type[Kind]], advice: str) -> Kind:
    """The object meant by a name, a class, an object or a ``{"class_name", "config"}`` dict.

    Args:
        identifier: what the program gave.
        base: the class that all objects of this kind have.
        known: the classes by name.
        advice: what to do instead of giving something else, for the message.

    Raises:
        ValueError: for a name that is not known, with the known ones.
        ModelFormatError: for a config that does not belong to the class.
        UnsupportedError: for a function or an array, which a saved model could not carry.
    """
    if isinstance(identifier, type) and issubclass(identifier, base):
        return identifier()
    if isinstance(identifier, base):
        return identifier
    kind = snake_case(base.__name__)
    article = "an" if kind[0] in "aeiou" else "a"
    name: Any = identifier
    config: Mapping[str, Any] = {}
    if isinstance(identifier, dict):
        name, config = identifier.get("class_name"), identifier.get("config") or {}
    if not isinstance(name, str):
        raise UnsupportedError(
            f"{article} {kind} is a name, a config or {article} {base.__name__}, not "
            f"{identifier!r}; {advice}"
        )
    if name not in known:
        names = sorted({snake_case(cls.__name__) for cls in known.values()})
        raise ValueError(f"there is no {kind} {name!r}; there are {', '.join(names)}")
    return known[name].from_config(config)


def serialize(thing: Named) -> dict[str, Any]:
    """What `find` reads back: the class name and the config."""
    return {"class_name": type(thing).__name__, "config": thing.get_config()}
