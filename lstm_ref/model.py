"""A row of layers that learns, predicts and is saved. Keras: ``keras.Sequential``."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from lstm_ref import formats
from lstm_ref.errors import ModelFormatError, UnsupportedError
from lstm_ref.formats import ModelRecord
from lstm_ref.layers import Layer
from lstm_ref.layers import summary as tables
from lstm_ref.layers.base import refuse
from lstm_ref.layers.registry import deserialize, serialize
from lstm_ref.layers.session import auto_name, floatx
from lstm_ref.layers.stack import Stack
from lstm_ref.training import losses, metrics, optimizers
from lstm_ref.training.trainer import Trainer


class Sequential(Stack, Trainer):
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
        Trainer.__init__(self)
        Stack.__init__(self, layers or (), auto_name("Sequential") if name is None else str(name))
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

    def to_record(self) -> ModelRecord:
        """The model as a plain record, the form in which every file format takes it.

        Raises:
            ValueError: the model has no weights yet.
        """
        if not self.built:
            raise ValueError(
                f"the model {self.name!r} has no weights to save yet: build it, or train it"
            )
        config = {
            "class_name": "Sequential",
            "config": self.get_config(),
            "compile": self._compile_config(),
            "build_input_shape": list(self.input_shape),
        }
        weights = {name: weight.copy() for name, weight in self.named_weights().items()}
        return ModelRecord(config=config, weights=weights, metadata=dict(self.metadata))

    def _compile_config(self) -> dict[str, Any] | None:
        if self.optimizer is None:
            return None
        return {
            "optimizer": optimizers.serialize(self.optimizer),
            "loss": None if self.loss is None else losses.serialize(self.loss),
            "metrics": [metrics.serialize(m) for m in self.report.metrics],
            "weighted_metrics": [metrics.serialize(m) for m in self.report.weighted_metrics],
        }

    @classmethod
    def from_record(cls, record: ModelRecord) -> Self:
        """The model that `to_record` described, its weights included. Nothing in it is run.

        Raises:
            UnsupportedError: a layer, optimizer, loss or metric that is not there, by name.
            ModelFormatError: a record that contradicts itself.
        """
        try:
            config = dict(record.config)
            if config["class_name"] != "Sequential":
                raise UnsupportedError(f"a {config['class_name']} model is not supported yet")
            model = cls(name=config["config"]["name"])
            for entry in config["config"]["layers"]:
                model._append(
                    deserialize(entry)
                )  # unbuilt: nothing of the size a file claims is made
            model.load_named_weights(tuple(config["build_input_shape"]), record.weights)
            if (compiled := config.get("compile")) is not None:
                model.compile(**compiled)
        except (ModelFormatError, UnsupportedError):
            raise
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ModelFormatError(
                f"the description of the model does not make sense: {type(error).__name__}: {error}"
            ) from error
        model.metadata = dict(record.metadata)
        return model

    def save(self, path: str | Path) -> None:
        """Write the model to one file, whole or not at all; the suffix says the format.

        The layers, their weights, what `compile` was told and `metadata` are kept; the state of
        the optimizer and of stateful layers is not.

        Raises:
            UnsupportedError: a suffix of a format that is not there.
            ValueError: the model has no weights yet.
        """
        formats.write(path, self.to_record())


def load_model(path: str | Path) -> Sequential:
    """The model that `Sequential.save` wrote, compiled as it was. Nothing in the file is run.

    Raises:
        ModelFormatError: the file is broken, or is none of ours.
        UnsupportedError: it holds something lstm_ref does not have, by name.
    """
    return Sequential.from_record(formats.read(path))
