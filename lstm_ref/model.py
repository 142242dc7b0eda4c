"""A row of layers that learns, predicts and is saved. Keras: ``keras.Sequential``."""

import errno
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Self

from lstm_ref import formats
from lstm_ref.conventions import Array
from lstm_ref.errors import ModelFormatError, ShapeError, UnsupportedError
from lstm_ref.formats import ModelRecord, TrainingRecord
from lstm_ref.layers import Layer
from lstm_ref.layers import summary as tables
from lstm_ref.layers.base import refuse
from lstm_ref.layers.registry import deserialize, serialize
from lstm_ref.layers.session import auto_name, floatx
from lstm_ref.training import settings
from lstm_ref.training.trainer import Trainer


class Sequential(Trainer):
    """A model whose layers read each other's output, first to last.

    With an `Input`, or an ``input_shape`` on the first layer, the weights exist at once; without,
    they are made when the model is built or first sees data.

    Args:
        layers: to begin with; see `add`.
        trainable: False leaves all weights as they are in ``fit``.
        name: None counts up ("sequential", "sequential_1").

    Attributes:
        metadata: JSON-able values that are saved with the model, for its user's own purposes.
    """

    def __init__(
        self,
        layers: Sequence[Layer] | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(layers or (), auto_name("Sequential") if name is None else str(name))
        self.metadata: dict[str, Any] = {}
        if not trainable:
            self.trainable = False

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,  # noqa: ARG002
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Show the layers, the shapes of their outputs and the sizes of their weights.

        Args:
            line_length: of the table; 88 where the terminal is wide enough.
            positions: where the three columns end, as parts of the line.
            print_fn: called once with the whole text, instead of writing it to standard output.
            expand_nested: without effect, since there are no models in models here.
            show_trainable: one more column, Y or N.
            layer_range: refused.
        """
        refuse("summary", {"layer_range": layer_range})
        header, align = ["Layer (type)", "Output Shape", "Param #"], ["<", "<", ">"]
        if show_trainable:
            header.append("Trainable")
            align.append("^")
        widths = tables.column_widths(line_length, positions, show_trainable)
        rows = [self._summary_row(layer, show_trainable) for layer in self.layers]
        text = "\n".join(
            [
                f'Model: "{self.name}"',
                tables.table(header, rows, align, widths),
                *self._summary_totals(),
                "",
            ]
        )
        (print_fn or sys.stdout.write)(text)

    def _summary_row(self, layer: Layer, show_trainable: bool) -> list[str]:
        row = [f"{layer.name} ({type(layer).__name__})", "?", "0 (unbuilt)"]
        if layer.built and layer.build_shape is not None:
            shape = layer.compute_output_shape(layer.build_shape)
            row[1:] = ["(" + ", ".join(map(str, shape)) + ")", f"{layer.count_params():,}"]
        if show_trainable:
            row.append(("Y" if layer.trainable else "N") if layer.params else "-")
        return row

    def _summary_totals(self) -> list[str]:
        trained, frozen = self.trainable_weights, self.non_trainable_weights
        sizes = {
            "Trainable": (sum(w.size for w in trained), sum(w.nbytes for w in trained)),
            "Non-trainable": (sum(w.size for w in frozen), sum(w.nbytes for w in frozen)),
        }
        if self.optimizer is not None and self.optimizer.built:
            sizes["Optimizer"] = self.optimizer.size(floatx())
        totals = [sum(column) for column in zip(*sizes.values(), strict=True)]
        return [
            f" {title} params: {n:,} ({tables.readable_bytes(n_bytes)})"
            for title, (n, n_bytes) in {"Total": totals, **sizes}.items()
        ]

    # Files.

    def get_config(self) -> dict[str, Any]:
        """The name and the layers with their configs, JSON-able."""
        return {"name": self.name, "layers": [serialize(layer) for layer in self._stack]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The model that `get_config` described, with new weights.

        Raises:
            UnsupportedError: a layer that is not among those of `lstm_ref.layers`.
        """
        return cls([deserialize(entry) for entry in config["layers"]], name=config["name"])

    def to_record(self, include_optimizer: bool = True) -> ModelRecord:
        """The model as a plain record, the form in which every file format takes it.

        Args:
            include_optimizer: with what a training goes on from, where the model was trained.

        Raises:
            ValueError: the model has no weights yet.
        """
        weights = self._saved_weights()
        config = {
            "class_name": "Sequential",
            "config": self.get_config(),
            "compile": settings.to_config(self),
            "build_input_shape": list(self.input_shape),
        }
        training = None
        if include_optimizer and self.optimizer is not None and self.optimizer.built:
            state = self.training_state(states=False)
            training = TrainingRecord(state.arrays, state.numbers)
        return ModelRecord(config, weights, dict(self.metadata), training)

    def _saved_weights(self) -> dict[str, Array]:
        if not self.built:
            raise ValueError(
                f"the model {self.name!r} has no weights to save yet: build it, or train it"
            )
        return {name: weight.copy() for name, weight in self.named_weights().items()}

    @classmethod
    def from_record(
        cls,
        record: ModelRecord,
        custom_objects: Mapping[str, Any] | None = None,
        compile: bool = True,  # noqa: A002  (Keras' name)
    ) -> Self:
        """The model that `to_record` described, its weights included. Nothing in it is run.

        Args:
            record: what a file holds.
            custom_objects, compile: see `load_model`.

        Raises:
            UnsupportedError: a layer, optimizer, loss or metric that is not there, by name.
            ModelFormatError: a record that contradicts itself.
        """
        if record.config == WEIGHTS_ALONE:
            raise UnsupportedError(
                "the file holds weights alone, as save_weights writes them: build the model, and "
                "give the file to its load_weights"
            )
        try:
            config = dict(record.config)
            if config["class_name"] != "Sequential":
                raise UnsupportedError(f"a {config['class_name']} model is not supported yet")
            model = cls(name=config["config"]["name"])
            for entry in config["config"]["layers"]:
                # Unbuilt: nothing of the size a file claims is made.
                model._append(deserialize(entry))
            model.load_named_weights(tuple(config["build_input_shape"]), record.weights)
            compiled = config.get("compile") if compile else None
            if compiled is not None:
                model.compile(**settings.from_config(compiled, custom_objects))
            if compiled is not None and (training := record.training) is not None:
                model.restore_training_state(training.arrays, training.numbers)
        except (ModelFormatError, UnsupportedError):
            raise
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ModelFormatError(
                f"the description of the model does not make sense: {type(error).__name__}: {error}"
            ) from error
        model.metadata = dict(record.metadata)
        return model

    def save(
        self, path: str | Path, overwrite: bool = True, include_optimizer: bool = True
    ) -> None:
        """Write the model to one file, whole or not at all; the suffix says the format.

        The layers, their weights, what `compile` was told and `metadata` are kept, and so is what
        ``fit(initial_epoch=...)`` needs to go on as if it had never stopped: the memory of the
        optimizer, the seed of the shuffling and the generators of dropout. The state of stateful
        layers is not, as in Keras.

        Args:
            path: of the file.
            overwrite: replace a file that is there.
            include_optimizer: False leaves out what only training needs, about two thirds of the
                file after a training with Adam.

        Raises:
            UnsupportedError: a suffix of a format that is not there.
            FileExistsError: there is a file, and `overwrite` is False.
            ValueError: the model has no weights yet.
        """
        self._write(path, overwrite, self.to_record(include_optimizer))

    def save_weights(self, path: str | Path, overwrite: bool = True) -> None:
        """Write the weights alone to one file, ``"name.weights.npz"``, whole or not at all.

        Raises:
            UnsupportedError, FileExistsError, ValueError: as `save`.
        """
        self._write(path, overwrite, ModelRecord(WEIGHTS_ALONE, self._saved_weights()))

    @staticmethod
    def _write(path: str | Path, overwrite: bool, record: ModelRecord) -> None:
        if not overwrite and Path(path).exists():
            raise FileExistsError(errno.EEXIST, "there is a file already", str(path))
        formats.write(path, record)

    def load_weights(self, path: str | Path) -> None:
        """Take over the weights in a file of `save_weights` or `save`, in their order.

        The names of layers may differ, as they do between two models that count up "lstm",
        "lstm_1"; the weights must be the same ones, of the same shapes.

        Raises:
            ShapeError: they are not.
            ModelFormatError, UnsupportedError: as `load_model`.
        """
        weights, own = formats.read(path).weights, self.named_weights()
        for given, needed in zip_longest(weights.items(), own.items()):
            if given is None or needed is None or _kind(*given) != _kind(*needed):
                came, needs = (
                    "no more weights" if pair is None else f"{pair[0]} of shape {pair[1].shape}"
                    for pair in (given, needed)
                )
                raise ShapeError(
                    f"{path} has {came}, where the model {self.name!r} has {needs}: load_weights "
                    "takes the file of a model with the same layers, and a model that is built"
                )
        self.set_weights(list(weights.values()))


def _kind(name: str, weight: Array) -> tuple[str, tuple[int, ...]]:
    """What must be the same of a weight, its layer's name apart."""
    return name.rpartition("/")[2], weight.shape


WEIGHTS_ALONE = {"class_name": "weights"}
"""The configuration in a file without a model."""


def load_model(
    path: str | Path,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,  # noqa: A002  (Keras' name)
    safe_mode: bool = True,
) -> Sequential:
    """The model that `Sequential.save` wrote, compiled as it was. Nothing in the file is run.

    Args:
        path: of the file.
        custom_objects: functions of your own that the model was compiled with, by name: a loss as
            (function, gradient) or `CustomLoss`, a metric as a function.
        compile: False leaves out what `compile` was told, and what a training goes on from.
        safe_mode: True. There is no other mode: a file cannot bring code.

    Raises:
        ModelFormatError: the file is broken, or is none of ours.
        UnsupportedError: it holds something lstm_ref does not have, by name.
    """
    if not safe_mode:
        raise UnsupportedError(
            "load_model(safe_mode=False): nothing in a file is ever executed here; layers and "
            "functions of your own are not loaded from files"
        )
    return Sequential.from_record(formats.read(path), custom_objects, compile)
