"""The errors lstm_ref raises on purpose.

Each one says what came, what was needed, and the usual mistake behind it. They derive from the
built-in classes that Keras, PyTorch and NumPy raise in the same places, so code written to catch
those keeps working.
"""

__all__ = [
    "DTypeError",
    "MissingExtraError",
    "ModelFormatError",
    "NonFiniteError",
    "ShapeError",
    "UnsupportedError",
]


class ShapeError(ValueError):
    """An array has the wrong rank, length or feature count for the place it was given to."""


class DTypeError(TypeError):
    """An array holds something that is not a real number lstm_ref can compute with."""


class UnsupportedError(ValueError):
    """A sound request for something lstm_ref does not do: the message names it."""


class ModelFormatError(ValueError):
    """A model file is broken, truncated or hostile: the message says what is wrong, and where."""


class NonFiniteError(ValueError):
    """A training has come to NaN: the message names the first number that is not finite, and why.

    Attributes:
        origin: that place as a record, a `lstm_ref.training.diagnosis.Origin`; or a sentence.
    """

    def __init__(self, origin: object) -> None:
        super().__init__(str(origin))
        self.origin = origin


class MissingExtraError(ImportError):
    """An optional package is not installed: the message names the pip command that brings it."""

    def __init__(self, package: str, extra: str | None = None) -> None:
        command = f"pip install {package}" if extra is None else f'pip install "lstm-ref[{extra}]"'
        super().__init__(f"this needs the package {package!r}, which is not installed: {command}")
        self.package = package
        self.extra = extra
