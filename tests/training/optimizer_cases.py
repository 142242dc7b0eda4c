"""Optimizers to compare: every rule, every option, and weights to train."""

from collections.abc import Iterator
from typing import Any

import numpy as np

SHAPES = {
    "masking_lstm/kernel": (3, 8),
    "masking_lstm/recurrent_kernel": (2, 8),
    "masking_lstm/bias": (8,),
    "dense/kernel": (2, 1),
    "dense/bias": (1,),
}
"""Weights by name, down to one number."""

RULES: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {}),
    "sgd lr": ("SGD", {"learning_rate": 0.3}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "nesterov": ("SGD", {"momentum": 0.7, "nesterov": True}),
    "nesterov without momentum": ("SGD", {"nesterov": True}),
    "adam": ("Adam", {}),
    "adam betas": ("Adam", {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.95, "epsilon": 1e-3}),
    "amsgrad": ("Adam", {"learning_rate": 0.02, "beta_2": 0.9, "amsgrad": True}),
    "adamw": ("AdamW", {"learning_rate": 0.03}),
    "adamw amsgrad": ("AdamW", {"weight_decay": 0.1, "beta_1": 0.8, "amsgrad": True}),
    "nadam": ("Nadam", {"learning_rate": 0.02}),
    "nadam betas": ("Nadam", {"beta_1": 0.7, "beta_2": 0.95, "epsilon": 1e-3}),
    "adagrad": ("Adagrad", {"learning_rate": 0.1}),
    "adagrad start": ("Adagrad", {"initial_accumulator_value": 0.7, "epsilon": 1e-3}),
    "rmsprop": ("RMSprop", {}),
    "rmsprop rho": ("RMSprop", {"learning_rate": 0.02, "rho": 0.7, "epsilon": 1e-4}),
    "rmsprop momentum": ("RMSprop", {"momentum": 0.8}),
    "rmsprop centered": ("RMSprop", {"centered": True}),
    "rmsprop both": ("RMSprop", {"momentum": 0.5, "centered": True, "rho": 0.95}),
}
"""Every rule, its class and its own arguments."""

ONE_OF_EACH = ("momentum", "amsgrad", "adamw", "nadam", "adagrad", "rmsprop both")
"""A rule of every class, with as much memory as it may have."""

COSINE, STAIRS = "cosine", "stairs"
SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {
    COSINE: (
        "CosineDecay",
        {
            "initial_learning_rate": 0.03, "decay_steps": 9, "alpha": 0.1, "warmup_target": 0.07,
            "warmup_steps": 3,
        },
    ),
    STAIRS: ("PiecewiseConstantDecay", {"boundaries": [2, 5, 9], "values": [0.1, 0.03, 0.07, 0.2]}),
}  # fmt: skip

OPTIONS: dict[str, dict[str, Any]] = {
    "no option": {},
    "clipnorm": {"clipnorm": 0.3},
    "clipnorm 1": {"clipnorm": 1},
    "clipvalue": {"clipvalue": 0.07},
    "global_clipnorm": {"global_clipnorm": 0.3},
    "weight_decay": {"weight_decay": 0.013},
    "ema": {"use_ema": True, "ema_momentum": 0.9},
    "ema overwrites": {"use_ema": True, "ema_overwrite_frequency": 3},
    "accumulation": {"gradient_accumulation_steps": 3},
    "a schedule": {"learning_rate": COSINE},
    "a function": {"learning_rate": lambda: 0.013},
    "accumulation and a schedule": {
        "gradient_accumulation_steps": 3, "learning_rate": STAIRS, "weight_decay": 0.1,
    },
    "accumulation and ema": {
        "gradient_accumulation_steps": 2, "use_ema": True, "ema_momentum": 0.8,
        "ema_overwrite_frequency": 2, "weight_decay": 0.01, "clipnorm": 0.5,
    },
    "everything": {
        "gradient_accumulation_steps": 3, "use_ema": True, "ema_momentum": 0.7,
        "ema_overwrite_frequency": 2, "weight_decay": 0.02, "global_clipnorm": 0.4,
        "learning_rate": COSINE,
    },
}  # fmt: skip
"""What all optimizers have, alone and together."""

PAIRS = [
    *((rule, "no option") for rule in RULES),
    *(
        (rule, option)
        for rule in ("sgd", *ONE_OF_EACH)
        for option in OPTIONS
        if option != "no option"
    ),
]
"""Every rule, and every option with every class."""


def make(optimizers: Any, rule: str, option: str, **more: Any) -> Any:
    """An optimizer of one of the two libraries' modules ``optimizers``."""
    name, arguments = RULES[rule]
    arguments = {**arguments, **OPTIONS[option], **more}
    rate = arguments.get("learning_rate")
    if isinstance(rate, str):
        schedule, settings = SCHEDULES[rate]
        arguments["learning_rate"] = getattr(optimizers.schedules, schedule)(**settings)
    return getattr(optimizers, name)(**arguments)


def new_weights(rng: np.random.Generator, dtype: str = "float64") -> dict[str, np.ndarray]:
    """Weights that differ everywhere, each of a scale of its own."""
    return {
        name: (10.0 ** -(k % 3) * rng.normal(size=shape)).astype(dtype)
        for k, (name, shape) in enumerate(SHAPES.items())
    }


def gradients(
    rng: np.random.Generator, steps: int, dtype: str = "float64"
) -> Iterator[dict[str, np.ndarray]]:
    """Gradients for some steps, of another scale for every weight and step."""
    for _ in range(steps):
        yield {
            name: (10.0 ** rng.integers(-4, 2) * rng.normal(size=shape)).astype(dtype)
            for name, shape in SHAPES.items()
        }
