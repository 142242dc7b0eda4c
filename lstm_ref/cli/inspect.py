"""Show what is in a model file: layers, shapes, weights, gate order, and what it carries along."""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lstm_ref import formats
from lstm_ref.cli import output
from lstm_ref.conventions import GATES
from lstm_ref.forecast import Recipe
from lstm_ref.forecast.recipe import KEY as FORECAST
from lstm_ref.formats import ModelRecord
from lstm_ref.model import Sequential
from lstm_ref.training import losses, optimizers
from lstm_ref.training.settings import OWN


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    parser.add_argument("model", metavar="MODEL", type=Path, help="a model file, .npz")


def run(args: argparse.Namespace) -> int:
    """Read the file and describe it."""
    document = describe(args.model, formats.read(args.model))
    if args.json:
        output.print_json(document)
    else:
        _show(document)
    return output.FINE


def describe(path: Path, record: ModelRecord) -> dict[str, Any]:
    """The model in a file as one JSON document."""
    model = Sequential.from_record(record, compile=False)
    return {
        "file": str(path),
        "format": path.suffix.lower(),
        "bytes": path.stat().st_size,
        "name": model.name,
        "input_shape": list(model.input_shape),
        "output_shape": list(model.output_shape),
        "parameters": model.count_params(),
        "gate_order": list(GATES),
        "layers": [
            {
                "name": layer.name,
                "class": type(layer).__name__,
                "output_shape": list(layer.compute_output_shape(layer.build_shape or ())),
                "parameters": layer.count_params(),
                "config": layer.get_config(),
                "weights": {name: _weight(array) for name, array in layer.params.items()},
            }
            for layer in model.layers
        ],
        "compile": record.config.get("compile"),
        "metadata": model.metadata,
    }


def _weight(array: Any) -> dict[str, Any]:
    finite = array[np.isfinite(array)]
    return {
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "smallest": float(finite.min()) if finite.size else None,
        "largest": float(finite.max()) if finite.size else None,
        "not_finite": int(array.size - finite.size),
    }


def _show(document: dict[str, Any]) -> None:
    print(f"{document['file']}: {document['name']}, {document['bytes']:,} bytes, NumPy's .npz")
    axes = {2: "(batch, time)", 3: "(batch, time, features)"}.get(len(document["input_shape"]))
    print(f"input  {_shape(document['input_shape'])}   {axes or 'batch first'}, None is any number")
    print(f"output {_shape(document['output_shape'])}")
    print(f"{document['parameters']:,} weights\n")
    for layer in document["layers"]:
        print(f"{layer['name']} ({layer['class']}) → {_shape(layer['output_shape'])}")
        settings = _settings(layer)
        if settings:
            print(f"  {settings}")
        rows = [
            [name, "×".join(map(str, w["shape"])), w["dtype"], _range(w)]
            for name, w in layer["weights"].items()
        ]
        if rows:
            print(output.aligned(rows))
    names = [name for layer in document["layers"] for name in layer["weights"]]
    if any(name.endswith("recurrent_kernel") for name in names):
        print(f"\ngate order in each LSTM's weights: {', '.join(document['gate_order'])}")
    if (compiled := document["compile"]) is not None:
        calls = [
            _call(compiled[key], _defaults(get, compiled[key]))
            for key, get in (("optimizer", optimizers.get), ("loss", losses.get))
        ]
        print(f"compiled with {calls[0]}, loss {calls[1]}")
    metadata = dict(document["metadata"])
    if FORECAST in metadata:
        _show_recipe(Recipe.from_metadata(metadata))
        del metadata[FORECAST]
    if metadata:
        print(f"\nmetadata\n{json.dumps(metadata, indent=2, ensure_ascii=False)}")


def _show_recipe(recipe: Recipe) -> None:
    """What `lstm-ref train` let the model carry along."""
    horizon, window = (output.counted(n, "row") for n in (recipe.horizon, recipe.window))
    print(f"\nforecasts {', '.join(recipe.targets)}, {horizon} ahead,")
    print(f"from {', '.join(recipe.features)}, in windows of {window}")
    rows = [["scaling", "mean", "standard deviation"]]
    for columns, scaling in (
        (recipe.features, recipe.feature_scaling),
        (recipe.targets, recipe.target_scaling),
    ):
        for name, mean, std in zip(columns, scaling.mean, scaling.std, strict=True):
            row = [name, f"{mean:.6g}", f"{std:.6g}"]
            rows += [row] if row not in rows else []
    print(output.aligned(rows))


def _call(record: dict[str, Any] | str | None, defaults: Mapping[str, Any]) -> str:
    """``Adam(learning_rate=0.001)`` from a class name and what of its config is no default."""
    if record is None or isinstance(record, str):
        return record or "none"
    config = record["config"]
    if record["class_name"] == OWN:
        return f"{config['name']} (a function of its maker)"
    always = ("learning_rate",)
    settings = [
        f"{name}={_call(value, {}) if isinstance(value, dict) else value}"
        for name, value in config.items()
        if name in always or (name not in ("name", "dtype") and value != defaults.get(name))
    ]
    return f"{record['class_name']}({', '.join(settings)})"


def _defaults(get: Callable[[str], Any], record: dict[str, Any] | str | None) -> dict[str, Any]:
    """The config that a class has when it is told nothing."""
    if not isinstance(record, dict) or record["class_name"] == OWN:
        return {}
    return dict(get(record["class_name"]).get_config())


def _settings(entry: Mapping[str, Any]) -> str:
    """What of a layer's configuration changes results, beyond the shapes."""
    config = entry["config"]
    parts = [str(_settings(config["layer"]))] if "layer" in config else []
    if "cell" in config:
        parts += [
            _settings(cell) for cell in config["cell"]["config"].get("cells", [config["cell"]])
        ]
    if "recurrent_activation" in config:
        parts.append(f"activation {config['activation']}, gates {config['recurrent_activation']}")
    elif "activation" in config:
        parts.append(f"activation {config['activation']}")
    for key in ("merge_mode", "mask_value"):
        if key in config:
            parts.append(f"{key.replace('_', ' ')} {config[key]}")
    for key in ("rate", "dropout", "recurrent_dropout"):
        if config.get(key):
            parts.append(f"{key.replace('_', ' ')} {config[key]}")
    switches = ("return_sequences", "go_backwards", "stateful", "zero_output_for_mask", "mask_zero")
    return ", ".join(filter(None, [*parts, *(name for name in switches if config.get(name))]))


def _shape(shape: list[int | None]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"


def _range(weight: dict[str, Any]) -> str:
    if weight["not_finite"]:
        return f"{weight['not_finite']} NaN OR INFINITE"
    if weight["smallest"] is None:
        return ""
    return f"{weight['smallest']:+.3f} … {weight['largest']:+.3f}"
